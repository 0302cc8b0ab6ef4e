"""The last accepted NodeConfig on disk, so that a node takes part with the API server down."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vrrp_api.errors import FieldError
from vrrp_api.node_config import NodeConfig, parse_node_config

_VERSION = 1


class CacheError(Exception):
    """The cache cannot be used; the message names the file and what is wrong with it."""


class ConfigCache:
    """One file, written atomically, with a checksum."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def store(self, config: NodeConfig) -> None:
        """Replace the cache; the old content survives a crash at any moment.

        Raises:
            OSError: the disk refuses; the old content is still there.
        """
        obj = config.to_object()
        obj["metadata"]["generation"] = config.generation
        content = {"version": _VERSION, "checksum": _checksum(obj), "nodeConfig": obj}
        temporary = self._path.with_suffix(".tmp")
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)

    def load(self) -> NodeConfig | None:
        """Return the cached NodeConfig, or None when there is none yet.

        Raises:
            CacheError: the file is damaged or of another version.
        """
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            if content["version"] != _VERSION:
                raise CacheError(f"{self._path}: version {content['version']!r}, not {_VERSION}")
            if content["checksum"] != _checksum(content["nodeConfig"]):
                raise CacheError(f"{self._path}: the checksum does not match the content")
            return parse_node_config(content["nodeConfig"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, FieldError) as error:
            raise CacheError(f"{self._path}: {error!r}") from error


def _checksum(obj: Mapping[str, Any]) -> str:
    canonical = json.dumps(obj, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()
