"""What must hold before a version is made; each failure is one sentence."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path


class ReleaseError(Exception):
    """The release is not made; the message says why and what to do."""


def checked_version(root: Path, output: Path) -> str:
    """Return the version of a clean work tree that is described, alike everywhere, and not made.

    Raises:
        ReleaseError: one of these does not hold.
    """
    changed = _git(root, "status", "--porcelain")
    if changed:
        raise ReleaseError(f"the work tree has changes: commit or stash {changed.split()[1]} first")
    version = str(tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"])
    _check_versions(root, version)
    heading = rf"^## {re.escape(version)}( |$)"
    if not re.search(heading, (root / "CHANGELOG.md").read_text(), re.MULTILINE):
        raise ReleaseError(
            f"CHANGELOG.md has no section '## {version}': rename 'Unreleased', with the date"
        )
    made = output / version
    if made.exists():
        raise ReleaseError(f"{made} is there already: a version is made once; remove it to repeat")
    return version


def _check_versions(root: Path, version: str) -> None:
    for path, key in (
        ("charts/kube-vrrp/Chart.yaml", "version: "),
        ("charts/kube-vrrp/Chart.yaml", "appVersion: "),
        ("operator/vrrp_operator/__init__.py", "__version__ = "),
        ("speaker/vrrp_speaker/__init__.py", "__version__ = "),
        ("cli/vrrp_cli/__init__.py", "__version__ = "),
    ):
        found = re.search(rf"^{re.escape(key)}[\"']?([^\s\"']+)", (root / path).read_text(), re.M)
        said = found[1] if found else "none"
        if said != version:
            raise ReleaseError(
                f"{path}: {key.strip(' :=')} is {said}, and pyproject.toml says {version}:"
                " they must be alike"
            )


def _git(root: Path, *arguments: str) -> str:
    try:
        return subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise ReleaseError("needs git, and a work tree of it") from error
