"""What counts as news, how old a heartbeat is, and who is gone."""

from __future__ import annotations

from typing import Any

from vrrp_operator.api.cache import FRESH_S, GONE_S, ObjectCache
from vrrp_operator.model.snapshot import ClusterSnapshot


def node_config(name: str, heartbeat: str, version: int, **status: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "NodeConfig",
        "metadata": {"name": name, "generation": 1, "resourceVersion": str(version)},
        "spec": {"node": name, "addresses": [], "virtualRouters": [], "healthChecks": []},
        "status": {"heartbeatTime": heartbeat, **status},
    }


def node(name: str, version: int = 1, **conditions: Any) -> dict[str, Any]:
    ready = {"type": "Ready", "status": "True", **conditions}
    return {
        "metadata": {"name": name, "resourceVersion": str(version)},
        "status": {"conditions": [ready]},
    }


def put(cache: ObjectCache, obj: dict[str, Any], now_s: float) -> bool:
    return cache.put("nodeconfigs", obj, deleted=False, now_s=now_s)


def gone(snapshot: ClusterSnapshot) -> set[str]:
    return {n.name for n in snapshot.nodes if n.gone}


def test_a_heartbeat_alone_is_no_news() -> None:
    cache = ObjectCache()
    assert put(cache, node_config("a", "1", 1), 0)
    assert not put(cache, node_config("a", "2", 2), 10)
    assert put(cache, node_config("a", "3", 3, observedGeneration=1), 20)


def test_of_a_nodes_annotations_and_taints_only_ours_are_news() -> None:
    cache = ObjectCache()

    def put_node(version: int, annotations: dict[str, str], *taints: str) -> bool:
        obj = node("a", version)
        obj["metadata"]["annotations"] = annotations
        obj["spec"] = {"taints": [{"key": key, "effect": "NoExecute"} for key in taints]}
        return cache.put("nodes", obj, deleted=False, now_s=0)

    assert put_node(1, {})
    assert not put_node(2, {"other": "x"}, "node.kubernetes.io/unschedulable")
    assert put_node(3, {"kube-vrrp.io/maintenance": "true"})
    (seen,) = cache.snapshot(0).nodes
    assert seen.out_of_service
    assert put_node(4, {})
    assert put_node(5, {}, "node.kubernetes.io/out-of-service")
    # The same for another reason: nothing to decide.
    assert not put_node(6, {}, "node.cloudprovider.kubernetes.io/shutdown")
    assert put_node(7, {"kube-vrrp.io/maintenance": "true"})


def test_a_hand_over_that_is_asked_for_is_news() -> None:
    cache = ObjectCache()

    def put_vip(version: int, annotations: dict[str, str]) -> bool:
        metadata = {"name": "a", "resourceVersion": str(version), "annotations": annotations}
        return cache.put("virtualips", {"metadata": metadata}, deleted=False, now_s=0)

    assert put_vip(1, {})
    assert not put_vip(2, {"other": "x"})
    assert put_vip(3, {"kube-vrrp.io/handover-to": "node-1"})
    assert put_vip(4, {"kube-vrrp.io/handover-to": "node-2"})
    assert put_vip(5, {"kube-vrrp.io/handoverto": "node-2"})  # misspelt: it is told
    assert put_vip(5, {})


def test_an_older_version_does_not_replace_a_newer_one() -> None:
    cache = ObjectCache()
    put(cache, node_config("a", "1", 9, observedGeneration=5), 0)
    assert not put(cache, node_config("a", "0", 3, observedGeneration=4), 1)
    kept = cache.get("nodeconfigs", "a")
    assert kept is not None
    assert kept["status"]["observedGeneration"] == 5


def test_deletion_is_news_once() -> None:
    cache = ObjectCache()
    obj = node_config("a", "1", 1)
    put(cache, obj, 0)
    assert cache.put("nodeconfigs", obj, deleted=True, now_s=1)
    assert not cache.put("nodeconfigs", obj, deleted=True, now_s=2)


def test_freshness_is_measured_from_the_moment_a_heartbeat_moved() -> None:
    cache = ObjectCache()
    put(cache, node_config("a", "1", 1), 100)
    put(cache, node_config("a", "1", 2, observedGeneration=1), 120)
    assert cache.snapshot(100 + FRESH_S - 1).reports["a"].fresh
    assert not cache.snapshot(100 + FRESH_S + 1).reports["a"].fresh


def heartbeats(cache: ObjectCache, name: str, since_s: int, until_s: int) -> None:
    for now_s in range(since_s, until_s, 10):
        put(cache, node_config(name, str(now_s), now_s + 1), now_s)


def test_a_node_silent_for_long_is_gone() -> None:
    cache = ObjectCache()
    for name in ("a", "b"):
        cache.put("nodes", node(name), deleted=False, now_s=0)
        put(cache, node_config(name, "0", 1), 1)
    heartbeats(cache, "a", 10, 400)
    assert gone(cache.snapshot(GONE_S - 10)) == set()
    assert gone(cache.snapshot(GONE_S + 10)) == {"b"}


def test_an_operator_that_was_blind_declares_nobody_gone() -> None:
    cache = ObjectCache()
    for name in ("a", "b"):
        cache.put("nodes", node(name), deleted=False, now_s=0)
        put(cache, node_config(name, "0", 1), 1)
    # The API server was away: a's heartbeat came back first, b's is on its way.
    put(cache, node_config("a", "later", 2), 1000)
    assert gone(cache.snapshot(1001)) == set()


def test_a_node_that_is_not_ready_is_not_gone_for_that() -> None:
    """A kubelet may be cut off, or stopped, beside a speaker that is well."""
    cache = ObjectCache()
    away = node("a", status="Unknown", lastTransitionTime="2026-02-28T23:50:00Z")
    cache.put("nodes", away, deleted=False, now_s=0)
    put(cache, node_config("a", "0", 1), 0)
    put(cache, node_config("a", "later", 2), GONE_S + 5)
    assert gone(cache.snapshot(GONE_S + 10)) == set()


def active(name: str, heartbeat: str, version: int) -> dict[str, Any]:
    router = {"name": "vip", "state": "Active", "since": "2026-01-01T00:00:00Z"}
    return node_config(name, heartbeat, version, virtualRouters=[router])


def test_first_sight_of_an_active_router_is_remembered_over_heartbeats() -> None:
    cache = ObjectCache()
    put(cache, active("a", "1", 1), 10)
    put(cache, active("a", "2", 2), 20)
    report = cache.snapshot(21).reports["a"]
    assert (report.active_seen_s, report.heard_s) == ({"vip": 10}, 20)


def test_heartbeat_is_news_while_two_nodes_say_they_are_active() -> None:
    cache = ObjectCache()
    put(cache, active("a", "1", 1), 10)
    assert not put(cache, active("a", "2", 2), 20)
    put(cache, active("b", "1", 3), 21)
    assert put(cache, active("a", "3", 4), 30)


# Outages ---------------------------------------------------------------------------------


def fresh(cache: ObjectCache, now_s: float) -> set[str]:
    reports = cache.snapshot(now_s).reports
    return {name for name, report in reports.items() if report.fresh}


def test_time_in_which_nothing_could_be_seen_makes_nobody_stale() -> None:
    cache = ObjectCache()
    put(cache, node_config("dead", "1", 1), 0)
    put(cache, node_config("a", "1", 2), 100)
    cache.lost_sight(135)  # noticed by the first write that failed
    cache.lost_sight(4000)
    assert fresh(cache, 5000) == {"a"}
    cache.regained_sight(5000)
    assert fresh(cache, 5000 + FRESH_S - 1) == {"a"}
    assert fresh(cache, 5000 + FRESH_S + 1) == set()


def test_who_reports_during_an_outage_of_others_is_not_credited_twice() -> None:
    cache = ObjectCache()
    put(cache, node_config("a", "1", 1), 100)
    cache.lost_sight(130)
    put(cache, node_config("a", "2", 2), 400)  # a watch came back before the list did
    cache.regained_sight(410)
    assert fresh(cache, 400 + FRESH_S + 9) == {"a"}
    assert fresh(cache, 400 + FRESH_S + 11) == set()


def test_an_error_does_not_revive_who_was_stale_long_before() -> None:
    cache = ObjectCache()
    put(cache, node_config("a", "1", 1), 0)
    cache.lost_sight(1000)
    cache.regained_sight(1001)
    assert fresh(cache, 1001) == set()


def test_heartbeat_of_a_node_that_was_taken_for_dead_is_news() -> None:
    cache = ObjectCache()
    put(cache, node_config("a", "1", 1), 0)
    assert not put(cache, node_config("a", "2", 2), FRESH_S - 1)
    assert put(cache, node_config("a", "3", 3), 2 * FRESH_S)


def test_a_node_is_alive_once_its_heartbeat_moved() -> None:
    cache = ObjectCache()
    put(cache, node_config("a", "1", 1), 0)
    assert not cache.snapshot(1).reports["a"].alive
    put(cache, node_config("a", "1", 2, observedGeneration=1), 1)
    assert not cache.snapshot(1).reports["a"].alive
    put(cache, node_config("a", "2", 3), 2)
    assert cache.snapshot(2).reports["a"].alive


def test_a_nodes_conditions_are_news_and_their_heartbeats_are_not() -> None:
    cache = ObjectCache()

    def put_node(version: int, pressure: str, beat: str) -> bool:
        obj = node("a", version)
        condition = {"type": "DiskPressure", "status": pressure, "lastHeartbeatTime": beat}
        obj["status"]["conditions"].append(condition)
        return cache.put("nodes", obj, deleted=False, now_s=0)

    assert put_node(1, "False", "1")
    assert not put_node(2, "False", "2")
    assert put_node(3, "True", "3")
    (seen,) = cache.snapshot(0).nodes
    assert seen.conditions == {"Ready": "True", "DiskPressure": "True"}


def test_a_list_that_was_made_before_a_deletion_does_not_undo_it() -> None:
    cache = ObjectCache()
    put(cache, node_config("a", "1", 1), 0)
    put(cache, node_config("b", "1", 2), 0)
    cache.put("nodeconfigs", node_config("a", "1", 7), deleted=True, now_s=1)
    stale = [node_config("a", "1", 1), node_config("b", "1", 2)]
    cache.replace("nodeconfigs", stale, 2, version=5)
    assert cache.names("nodeconfigs") == ["b"]
    cache.replace("nodeconfigs", [node_config("a", "1", 9)], 3, version=9)
    assert cache.names("nodeconfigs") == ["a"]


def test_a_list_that_was_made_before_an_object_does_not_forget_it() -> None:
    cache = ObjectCache()
    put(cache, node_config("a", "1", 4), 0)
    put(cache, node_config("b", "1", 6), 0)
    cache.replace("nodeconfigs", [], 1, version=5)
    assert cache.names("nodeconfigs") == ["b"]


def test_an_object_that_was_made_again_is_there() -> None:
    cache = ObjectCache()
    cache.put("nodeconfigs", node_config("a", "1", 7), deleted=True, now_s=0)
    put(cache, node_config("a", "1", 8), 1)
    cache.replace("nodeconfigs", [node_config("a", "1", 5)], 2, version=6)
    assert cache.get("nodeconfigs", "a") == node_config("a", "1", 8)
