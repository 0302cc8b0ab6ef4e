"""An image's archive, read with nothing of the builder's own code."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Image:
    """An unpacked image: its root, its configuration, its entry in the archive's index."""

    component: str
    root: Path
    config: Mapping[str, Any]
    entry: Mapping[str, Any]

    def files(self) -> Iterator[Path]:
        """Yield every file that is no link."""
        return (p for p in self.root.rglob("*") if p.is_file() and not p.is_symlink())

    @property
    def site_packages(self) -> Path:
        """Where Python's packages are."""
        (found,) = self.root.glob("opt/kube-vrrp/lib/python3.*/site-packages")
        return found

    def sbom(self) -> list[Mapping[str, Any]]:
        """Return the components of the bill of materials."""
        text = (self.root / "opt/kube-vrrp/share/sbom.cdx.json").read_text()
        components: list[Mapping[str, Any]] = json.loads(text)["components"]
        return components


def unpack(archive: Path, root: Path) -> Image:
    """Unpack an archive's only image."""
    root.mkdir()
    with tarfile.open(archive) as whole:

        def blob(digest: str) -> bytes:
            file = whole.extractfile(f"blobs/{digest.replace(':', '/')}")
            assert file is not None
            return file.read()

        index = whole.extractfile("index.json")
        assert index is not None
        (entry,) = json.load(index)["manifests"]
        manifest = json.loads(blob(entry["digest"]))
        for layer in manifest["layers"]:
            with tarfile.open(fileobj=io.BytesIO(blob(layer["digest"]))) as tar:
                tar.extractall(root, filter="fully_trusted")
        config = json.loads(blob(manifest["config"]["digest"]))["config"]
    return Image(root.name, root, config, entry)
