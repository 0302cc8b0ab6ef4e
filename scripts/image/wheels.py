"""The packages of the locks as files, for a builder without a network; fetched once a lock."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.image.programs import cache_folder, run

_PYTHON = "3.11"
"""Of the base image, not of who builds."""
_GLIBC_MINORS = range(36, 4, -1)
"""Debian 12 has 2.36."""
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


def fetch_wheels(locks: Sequence[Path], architecture: str) -> Path:
    """Return a folder with the wheels of all locks; pip checks their hashes.

    Raises:
        ImageError: pip cannot fetch one.
    """
    key = hashlib.sha256(b"".join(lock.read_bytes() for lock in locks))
    folder = cache_folder() / f"wheels-{architecture}-{key.hexdigest()[:12]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            partial = folder.with_suffix(".new")
            shutil.rmtree(partial, ignore_errors=True)
            for path in locks:
                _fetch(path, partial, _MACHINES[architecture])
            partial.rename(folder)
    return folder


def _fetch(lock: Path, folder: Path, machine: str) -> None:
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in _GLIBC_MINORS]
    run(
        *(sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"),
        *("--require-hashes", "--no-deps", "--only-binary", ":all:"),
        *("--python-version", _PYTHON, "--implementation", "cp", "--abi", "cp311"),
        *(part for platform in platforms for part in ("--platform", platform)),
        *("--dest", str(folder), "-r", str(lock)),
    )
