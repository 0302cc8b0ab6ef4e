"""Builds both images with buildah, without a registry, and writes them as archives."""

from __future__ import annotations

import fcntl
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from scripts.image import oci
from scripts.image.base import make_bases
from scripts.image.programs import cache_folder, run
from scripts.image.source import ROOT, Source, lay_out
from scripts.image.wheels import fetch_wheels

COMPONENTS = ("operator", "speaker")
_LOCKS = ("build", *COMPONENTS)


@dataclass(frozen=True, slots=True)
class Bases:
    """Published images to build on, by name; the builder pulls them."""

    runtime: str
    builder: str


@dataclass(frozen=True, slots=True)
class Built:
    """An image: its archive, its name (repository:tag) and its manifest's digest."""

    component: str
    archive: Path
    name: str
    digest: str


def build_images(
    output: Path, revision: str | None, version: str | None, bases: Bases | None
) -> list[Built]:
    """Build both images into ``output``; return them.

    Without ``revision`` the work tree is built; ``version`` is the tag, else the project's.

    Raises:
        ImageError: a program is missing or fails; what was in ``output`` is still there.
    """
    with _locked(), tempfile.TemporaryDirectory(prefix="kube-vrrp-image-") as folder:
        work = Path(folder)
        context = work / "context"
        context.mkdir()
        source = lay_out(context, revision)
        buildah = _Buildah(work)
        settings = ["--pull"] if bases else _without_registry(context)
        bases = bases or _own_bases(buildah)
        settings += [
            *(f"--build-arg=BASE={bases.runtime}", f"--build-arg=BUILDER_BASE={bases.builder}"),
            *_identity(source, version or source.version),
        ]
        layouts = [buildah.build(context, component, settings) for component in COMPONENTS]
        return [_archived(layout, output, version or source.version) for layout in layouts]


@contextmanager
def _locked() -> Iterator[None]:
    """Wait for another build of this user: they share bases and layers."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _without_registry(context: Path) -> list[str]:
    """Give the builder what it would fetch; return the settings for that."""
    locks = [ROOT / "requirements" / f"{name}.txt" for name in _LOCKS]
    shutil.copytree(fetch_wheels(locks, _architecture()), context / "wheels")
    return ["--pull=never", "--build-arg=PIP_NO_INDEX=1"]


def _own_bases(buildah: _Buildah) -> Bases:
    runtime, builder = make_bases(_architecture())
    return Bases(buildah.load(runtime), buildah.load(builder))


def _architecture() -> str:
    return run("dpkg", "--print-architecture").strip()


def _identity(source: Source, version: str) -> list[str]:
    """Return settings that make an image tell what it is: the same for the same commit."""
    created = datetime.fromtimestamp(source.committed_s, UTC).isoformat()
    return [
        f"--timestamp={source.committed_s}",
        f"--build-arg=VERSION={version}",
        f"--build-arg=REVISION={source.commit}",
        f"--build-arg=CREATED={created}",
    ]


def _archived(layout: Path, output: Path, version: str) -> Built:
    name = f"kube-vrrp/{layout.name}:{version}"
    archive = output / f"{layout.name}.tar"
    oci.write_archive(layout, archive, name)
    return Built(layout.name, archive, name, oci.digest(layout))


class _Buildah:
    """buildah with a storage of its own in the cache folder."""

    def __init__(self, work: Path) -> None:
        self._work = work
        policy = work / "policy.json"
        policy.write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
        self._policy = f"--signature-policy={policy}"
        self._storage = (
            f"--root={cache_folder() / 'storage'}",
            f"--runroot={cache_folder() / 'run'}",
        )

    def _run(self, verb: str, *arguments: str) -> str:
        return run("buildah", *self._storage, verb, *arguments)

    def load(self, archive: Path) -> str:
        """Have a base image in the storage; return its id."""
        return self._run("pull", "--quiet", self._policy, f"oci-archive:{archive}").strip()

    def build(self, context: Path, component: str, settings: Sequence[str]) -> Path:
        """Build one target; return a layout folder with the image."""
        identity = self._work / f"{component}.id"
        self._run(
            *("build", "--isolation=chroot", "--layers", self._policy, "--format=oci", "--quiet"),
            *(f"--target={component}", f"--iidfile={identity}", *settings, str(context)),
        )
        layout = self._work / component
        self._run("push", "--quiet", self._policy, identity.read_text().strip(), f"oci:{layout}")
        return layout
