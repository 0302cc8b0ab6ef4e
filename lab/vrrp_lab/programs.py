"""Where programs that no package of the distribution brings come from: given, cached, or built.

They are built once from Go modules (``lab/programs``) into the user's cache folder, which demo,
tests and end-to-end tests share.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path

from vrrp_lab.namespaces import LabError

_MODULES = Path(__file__).resolve().parents[1] / "programs"


@dataclass(frozen=True, slots=True)
class _Source:
    """A program's Go module below ``lab/programs``, its package, and where its version goes.

    ``version`` holds the module that has it and the variable that the linker sets; ``static``
    programs run where there is no C library.
    """

    module: str
    package: str
    version: tuple[str, str] | None = None
    static: bool = False


_KUBERNETES = ("k8s.io/kubernetes", "k8s.io/component-base/version.gitVersion")
_SOURCES = {
    "etcd": _Source("etcd", "go.etcd.io/etcd/server/v3"),
    **{
        name: _Source("kubernetes", f"k8s.io/kubernetes/cmd/{name}", _KUBERNETES)
        for name in (
            *("kube-apiserver", "kubectl", "kube-controller-manager", "kube-scheduler"),
            *("kube-proxy", "kubelet"),
        )
    },
    **{
        f"helm{major}": _Source(
            f"helm{major}",
            f"helm.sh/helm/v{major}/cmd/helm",
            (f"helm.sh/helm/v{major}", f"helm.sh/helm/v{major}/internal/version.version"),
        )
        for major in (3, 4)
    },
    "kube-score": _Source("kube-score", "github.com/zegl/kube-score/cmd/kube-score"),
    **{name: _Source("pods", f"./{name}", static=True) for name in ("pause", "web")},
}
PROGRAMS = tuple(_SOURCES)
CONTROL_PLANE = ("etcd", "kube-apiserver", "kubectl")
"""What serves the API and asks it; a folder named by KUBEBUILDER_ASSETS may hold them."""


@dataclass(frozen=True, slots=True)
class ControlPlanePrograms:
    """The three programs of a control plane that only serves the API."""

    etcd: Path
    kube_apiserver: Path
    kubectl: Path


def control_plane_programs() -> ControlPlanePrograms:
    """Return the programs: from KUBEBUILDER_ASSETS, from the cache, or built now.

    Raises:
        LabError: neither given nor cached, and Go is missing or fails.
    """
    return ControlPlanePrograms(*(find_or_build(name) for name in CONTROL_PLANE))


def control_plane_is_there() -> bool:
    """Return whether the control plane's programs are given or cached: nothing is to be built."""
    return all(_found(name) is not None for name in CONTROL_PLANE)


def find_or_build(name: str) -> Path:
    """Return a program by name; two builders of one module wait for each other.

    Raises:
        LabError: neither given nor cached, and Go is missing or fails.
    """
    found = _found(name)
    if found is not None:
        return found
    given = os.environ.get("KUBEBUILDER_ASSETS")
    if given and name in CONTROL_PLANE:
        raise LabError(f"KUBEBUILDER_ASSETS={given} lacks {name}")
    folder = _program_folder(_SOURCES[name].module)
    _build_once(folder, name)
    return folder / name


def _found(name: str) -> Path | None:
    """Return a program that is given, cached or, if it is kubectl, installed."""
    given = os.environ.get("KUBEBUILDER_ASSETS")
    if given and name in CONTROL_PLANE:
        path = Path(given) / name
    else:
        path = _program_folder(_SOURCES[name].module) / name
    if path.exists():
        return path
    installed = shutil.which(name) if name == "kubectl" else None
    return Path(installed) if installed else None


def _program_folder(module: str) -> Path:
    digest = hashlib.sha256()
    folder = _MODULES / module
    for path in (*sorted(folder.glob("go.*")), *sorted(folder.glob("*/*.go"))):
        digest.update(path.read_bytes())
    return cache_folder() / f"{module}-{digest.hexdigest()[:12]}"


def cache_folder() -> Path:
    """Return the folder of the user's cache that demo, tests and end-to-end tests share."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "kube-vrrp"


def _build_once(folder: Path, name: str) -> None:
    go = _find_go()
    if go is None:
        raise LabError(f"{name} must be built once: needs Go (scripts/bootstrap.sh programs)")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{name}: waiting for another build …", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / name).exists():
            _build(go, folder, name)


def _find_go() -> Path | None:
    """Return Go: the one that GO names, or that scripts/bootstrap.sh installed, or that is there.

    The script installs one where none is there that is new enough.
    """
    named = os.environ.get("GO")
    if named:
        return Path(named)
    ours = Path(sysconfig.get_path("purelib")) / "go" / "bin" / "go"
    if ours.exists():
        return ours
    installed = shutil.which("go")
    return Path(installed) if installed else None


def _build(go: Path, folder: Path, name: str) -> None:
    source = _SOURCES[name]
    output = folder / f"{name}.new"
    command = [str(go), "build", "-trimpath", f"-ldflags={_link_flags(source)}", "-o", str(output)]
    print(
        f"building {name} from Go modules (once; minutes when cold) …", file=sys.stderr, flush=True
    )
    begun_s = time.monotonic()
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            [*command, source.package],
            cwd=_MODULES / source.module,
            env={**os.environ, "CGO_ENABLED": "0"} if source.static else None,
            stdout=log,
            stderr=log,
        )
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


def _link_flags(source: _Source) -> str:
    """Return flags that leave debugging symbols out and have the program know its version."""
    flags = "-s -w"
    if source.version is not None:
        module, variable = source.version
        for line in (_MODULES / source.module / "go.mod").read_text().splitlines():
            words = line.removeprefix("require").split()
            if words[:1] == [module]:
                flags += f" -X {variable}={words[1]}"
    return flags
