"""The files of a release: packages, images, chart, bills of materials, checksums."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from scripts.image.build import build_images
from scripts.image.contents import sbom

from vrrp_lab.programs import find_or_build

CHECKSUMS = "SHA256SUMS"


def make(root: Path, folder: Path, version: str) -> None:
    """Write every file of a version into an empty folder.

    Raises:
        ImageError: the images cannot be built.
        LabError: Helm cannot be built.
        CalledProcessError: a builder failed.
    """
    committed_s = subprocess.run(
        ["git", "show", "-s", "--format=%ct", "HEAD"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel", "-d", folder],
        cwd=root,
        env={**os.environ, "SOURCE_DATE_EPOCH": committed_s},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    for image in build_images(folder, None, None, None):
        named = folder / f"kube-vrrp-{image.component}-{version}"
        (named.with_name(f"{named.name}.cdx.json")).write_bytes(sbom(image.archive))
        image.archive.rename(named.with_name(f"{named.name}.oci.tar"))
    subprocess.run(
        [find_or_build("helm3"), "package", "charts/kube-vrrp", "--destination", folder],
        cwd=root,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    write_checksums(folder)


def write_checksums(folder: Path) -> None:
    """Write what ``sha256sum --check`` reads."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.iterdir())
    ]
    (folder / CHECKSUMS).write_text("".join(lines))
