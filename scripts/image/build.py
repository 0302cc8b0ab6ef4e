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
from types import TracebackType
from typing import Self

from scripts.image import kept, oci
from scripts.image.base import make_bases
from scripts.image.kept import Built
from scripts.image.programs import cache_folder, run
from scripts.image.source import LAYERS_S, ROOT, Source, lay_out
from scripts.image.wheels import fetch_wheels

COMPONENTS = ("operator", "speaker")
_NAME = "kube-vrrp"
_MOST_LAYERS = 300
"""After so many, begin anew: a build adds twenty, and what it replaced is never asked for."""
_LOCKS = ("build", *COMPONENTS)


@dataclass(frozen=True, slots=True)
class Bases:
    """Published images to build on, by name; the builder pulls them."""

    runtime: str
    builder: str


def build_images(
    output: Path, revision: str | None, version: str | None, bases: Bases | None
) -> list[Built]:
    """Build both images into ``output``; return them.

    Without ``revision`` the work tree is built; ``version`` is the tag, else the project's.

    Raises:
        ImageError: a program is missing or fails; what was in ``output`` is still there.
    """
    with _locked(), tempfile.TemporaryDirectory(prefix="kube-vrrp-image-") as folder:
        context = Path(folder) / "context"
        context.mkdir()
        source = lay_out(context, revision)
        recipe = _published(bases) if bases else _without_registry(context)
        tag = version or source.version
        settings = [*recipe.settings, *_identity(source, tag)]
        archives = kept.folder(context, [*settings, *map(str, recipe.archives)])
        if not archives.exists():
            _build(Path(folder), recipe, settings, archives, tag)
        return [kept.copy(archives / f"{c}.tar", output, f"{_NAME}/{c}:{tag}") for c in COMPONENTS]


@contextmanager
def _locked() -> Iterator[None]:
    """Wait for another build of this user: they share bases and layers."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True, slots=True)
class _Recipe:
    """Settings of the builder, and archives of its bases: runtime and builder, or none."""

    settings: Sequence[str]
    archives: Sequence[Path]


def _published(bases: Bases) -> _Recipe:
    return _Recipe(["--pull", *_on(bases.runtime, bases.builder)], [])


def _without_registry(context: Path) -> _Recipe:
    """Give the builder what it would fetch."""
    locks = [ROOT / "requirements" / f"{name}.txt" for name in _LOCKS]
    shutil.copytree(fetch_wheels(locks, _architecture()), context / "wheels")
    return _Recipe(["--pull=never", "--build-arg=PIP_NO_INDEX=1"], make_bases(_architecture()))


def _on(runtime: str, builder: str) -> list[str]:
    return [f"--build-arg=BASE={runtime}", f"--build-arg=BUILDER_BASE={builder}"]


def _architecture() -> str:
    return run("dpkg", "--print-architecture").strip()


def _identity(source: Source, version: str) -> list[str]:
    """Return settings that make an image tell what it is: the same for the same commit.

    Files have one time in all builds: of a layer that was kept nobody knows for which commit.
    """
    created = datetime.fromtimestamp(source.committed_s, UTC).isoformat()
    return [
        f"--timestamp={LAYERS_S}",
        f"--build-arg=VERSION={version}",
        f"--build-arg=REVISION={source.commit}",
        f"--build-arg=CREATED={created}",
    ]


def _build(
    work: Path,
    recipe: _Recipe,
    settings: Sequence[str],
    archives: Path,
    version: str,
) -> None:
    """Build both targets and write their archives into a new folder."""
    partial = work / "archives"
    with _Buildah(work) as buildah:
        if recipe.archives:
            runtime, builder = (buildah.load(archive) for archive in recipe.archives)
            settings = [*settings, *_on(runtime, builder)]
        for component in COMPONENTS:
            layout = buildah.build(work / "context", component, settings)
            oci.write_archive(
                layout, partial / f"{component}.tar", f"{_NAME}/{component}:{version}"
            )
    shutil.move(partial, archives)


class _Buildah:
    """buildah with a storage of its own in the cache folder, which keeps the layers."""

    def __init__(self, work: Path) -> None:
        self._work = work
        policy = work / "policy.json"
        policy.write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
        self._policy = f"--signature-policy={policy}"
        self._storage = (
            f"--root={cache_folder() / f'storage-{LAYERS_S}'}",  # layers of other times are no use
            f"--runroot={cache_folder() / 'run'}",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run("rm", "--all")  # of stages that only lend files, buildah leaves the containers
        if len(self._run("images", "--all", "--quiet").split()) > _MOST_LAYERS:
            self._run("rmi", "--all", "--force")

    def _run(self, verb: str, *arguments: str) -> str:
        # Its mounts are nobody else's, and end with it.
        return run("unshare", "--mount", "buildah", *self._storage, verb, *arguments)

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
