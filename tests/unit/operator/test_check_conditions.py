"""The conditions of HealthChecks, and what VirtualIPs say of theirs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.unit.operator.cluster import nodes, router_status, snapshot, tcp_check, virtual_ip

from vrrp_api.conditions import CheckConditionType
from vrrp_api.node_status import CheckStatus, NodeConfigStatus
from vrrp_operator.model.snapshot import ClusterSnapshot, NodeReport, Panic
from vrrp_operator.plan.planner import plan
from vrrp_operator.report.status import health_check_status, virtual_ip_status

NOW = "2026-01-01T00:00:00Z"


def reports(**messages: str) -> dict[str, NodeReport]:
    """Return what nodes say of the check "web": a message where it fails, "" where it passes."""
    found = {}
    for name, message in messages.items():
        result = CheckStatus("web", not message, NOW, message)
        status = NodeConfigStatus(1, NOW, "0", 0, "API", (), (result,))
        found[name.replace("_", "-")] = NodeReport(None, status, fresh=True)
    return found


def conditions(cluster: ClusterSnapshot) -> dict[str, tuple[str, str, str]]:
    status = health_check_status(cluster.health_checks[0], cluster, NOW)
    found = {c["type"]: (c["status"], c["reason"], c["message"]) for c in status["conditions"]}
    assert set(found) == set(CheckConditionType)
    return found


def used(*names: str) -> list[dict[str, Any]]:
    return [
        virtual_ip(name, f"192.0.2.{50 + n}", healthChecks=[{"name": "web"}])
        for n, name in enumerate(names)
    ]


def test_a_check_says_who_uses_it_and_that_it_passes() -> None:
    found = conditions(snapshot(used("b", "a"), nodes(1), [tcp_check("web")], reports(node_1="")))
    assert found["Accepted"] == ("True", "Accepted", "valid; used by VirtualIP a, b")
    assert found["Passing"] == ("True", "Passing", "passes on 1 nodes")
    assert found["Panic"] == ("False", "AsExpected", "no VirtualIP ignores the check")


def test_a_check_that_nobody_names_is_run_by_nobody() -> None:
    found = conditions(snapshot([], nodes(1), [tcp_check("web")]))
    assert found["Accepted"] == ("True", "Accepted", "valid; no VirtualIP names it")
    assert found["Passing"][:2] == ("Unknown", "NotUsed")


def test_a_check_without_a_result_is_pending() -> None:
    found = conditions(snapshot(used("a"), nodes(1), [tcp_check("web")]))
    assert found["Passing"] == ("Unknown", "CheckPending", "no node has a result yet")


def test_what_nodes_say_of_a_failure_is_in_the_condition() -> None:
    said = reports(node_1="script x.sh is not there", node_2="")
    found = conditions(snapshot(used("a"), nodes(2), [tcp_check("web")], said))
    assert found["Passing"] == ("False", "CheckFailed", "node-1: script x.sh is not there")


def test_a_target_that_may_not_be_asked_has_a_reason_of_its_own() -> None:
    refusal = "TargetNotAllowed: 203.0.113.9 is not among --check-targets (accepted: Node)"
    said = reports(node_1=refusal, node_2="timed out")
    found = conditions(snapshot(used("a"), nodes(2), [tcp_check("web")], said))["Passing"]
    assert found == ("False", "TargetNotAllowed", f"node-1: {refusal}; node-2: timed out")


def test_a_check_that_runs_too_seldom_says_so_while_it_passes() -> None:
    slow = CheckStatus("web", True, NOW, "CheckSlowed: runs every 1s instead of 50ms")
    said = reports(node_1="", node_2="")
    status = NodeConfigStatus(1, NOW, "0", 0, "API", (), (slow,))
    said["node-2"] = NodeReport(None, status, fresh=True)
    found = conditions(snapshot(used("a"), nodes(2), [tcp_check("web")], said))["Passing"]
    told = "passes on 2 nodes; node-2: CheckSlowed: runs every 1s instead of 50ms"
    assert found == ("True", "CheckSlowed", told)


def test_a_failure_everywhere_tells_of_a_few_nodes() -> None:
    said = reports(**{f"node_{n}": "refused" for n in range(1, 9)})
    message = conditions(snapshot(used("a"), nodes(8), [tcp_check("web")], said))["Passing"][2]
    assert message.count("refused") == 5
    assert message.endswith(" and 3 more")


def test_an_invalid_check_names_the_field() -> None:
    found = conditions(snapshot([], [], [tcp_check("web", weight=-255)]))
    assert found["Accepted"][:2] == ("False", "InvalidSpec")
    assert "spec.weight: -255 must be an integer from -254 to 254" in found["Accepted"][2]


def test_a_service_that_does_not_exist_has_a_reason_of_its_own() -> None:
    service = {**tcp_check("web"), "spec": {"service": {"namespace": "shop", "name": "nginx"}}}
    cluster = snapshot(used("a"), nodes(1), [service], reports(node_1="Service shop/nginx does …"))
    missing = conditions(replace(cluster, services={"shop/nginx": None}))["Passing"]
    assert missing[:2] == ("False", "ServiceNotFound")
    assert missing[2].startswith("Service shop/nginx does not exist")
    unknown = conditions(replace(cluster, services={}))["Passing"]
    assert unknown[:2] == ("Unknown", "EndpointsUnknown")
    there = conditions(replace(cluster, services={"shop/nginx": {}}))["Passing"]
    assert there[1] == "CheckFailed"


def test_a_check_that_is_ignored_says_for_whom_and_why_and_so_does_the_virtual_ip() -> None:
    panic = Panic(("node-1", "node-2"), 2, 100, frozenset({"node-1"}))
    cluster = snapshot(used("a", "b"), nodes(2), [tcp_check("web")])
    cluster = replace(cluster, panics={("a", "web"): panic})
    why = "ignored, for 2 of 2 candidates fail (node-1, node-2; panicThreshold 100%)"
    assert conditions(cluster)["Panic"] == (
        "True",
        "PanicThresholdReached",
        f"VirtualIP a: {why}",
    )
    found = {}
    for record in cluster.virtual_ips:
        status = virtual_ip_status(record, cluster, plan(cluster), NOW)
        (found[record.name],) = [c for c in status["conditions"] if c["type"] == "ChecksIgnored"]
    assert (found["a"]["status"], found["a"]["reason"]) == ("True", "PanicThresholdReached")
    assert found["a"]["message"] == f"HealthCheck web: {why}"
    assert (found["b"]["status"], found["b"]["reason"]) == ("False", "AsExpected")


def test_a_panic_that_is_about_to_end_says_so() -> None:
    cluster = snapshot(used("a"), nodes(2), [tcp_check("web")])
    cluster = replace(cluster, panics={("a", "web"): Panic(("node-1",), 2, 100, frozenset())})
    assert "ignored a moment longer, although only 1 of 2" in conditions(cluster)["Panic"][2]


def asking_with_a_value() -> dict[str, Any]:
    header = {"name": "Authorization", "valueName": "token"}
    return {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "HealthCheck",
        "metadata": {"name": "web", "generation": 1},
        "spec": {"http": {"url": "http://127.0.0.1/", "headers": [header]}},
    }


def test_a_node_whose_speaker_does_not_know_a_check_goes_without_and_is_named() -> None:
    asked = plan(snapshot(used("a"), nodes(2), [asking_with_a_value()])).configs
    status = NodeConfigStatus(1, NOW, "0", 0, "API", (router_status("a", "Backup"),), ())
    newer = replace(status, features=("HeaderValues",))
    found = {
        "node-1": NodeReport(asked["node-1"], status, fresh=True),
        "node-2": NodeReport(asked["node-2"], newer, fresh=True),
    }
    cluster = snapshot(used("a"), nodes(2), [asking_with_a_value()], found)
    assert conditions(cluster)["Passing"] == (
        "Unknown",
        "NotUnderstood",
        "node-1 goes without: its speaker does not know HeaderValues; upgrade it",
    )
    configs = plan(cluster).configs
    assert [check.name for check in configs["node-2"].health_checks] == ["web"]
    assert configs["node-1"].health_checks == ()
    assert [router.health_checks for router in configs["node-1"].virtual_routers] == [()]
