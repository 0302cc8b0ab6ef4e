"""Manifests from files: YAML or JSON, several documents, Lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

Object = Mapping[str, Any]


class ManifestError(Exception):
    """A file cannot be read or parsed; the message names it."""


def read_manifests(paths: Sequence[Path]) -> list[tuple[Path, Object]]:
    """Return every object of the files with the file it came from.

    Raises:
        ManifestError: the first file that cannot be used.
    """
    return [(path, obj) for path in paths for obj in _objects(path)]


def _objects(path: Path) -> Iterator[Object]:
    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError) as error:
        raise ManifestError(f"{path}: {error}") from error
    for document in documents:
        if document is None:
            continue
        if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
            raise ManifestError(f"{path}: not a Kubernetes object (no kind)")
        if document["kind"].endswith("List"):
            yield from document.get("items") or ()
        else:
            yield document
