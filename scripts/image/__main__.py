"""``python -m scripts.image``: build both images and print what they are made of."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scripts.image.build import Bases, build_images
from scripts.image.contents import table
from scripts.image.programs import ImageError
from scripts.image.source import ROOT


def main() -> int:
    """Build; return the exit status (0 built, 1 not)."""
    parser = _parser()
    options = parser.parse_args()
    if (options.base is None) is not (options.builder_base is None):
        parser.error("give both --base and --builder-base, or neither")
    bases = Bases(options.base, options.builder_base) if options.base else None
    try:
        built = build_images(options.output, options.revision, options.version, bases)
    except ImageError as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    for line in table(built):
        print(line)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make image", description="Build both images.")
    parser.add_argument("--output", type=Path, default=ROOT / "dist" / "images")
    parser.add_argument("--revision", metavar="COMMIT", help="its code; absent: the work tree's")
    parser.add_argument("--version", help="the tag; absent: the project's version")
    parser.add_argument("--base", metavar="IMAGE", help="published, of the same Python as the next")
    parser.add_argument("--builder-base", metavar="IMAGE", help="with a shell and Python's venv")
    return parser


if __name__ == "__main__":
    sys.exit(main())
