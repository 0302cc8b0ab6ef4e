"""A whole cluster in memory for the real operator: its API server, and its speakers' reports.

What is written is taken in as JSON, as an API server answers: nothing is shared with the writer.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from kubernetes.client.api_client import ApiClient

from vrrp_api import API_VERSION
from vrrp_api.features import FEATURES
from vrrp_operator.api.api_server import ApiUnavailableError
from vrrp_operator.api.cache import ObjectCache
from vrrp_operator.api.endpoints import EndpointWatch
from vrrp_operator.metrics import Metrics
from vrrp_operator.reconcile import Reconciler
from vrrp_operator.write.apply import Writer

Object = dict[str, Any]
_OURS = f"/apis/{API_VERSION}"
_KINDS = {"virtualips": "VirtualIP", "healthchecks": "HealthCheck", "nodeconfigs": "NodeConfig"}
_BEGUN = "2026-01-01T00:00:00.000000Z"
SERVICE = "ingress"


class SimulatedCluster(Writer):
    """Objects by kind and name; ``writes`` and ``written_bytes`` count what the operator writes."""

    def __init__(self, virtual_ips: int, nodes: int, checks: int = 20) -> None:
        self.cache = ObjectCache()
        super().__init__(ApiClient(), self.cache)
        self.writes: Counter[str] = Counter()
        self.written_bytes = 0
        self._version, self._beats = 1, 0
        self._objects: dict[str, dict[str, Object]] = {kind: {} for kind in (*_KINDS, "nodes")}
        self._slices: list[Object] = []
        self.endpoints = EndpointWatch(self, ApiUnavailableError)
        self.reconciler = Reconciler(self.cache, self, Metrics(), self.endpoints, "cluster")
        for number in range(nodes):
            self.put("nodes", _node(number))
        for number in range(checks):
            self.put("healthchecks", _check(number))
        for number in range(virtual_ips):
            self.put("virtualips", _virtual_ip(number, checks))
        self.set_endpoints(4)

    # What happens ------------------------------------------------------------------------

    def put(self, kind: str, obj: Object) -> None:
        """Have an object changed or made by somebody, and a watch tell of it."""
        self._version += 1
        metadata = {"generation": 1, **obj["metadata"], "resourceVersion": str(self._version)}
        stored = json.loads(json.dumps({**obj, "metadata": metadata}))
        self._objects[kind][metadata["name"]] = stored
        self.cache.put(kind, stored, deleted=False, now_s=time.monotonic())

    def delete(self, kind: str, name: str) -> None:
        """Have an object deleted."""
        self._version += 1
        obj = self._objects[kind].pop(name)
        obj["metadata"]["resourceVersion"] = str(self._version)
        self.cache.put(kind, obj, deleted=True, now_s=time.monotonic())

    def get(self, kind: str, name: str) -> Object:
        """Return a copy of an object to change."""
        found: Object = json.loads(json.dumps(self._objects[kind][name]))
        return found

    def edit(self, name: str, **spec: Any) -> None:
        """Change fields of a VirtualIP's spec."""
        obj = self.get("virtualips", name)
        obj["metadata"]["generation"] += 1
        self.put("virtualips", {**obj, "spec": {**obj["spec"], **spec}})

    def make(self, number: int) -> None:
        """Make one more VirtualIP."""
        self.put("virtualips", _virtual_ip(number, 0))

    def set_endpoints(self, ready: int) -> None:
        """Have the Service of the first check have so many ready endpoints on every node."""
        self._slices = [
            {
                "metadata": {
                    "name": f"{SERVICE}-1",
                    "namespace": "default",
                    "labels": {"kubernetes.io/service-name": SERVICE},
                },
                "endpoints": [
                    {"nodeName": node, "addresses": [f"10.0.{place}.{n + 1}"]}
                    for place, node in enumerate(self._objects["nodes"])
                    for n in range(ready)
                ],
            }
        ]
        known: Any = self.endpoints
        for slice_ in self._slices:
            known._endpoints.put(slice_, deleted=False)

    def report(self, names: Collection[str] | None = None, *, without: str = "") -> None:
        """Have speakers apply what they are asked and say so; the best is Active.

        Args:
            names: of the nodes that do; None: all.
            without: a node that does not hold anything any more.
        """
        self._beats += 1
        for name, obj in list(self._objects["nodeconfigs"].items()):
            if names is None or name in names:
                self.put("nodeconfigs", {**obj, "status": self._status(obj, without)})

    def holder(self, virtual_ip: str) -> str:
        """Return the node that has a VirtualIP's addresses, as its status says."""
        return str(self._objects["virtualips"][virtual_ip]["status"]["activeNode"])

    def hand(self, name: str, holder: str, second: str) -> None:
        """Have another node take over one VirtualIP, and both say so."""
        self._beats += 1
        for node, state in ((holder, "Backup"), (second, "Active")):
            obj = self.get("nodeconfigs", node)
            for router in obj["status"]["virtualRouters"]:
                if router["name"] == name:
                    past = {"time": self._now(), "from": router["state"], "to": state}
                    past |= {"sequence": 10 + self._beats, "reason": "Simulated"}
                    router |= {"state": state, "since": self._now(), "lastTransition": past}
                    router["history"] = [*router["history"], past][-6:]
            obj["status"]["heartbeatTime"] = self._now()
            self.put("nodeconfigs", obj)

    def _now(self) -> str:
        moment = datetime(2026, 1, 1, 1, tzinfo=UTC) + timedelta(seconds=self._beats)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    def _status(self, obj: Object, without: str) -> Object:
        before = {r["name"]: r for r in (obj.get("status") or {}).get("virtualRouters", ())}
        spec, now = obj["spec"], self._now()
        return {
            "observedGeneration": obj["metadata"]["generation"],
            "heartbeatTime": now,
            "speaker": {"version": "0", "configSource": "API", "features": sorted(FEATURES)},
            "virtualRouters": [
                _router(router, before.get(router["name"]), now, spec["node"], without)
                for router in spec["virtualRouters"]
            ],
            "checks": [
                {"name": check["name"], "passing": True, "since": _BEGUN, "message": ""}
                for check in spec["healthChecks"]
            ],
        }

    # The API server ------------------------------------------------------------------------

    def watch_selected(
        self, path: str, label_selector: str, version: str
    ) -> Iterator[tuple[str, Any]]:
        """A watch that tells nothing and ends; what changes is told by ``put``."""
        time.sleep(3600)
        yield from ()

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Any = (),
        body: Any = None,
        content_type: str = "",
        timeout_s: tuple[float, float] = (0.0, 0.0),
    ) -> Any:
        if path.endswith("endpointslices"):
            return {"items": self._slices, "metadata": {"resourceVersion": "1"}}
        if method == "GET":
            return self._read(path)
        kind, name, *sub = path.removeprefix(f"{_OURS}/").split("/")
        if method == "DELETE":
            self.delete(kind, name)
            return {}
        return self._patch(kind, name, body, "".join(sub), content_type)

    def _read(self, path: str) -> Any:
        if path == "/version":
            return {"major": "1", "minor": "34"}
        if path == "/apis/kube-vrrp.io":
            return {"versions": [{"groupVersion": API_VERSION}]}
        if path == _OURS:
            return {"resources": [{"name": kind} for kind in _KINDS]}
        items = list(self._objects[path.rpartition("/")[2]].values())
        listed = {"items": items, "metadata": {"resourceVersion": str(self._version)}}
        return json.loads(json.dumps(listed))

    def _patch(self, kind: str, name: str, body: Any, sub: str, content_type: str) -> Object:
        text = json.dumps(body)
        before = self._objects[kind].get(name) or {
            "apiVersion": API_VERSION,
            "kind": _KINDS[kind],
            "metadata": {"name": name, "uid": name, "generation": 0},
        }
        metadata = dict(before["metadata"])
        self._version += 1
        metadata["resourceVersion"] = str(self._version)
        if content_type.startswith("application/merge-patch"):
            self.writes["fences"] += 1
            stored = {**before, "metadata": metadata}
        else:
            self.writes[f"{kind} status" if sub else kind] += 1
            self.written_bytes += len(text)
            part = "status" if sub else "spec"
            metadata["generation"] += not sub
            stored = {**before, "metadata": metadata, part: json.loads(text)[part]}
        self._objects[kind][name] = stored
        return dict(stored)


def _router(asked: Object, before: Object | None, now: str, node: str, without: str) -> Object:
    peers = [p["priority"] for p in asked["peers"] if p["node"] != without]
    best = node != without and all(asked["basePriority"] > priority for priority in peers)
    state = "Active" if best else "Backup"
    same = before is not None and before["state"] == state
    kept = before if same and before is not None else None
    past = {"sequence": 1, "time": _BEGUN, "from": "Backup", "to": state, "reason": "Simulated"}
    return {
        "name": asked["name"],
        "virtualIPGeneration": asked["virtualIPGeneration"],
        "state": state,
        "since": kept["since"] if kept is not None else _BEGUN,
        "effectivePriority": asked["basePriority"],
        "faults": [],
        "transitions": 1,
        "interface": "eth0",
        "lastTransition": kept["lastTransition"] if kept is not None else past,
        "history": kept["history"] if kept is not None else [past],
    }


def _virtual_ip(number: int, checks: int) -> Object:
    references = [{"name": f"check-{number % checks:03}"}] if checks else []
    return {
        "apiVersion": API_VERSION,
        "kind": "VirtualIP",
        "metadata": {
            "name": f"vip-{number:04}",
            "uid": f"vip-{number}",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {
            "addresses": [{"address": f"10.{1 + number // 250}.0.{number % 250 + 1}/24"}],
            "healthChecks": references,
        },
    }


def _check(number: int) -> Object:
    kind = {"tcp": {"address": f"127.0.0.1:{8000 + number}"}}
    service = {"service": {"namespace": "default", "name": SERVICE}}
    return {
        "apiVersion": API_VERSION,
        "kind": "HealthCheck",
        "metadata": {"name": f"check-{number:03}", "uid": f"check-{number}"},
        "spec": service if number == 0 else kind,
    }


def _node(number: int) -> Object:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    address = f"172.16.{number // 250}.{number % 250 + 1}"
    return {
        "metadata": {"name": f"node-{number:03}", "labels": {"kubernetes.io/os": "linux"}},
        "status": {
            "addresses": [{"type": "InternalIP", "address": address}],
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": now}],
        },
    }
