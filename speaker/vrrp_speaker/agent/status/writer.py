"""Writes the NodeConfig's status to the API server.

An unreachable API server delays it and nothing else; afterwards the newest state is written, with
what happened meanwhile.
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from vrrp_api.bounds import NODE_CONFIG_STATUS, bounded
from vrrp_api.lease import lease_name
from vrrp_api.node_status import NodeConfigStatus
from vrrp_speaker.agent.api_client import ApiClient, ApiError
from vrrp_speaker.agent.status.pace import WritePace

_log = logging.getLogger(__name__)
_COALESCE_S = 0.03
_NO_LEASE = (403, 404)
"""Answers that another try would not change: no right, or no namespace."""


class StatusWriter:
    """Writes the newest status when it differs from what was written.

    Between, a heartbeat says that it is still so: a Lease is renewed in the namespace that
    ``lease_namespace`` returns, or, where that is None or a Lease is refused, the status written.
    So it is where the API server has another one than was written: an older write that came late,
    out of a connection that was given up, a copy of before that was restored, or what somebody else
    wrote over it.
    """

    def __init__(
        self,
        client: ApiClient,
        node: str,
        current: Callable[[], NodeConfigStatus],
        lease_namespace: Callable[[], str | None],
    ) -> None:
        self._client = client
        self._node = node
        self._current = current
        self._lease_namespace = lease_namespace
        self._lease_refused = False
        self._pace = WritePace(random.random)
        self._changed = threading.Event()
        self._stopping = False
        self._ended = threading.Event()

    def start(self) -> None:
        """Write in a thread of its own."""
        threading.Thread(target=self._run, name="status", daemon=True).start()

    def changed(self) -> None:
        """Ask for a write soon."""
        self._changed.set()

    def reported(self, status: Mapping[str, Any]) -> None:
        """Note the status that the API server has; empty: it has none."""
        self._pace.reported(_mark(status))

    def stop(self, patience_s: float) -> None:
        """Try one last write and end."""
        self._stopping = True
        self._changed.set()
        self._ended.wait(patience_s)

    def _run(self) -> None:
        while True:
            stopping = self._stopping
            status = self._current()
            wait_s = self._pace.wait_s(status, time.monotonic())
            if (stopping and self._pace.is_known(status)) or not wait_s:
                self._write(status)
                wait_s = self._pace.wait_s(status, time.monotonic())
            if stopping:
                self._ended.set()
                return
            if self._changed.wait(wait_s) and not self._stopping:
                time.sleep(_COALESCE_S)  # a failover changes several things at once
            self._changed.clear()

    def _write(self, status: NodeConfigStatus) -> None:
        if self._renew_lease(status):
            return
        try:
            fitting = bounded(NODE_CONFIG_STATUS, status.to_object())
            there = self._client.apply_status(self._node, fitting)
        except ApiError as error:
            lasts = self._pace.failed(status, time.monotonic())
            # 404: the operator has not made the object yet.
            if lasts and error.status != 404:
                _log.warning("status not written", extra={"error": str(error)})
        else:
            self._pace.wrote(status, _mark(there), time.monotonic())

    def _renew_lease(self, status: NodeConfigStatus) -> bool:
        """Return whether a heartbeat was due, and a Lease is it."""
        namespace, now_s = self._lease_namespace(), time.monotonic()
        if namespace is None or lease_name(self._node) is None:
            return False
        if not (self._pace.is_there and self._pace.tells_nothing(status, now_s)) or self._stopping:
            return False
        try:
            self._client.renew_lease(namespace, self._node, status.heartbeat_time)
        except ApiError as error:
            if error.status not in _NO_LEASE:
                # A server that is away or overloaded is not to be given a dearer write instead.
                self._pace.failed(status, time.monotonic())
                return True
            if not self._lease_refused:
                _log.warning("Lease refused: the status is written", extra={"error": str(error)})
            self._lease_refused = True
            return False
        self._lease_refused = False
        self._pace.beat(status, time.monotonic())
        return True


def _mark(status: Mapping[str, Any]) -> str:
    """Return what another status would not have."""
    text = json.dumps(status, sort_keys=True)
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()
