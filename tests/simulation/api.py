"""A simulated API server: versions, generations, preconditions, and watches that come late."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from tests.simulation.lan import SimulatedLan
from tests.simulation.settings import MS

Object = dict[str, Any]
Watcher = Callable[[str, Object, bool, int], None]
"""Told of (kind, object, deleted, virtual time)."""


class SimulatedApi:
    """Objects by kind and name; whoever watches hears of each change in order, in a while."""

    def __init__(self, lan: SimulatedLan, rng: random.Random) -> None:
        self.lan = lan
        self._rng = rng
        self._version = 0
        self.objects: dict[str, dict[str, Object]] = {}
        self._watchers: list[Watcher] = []

    def watch(self, watcher: Watcher) -> None:
        """Tell of every change from now on, at once: who listens brings its own delays."""
        self._watchers.append(watcher)

    def unwatch(self, watcher: Watcher) -> None:
        """Tell no more."""
        self._watchers.remove(watcher)

    def all(self) -> list[tuple[str, Object]]:
        """Return every object, as a list does."""
        return [(kind, o) for kind, found in self.objects.items() for o in found.values()]

    def get(self, kind: str, name: str) -> Object | None:
        """Return one object."""
        return self.objects.get(kind, {}).get(name)

    def put(self, kind: str, name: str, **parts: Any) -> None:
        """Write parts of an object: ``spec``, ``status``, ``annotations``, ``labels``."""
        current = self.get(kind, name) or {
            "apiVersion": "kube-vrrp.io/v1alpha1",
            "kind": {"nodeconfigs": "NodeConfig", "virtualips": "VirtualIP"}.get(kind, "Node"),
            "metadata": {"name": name, "uid": f"{name} {self._version}", "generation": 0},
        }
        # Whoever holds the old version keeps it: nothing in it is changed.
        metadata = dict(current["metadata"])
        obj = {**current, "metadata": metadata}
        for part, value in parts.items():
            if part in ("annotations", "labels"):
                metadata[part] = value
                continue
            if part == "spec" and obj.get("spec") != value:
                metadata["generation"] += 1
            obj[part] = value
        self._version += 1
        metadata["resourceVersion"] = str(self._version)
        self.objects.setdefault(kind, {})[name] = obj
        self._tell(kind, obj, deleted=False)

    def delete(self, kind: str, name: str) -> None:
        """Delete an object."""
        obj = self.objects.get(kind, {}).pop(name, None)
        if obj is not None:
            self._version += 1
            metadata = {**obj["metadata"], "resourceVersion": str(self._version)}
            self._tell(kind, {**obj, "metadata": metadata}, deleted=True)

    def apply(self, kind: str, name: str, spec: Object, version: str | None) -> bool:
        """Write a spec over one version of its object; return whether it was that version."""
        current = self.get(kind, name)
        if current is not None and version != current["metadata"]["resourceVersion"]:
            self.lan.timeline.note(self.lan.now_ns, -1, "refuses the write to", name)
            return False
        if current is None and version is not None:
            return False
        self.put(kind, name, spec=spec)
        return True

    def _tell(self, kind: str, obj: Object, *, deleted: bool) -> None:
        for watcher in list(self._watchers):
            watcher(kind, obj, deleted, self.lan.now_ns)

    def soon_ns(self, longest_ms: int) -> int:
        """Return how long something takes that takes so long at most."""
        return 1 + self._rng.randrange(longest_ms * MS)
