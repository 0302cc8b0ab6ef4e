"""Where the NodeConfig comes from: the API server's watch, or a file in standalone mode.

Rule 18 of the architecture: configuration that disappears wholesale keeps the last one. A node's
own object counts as removed only when it stays away while other NodeConfigs exist.
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vrrp_api.errors import FieldError
from vrrp_api.node_config import NodeConfig, parse_node_config
from vrrp_speaker.agent.api_client import ApiClient, ApiError
from vrrp_speaker.agent.messages import ConfigArrived, ConfigRefused, ConfigSource, Inbox

_log = logging.getLogger(__name__)
_MAX_BACKOFF_S = 5.0
_ABSENCE_S = 10.0
_FILE_POLL_S = 0.5


class ConfigFileError(Exception):
    """A standalone configuration cannot be used; the message names file and field."""


class ApiConfigSource:
    """Follows one NodeConfig; never gives up."""

    def __init__(self, client: ApiClient, node: str, inbox: Inbox) -> None:
        self._client = client
        self._node = node
        self._inbox = inbox
        self._absent_since_s: float | None = None

    def start(self) -> None:
        """Follow in a thread of its own."""
        threading.Thread(target=self._run, name="node-config", daemon=True).start()

    def _run(self) -> None:
        backoff_s = 0.1
        while True:
            try:
                self._follow()
                backoff_s = 0.1
            except ApiError as error:
                if backoff_s >= 1:
                    _log.warning("API server unreachable", extra={"error": str(error)})
                time.sleep(backoff_s * random.uniform(0.7, 1.3))  # noqa: S311 - jitter
                backoff_s = min(_MAX_BACKOFF_S, backoff_s * 2)

    def _follow(self) -> None:
        """List once, then watch until the server ends it."""
        listed = self._client.list_node_configs(self._node)
        items = listed.get("items") or []
        for item in items:
            self._take(item)
        if not items:
            self._note_absence()
            time.sleep(1.0)  # the operator has not made it yet, or the node is going
            return
        self._absent_since_s = None
        version = listed["metadata"]["resourceVersion"]
        for event in self._client.watch_node_config(self._node, version):
            kind, obj = event.get("type"), event.get("object") or {}
            if kind in ("ADDED", "MODIFIED"):
                self._take(obj)
            elif kind in ("DELETED", "ERROR"):
                return  # list again: the object may be gone, or the version expired

    def _note_absence(self) -> None:
        now_s = time.monotonic()
        if self._absent_since_s is None:
            self._absent_since_s = now_s
        if now_s - self._absent_since_s < _ABSENCE_S:
            return
        if not self._client.list_node_configs(None).get("items"):
            return  # all of them are gone: that is no decision about this node
        empty = NodeConfig(self._node, 0, (), (), ())
        self._inbox.put(ConfigArrived(empty, ConfigSource.API))

    def _take(self, obj: Mapping[str, Any]) -> None:
        try:
            config = parse_node_config(
                {**obj, "apiVersion": "kube-vrrp.io/v1alpha1", "kind": "NodeConfig"}
            )
        except FieldError as error:
            self._inbox.put(ConfigRefused(str(error)))
            return
        self._inbox.put(ConfigArrived(config, ConfigSource.API))


class FileConfigSource:
    """Reads a NodeConfig from a file and again whenever it changes."""

    def __init__(self, path: Path, node: str, inbox: Inbox) -> None:
        self._path = path
        self._node = node
        self._inbox = inbox
        self._generation = 0

    def start(self) -> None:
        """Read now, then follow in a thread of its own.

        Raises:
            ConfigFileError: the first reading fails; nothing was started.
        """
        seen = self._stamp()
        self._read()
        threading.Thread(target=self._run, args=(seen,), name="node-config", daemon=True).start()

    def _run(self, seen: tuple[int, int, int]) -> None:
        while True:
            time.sleep(_FILE_POLL_S)
            stamp = self._stamp()
            if stamp == seen:
                continue
            seen = stamp
            try:
                self._read()
            except ConfigFileError as error:
                self._inbox.put(ConfigRefused(str(error)))

    def _stamp(self) -> tuple[int, int, int]:
        try:
            status = self._path.stat()
        except OSError:
            return 0, 0, 0
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _read(self) -> None:
        config = read_config_file(self._path, self._node, self._generation + 1)
        self._generation += 1
        self._inbox.put(ConfigArrived(config, ConfigSource.FILE))


def read_config_file(path: Path, node: str, generation: int) -> NodeConfig:
    """Return the NodeConfig in a YAML or JSON file, with the generation given.

    Raises:
        ConfigFileError: unreadable, wrong, or of another node.
    """
    import yaml  # noqa: PLC0415 - standalone mode only; 2 MB

    try:
        obj = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(obj, dict):
            raise ConfigFileError(f"{path}: not a NodeConfig object")
        metadata = {**(obj.get("metadata") or {}), "generation": generation}
        config = parse_node_config({**obj, "metadata": metadata})
    except (OSError, json.JSONDecodeError, yaml.YAMLError, FieldError) as error:
        raise ConfigFileError(f"{path}: {error}") from error
    if config.node != node:
        raise ConfigFileError(f"{path}: spec.node: {config.node!r} (this node is {node!r})")
    return config
