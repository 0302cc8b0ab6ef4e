"""``python -m scripts.release``: make the version that the work tree is."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.image.programs import ImageError
from scripts.image.source import ROOT
from scripts.release.artefacts import make
from scripts.release.conditions import ReleaseError, checked_version

from vrrp_lab.namespaces import LabError


def main() -> int:
    """Make the release; return the exit status (0 made, 1 not: then nothing is left of it)."""
    output = ROOT / "dist" / "release"
    try:
        version = checked_version(ROOT, output)
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output) as work:
            folder = Path(work) / version
            folder.mkdir()
            make(ROOT, folder, version)
            shutil.move(folder, output)
    except (ReleaseError, ImageError, LabError, subprocess.CalledProcessError) as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    for path in sorted((output / version).iterdir()):
        print(f"{path.stat().st_size:>12}  {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
