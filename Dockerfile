# Two images of one distribution: targets `operator` and `speaker` (docs/images.md).
#
# `make image` builds both without a registry, on bases made of Debian packages. Any builder makes them on a published
# image as well: `docker build --target speaker .` takes the defaults below. Both bases need the same interpreter at the
# same path; the builder's needs a shell and Python's venv module too.
ARG BUILDER_BASE=python:3.11-slim-bookworm
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS base

FROM ${BUILDER_BASE} AS builder
ARG PIP_NO_INDEX
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore \
    PIP_FIND_LINKS=/build/inputs PYTHONDONTWRITEBYTECODE=1
# Process 1 of both images; Debian's package has a static one.
RUN command -v tini-static || { apt-get update && apt-get install -y --no-install-recommends tini; }
# Where there is no network, wheels lie beside the locks.
COPY requirements/ wheel[s]/ /build/inputs/
RUN python3 -m venv /build/tools && \
    /build/tools/bin/pip install -q --no-deps --require-hashes -r /build/inputs/build.txt

FROM builder AS operator-dependencies
ARG PIP_NO_INDEX
RUN python3 -m venv --without-pip /opt/kube-vrrp && \
    /build/tools/bin/pip --python /opt/kube-vrrp/bin/python install -q --no-deps --no-compile --require-hashes \
        -r /build/inputs/operator.txt
# What is left of bin is the interpreter. Half of the official client is a second client, a fifth of pydantic its predecessor: nothing here imports them.
RUN cd /opt/kube-vrrp/lib/python3.*/site-packages && rm -r kubernetes/aio pydantic/v1 && \
    python3 -m compileall -q --invalidation-mode unchecked-hash /opt/kube-vrrp/lib && \
    for file in /opt/kube-vrrp/bin/*; do [ -L "$file" ] || rm "$file"; done

FROM builder AS speaker-dependencies
ARG PIP_NO_INDEX
RUN python3 -m venv --without-pip /opt/kube-vrrp && \
    /build/tools/bin/pip --python /opt/kube-vrrp/bin/python install -q --no-deps --no-compile --require-hashes \
        -r /build/inputs/speaker.txt
# Protocols of others, and programs for people.
RUN cd /opt/kube-vrrp/lib/python3.*/site-packages/scapy && rm -r contrib modules tools && \
    python3 -m compileall -q --invalidation-mode unchecked-hash /opt/kube-vrrp/lib && \
    for file in /opt/kube-vrrp/bin/*; do [ -L "$file" ] || rm "$file"; done

FROM builder AS wheel
COPY . /build/source
RUN cd /build/source && SOURCE_DATE_EPOCH=0 /build/tools/bin/python -m hatchling build -t wheel -d /build/wheel

FROM operator-dependencies AS operator-program
COPY --from=wheel /build/wheel/ /build/wheel/
COPY scripts/image/ /build/scripts/
RUN python3 /build/scripts/assemble.py vrrp-operator --omit vrrp_cli --omit vrrp_lab --omit vrrp_speaker

FROM operator-program AS operator-sbom
COPY --from=base /var/lib/dpkg/ /build/base-packages/
ARG VERSION
ARG CREATED
RUN /build/tools/bin/python /build/scripts/sbom.py kube-vrrp/operator --version "${VERSION}" --created "${CREATED}"

FROM speaker-dependencies AS speaker-program
COPY --from=wheel /build/wheel/ /build/wheel/
COPY scripts/image/ /build/scripts/
RUN python3 /build/scripts/assemble.py vrrp-speaker --omit vrrp_cli --omit vrrp_lab --omit vrrp_operator

FROM speaker-program AS speaker-sbom
COPY --from=base /var/lib/dpkg/ /build/base-packages/
ARG VERSION
ARG CREATED
RUN /build/tools/bin/python /build/scripts/sbom.py kube-vrrp/speaker --version "${VERSION}" --created "${CREATED}"

FROM base AS operator
COPY --from=operator-dependencies /opt/kube-vrrp /opt/kube-vrrp
ENV PATH=/opt/kube-vrrp/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
# The kernel drops signals to a process 1 that has no handler yet; this one waits for them from the start. -s: in the
# node's PID namespace it is not process 1, and collects what its children leave all the same.
ENTRYPOINT ["/opt/kube-vrrp/bin/tini", "-s", "--", "vrrp-operator"]
COPY --from=operator-program /build/program /opt/kube-vrrp
COPY --from=operator-sbom /build/sbom.cdx.json /opt/kube-vrrp/share/sbom.cdx.json
ARG VERSION
ARG REVISION
ARG CREATED
LABEL org.opencontainers.image.title="kube-vrrp operator" \
      org.opencontainers.image.description="Plans which node may hold which virtual IP" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"

FROM base AS speaker
COPY --from=speaker-dependencies /opt/kube-vrrp /opt/kube-vrrp
ENV PATH=/opt/kube-vrrp/bin:$PATH PYTHONDONTWRITEBYTECODE=1
# Root of its container; what it may do is given by capabilities.
USER 0:0
ENTRYPOINT ["/opt/kube-vrrp/bin/tini", "-s", "--", "vrrp-speaker"]
COPY --from=speaker-program /build/program /opt/kube-vrrp
COPY --from=speaker-sbom /build/sbom.cdx.json /opt/kube-vrrp/share/sbom.cdx.json
ARG VERSION
ARG REVISION
ARG CREATED
LABEL org.opencontainers.image.title="kube-vrrp speaker" \
      org.opencontainers.image.description="Runs VRRP for the virtual IPs of a node" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
