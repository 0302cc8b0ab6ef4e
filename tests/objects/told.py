"""How long changes take: what a watch of the API server tells of VirtualIPs, and when."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from vrrp_lab.lab import Lab
from vrrp_lab.processes import Processes

_PATH = "/apis/kube-vrrp.io/v1alpha1/virtualips"


@dataclass
class Change:
    """A generation of one VirtualIP: when it was seen first, and when the operator spoke of it."""

    seen_ns: int
    told_ns: int | None = None


class Told:
    """Watches VirtualIPs for as long as it is the context."""

    def __init__(self, lab: Lab, names: Collection[str]) -> None:
        self._names = names
        self._changes: dict[str, dict[int, Change]] = {name: {} for name in names}
        self._lock = threading.Lock()
        self._process = lab.control_plane.watch(_PATH)
        self._processes: Processes = lab.lan.processes
        self._thread = threading.Thread(target=self._read, name="told", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the watch."""
        self._processes.stop(self._process)
        self._thread.join()

    def changes(self) -> Mapping[str, Mapping[int, Change]]:
        """Return what was seen, by name and generation."""
        with self._lock:
            return {name: dict(seen) for name, seen in self._changes.items()}

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            now_ns = time.monotonic_ns()
            obj = json.loads(line)["object"]
            if obj["metadata"].get("name") in self._names:
                with self._lock:
                    self._note(obj, now_ns)

    def _note(self, obj: Mapping[str, Any], now_ns: int) -> None:
        changes = self._changes[obj["metadata"]["name"]]
        changes.setdefault(obj["metadata"]["generation"], Change(now_ns))
        conditions = (obj.get("status") or {}).get("conditions") or ()
        # Of all that a status says, others write everything but this.
        accepted = [c.get("observedGeneration") or 0 for c in conditions if c["type"] == "Accepted"]
        for number, change in changes.items():
            # What a newer one came after is done with that.
            if change.told_ns is None and number <= max(accepted, default=0):
                change.told_ns = now_ns
