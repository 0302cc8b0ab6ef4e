"""Where the NodeConfig comes from in a cluster: a list and the API server's watch.

Rule 18 of the architecture: configuration that disappears wholesale keeps the last one. A node's
own object counts as removed only when it stays away while other NodeConfigs exist.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from vrrp_api import API_VERSION
from vrrp_api.errors import FieldError
from vrrp_api.node_config import NodeConfig
from vrrp_api.node_config_reading import Memory, read_node_config
from vrrp_speaker.agent.api_client import ApiClient, ApiError
from vrrp_speaker.agent.messages import ConfigArrived, ConfigRefused, ConfigSource, Inbox

_log = logging.getLogger(__name__)
_FIRST_BACKOFF_S, _MAX_BACKOFF_S = 0.1, 5.0
_ABSENCE_S = 10.0
_ABSENT_PAUSE_S = 1.0
_SHORTEST_WATCH_S = 1.0
_OUTAGE_S = 1.0
"""An outage that makes us wait this long is told; shorter ones are a server that restarts."""
_NOT_FOUND = 404


class ApiConfigSource:
    """Follows one NodeConfig; never gives up.

    ``reported`` is called with the status that the API server has, as often as it may be another
    one.
    """

    def __init__(
        self,
        client: ApiClient,
        node: str,
        inbox: Inbox,
        reported: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._client = client
        self._node = node
        self._inbox = inbox
        self._reported = reported
        self._backoff_s = _FIRST_BACKOFF_S
        self._absent_since_s: float | None = None
        self._outage = False
        self._kept = False
        self._memory = Memory()

    def start(self) -> None:
        """Follow in a thread of its own."""
        threading.Thread(target=self._run, name="node-config", daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                self._follow()
            except ApiError as error:
                self._note_failure(error)
                time.sleep(self._backoff_s * random.uniform(0.7, 1.3))  # noqa: S311 - jitter
                self._backoff_s = min(_MAX_BACKOFF_S, self._backoff_s * 2)

    def _follow(self) -> None:
        """List, then watch until that ends.

        A watch that was opened before the kind was changed brings objects without fields that are
        new since, and one that went on from there would not bring them again. So the list follows
        each watch.

        Raises:
            ApiError: not reached, refused, or the watch is too old (410).
        """
        items, version = self._client.list_node_configs(self._node)
        if self._outage:
            self._outage = False
            _log.info("API server reached again")
        for item in items:
            self._take(item)
        if not items:
            self._note_absence()
            self._backoff_s = _FIRST_BACKOFF_S
            time.sleep(_ABSENT_PAUSE_S)  # the operator has not made it yet, or the node is going
            return
        self._absent_since_s = None
        begun_s = time.monotonic()
        self._watch(version)
        if time.monotonic() - begun_s < _SHORTEST_WATCH_S:
            time.sleep(_SHORTEST_WATCH_S)  # who ends watches at once is not asked at once

    def _watch(self, version: str) -> None:
        """Take what a watch brings until the server ends it, or the object is gone."""
        for event in self._client.watch_node_config(self._node, version):
            kind, obj = event.get("type"), event.get("object") or {}
            if kind == "ERROR":
                raise ApiError(f"watch: {obj.get('message')}", obj.get("code") or 0)
            self._backoff_s = _FIRST_BACKOFF_S
            if kind == "DELETED":
                return
            if kind in ("ADDED", "MODIFIED"):
                self._take(obj)
        self._backoff_s = _FIRST_BACKOFF_S

    def _note_failure(self, error: ApiError) -> None:
        if error.status == _NOT_FOUND:
            absent = f"the API server has no nodeconfigs of {API_VERSION}; install the CRDs"
            self._keep(absent)
        elif self._backoff_s >= _OUTAGE_S and not self._outage:
            self._outage = True
            _log.warning("API server not reached", extra={"error": str(error)})

    def _note_absence(self) -> None:
        now_s = time.monotonic()
        if self._absent_since_s is None:
            self._absent_since_s = now_s
        if now_s - self._absent_since_s < _ABSENCE_S:
            return
        if not self._client.list_node_configs(None)[0]:
            self._keep("all NodeConfigs are gone")  # that is no decision about this node
            return
        empty = NodeConfig(self._node, 0, (), (), ())
        self._inbox.put(ConfigArrived(empty, ConfigSource.API))

    def _keep(self, reason: str) -> None:
        """Say once that the configuration disappeared wholesale."""
        if not self._kept:
            self._kept = True
            self._inbox.put(ConfigRefused(f"{reason}; what ran before runs on"))

    def _take(self, obj: Mapping[str, Any]) -> None:
        self._kept = False
        self._reported(obj.get("status") or {})
        try:
            reading = read_node_config(
                {**obj, "apiVersion": "kube-vrrp.io/v1alpha1", "kind": "NodeConfig"}, self._memory
            )
        except FieldError as error:
            self._inbox.put(ConfigRefused(str(error)))
            return
        self._inbox.put(ConfigArrived.of(reading, ConfigSource.API))
