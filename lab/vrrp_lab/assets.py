"""Where kube-apiserver, etcd and kubectl come from: given, cached, or built from Go modules."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from vrrp_lab.namespaces import LabError

_MODULES = Path(__file__).resolve().parents[1] / "controlplane"
_PACKAGES = {
    "etcd": ("etcd", "go.etcd.io/etcd/server/v3"),
    "kube-apiserver": ("kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver"),
    "kubectl": ("kubernetes", "k8s.io/kubernetes/cmd/kubectl"),
}


@dataclass(frozen=True, slots=True)
class ControlPlaneAssets:
    """The three programs."""

    etcd: Path
    kube_apiserver: Path
    kubectl: Path


def find_or_build_assets() -> ControlPlaneAssets:
    """Return the programs: from KUBEBUILDER_ASSETS, from the cache, or built now.

    Raises:
        LabError: neither given nor cached, and Go is missing or fails.
    """
    given = os.environ.get("KUBEBUILDER_ASSETS")
    if given:
        folder = Path(given)
        missing = [name for name in ("etcd", "kube-apiserver") if not (folder / name).exists()]
        if missing:
            raise LabError(f"KUBEBUILDER_ASSETS={given} lacks {', '.join(missing)}")
    else:
        folder = _cache_folder()
        for name in ("etcd", "kube-apiserver"):
            _build_once(folder, name)
    return ControlPlaneAssets(folder / "etcd", folder / "kube-apiserver", _kubectl(folder, given))


def _kubectl(folder: Path, given: str | None) -> Path:
    if (folder / "kubectl").exists():
        return folder / "kubectl"
    installed = shutil.which("kubectl")
    if installed:
        return Path(installed)
    if given:
        raise LabError(f"KUBEBUILDER_ASSETS={given} lacks kubectl, and none is on PATH")
    _build_once(folder, "kubectl")
    return folder / "kubectl"


def _cache_folder() -> Path:
    digest = hashlib.sha256()
    for path in sorted(_MODULES.glob("*/go.*")):
        digest.update(path.read_bytes())
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "kube-vrrp" / f"control-plane-{digest.hexdigest()[:12]}"


def _build_once(folder: Path, name: str) -> None:
    """Build one program unless it is there; two builders wait for each other."""
    if (folder / name).exists():
        return
    go = shutil.which("go")
    if go is None:
        raise LabError("the control plane must be built once: needs Go, or KUBEBUILDER_ASSETS")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / name).exists():
            _build(go, folder, name)


def _build(go: str, folder: Path, name: str) -> None:
    module, package = _PACKAGES[name]
    source = _MODULES / module
    flags = "-s -w"
    version = re.search(r"k8s\.io/kubernetes (v\S+)", (source / "go.mod").read_text())
    if version:
        flags += f" -X k8s.io/component-base/version.gitVersion={version[1]}"
    output = folder / f"{name}.new"
    command = [go, "build", "-trimpath", f"-ldflags={flags}", "-o", str(output), package]
    print(
        f"building {name} from Go modules (once; minutes when cold) …", file=sys.stderr, flush=True
    )
    begun_s = time.monotonic()
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(command, cwd=source, stdout=log, stderr=log)
        while process.poll() is None:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                elapsed_s = time.monotonic() - begun_s
                print(f"  {name}: {elapsed_s:.0f} s …", file=sys.stderr, flush=True)
    if process.returncode:
        tail = (folder / f"{name}.log").read_text()[-800:]
        raise LabError(f"building {name} failed:\n{tail}")
    output.rename(folder / name)
    print(f"built {name} in {time.monotonic() - begun_s:.0f} s", file=sys.stderr, flush=True)
