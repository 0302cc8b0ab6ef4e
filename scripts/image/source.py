"""What the builder sees: the code of a commit or of the work tree, and the present recipe."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from scripts.image.programs import ImageError, run

ROOT = Path(__file__).resolve().parents[2]
_RECIPE = ("Dockerfile", ".dockerignore", "requirements", "scripts/image")
"""Of the work tree even where the code is another commit's."""
_CODE = (
    *("cli/", "crds/", "lab/vrrp_lab/", "operator/", "speaker/"),
    *("pyproject.toml", "LICENSE", "README.md"),
)
"""What the wheel is made of; .dockerignore lets the same through."""

LAYERS_S = 315_532_800
"""1980: the oldest time that a wheel can hold."""


@dataclass(frozen=True, slots=True)
class Source:
    """Code to build: its commit, the commit's time in seconds since the epoch, its version."""

    commit: str
    """With ``-dirty`` where the work tree differs from it."""
    committed_s: int
    version: str


def lay_out(folder: Path, revision: str | None) -> Source:
    """Copy a commit's files, or the work tree's if ``revision`` is None, and the recipe.

    Raises:
        ImageError: this is no git work tree, or it has no such commit.
    """
    commit = _git("rev-parse", "--verify", f"{revision or 'HEAD'}^{{commit}}").strip()
    committed_s = int(_git("show", "-s", "--format=%ct", commit))
    if revision is None:
        _copy([name for name in _work_tree() if name.startswith((*_CODE, *_RECIPE))], folder)
        if _git("status", "--porcelain").strip():
            commit += "-dirty"
    else:
        _extract(commit, folder)
        _copy([name for name in _work_tree() if name.startswith(_RECIPE)], folder)
    _make_alike(folder)
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return Source(commit, committed_s, project["version"])


def _work_tree() -> list[str]:
    listed = _git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def _copy(names: list[str], folder: Path) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)


def _extract(commit: str, folder: Path) -> None:
    archive = subprocess.run(
        ["git", "archive", "--format=tar", commit], cwd=ROOT, capture_output=True, check=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        code = [member for member in tar if member.name.startswith(_CODE)]
        tar.extractall(folder, code, filter="data")


def _make_alike(folder: Path) -> None:
    """Give files of one content one mode and time, whoever's umask and clock made them.

    The builder knows layers again by both.
    """
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        os.utime(path, (LAYERS_S, LAYERS_S))


def _git(*arguments: str) -> str:
    try:
        return run("git", *arguments, cwd=ROOT)
    except ImageError as error:
        raise ImageError(f"needs a git work tree with the commit: {error}") from error
