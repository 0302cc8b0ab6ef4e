"""Archives that were built already: the same code, recipe and settings make the same images."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.image import oci
from scripts.image.programs import cache_folder

_MOST = 8


@dataclass(frozen=True, slots=True)
class Built:
    """An image: its archive, its name (repository:tag) and its manifest's digest."""

    component: str
    archive: Path
    name: str
    digest: str


def folder(context: Path, settings: Sequence[str]) -> Path:
    """Return the folder for what these files and settings make; the oldest others are removed."""
    key = hashlib.sha256("\0".join(settings).encode())
    for path in sorted(path for path in context.rglob("*") if path.is_file()):
        key.update(f"{path.relative_to(context)} {path.stat().st_mode}\0".encode())
        key.update(hashlib.sha256(path.read_bytes()).digest())
    found = cache_folder() / f"built-{key.hexdigest()[:16]}"
    if found.exists():
        found.touch()
    others = sorted(cache_folder().glob("built-*"), key=lambda path: path.stat().st_mtime)
    for old in others[:-_MOST]:
        shutil.rmtree(old)
    return found


def copy(archive: Path, output: Path, name: str) -> Built:
    """Copy an archive into a folder; a reader sees the old or the new one."""
    output.mkdir(parents=True, exist_ok=True)
    target = output / archive.name
    partial = target.with_suffix(".new")
    shutil.copyfile(archive, partial)
    partial.rename(target)
    return Built(archive.stem, target, name, oci.digest(target))
