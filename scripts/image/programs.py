"""Programs that building needs, and the one way in which they fail."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path


class ImageError(Exception):
    """An image cannot be built; the message says why and what would help."""


def run(
    *command: str,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a program and return what it printed.

    Raises:
        ImageError: it is missing, or failed; the message has the end of what it said.
    """
    if shutil.which(command[0]) is None:
        raise ImageError(f"{command[0]} is missing (scripts/bootstrap.sh installs it as root)")
    ended = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        said = (ended.stdout + ended.stderr).strip()[-2000:]
        raise ImageError(f"{' '.join(command[:3])} … failed:\n{said}")
    return ended.stdout


def cache_folder() -> Path:
    """Return the user's folder for what is made once."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "kube-vrrp" / "image"
