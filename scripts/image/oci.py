"""Image layouts and archives of the Open Container Initiative, written the same way every time."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_NAME = "io.containerd.image.name"
"""What containerd calls an imported image."""
_REFERENCE = "org.opencontainers.image.ref.name"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def tar_of(root: Path, newest_s: int) -> bytes:
    """Return a folder as a tar: names in order, everything root's, no time after ``newest_s``.

    ``newest_s`` is in seconds since the epoch.
    """
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path in sorted(root.rglob("*")):
            entry = archive.gettarinfo(path, str(path.relative_to(root)))
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            entry.mtime = min(int(entry.mtime), newest_s)
            if entry.isfile():
                with path.open("rb") as file:
                    archive.addfile(entry, file)
            else:
                archive.addfile(entry)
    return target.getvalue()


def write_base(layout: Path, layer: bytes, architecture: str) -> None:
    """Write an image of one layer as a layout folder."""
    packed = gzip.compress(layer, 6, mtime=0)
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Env": [_PATH]},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        "history": [{"created_by": "packages of Debian"}],  # buildah counts one a layer
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": _put(layout, json.dumps(config).encode(), _CONFIG),
        "layers": [_put(layout, packed, _LAYER)],
    }
    _finish(layout, _put(layout, json.dumps(manifest).encode(), _MANIFEST))


def digest(archive: Path) -> str:
    """Return the digest of an archive's only image."""
    with tarfile.open(archive) as whole:
        (entry,) = json.loads(_member(whole, "index.json"))["manifests"]
        return str(entry["digest"])


def write_archive(layout: Path, archive: Path, name: str) -> None:
    """Write the only image of a layout folder as an archive, called ``name`` (repository:tag)."""
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    # A name without a registry is one of Docker's, for every runtime: so a Pod's is looked up.
    annotations = {_NAME: f"docker.io/{name}", _REFERENCE: name}
    _finish(layout, {**entry, "annotations": annotations})
    partial = archive.with_suffix(".new")
    partial.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(partial, "w", format=tarfile.GNU_FORMAT) as target:
        for path in sorted(layout.rglob("*")):
            info = target.gettarinfo(path, str(path.relative_to(layout)))
            info.uid = info.gid = info.mtime = 0
            info.uname = info.gname = ""
            info.mode = 0o755 if path.is_dir() else 0o644
            if path.is_dir():
                target.addfile(info)
            else:
                with path.open("rb") as file:
                    target.addfile(info, file)
    partial.rename(archive)


def layers(archive: Path) -> Iterator[tarfile.TarFile]:
    """Yield the layers of an archive's only image, the lowest first."""
    with tarfile.open(archive) as whole:
        (entry,) = json.loads(_member(whole, "index.json"))["manifests"]
        manifest = json.loads(_member(whole, _path_of(entry["digest"])))
        for layer in manifest["layers"]:
            with tarfile.open(fileobj=io.BytesIO(_member(whole, _path_of(layer["digest"])))) as tar:
                yield tar


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()


def _finish(layout: Path, entry: Mapping[str, Any]) -> None:
    (layout / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))


def _put(layout: Path, data: bytes, media_type: str) -> dict[str, Any]:
    name = _digest(data)
    path = _blob(layout, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return {"mediaType": media_type, "digest": name, "size": len(data)}


def _blob(layout: Path, name: str) -> Path:
    return layout / _path_of(name)


def _path_of(name: str) -> str:
    return f"blobs/{name.replace(':', '/')}"


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
