"""Why addresses moved: every change of state that nodes report while something is done."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterator, Mapping
from types import TracebackType
from typing import Any

from vrrp_lab.kubelets.cluster import KubeletCluster

_PATH = "/apis/kube-vrrp.io/v1alpha1/nodeconfigs"


class Moves:
    """Watches NodeConfigs for as long as it is the context."""

    def __init__(self, cluster: KubeletCluster) -> None:
        self._processes = cluster.lan.processes
        self._process = cluster.control_plane.watch(_PATH)
        self._thread = threading.Thread(target=self._read, name="moves", daemon=True)
        self._lock = threading.Lock()
        self._changes: set[tuple[str, str, str, str]] = set()
        """(virtual router, time, node, what), as nodes' clocks have it."""

    def __enter__(self) -> Moves:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._processes.stop(self._process)
        self._thread.join()

    def of(self, names: Collection[str], since: str) -> list[str]:
        """Return in words, in order, what became of virtual routers since a time (RFC 3339)."""
        with self._lock:
            found = sorted(c for c in self._changes if c[0] in names and c[1] >= since)
        return [f"{name}: {at} {node} {what}" for name, at, node, what in found]

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            obj = json.loads(line)["object"]
            with self._lock:
                self._changes.update(_changes(obj))


def _changes(obj: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    status, node = obj.get("status") or {}, obj["metadata"].get("name", "")
    for router in status.get("virtualRouters") or ():
        latest = router.get("lastTransition")
        for change in (*(router.get("history") or ()), *([latest] if latest else ())):
            what = f"{change['from']} → {change['to']}: {change['reason']}"
            yield router["name"], change["time"], node, what
