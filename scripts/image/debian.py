"""Packages of the distribution: found, fetched and unpacked without being installed."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.image.programs import ImageError, run

_LINE = re.compile(r"'[^']+' (?P<file>\S+) \d+ (?P<hash>\S+)")


@dataclass(frozen=True, slots=True)
class Package:
    """A package as the distribution has it now: its file's name and the file's hash."""

    file: str
    hash: str


def find(names: Sequence[str]) -> list[Package]:
    """Return what apt would fetch for these names, in the order of the files' names.

    Raises:
        ImageError: apt is missing, has no lists, or knows no such package.
    """
    listed = _uris(names)
    if listed is None:
        run("apt-get", "update", "-qq")  # on a fresh machine it has no lists yet
        listed = _uris(names)
    if listed is None or len(listed) != len(names):
        raise ImageError(
            f"apt has no {', '.join(names)}: the base image is made of packages of Debian 12;"
            " elsewhere give a published image with --base and --builder-base"
        )
    return listed


def _uris(names: Sequence[str]) -> list[Package] | None:
    try:
        said = subprocess.run(
            ["apt-get", "download", "--print-uris", *names],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise ImageError(
            "apt-get is missing: elsewhere than on Debian 12 give a published image with --base"
            " and --builder-base"
        ) from error
    if said.returncode:
        return None
    found = [Package(m["file"], m["hash"]) for m in _LINE.finditer(said.stdout)]
    return sorted(found, key=lambda package: package.file)


def fetch(names: Sequence[str], folder: Path) -> None:
    """Fetch the packages' files into a folder; apt checks their hashes.

    Raises:
        ImageError: they are not to be had.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Another user, as whom apt likes to fetch, could not write into the cache folder.
    run("apt-get", "-o", "APT::Sandbox::User=root", "-qq", "download", *names, cwd=folder)


def unpack(files: Sequence[Path], root: Path) -> None:
    """Unpack package files into a root and note each where scanners look for it.

    Maintainer scripts do not run: there is no shell that could.
    """
    notes = root / "var/lib/dpkg/status.d"
    for file in files:
        run("dpkg-deb", "-x", str(file), str(root))
        control = run("dpkg-deb", "-f", str(file))
        name = re.search(r"^Package: (\S+)$", control, re.MULTILINE)
        assert name is not None
        notes.mkdir(parents=True, exist_ok=True)
        (notes / name[1]).write_text(
            control.replace("\nVersion:", "\nStatus: install ok installed\nVersion:", 1)
        )
