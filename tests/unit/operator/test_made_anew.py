"""NodeConfigs that somebody deleted, all of them too: nodes are asked for what they ran."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.unit.operator.cluster import virtual_ip
from tests.unit.operator.test_reconcile import FakeServer, node, start

from vrrp_operator.api.cache import ObjectCache
from vrrp_operator.reconcile import Reconciler

NODES = ("node-1", "node-2", "node-3")
FEATURES = {"features": ["ElectionKeys"]}


def running() -> tuple[FakeServer, ObjectCache, Reconciler]:
    """Return a cluster of three nodes that runs VirtualIP a and says so."""
    cache = ObjectCache()
    of_nodes = [node(name, f"192.0.2.1{place}") for place, name in enumerate(NODES)]
    server = FakeServer(
        cache,
        {
            "virtualips": [virtual_ip("a")],
            "nodes": of_nodes,
            "nodeconfigs": [told(cache, name, {}) for name in NODES],
        },
    )
    reconciler = start(server, cache, "cluster")
    for _ in range(3):
        assert reconciler.run_cycle()
        say(cache)
    return server, cache, reconciler


def told(cache: ObjectCache, name: str, spec: Mapping[str, Any], generation: int = 0) -> Any:
    """Return a NodeConfig with what its speaker says when it runs what it is asked."""
    routers = [
        {
            "name": router["name"],
            "state": "Active" if router["basePriority"] == 200 else "Backup",
            "since": "2026-01-01T00:00:00Z",
            "effectivePriority": router["basePriority"],
            "virtualIPGeneration": 1,
        }
        for router in spec.get("virtualRouters", ())
    ]
    status = {
        "heartbeatTime": "2026-01-01T00:00:00Z",
        "observedGeneration": generation,
        "speaker": FEATURES,
        "virtualRouters": routers,
    }
    kind = {"apiVersion": "kube-vrrp.io/v1alpha1", "kind": "NodeConfig"}
    empty = {"node": name, "addresses": [], "virtualRouters": [], "healthChecks": []}
    metadata = {"name": name, "generation": generation}
    return {**kind, "metadata": metadata, "spec": spec or empty, "status": status}


def say(cache: ObjectCache) -> None:
    """Let every speaker report."""
    for name in NODES:
        config = cache.get("nodeconfigs", name)
        if config is not None:
            generation = config["metadata"].get("generation", 0)
            anew = told(cache, name, config["spec"], generation)
            cache.put("nodeconfigs", anew, deleted=False, now_s=0.0)


def specs(cache: ObjectCache) -> dict[str, Any]:
    found = {name: cache.get("nodeconfigs", name) for name in NODES}
    return {name: config["spec"] for name, config in found.items() if config is not None}


def delete(cache: ObjectCache, *names: str) -> None:
    for name in names:
        config = cache.get("nodeconfigs", name)
        assert config is not None
        cache.put("nodeconfigs", config, deleted=True, now_s=0.0)


def test_deleted_one_by_one_under_an_operator_they_come_back_as_they_were() -> None:
    _, cache, reconciler = running()
    before = specs(cache)
    assert len(before["node-1"]["virtualRouters"]) == 1
    keys = [r["authentication"]["electionKey"] for r in before["node-1"]["virtualRouters"]]
    assert keys == ["Require"]
    delete(cache, "node-1")
    reconciler.run_cycle()
    delete(cache, "node-2", "node-3")
    reconciler.run_cycle()
    reconciler.run_cycle()  # nobody has reported yet
    assert specs(cache) == before
    vip = cache.get("virtualips", "a")
    assert vip is not None
    assert len(vip["status"]["nodes"]) == 3
    say(cache)
    assert reconciler.run_cycle()
    assert specs(cache) == before


def test_gone_while_no_operator_ran_they_come_back_as_they_were() -> None:
    server, cache, _ = running()
    before, vip = specs(cache), cache.get("virtualips", "a")
    assert vip is not None
    empty = ObjectCache()
    server._cache = empty
    server.add(virtualips=[dict(vip)], nodeconfigs=[])
    anew = start(server, empty, "cluster")
    assert anew.run_cycle()
    assert specs(empty) == before
    anew.run_cycle()  # nobody has reported yet
    assert specs(empty) == before
    say(empty)
    assert anew.run_cycle()
    assert specs(empty) == before


def test_restored_without_a_status_they_stay_as_they_are() -> None:
    server, cache, _ = running()
    before, vip = specs(cache), cache.get("virtualips", "a")
    assert vip is not None
    bare = [{**(cache.get("nodeconfigs", name) or {}), "status": {}} for name in NODES]
    empty = ObjectCache()
    server._cache = empty
    server.add(virtualips=[{**vip, "status": {}}], nodeconfigs=bare)
    anew = start(server, empty, "cluster")
    assert anew.run_cycle()
    assert specs(empty) == before


def test_node_that_left_has_none() -> None:
    _, cache, reconciler = running()
    delete(cache, "node-1")
    cache.put("nodes", node("node-1", "192.0.2.10"), deleted=True, now_s=0.0)
    reconciler.run_cycle()
    assert "node-1" not in specs(cache)


def test_node_that_reported_nothing_and_ran_nothing_is_asked_for_nothing() -> None:
    _, cache, reconciler = running()
    cache.put("nodes", node("node-4", "192.0.2.14"), deleted=False, now_s=0.0)
    reconciler.run_cycle()
    config = cache.get("nodeconfigs", "node-4")
    assert config is not None
    assert config["spec"]["virtualRouters"] == []
