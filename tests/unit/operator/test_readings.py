"""Each object is read once: what did not change is the same value in the next snapshot."""

from __future__ import annotations

from typing import Any

from tests.unit.operator.cluster import tcp_check, virtual_ip

from vrrp_operator.api.cache import ObjectCache
from vrrp_operator.model.snapshot import ClusterSnapshot


def router(name: str, **changes: Any) -> dict[str, Any]:
    said = {"name": name, "state": "Backup", "since": "2026-01-01T00:00:00Z", "transitions": 1}
    return {**said, **changes}


def node_config(*routers: dict[str, Any], version: int = 1, heartbeat: str = "1") -> dict[str, Any]:
    return {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "NodeConfig",
        "metadata": {"name": "node-1", "generation": 1, "resourceVersion": str(version)},
        "spec": {"node": "node-1", "addresses": [], "virtualRouters": [], "healthChecks": []},
        "status": {"heartbeatTime": heartbeat, "virtualRouters": list(routers)},
    }


def cache_of(**objects: dict[str, Any]) -> ObjectCache:
    cache = ObjectCache()
    for kind, obj in objects.items():
        cache.put(kind, obj, deleted=False, now_s=0)
    return cache


def told(snapshot: ClusterSnapshot) -> list[Any]:
    status = snapshot.reports["node-1"].status
    assert status is not None
    return list(status.virtual_routers)


def test_an_object_that_stays_is_the_same_value() -> None:
    cache = cache_of(
        virtualips=virtual_ip("a"),
        healthchecks=tcp_check("c"),
        nodes={"metadata": {"name": "node-1"}},
        nodeconfigs=node_config(router("a")),
    )
    first, second = cache.snapshot(1), cache.snapshot(2)
    assert first.virtual_ips[0] is second.virtual_ips[0]
    assert first.health_checks[0] is second.health_checks[0]
    assert first.nodes[0] is second.nodes[0]
    assert first.reports["node-1"].config is second.reports["node-1"].config
    assert first.reports["node-1"].status is second.reports["node-1"].status


def test_a_list_of_what_is_known_changes_nothing() -> None:
    cache = ObjectCache()
    obj = virtual_ip("a")
    obj["metadata"]["resourceVersion"] = "5"
    cache.replace("virtualips", [obj], 0, 10)
    before = cache.snapshot(1).virtual_ips[0]
    cache.replace("virtualips", [{**obj, "metadata": dict(obj["metadata"])}], 0, 11)
    assert cache.snapshot(2).virtual_ips[0] is before
    anew = {**obj, "metadata": {**obj["metadata"], "uid": "made anew"}}
    cache.replace("virtualips", [anew], 0, 12)
    assert cache.snapshot(3).virtual_ips[0].uid == "made anew"


def test_a_status_that_changes_has_the_spec_not_read_again() -> None:
    cache = cache_of(virtualips=virtual_ip("a"))
    before = cache.snapshot(1).virtual_ips[0]
    cache.put("virtualips", virtual_ip("a", vrid=7), deleted=False, now_s=0)
    after = cache.snapshot(2).virtual_ips[0]
    assert after.spec is before.spec
    assert after.virtual_router_id == 7


def test_a_spec_that_changes_is_read() -> None:
    cache = cache_of(virtualips=virtual_ip("a"))
    cache.snapshot(1)
    cache.put("virtualips", virtual_ip("a", "192.0.2.60"), deleted=False, now_s=0)
    (record,) = cache.snapshot(2).virtual_ips
    assert record.spec is not None
    assert record.spec.addresses[0].address == "192.0.2.60"


def test_what_was_accepted_before_a_rule_is_read_by_it_once_edited() -> None:
    """The parser looks at the status, too: what it takes from a spec is not the spec's alone."""
    accepted = {"type": "Accepted", "status": "True", "observedGeneration": 1}
    lenient = virtual_ip("a", "192.0.2.50/0", status={"conditions": [accepted]})
    cache = cache_of(virtualips=lenient)
    assert cache.snapshot(1).virtual_ips[0].error is None
    cache.put("virtualips", {**lenient, "status": {}}, deleted=False, now_s=0)
    assert cache.snapshot(2).virtual_ips[0].error is not None


def test_of_a_nodes_routers_only_those_that_changed_are_read() -> None:
    cache = cache_of(nodeconfigs=node_config(router("a"), router("b")))
    a, b = told(cache.snapshot(1))
    obj = node_config(router("a"), router("b", state="Active"), version=2, heartbeat="2")
    cache.put("nodeconfigs", obj, deleted=False, now_s=1)
    first, second = told(cache.snapshot(2))
    assert first is a
    assert second is not b
    assert second.state == "Active"


def test_an_object_that_was_made_again_is_read() -> None:
    cache = cache_of(nodeconfigs=node_config(router("a")))
    cache.snapshot(1)
    cache.put("nodeconfigs", node_config(version=2), deleted=True, now_s=1)
    cache.snapshot(2)
    cache.put("nodeconfigs", node_config(router("b"), version=3), deleted=False, now_s=2)
    assert [router.name for router in told(cache.snapshot(3))] == ["b"]


def test_what_nobody_decides_from_is_not_kept() -> None:
    conditions = [{"type": "Ready", "status": "True"}]
    node = {
        "metadata": {"name": "node-1", "managedFields": [{"manager": "kubelet"}]},
        "status": {"images": [{"names": ["x"]}], "conditions": conditions},
    }
    kept = cache_of(nodes=node).get("nodes", "node-1")
    assert kept == {"metadata": {"name": "node-1"}, "status": {"conditions": conditions}}
