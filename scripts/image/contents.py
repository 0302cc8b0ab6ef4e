"""What an image's archive holds, read without unpacking it."""

from __future__ import annotations

import json
import stat
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.image import oci
from scripts.image.kept import Built

SBOM = "opt/kube-vrrp/share/sbom.cdx.json"
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Contents:
    """Figures of one image."""

    unpacked_bytes: int
    packed_bytes: int
    python_packages: int
    debian_packages: int
    setuid_files: int


def contents(archive: Path) -> Contents:
    """Return an image's figures."""
    files = [entry for layer in oci.layers(archive) for entry in _files(layer)]
    components = json.loads(sbom(archive))["components"]
    urls = [component["purl"].partition("/")[0] for component in components]
    return Contents(
        unpacked_bytes=sum(entry.size for entry in files),
        packed_bytes=archive.stat().st_size,
        python_packages=urls.count("pkg:pypi"),
        debian_packages=urls.count("pkg:deb"),
        setuid_files=sum(bool(entry.mode & (stat.S_ISUID | stat.S_ISGID)) for entry in files),
    )


def sbom(archive: Path) -> bytes:
    """Return an image's bill of materials."""
    for layer in oci.layers(archive):
        if SBOM in layer.getnames():
            file = layer.extractfile(SBOM)
            assert file is not None
            return file.read()
    raise LookupError(f"{archive}: no {SBOM}")


def table(built: Sequence[Built]) -> list[str]:
    """Return what ``make image`` prints."""
    row = "{:<28} {:>9} {:>9} {:>7} {:>7} {:>7}  {}".format
    lines = [row("image", "unpacked", "archive", "Python", "Debian", "setuid", "digest")]
    for image in built:
        found = contents(image.archive)
        lines.append(
            row(
                image.name,
                f"{found.unpacked_bytes / _MB:.1f} MB",
                f"{found.packed_bytes / _MB:.1f} MB",
                found.python_packages,
                found.debian_packages,
                found.setuid_files,
                image.digest,
            )
        )
    return lines


def _files(layer: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    return (entry for entry in layer if entry.isfile())
