#!/usr/bin/env bash
# Prepares this machine for the lab and the tests: system packages (when root), then .venv from the
# hashed lock. Says what it does; does nothing twice.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '%s\n' "bootstrap: $*"; }

PATH="$PATH:/usr/sbin:/sbin"
have_nothing_missing=1
packages=()
need() { # program, Debian package
  command -v "$1" >/dev/null || packages+=("$2")
}
need ip iproute2
need tc iproute2
need nft nftables
need unshare util-linux
need curl curl
need openssl openssl
need keepalived keepalived # a peer, in benchmarks and interop tests
need /usr/lib/frr/vrrpd frr # another one
need tshark tshark
[ -n "${KUBEBUILDER_ASSETS:-}" ] || need go golang-go

if [ "${#packages[@]}" -gt 0 ]; then
  if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    say "installing with apt-get: ${packages[*]}"
    # Installing keepalived and FRR must not start them on this machine.
    guard=/usr/sbin/policy-rc.d
    if [ ! -e "$guard" ]; then
      printf '#!/bin/sh\nexit 101\n' >"$guard"
      chmod +x "$guard"
      trap 'rm -f "$guard"' EXIT
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -qq -y --no-install-recommends "${packages[@]}" >/dev/null
  else
    say "missing, and not installable without root and apt-get: ${packages[*]}" >&2
    have_nothing_missing=0
  fi
fi

python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  say "needs Python 3.11 or newer; $python is $("$python" --version 2>&1). Set PYTHON=…" >&2
  exit 1
}
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
  [ "$(id -u)" -eq 0 ] || { say "missing: the venv module of $python (python3-venv)" >&2; exit 1; }
  say "installing with apt-get: python3-venv"
  apt-get install -qq -y --no-install-recommends python3-venv >/dev/null
fi

stamp=$(sha256sum requirements/dev.txt pyproject.toml | sha256sum | cut -c1-16)
if [ "$(cat .venv/stamp 2>/dev/null)" != "$stamp" ]; then
  say "making .venv from requirements/dev.txt (hashes checked)"
  rm -rf .venv
  "$python" -m venv .venv
  .venv/bin/pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
  .venv/bin/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
  echo "$stamp" >.venv/stamp
fi
[ "$have_nothing_missing" = 1 ] || say "going on without them: what needs them will say so" >&2
