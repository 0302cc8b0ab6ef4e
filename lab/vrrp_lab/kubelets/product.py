"""The images of operator and speaker, of this work tree or of another commit."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from vrrp_lab.namespaces import LabError

ROOT = Path(__file__).resolve().parents[3]


def product_images(
    folder: Path, revision: str | None = None, version: str | None = None
) -> list[Path]:
    """Write the archives of both images into a folder and return them; kept builds are used.

    Args:
        folder: where to; made if it is not there.
        revision: the commit whose code they hold; None: the work tree's.
        version: their tag; None: the project's version.

    Raises:
        LabError: they cannot be built.
    """
    what = f"commit {revision[:7]}" if revision else "the work tree"
    print(f"building the images of {what}, unless they are kept …", file=sys.stderr, flush=True)
    begun_s = time.monotonic()
    command = [sys.executable, "-m", "scripts.image", "--output", str(folder)]
    command += ["--revision", revision] if revision else []
    command += ["--version", version] if version else []
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise LabError(f"the images of {what} cannot be built: {ended.stderr.strip()[-800:]}")
    seconds = time.monotonic() - begun_s
    print(f"images of {what}: {seconds:.0f} s", file=sys.stderr, flush=True)
    return [folder / "operator.tar", folder / "speaker.tar"]
