"""The last accepted NodeConfig on disk, so that a node takes part with the API server down."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from vrrp_api.errors import FieldError
from vrrp_api.node_config import NodeConfig, VirtualRouterConfig, router_object
from vrrp_api.node_config_reading import Reading, read_node_config

_VERSION = 1


class CacheError(Exception):
    """The cache cannot be used; the message names the file and what is wrong with it."""


class ConfigCache:
    """One file, written atomically, with a checksum; of one node only."""

    def __init__(self, path: Path, node: str) -> None:
        self._path = path
        self._node = node
        self._routers: dict[str, tuple[VirtualRouterConfig, str]] = {}

    def store(self, config: NodeConfig) -> None:
        """Replace the cache; the old content survives a crash at any moment.

        Raises:
            OSError: the disk refuses; the old content is still there.
        """
        text = self._canonical(config)
        head = f'{{"version": {_VERSION}, "checksum": "{_checksum_of(text)}", "nodeConfig": '
        temporary = self._path.with_suffix(".tmp")
        try:
            # Checks may send headers that nobody else is to read.
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "w", encoding="utf-8") as file:
                file.writelines((head, text, "}"))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()  # a full disk is to have the rest of it back
            raise
        _sync(self._path.parent)

    def _canonical(self, config: NodeConfig) -> str:
        """Return the object as its checksum is made of; a router that did not change is kept.

        In the order of names a configuration's routers come last, and its spec too.
        """
        before, self._routers = self._routers, {}
        for router in config.virtual_routers:
            known = before.get(router.name)
            if known is None or known[0] is not router:
                known = router, _text(router_object(router))
            self._routers[router.name] = known
        obj = replace(config, virtual_routers=()).to_object()
        obj["metadata"]["generation"] = config.generation
        spec = obj.pop("spec")
        del spec["virtualRouters"]
        routers = ",".join(text for _, text in self._routers.values())
        return f'{_text(obj)[:-1]},"spec":{_text(spec)[:-1]},"virtualRouters":[{routers}]}}}}'

    def load(self) -> Reading | None:
        """Return the cached NodeConfig, or None when there is none yet.

        The speaker of another version may have written it.

        Raises:
            CacheError: the file is damaged, of another version or of another node.
        """
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            if content["version"] != _VERSION:
                raise CacheError(f"{self._path}: version {content['version']!r}, not {_VERSION}")
            if content["checksum"] != _checksum_of(_text(content["nodeConfig"])):
                raise CacheError(f"{self._path}: the checksum does not match the content")
            reading = read_node_config(content["nodeConfig"])
            node = reading.config.node
            if node != self._node:
                raise CacheError(f"{self._path}: of node {node!r}, not {self._node!r}")
            return reading
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, FieldError) as error:
            raise CacheError(f"{self._path}: {error!r}") from error


def _sync(folder: Path) -> None:
    """Let the new name outlive a power failure, too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _text(obj: Mapping[str, Any]) -> str:
    return json.dumps(obj, sort_keys=True, separators=(",", ":"))


def _checksum_of(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
