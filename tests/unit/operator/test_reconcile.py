"""One cycle: what is written, in which order, and that nothing is written twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from tests.unit.operator.cluster import virtual_ip

from vrrp_operator.api.api_server import ApiUnavailableError, ObjectGoneError
from vrrp_operator.api.cache import ObjectCache
from vrrp_operator.api.endpoints import EndpointWatch
from vrrp_operator.health import STALE_S
from vrrp_operator.lead.elector import Alone
from vrrp_operator.metrics import Metrics
from vrrp_operator.reconcile import Reconciler
from vrrp_operator.report.events import Occurrence
from vrrp_operator.write.apply import Writer
from vrrp_operator.write.fences import Fences
from vrrp_operator.write.older_kinds import undeclared_by_kind
from vrrp_operator.write.refusals import FIRST_S

DISCOVERY = {
    "/version": {"major": "1", "minor": "34"},
    "/apis/kube-vrrp.io": {"versions": [{"groupVersion": "kube-vrrp.io/v1alpha1"}]},
    "/apis/kube-vrrp.io/v1alpha1": {
        "resources": [{"name": name} for name in ("virtualips", "healthchecks", "nodeconfigs")]
    },
}


class FakeServer(Writer):
    """Takes the requests of a writer and keeps the objects, as the API server would."""

    def __init__(self, cache: ObjectCache, objects: Mapping[str, list[dict[str, Any]]]) -> None:
        self._cache = cache
        self._leader, self._term = Alone(), Alone.term
        self._objects = objects
        self.requests: list[str] = []
        self.available = True
        self.deleted: set[str] = set()
        self.discovery = dict(DISCOVERY)
        self.newer: dict[str, dict[str, Any]] = {}
        """NodeConfigs that somebody wrote after what the cache has of them, by name."""
        self.refused = ""
        """The end of a path that is answered with 500."""
        self._fences = Fences("test")
        self._undeclared = undeclared_by_kind()
        self.fenced: list[str] = []
        self.lost: set[str] = set()
        """The NodeConfigs of which a write is done, or not, and never answered."""
        self.answers: dict[str, Exception] = {}
        """What a write to a path with this end comes to."""

    def add(self, **objects: list[dict[str, Any]]) -> None:
        """Have these objects, whole kinds at a time."""
        self._objects = {**self._objects, **objects}

    def watch_selected(
        self, path: str, label_selector: str, version: str
    ) -> Iterator[tuple[str, Any]]:
        """A watch that tells nothing and breaks off."""
        raise ApiUnavailableError(f"watch {label_selector} from {version}: broken off")

    def _read(self, path: str, name: str) -> Any:
        if path in DISCOVERY:
            if path not in self.discovery:
                raise ApiUnavailableError(f"GET {path}: 404", status=404)
            return self.discovery[path]
        if name in self.newer:
            return self.newer[name]
        if path.startswith("/apis/kube-vrrp.io/") and name:
            known = self._cache.get(path.split("/")[-2], name)
            if known is None:
                raise ApiUnavailableError(f"GET {path}: 404", status=404)
            return known
        found = self._objects.get(path.rpartition("/")[2], [])
        items = [o for o in found if o["metadata"]["name"] not in self.deleted]
        return {"items": items, "metadata": {"resourceVersion": "1000"}}

    def _refuse(self, method: str, path: str) -> None:
        for end, answer in self.answers.items():
            if method != "GET" and path.endswith(end):
                raise answer
        if self.refused and path.endswith(self.refused):
            raise ApiUnavailableError(f"{method} {path}: 500", status=500)

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
        if not self.available:
            raise ApiUnavailableError(f"{method} {path}: refused")
        self._refuse(method, path)
        if path.endswith("endpointslices"):
            return {"items": self._objects.get("slices", []), "metadata": {"resourceVersion": "1"}}
        kind, _, name = path.removeprefix("/apis/kube-vrrp.io/v1alpha1/").partition("/")
        if method == "GET":
            return self._read(path, name)
        if name.partition("/")[0] in self.deleted:
            raise ObjectGoneError(f"{method} {path}: not found")
        if content_type.startswith("application/merge-patch"):
            self.fenced.append(name)
            return {}  # somebody may write it right after
        self.requests.append(f"{method} {kind}/{name}")
        if name in self.lost:
            raise ApiUnavailableError(f"{method} {path}: no answer")
        newer = self.newer.get(name, {}).get("metadata", {}).get("resourceVersion")
        if newer and body is not None and body["metadata"].get("resourceVersion") != newer:
            raise ApiUnavailableError(f"{method} {path}: 409", status=409)
        if method == "PATCH" and body is not None:
            name, _, sub = name.partition("/")
            before = self._cache.get(kind, name) or {"metadata": {"name": name}}
            part = {"status": body["status"]} if sub else {"spec": body["spec"]}
            obj = {**before, "apiVersion": body["apiVersion"], "kind": body["kind"], **part}
            self._cache.put(kind, obj, deleted=False, now_s=0.0)
        return {}


def node(name: str, address: str) -> dict[str, Any]:
    addresses = [{"type": "InternalIP", "address": address}]
    return {"metadata": {"name": name}, "status": {"addresses": addresses}}


def speaking(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "NodeConfig",
        "metadata": {"name": name},
        "spec": {"node": name, "addresses": [], "virtualRouters": [], "healthChecks": []},
        "status": {"heartbeatTime": "2026-01-01T00:00:00Z"},
    }


def start(server: FakeServer, cache: ObjectCache, default_key_ref: str | None) -> Reconciler:
    endpoints = EndpointWatch(server, ApiUnavailableError)
    return Reconciler(cache, server, Metrics(), endpoints, default_key_ref)


def cluster(default_key_ref: str | None = None) -> tuple[FakeServer, ObjectCache, Reconciler]:
    cache = ObjectCache()
    server = FakeServer(
        cache,
        {
            "virtualips": [virtual_ip("a")],
            "nodes": [node("node-1", "192.0.2.11"), node("node-2", "192.0.2.12")],
            "nodeconfigs": [speaking("node-1"), speaking("node-2"), speaking("left")],
        },
    )
    return server, cache, start(server, cache, default_key_ref)


def test_the_vrid_is_on_record_before_a_node_uses_it() -> None:
    server, _, reconciler = cluster()
    assert reconciler.run_cycle()
    first, *configs, last = server.requests
    assert first == "PATCH virtualips/a/status"
    assert sorted(configs) == ["PATCH nodeconfigs/node-1", "PATCH nodeconfigs/node-2"]
    assert last == "DELETE nodeconfigs/left"


def test_node_configs_are_written_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    server, _, reconciler = cluster()
    real, both = server._call, threading.Barrier(2, timeout=60)

    def call(method: str, path: str, **arguments: Any) -> Any:
        if method == "PATCH" and "nodeconfigs/node-" in path and "spec" in arguments["body"]:
            both.wait()  # for the other node's
        return real(method, path, **arguments)

    monkeypatch.setattr(server, "_call", call)
    assert reconciler.run_cycle()


def test_a_node_config_that_changed_meanwhile_is_not_written_over_but_decided_on_again() -> None:
    server, cache, reconciler = cluster()
    old, newer = speaking("node-1"), speaking("node-1")
    old["metadata"]["resourceVersion"], newer["metadata"]["resourceVersion"] = "5", "7"
    server.add(nodeconfigs=[old, speaking("node-2")])
    server.newer["node-1"] = newer
    assert not reconciler.run_cycle()
    written = cache.get("nodeconfigs", "node-1")
    assert written is not None
    assert written["spec"]["virtualRouters"] == []
    assert written["metadata"]["resourceVersion"] == "7"
    assert "PATCH nodeconfigs/node-2" in server.requests  # nobody waits for another one's
    assert reconciler.run_cycle()
    written = cache.get("nodeconfigs", "node-1")
    assert written is not None
    assert [r["name"] for r in written["spec"]["virtualRouters"]] == ["a"]


def test_a_second_cycle_writes_nothing() -> None:
    server, cache, reconciler = cluster()
    reconciler.run_cycle()
    cache.put("nodeconfigs", speaking("left"), deleted=True, now_s=0.0)
    reconciler.run_cycle()  # statuses follow what the first cycle wrote
    server.requests.clear()
    assert reconciler.run_cycle()
    assert server.requests == []


def test_a_status_that_somebody_else_wrote_over_is_written_again() -> None:
    server, cache, reconciler = cluster()
    for _ in range(3):
        assert reconciler.run_cycle()
    known = {
        kind: [dict(cache.get(kind, name) or {}) for name in cache.names(kind)]
        for kind in ("virtualips", "nodeconfigs")
    }
    server.add(**known)
    restarted = start(server, cache, None)
    server.requests.clear()
    assert restarted.run_cycle()
    assert "PATCH virtualips/a/status" not in server.requests  # it was found to be right
    found = cache.get("virtualips", "a")
    assert found is not None
    wrong = {**found, "status": {**found["status"], "addressSummary": "10.0.0.1"}}
    cache.put("virtualips", wrong, deleted=False, now_s=0.0)
    assert restarted.run_cycle()
    assert "PATCH virtualips/a/status" in server.requests


def authentication(cache: ObjectCache, node: str) -> Any:
    config = cache.get("nodeconfigs", node)
    assert config is not None
    return config["spec"]["virtualRouters"][0]["authentication"]


def test_another_default_key_is_written_to_every_node() -> None:
    server, cache, reconciler = cluster()
    reconciler.run_cycle()
    assert authentication(cache, "node-1") == {"type": "None"}
    restarted = start(server, cache, "cluster")
    restarted.run_cycle()
    signed = {"type": "HMAC", "keyRef": "cluster", "mode": "Enforce"}
    assert [authentication(cache, name) for name in ("node-1", "node-2")] == [signed, signed]
    server.requests.clear()
    restarted.run_cycle()
    assert not [request for request in server.requests if request.startswith("PATCH nodeconfigs")]


def test_what_is_no_longer_asked_of_a_node_leaves_its_node_config() -> None:
    """The end of a hand-over to the best node takes a field away and changes nothing else."""
    server, cache, reconciler = cluster()
    reconciler.run_cycle()
    configs = {name: cache.get("nodeconfigs", name) for name in ("node-1", "node-2")}
    priority = {n: c["spec"]["virtualRouters"][0]["basePriority"] for n, c in configs.items() if c}
    best = max(priority, key=lambda name: priority[name])
    reported = {"name": "a", "virtualIPGeneration": 1, "state": "Backup"}
    status = {"heartbeatTime": "2026-01-01T00:00:00Z", "virtualRouters": [reported]}
    cache.put("nodeconfigs", {**(configs[best] or {}), "status": status}, deleted=False, now_s=0.0)

    def take_over(annotations: dict[str, str]) -> Any:
        vip = cache.get("virtualips", "a") or {}
        metadata = {**vip["metadata"], "annotations": annotations}
        cache.put("virtualips", {**vip, "metadata": metadata}, deleted=False, now_s=0.0)
        server.requests.clear()
        assert reconciler.run_cycle()
        assert f"PATCH nodeconfigs/{best}" in server.requests
        config = cache.get("nodeconfigs", best) or {}
        return config["spec"]["virtualRouters"][0].get("takeOver")

    assert take_over({"kube-vrrp.io/handover-to": best}) == best
    assert take_over({}) is None


def test_what_somebody_else_wrote_into_a_node_config_leaves_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An apply takes nothing away that another one has written, too, and says that it went well."""
    server, cache, reconciler = cluster()
    assert reconciler.run_cycle()
    known = cache.get("nodeconfigs", "node-1") or {}
    (wanted,) = known["spec"]["virtualRouters"]
    stray = {**known, "metadata": {**known["metadata"], "resourceVersion": "7"}}
    stray["spec"] = {**known["spec"], "virtualRouters": [wanted, {**wanted, "name": "stray"}]}
    cache.put("nodeconfigs", stray, deleted=False, now_s=0.0)
    real, replaced = server._call, []

    def call(method: str, path: str, **options: Any) -> Any:
        if not path.endswith("nodeconfigs/node-1") or "merge" in options.get("content_type", ""):
            return real(method, path, **options)
        if options.get("content_type") != "application/json-patch+json":
            return stray
        replaced.extend(options["body"])
        return {**stray, "spec": options["body"][1]["value"]}

    monkeypatch.setattr(server, "_call", call)
    assert reconciler.run_cycle()
    version, spec = replaced
    assert version == {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}
    assert (spec["op"], spec["path"]) == ("replace", "/spec")
    assert (cache.get("nodeconfigs", "node-1") or {})["spec"]["virtualRouters"] == [wanted]
    replaced.clear()
    assert reconciler.run_cycle()
    assert replaced == []


def test_an_empty_list_of_nodes_deletes_no_node_config() -> None:
    server, cache, reconciler = cluster()
    reconciler.run_cycle()
    cache.replace("nodes", [], 0.0, 1000)
    server.requests.clear()
    reconciler.run_cycle()
    assert not [request for request in server.requests if request.startswith("DELETE")]


def test_an_api_server_that_is_away_fails_the_cycle_and_not_the_operator() -> None:
    server, _, reconciler = cluster()
    server.available = False
    assert not reconciler.run_cycle()
    assert reconciler.ready() == (False, "no reconcile yet: GET /version: refused")
    server.available = True
    assert reconciler.run_cycle()
    assert reconciler.ready() == (True, "ok")


def test_operator_without_the_kinds_says_what_to_do_and_waits_for_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server, _, reconciler = cluster()
    server.discovery = {"/version": DISCOVERY["/version"]}
    assert not reconciler.run_cycle()
    assert not reconciler.run_cycle()
    assert server.requests == []
    missing = "the API server does not know kube-vrrp.io/v1alpha1: the CRDs are missing; install"
    assert reconciler.ready()[0] is False
    assert reconciler.ready()[1].startswith(f"no reconcile yet: {missing}")
    assert [missing in getattr(record, "error", "") for record in caplog.records] == [True]
    assert not reconciler.came_later
    server.discovery = DISCOVERY
    assert reconciler.run_cycle()
    assert reconciler.ready() == (True, "ok")
    assert reconciler.came_later


def test_a_node_config_that_is_refused_keeps_no_other_waiting() -> None:
    server, cache, reconciler = cluster()
    server.refused = "nodeconfigs/node-1"
    assert not reconciler.run_cycle()
    other = cache.get("nodeconfigs", "node-2")
    assert other is not None
    assert [router["name"] for router in other["spec"]["virtualRouters"]] == ["a"]
    server.refused = ""
    assert reconciler.run_cycle()


def test_what_an_operator_finds_is_fenced_once() -> None:
    """One that ended may have sent writes that come yet."""
    server, cache, reconciler = cluster()
    assert reconciler.run_cycle()
    assert sorted(server.fenced) == ["left", "node-1", "node-2"]
    cache.put("virtualips", virtual_ip("b", "192.0.2.51"), deleted=False, now_s=0.0)
    assert reconciler.run_cycle()
    assert len(server.fenced) == 3


def test_a_write_that_was_not_answered_is_fenced_before_anything_is_decided() -> None:
    server, cache, reconciler = cluster()
    assert reconciler.run_cycle()
    cache.put("virtualips", virtual_ip("b", "192.0.2.51"), deleted=False, now_s=0.0)
    server.lost = {"node-1"}
    server.fenced.clear()
    server.requests.clear()
    assert not reconciler.run_cycle()
    assert server.fenced == []
    assert server.requests[0] == "PATCH virtualips/b/status"
    assert "PATCH nodeconfigs/node-1" in server.requests
    assert not reconciler.run_cycle()
    assert server.fenced == ["node-1"]
    server.lost = set()
    assert reconciler.run_cycle()
    assert server.fenced == ["node-1", "node-1"]


def test_a_fence_that_is_refused_keeps_no_other_waiting_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now_s[0])
    server, _, reconciler = cluster()
    server.refused = "nodeconfigs/left"
    assert not reconciler.run_cycle()
    assert sorted(server.fenced) == ["node-1", "node-2"]
    assert "PATCH nodeconfigs/node-2" in server.requests
    server.refused = ""
    now_s[0] += FIRST_S
    assert reconciler.run_cycle()
    assert server.fenced[2:] == ["left"]


def test_a_node_config_that_is_gone_needs_no_fence() -> None:
    server, cache, reconciler = cluster()
    assert reconciler.run_cycle()
    server.deleted.add("gone")
    cache.put("nodeconfigs", speaking("gone"), deleted=False, now_s=0.0)
    assert reconciler.run_cycle()
    assert cache.get("nodeconfigs", "gone") is None
    assert not [request for request in server.requests if request.endswith("/gone")]


def test_an_object_deleted_behind_our_back_leaves_the_nodes_in_the_next_cycle() -> None:
    server, cache, reconciler = cluster()
    reconciler.run_cycle()
    server.deleted.add("a")
    cache.put("virtualips", virtual_ip("a"), deleted=False, now_s=0.0)  # as the cache still has it
    assert not reconciler.run_cycle()
    assert cache.get("virtualips", "a") is None
    assert reconciler.run_cycle()
    for name in ("node-1", "node-2"):
        config = cache.get("nodeconfigs", name)
        assert config is not None
        assert config["spec"]["virtualRouters"] == []


def test_what_happened_is_posted_once_it_is_on_record() -> None:
    server, cache, _ = cluster()
    posted: list[Occurrence] = []
    endpoints = EndpointWatch(server, ApiUnavailableError)
    reconciler = Reconciler(cache, server, Metrics(), endpoints, post=posted.extend)
    reconciler.relist()
    server.available = False
    assert not reconciler.run_cycle()
    assert posted == []
    server.available = True
    assert reconciler.run_cycle()
    assert [str(occurrence.reason) for occurrence in posted] == ["VRIDAllocated"]


@pytest.mark.parametrize("relisting", [False, True])
def test_outage_makes_no_node_stale(*, relisting: bool) -> None:
    """The first cycle after it would write that nobody reports any more."""
    server, cache, reconciler = cluster()
    reconciler.run_cycle()
    server.available = False
    if relisting:
        with pytest.raises(ApiUnavailableError):
            reconciler.relist()
    else:
        cache.put("virtualips", virtual_ip("a"), deleted=False, now_s=0.0)
        assert not reconciler.run_cycle()
    later_s = time.monotonic() + 3600
    assert all(r.fresh for r in cache.snapshot(later_s).reports.values())
    server.available = True
    reconciler.relist()
    assert not any(r.fresh for r in cache.snapshot(later_s).reports.values())


def test_cycles_do_not_end_well_while_nothing_can_be_read() -> None:
    """Not even those that have nothing to write: nobody could tell that the operator is blind."""
    server, _, reconciler = cluster()
    assert reconciler.run_cycle()
    server.available = False
    with pytest.raises(ApiUnavailableError):
        reconciler.relist()
    assert not reconciler.run_cycle()
    server.available = True
    assert reconciler.run_cycle()


def test_an_api_server_that_is_away_is_no_reason_to_be_restarted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, _, reconciler = cluster()
    now_s = [1000.0]
    monkeypatch.setattr("vrrp_operator.reconcile.time.monotonic", lambda: now_s[0])
    assert reconciler.run_cycle()
    server.available = False
    with pytest.raises(ApiUnavailableError):
        reconciler.relist()
    now_s[0] += 2 * STALE_S
    assert not reconciler.run_cycle()
    assert reconciler.healthy()[0]
    now_s[0] += 2 * STALE_S  # and no cycle ended, well or not
    assert not reconciler.healthy()[0]


def test_a_check_of_a_service_is_looked_up_before_it_is_planned() -> None:
    server, cache, reconciler = cluster()
    spec = {"service": {"namespace": "web", "name": "nginx"}}
    metadata = {"name": "c", "generation": 1}
    kind = {"apiVersion": "kube-vrrp.io/v1alpha1", "kind": "HealthCheck"}
    labels = {"kubernetes.io/service-name": "nginx"}
    server.add(
        healthchecks=[{**kind, "metadata": metadata, "spec": spec}],
        virtualips=[virtual_ip("a", healthChecks=[{"name": "c"}])],
        slices=[
            {
                "metadata": {"name": "s", "namespace": "web", "labels": labels},
                "endpoints": [{"nodeName": "node-2", "addresses": ["10.0.0.1"]}],
            }
        ],
    )
    assert reconciler.run_cycle()
    ready = {}
    for name in ("node-1", "node-2"):
        config = cache.get("nodeconfigs", name)
        assert config is not None
        ready[name] = config["spec"]["healthChecks"][0]["service"]["readyEndpoints"]
    assert ready == {"node-1": 0, "node-2": 1}
