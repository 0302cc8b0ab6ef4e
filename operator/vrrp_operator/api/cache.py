"""The newest known version of every object the operator decides from.

Filled by watches; read as one snapshot. A node's heartbeat is its Lease, or its NodeConfig's status
where no Lease is asked for: whichever moved last. Freshness is measured on the operator's own
clock, from the moment it saw them move, so that clocks of nodes do not matter.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vrrp_api.annotations import unknown_annotations
from vrrp_api.lease import DURATION_S, heartbeat_of
from vrrp_operator.model.abilities import Abilities, abilities_after
from vrrp_operator.model.nodes import is_off, is_out_of_service, node_conditions
from vrrp_operator.model.readings import Readings
from vrrp_operator.model.snapshot import ClusterSnapshot, Node, NodeReport, handover_to

FRESH_S = float(DURATION_S)
GONE_S = 300.0
KINDS = ("virtualips", "healthchecks", "nodeconfigs", "nodes")
_BLIND_S = 60.0
"""A view in which no heartbeat moved for so long was interrupted: it cannot tell who is away."""

_NOTICED_S = 40.0
"""An API server that is away is noticed at the latest when heartbeats seem stale, and a tick on."""

_OF_NODES = ("addresses", "conditions")

Object = Mapping[str, Any]
API_SERVER, LEASES = "the API server", "Leases"


class ObjectCache:
    """Objects by kind and name; every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readings = Readings()
        self._objects: dict[str, dict[str, Object]] = {kind: {} for kind in KINDS}
        self._deleted: dict[str, dict[str, int]] = {kind: {} for kind in KINDS}
        """Versions at which objects were deleted, for lists that were made before."""
        self._lost: dict[str, Object] = {}
        """NodeConfigs that somebody deleted, by node: their nodes go on with them until they have
        reported of new ones."""
        self._heartbeats: dict[str, _Heartbeat] = {}
        self._told: dict[tuple[str, str], str] = {}
        """What each of a node's two heartbeats said last, by kind and node."""
        self._active_seen_s: dict[str, dict[str, tuple[str, float]]] = {}
        """Node to router to (since, when that was first seen), for routers that are Active."""
        self._abilities: dict[str, Abilities] = {}
        """What each node's speaker said that it can do."""
        self._odd: list[Exception] = []
        """What went wrong with heartbeats since the last snapshot."""
        self._last_heartbeat_s = 0.0
        self._unbroken_since_s = 0.0
        self._blind_for: set[str] = set()
        """What cannot be seen just now: the API server, or Leases."""
        self._blind_since_s: float | None = None
        self._blind_s = 0.0
        """How long nothing could be seen so far, over all outages that have ended."""

    def lost_sight(self, now_s: float, of: str = API_SERVER) -> None:
        """Note that something does not answer: that nothing moves says nothing from now on.

        It began when the last heartbeat was seen, or as long ago as takes to notice.
        """
        with self._lock:
            self._blind_for.add(of)
            if self._blind_since_s is None:
                self._blind_since_s = max(self._last_heartbeat_s, now_s - _NOTICED_S)

    def regained_sight(self, now_s: float, of: str = API_SERVER) -> None:
        """Note that it answers again."""
        with self._lock:
            self._blind_for.discard(of)
            if self._blind_for:
                return
            self._blind_s = self._blind_total_s(now_s)
            self._blind_since_s = None

    def _blind_total_s(self, now_s: float) -> float:
        going_on_s = now_s - self._blind_since_s if self._blind_since_s is not None else 0.0
        return self._blind_s + going_on_s

    def replace(self, kind: str, objects: Sequence[Object], now_s: float, version: int) -> None:
        """Take in a complete list of one kind; what a watch has told since its version stays so."""
        with self._lock:
            listed = {obj["metadata"]["name"]: lean(kind, obj) for obj in objects}
            deleted = {n: v for n, v in self._deleted[kind].items() if v > version}
            newer = {n: obj for n, obj in self._objects[kind].items() if _version(obj) > version}
            if kind == "nodeconfigs":
                before = self._objects[kind]
                self._lose({n: o for n, o in before.items() if n not in listed and n not in newer})
            kept = {n: self._same(kind, obj) for n, obj in listed.items() if n not in deleted}
            self._objects[kind], self._deleted[kind] = {**kept, **newer}, deleted
            if kind == "nodeconfigs":
                for obj in objects:
                    self._take_heartbeat(obj, now_s)

    def put(self, kind: str, obj: Object, *, deleted: bool, now_s: float) -> bool:
        """Take in one object; return whether a decision or a status may change by it."""
        name, obj = obj["metadata"]["name"], lean(kind, obj)
        with self._lock:
            before = self._objects[kind].get(name)
            if deleted:
                self._objects[kind].pop(name, None)
                self._deleted[kind][name] = _version(obj)
                if kind == "nodeconfigs":
                    self._active_seen_s.pop(name, None)
                    self._abilities.pop(name, None)
                    self._lose({name: before} if before is not None else {})
                return before is not None
            if before is not None and _version(obj) < _version(before):
                return False
            self._objects[kind][name] = obj
            self._deleted[kind].pop(name, None)
            revived = kind == "nodeconfigs" and self._take_heartbeat(obj, now_s)
            if revived or self._is_contested(kind, name):
                return True  # a heartbeat tells that both Active nodes are alive
        return before is None or _relevant(kind, before) != _relevant(kind, obj)

    def _same(self, kind: str, obj: Object) -> Object:
        """Return what is known of an object where it is that version: it is read already."""
        known = self._objects[kind].get(obj["metadata"]["name"])
        if known is None or not _version(obj) or _identity(known) != _identity(obj):
            return obj
        return known

    def _lose(self, deleted: Mapping[str, Object]) -> None:
        """Remember NodeConfigs of which a node has reported; what was lost before is older."""
        for name, obj in deleted.items():
            if (obj.get("status") or {}).get("heartbeatTime"):
                self._lost[name] = obj

    def _found_again(self) -> dict[str, Object]:
        """Return the NodeConfigs, with what nodes run of those that somebody deleted."""
        found = dict(self._objects["nodeconfigs"])
        self._lost = {
            name: lost
            for name, lost in self._lost.items()
            if name in self._objects["nodes"]
            and not (found.get(name, {}).get("status") or {}).get("heartbeatTime")
        }
        for name, lost in self._lost.items():
            anew = found.get(name)
            asks = anew is not None and (anew.get("spec") or {}).get("virtualRouters")
            found[name] = {**anew, "status": lost["status"]} if anew is not None and asks else lost
        return found

    def put_lease(self, lease: Object, now_s: float) -> bool:
        """Take in a Lease; return whether a decision or a status may change by it.

        A speaker's that is gone says nothing: its node is silent from then on. Others are nobody's
        heartbeat; of a node whose NodeConfig is not known yet, what comes after this one is.
        """
        told = heartbeat_of(lease)
        if told is None:
            return False
        node, text = told
        with self._lock:
            if node not in self._objects["nodeconfigs"]:
                self._told["lease", node] = text
                return False
            before = self._heartbeats.get(node)
            revived = self._beat("lease", node, text, now_s)
            moved = self._heartbeats.get(node) is not before
            return revived or (moved and self._is_contested("nodeconfigs", node))

    def get(self, kind: str, name: str) -> Object | None:
        """Return one object as last seen."""
        with self._lock:
            return self._objects[kind].get(name)

    def names(self, kind: str) -> list[str]:
        """Return the names of one kind, sorted."""
        with self._lock:
            return sorted(self._objects[kind])

    def snapshot(self, now_s: float) -> ClusterSnapshot:
        """Return everything as values; ``now_s`` is monotonic. One thread at a time may ask."""
        with self._lock:
            objects = {kind: dict(items) for kind, items in self._objects.items()}
            objects["nodeconfigs"] = self._found_again()
            heartbeats, abilities = dict(self._heartbeats), dict(self._abilities)
            blind_s = self._blind_total_s(now_s)
            active_seen_s = {
                node: {router: seen_s for router, (_, seen_s) in routers.items()}
                for node, routers in self._active_seen_s.items()
            }
            unbroken_s = now_s - self._unbroken_since_s
            unreadable, self._odd = self._odd, []
        ages = {name: beat.age_s(now_s, blind_s) for name, beat in heartbeats.items()}
        reports: dict[str, NodeReport] = {}
        for name, obj in objects["nodeconfigs"].items():
            beat = heartbeats.get(name)
            fresh, heard_s = ages.get(name, FRESH_S) < FRESH_S, beat.seen_s if beat else 0.0
            try:
                asked, status = self._readings.node_config(obj, abilities.get(name))
                reports[name] = NodeReport(
                    config=asked.config,
                    status=status,
                    fresh=fresh,
                    heard_s=heard_s,
                    active_seen_s=active_seen_s.get(name, {}),
                    alive=beat is not None and beat.moved,
                    beat=beat.text if beat else "",
                    unknown=asked.unknown,
                    as_written=asked.as_written,
                )
            except Exception as error:  # of one node
                unreadable.append(error)
                reports[name] = NodeReport(None, None, fresh, heard_s)
        nodes: list[Node] = []
        for name, obj in objects["nodes"].items():
            silent = unbroken_s >= GONE_S and ages.get(name, 0.0) >= GONE_S
            speaks = name in reports and reports[name].status is not None
            try:
                nodes.append(self._readings.node(obj, has_speaker=speaks, gone=silent))
            except Exception as error:  # of one node, which is there all the same
                unreadable.append(error)
                nodes.append(Node(name, {}, (), has_speaker=speaks, gone=silent))
        self._readings.forget_others(objects["nodes"], objects["nodeconfigs"])
        return ClusterSnapshot(
            virtual_ips=self._readings.virtual_ips(objects["virtualips"].values()),
            health_checks=self._readings.health_checks(objects["healthchecks"].values()),
            nodes=tuple(sorted(nodes, key=lambda node: node.name)),
            reports=reports,
            unreadable=tuple(unreadable),
        )

    def _is_contested(self, kind: str, node: str) -> bool:
        if kind != "nodeconfigs":
            return False
        own = self._active_seen_s.get(node, {}).keys()
        return any(
            own & routers.keys() for name, routers in self._active_seen_s.items() if name != node
        )

    def _take_heartbeat(self, obj: Object, now_s: float) -> bool:
        try:
            return self._note_heartbeat(obj, now_s)
        except Exception as error:  # of one node; it seems silent
            self._odd = [*self._odd[-15:], error]
            return False

    def _note_heartbeat(self, obj: Object, now_s: float) -> bool:
        """Take in a heartbeat; return whether it is of a node that was taken for dead."""
        name = obj["metadata"]["name"]
        seen = self._active_seen_s.get(name, {})
        self._active_seen_s[name] = {
            router: seen[router] if router in seen and seen[router][0] == since else (since, now_s)
            for router, since in _active_routers(obj)
        }
        self._abilities[name] = abilities_after(self._abilities.get(name), obj, now_s)
        return self._beat("status", name, (obj.get("status") or {}).get("heartbeatTime", ""), now_s)

    def _beat(self, kind: str, name: str, text: str, now_s: float) -> bool:
        before, told = self._heartbeats.get(name), self._told.get((kind, name))
        if not text or told == text:
            return False
        self._told[kind, name] = text
        if told is None and before is not None:
            return False  # the first sight of the other kind says nothing of its age
        if now_s - self._last_heartbeat_s > _BLIND_S:
            self._unbroken_since_s = now_s
        blind_s = self._blind_total_s(now_s)
        self._heartbeats[name] = _Heartbeat(text, now_s, blind_s, moved=before is not None)
        self._last_heartbeat_s = now_s
        return before is not None and before.age_s(now_s, blind_s) >= FRESH_S


@dataclass(frozen=True, slots=True)
class _Heartbeat:
    """A node's last heartbeat and when it was seen; ``moved`` once another came before it."""

    text: str
    seen_s: float
    blind_s: float
    moved: bool

    def age_s(self, now_s: float, blind_s: float) -> float:
        """Return how long none came, without the time in which none could be seen."""
        return now_s - self.seen_s - (blind_s - self.blind_s)


def _active_routers(obj: Object) -> list[tuple[str, str]]:
    """Return (name, since) of the routers that a NodeConfig reports as Active."""
    routers = (obj.get("status") or {}).get("virtualRouters") or ()
    return [(r.get("name", ""), r.get("since", "")) for r in routers if r.get("state") == "Active"]


def lean(kind: str, obj: Object) -> Object:
    """Return an object without what nobody decides from, and which is most of a Node."""
    metadata = obj["metadata"]
    if "managedFields" in metadata:
        metadata = {key: value for key, value in metadata.items() if key != "managedFields"}
        obj = {**obj, "metadata": metadata}
    if kind == "nodes" and "status" in obj:
        status = obj["status"] or {}
        obj = {**obj, "status": {key: status[key] for key in _OF_NODES if key in status}}
    return obj


def _identity(obj: Object) -> tuple[object, object]:
    return obj["metadata"].get("uid"), obj["metadata"].get("resourceVersion")


def _version(obj: Object) -> int:
    return int(obj["metadata"].get("resourceVersion") or 0)


def _relevant(kind: str, obj: Object) -> object:
    """Return the part of an object that decisions depend on; heartbeats are no news."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    deleting = metadata.get("deletionTimestamp")
    if kind == "nodes":
        addresses = [a for a in status.get("addresses") or () if a.get("type") == "InternalIP"]
        said = metadata.get("labels"), is_out_of_service(obj), is_off(obj)
        return said, addresses, node_conditions(obj), deleting
    if kind == "nodeconfigs":
        rest = {key: value for key, value in status.items() if key != "heartbeatTime"}
        return metadata.get("generation"), rest, bool(status.get("heartbeatTime")), deleting
    asked = handover_to(obj), unknown_annotations(obj)
    return metadata.get("generation"), asked, status, deleting
