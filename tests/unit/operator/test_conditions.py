"""What goes wrong with a VirtualIP, as conditions; and what Accepted says beside yes or no."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.operator.cluster import nodes, report, router_status, snapshot, virtual_ip

from vrrp_api.node_status import Conflict, ForeignRouter, RouterStatus, Transition
from vrrp_operator.model.snapshot import Node, NodeReport
from vrrp_operator.plan.planner import plan
from vrrp_operator.report.status import virtual_ip_status

NOW = "2026-03-01T00:00:00Z"


def folded(
    *routers: RouterStatus | None,
    of_nodes: list[Node] | None = None,
    stale: tuple[str, ...] = (),
    obj: dict[str, Any] | None = None,
    now: str = NOW,
    at: str = "",
) -> dict[str, Any]:
    """Return the status of VirtualIP a, whose nodes node-1 … report these routers.

    ``at``: their heartbeats' time, by their own clocks; as a rule ``now``.
    """
    reports: dict[str, NodeReport] = {
        f"node-{n}": report(None, router, fresh=f"node-{n}" not in stale, at=at or now)
        for n, router in enumerate(routers, start=1)
        if router is not None
    }
    present = nodes(len(routers)) if of_nodes is None else of_nodes
    cluster = snapshot([obj or virtual_ip("a", vrid=1)], present, reports=reports)
    return virtual_ip_status(cluster.virtual_ips[0], cluster, plan(cluster), now)


def condition(status: dict[str, Any], kind: str) -> tuple[str, str]:
    found = next(c for c in status["conditions"] if c["type"] == kind)
    return found["status"], found["reason"]


def message(status: dict[str, Any], kind: str) -> str:
    return next(str(c["message"]) for c in status["conditions"] if c["type"] == kind)


def says(state: str, **fields: Any) -> RouterStatus:
    return router_status("a", state, **fields)


# Programmed ---------------------------------------------------------------------------


def test_a_backup_that_reports_no_more_is_named_where_all_is_programmed() -> None:
    obj, of_nodes = virtual_ip("a", vrid=1), nodes(2)
    configs = plan(snapshot([obj], of_nodes)).configs
    says_now = {"node-1": says("Active"), "node-2": says("Backup")}

    def told(*stale: str) -> dict[str, Any]:
        reports = {n: report(configs[n], says_now[n], fresh=n not in stale) for n in configs}
        cluster = snapshot([obj], of_nodes, reports=reports)
        return virtual_ip_status(cluster.virtual_ips[0], cluster, plan(cluster), NOW)

    assert "reporting no more" not in message(told(), "Programmed")
    assert condition(told("node-2"), "Programmed") == ("True", "Programmed")
    assert message(told("node-2"), "Programmed").endswith("; reporting no more: node-2")


# NoStandby and SplitBrain -------------------------------------------------------------


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["Active", "Backup", "Fault"], ("False", "AsExpected")),
        (["Active", "Fault", "Initialize"], ("True", "NoStandby")),
        (["Fault", "Fault"], ("True", "NoStandby")),
        (["Active", None], ("True", "NoStandby")),
        (["Active"], ("False", "AsExpected")),
        (["Fault"], ("False", "AsExpected")),
        ([None, None], ("Unknown", "Pending")),
    ],
)
def test_no_standby_means_several_candidates_and_none_in_backup(
    states: list[str | None], expected: tuple[str, str]
) -> None:
    status = folded(*(None if state is None else says(state) for state in states))
    assert condition(status, "NoStandby") == expected


def test_no_standby_tells_what_each_candidate_is_instead() -> None:
    status = folded(says("Active"), says("Fault"), None, says("Backup"), stale=("node-4",))
    told = message(status, "NoStandby").partition(": ")[2].split(", ")
    assert set(told) == {
        "node-1 Active",
        "node-2 Fault",
        "node-3 without a report",
        "node-4 Unknown",
    }


def test_what_goes_on_of_a_refused_virtual_ip_has_its_standbys() -> None:
    refused = virtual_ip("a", "192.0.2.11", vrid=1)
    assert condition(folded(says("Active"), says("Backup"), obj=refused), "NoStandby") == (
        "False",
        "AsExpected",
    )
    assert condition(folded(says("Active"), says("Fault"), obj=refused), "NoStandby") == (
        "True",
        "NoStandby",
    )


def test_split_brain_names_the_nodes() -> None:
    status = folded(says("Active"), says("Active"), says("Backup"))
    assert condition(status, "SplitBrain") == ("True", "SplitBrain")
    assert message(status, "SplitBrain") == "node-1, node-2 are Active at once"
    assert condition(status, "Ready") == ("False", "SplitBrain")


@pytest.mark.parametrize("states", [["Active", "Backup"], ["Backup", "Backup"]])
def test_at_most_one_active_node_is_no_split_brain(states: list[str]) -> None:
    assert condition(folded(*map(says, states)), "SplitBrain") == ("False", "AsExpected")


def test_an_active_node_that_reports_no_more_is_no_split_brain() -> None:
    status = folded(says("Active"), says("Active"), stale=("node-1",))
    assert condition(status, "SplitBrain") == ("False", "AsExpected")


# Flapping -----------------------------------------------------------------------------


def takeover(time: str) -> Transition:
    return Transition(time, "Backup", "Active", "ActiveDownTimerExpired")


def after(takeovers: list[str], now: str) -> dict[str, Any]:
    """Return the status after takeovers at these times, each folded by itself."""
    status: dict[str, Any] = {}
    for count, time in enumerate(takeovers):
        states = [says("Active", last=takeover(time)), says("Backup")]
        obj = virtual_ip("a", vrid=1, status=status)
        status = folded(*(states if count % 2 else reversed(states)), obj=obj, now=now)
    return status


def minute(count: int) -> str:
    return f"2026-02-28T23:{count:02}:00.000000Z"


def test_six_takeovers_within_five_minutes_are_flapping() -> None:
    quick = [f"2026-02-28T23:59:{second:02}.000000Z" for second in range(10, 16)]
    assert condition(after(quick[:5], NOW), "Flapping") == ("False", "AsExpected")
    status = after(quick, NOW)
    assert condition(status, "Flapping") == ("True", "Flapping")
    assert message(status, "Flapping") == (
        "more than 5 takeovers within 5 minutes, the last by node-1 (ActiveDownTimerExpired)"
    )


def test_six_takeovers_over_a_longer_time_are_not() -> None:
    slow = [minute(count) for count in range(54, 60)]
    assert condition(after(slow, NOW), "Flapping") == ("False", "AsExpected")


def test_flapping_stays_while_what_is_kept_is_recent_and_then_goes() -> None:
    quick = [f"2026-02-28T23:59:{second:02}.000000Z" for second in range(10, 16)]
    status = after(quick, NOW)
    quiet = [says("Backup"), says("Active", last=takeover(quick[-1]))]

    def later(now: str) -> dict[str, Any]:
        return folded(*reversed(quiet), obj=virtual_ip("a", vrid=1, status=status), now=now)

    assert later("2026-03-01T00:04:10Z") == status  # nothing is written while it lasts
    assert condition(later("2026-03-01T00:04:11Z"), "Flapping") == ("False", "AsExpected")


@pytest.mark.parametrize("time", ["", "yesterday", "2026-02-28T23:59:59"])
def test_a_time_that_is_none_counts_for_nothing(time: str) -> None:
    entries = [{"time": time, "from": "", "to": "node-1", "reason": ""} for _ in range(6)]
    obj = virtual_ip("a", vrid=1, status={"history": entries})
    assert condition(folded(says("Active"), obj=obj), "Flapping") == ("False", "AsExpected")


# AddressConflict ----------------------------------------------------------------------

MAC = "02:00:5e:00:53:64"


def sighted(time: str, *faults: str) -> RouterStatus:
    seen = Conflict("192.0.2.50", MAC, time)
    return replace(says("Fault" if faults else "Active", faults=faults), conflict=seen)


def test_stranger_seen_within_a_minute_is_told_with_its_mac() -> None:
    status = folded(says("Backup"), sighted("2026-02-28T23:59:00.100000Z"))
    assert condition(status, "AddressConflict") == ("True", "AddressConflict")
    assert message(status, "AddressConflict") == f"node-2: 192.0.2.50 at {MAC}"


def test_stranger_that_was_not_seen_for_a_minute_is_forgotten() -> None:
    status = folded(sighted("2026-02-28T23:59:00.000000Z"))
    assert condition(status, "AddressConflict") == ("False", "AsExpected")


def test_how_long_ago_a_node_saw_something_is_told_by_its_own_clock() -> None:
    seen = sighted("2026-01-01T00:00:00Z")
    told = folded(seen, now=NOW, at="2026-01-01T00:00:59Z")
    assert condition(told, "AddressConflict") == ("True", "AddressConflict")
    forgotten = folded(sighted(NOW), now=NOW, at="2026-03-01T00:02:00Z")
    assert condition(forgotten, "AddressConflict") == ("False", "AsExpected")


def test_address_that_is_not_bound_for_a_stranger_is_told_as_long_as_that_lasts() -> None:
    fault = f"AddressConflict: 192.0.2.50 at {MAC}"
    status = folded(sighted("2026-01-01T00:00:00.000000Z", fault))
    assert condition(status, "AddressConflict") == ("True", "AddressConflict")
    assert message(status, "AddressConflict") == f"node-1: 192.0.2.50 at {MAC}, not bound"
    assert condition(status, "Programmed") == ("False", "AddressConflict")


def test_node_that_reports_no_more_is_not_believed() -> None:
    status = folded(sighted("2026-02-28T23:59:59.000000Z"), stale=("node-1",))
    assert condition(status, "AddressConflict") == ("False", "AsExpected")


# ForeignVRRP --------------------------------------------------------------------------


def heard(time: str, source: str = "192.0.2.99", priority: int = 150) -> RouterStatus:
    return replace(says("Backup"), foreign=ForeignRouter(source, priority, time))


def test_foreign_router_is_told_with_nodes_source_vrid_priority_and_remedy() -> None:
    recent = "2026-02-28T23:59:00.100000Z"
    status = folded(heard(recent), heard(recent, "192.0.2.98", 20), heard(recent))
    assert condition(status, "ForeignVRRP") == ("True", "ForeignVRRP")
    assert message(status, "ForeignVRRP") == (
        "virtual router ID 1 used by others, node-1, node-3: 192.0.2.99 with priority 150;"
        " node-2: 192.0.2.98 with priority 20; give that router another ID, or make this VirtualIP"
        " anew with another virtualRouterID, or let that router take part (transport.externalPeers)"
    )


def test_remedy_names_no_external_peers_where_there_are_none() -> None:
    obj = virtual_ip("a", vrid=1, transport={"mode": "Multicast"})
    status = folded(heard("2026-02-28T23:59:59.000000Z"), obj=obj)
    assert "(same version, authentication and interval)" in message(status, "ForeignVRRP")


def test_foreign_router_that_was_not_heard_for_a_minute_is_forgotten() -> None:
    status = folded(heard("2026-02-28T23:59:00.000000Z"), says("Active"))
    assert condition(status, "ForeignVRRP") == ("False", "AsExpected")


def test_foreign_router_of_a_node_that_reports_no_more_is_not_believed() -> None:
    status = folded(heard("2026-02-28T23:59:59.000000Z"), stale=("node-1",))
    assert condition(status, "ForeignVRRP") == ("False", "AsExpected")


def test_a_node_that_runs_another_election_with_the_number_is_no_foreign_router() -> None:
    """It sends to a node that left that election and came to this one."""
    other = virtual_ip("b", "192.0.2.51", vrid=1, nodeSelector={"matchLabels": {"rack": "b"}})
    apart = [*nodes(1), replace(nodes(2)[-1], labels={"rack": "b"})]
    mine = virtual_ip("a", vrid=1, nodeSelector={"matchExpressions": [NOT_B]})
    for source, told in (("192.0.2.12", "False"), ("192.0.2.99", "True")):
        said = replace(says("Active"), foreign=ForeignRouter(source, 100, NOW))
        reports = {"node-1": report(None, said, at=NOW)}
        cluster = snapshot([mine, other], apart, reports=reports)
        found = plan(cluster)
        assert found.vrids == {"a": 1, "b": 1}
        status = virtual_ip_status(cluster.virtual_ips[0], cluster, found, NOW)
        assert condition(status, "ForeignVRRP")[0] == told


# Accepted -----------------------------------------------------------------------------


NOT_B = {"key": "rack", "operator": "NotIn", "values": ["b"]}


def test_nodes_that_are_missed_for_the_sake_of_the_number_are_named() -> None:
    other = virtual_ip("b", "192.0.2.51", vrid=1, nodeSelector={"matchLabels": {"rack": "b"}})
    racks = [replace(node, labels={"rack": "b"}) for node in nodes(5)]
    of_nodes = [*racks, replace(nodes(6)[-1], labels={"rack": "a"})]
    mine = virtual_ip("a", virtualRouterID=1, created="2026-01-02T00:00:00Z")
    cluster = snapshot([mine, other], of_nodes)
    status = virtual_ip_status(cluster.virtual_ips[0], cluster, plan(cluster), NOW)
    assert message(status, "Accepted") == (
        "valid; virtual router ID 1; no candidates, as another VirtualIP has its virtual router ID"
        " there: node-1 (b), node-2 (b), node-3 (b) and 2 more"
    )


def test_nodes_that_nobody_misses_are_not_named() -> None:
    other = virtual_ip("b", "192.0.2.51", vrid=1, nodeSelector={"matchLabels": {"rack": "b"}})
    of_nodes = [*nodes(1), replace(nodes(2)[-1], labels={"rack": "b"})]
    mine = virtual_ip("a", virtualRouterID=1, candidates=1, created="2026-01-02T00:00:00Z")
    cluster = snapshot([mine, other], of_nodes)
    status = virtual_ip_status(cluster.virtual_ips[0], cluster, plan(cluster), NOW)
    assert message(status, "Accepted") == "valid; virtual router ID 1"


def annotated(node: str) -> dict[str, Any]:
    obj = virtual_ip("a", vrid=1)
    obj["metadata"]["annotations"] = {"kube-vrrp.io/handover-to": node}
    return obj


def test_handover_to_a_node_that_is_no_candidate_is_told() -> None:
    status = folded(says("Active"), says("Backup"), obj=annotated("node-9"))
    assert condition(status, "Accepted") == ("True", "Accepted")
    assert message(status, "Accepted") == "valid; virtual router ID 1"
    assert condition(status, "HandoverIgnored") == ("True", "NotACandidate")
    assert message(status, "HandoverIgnored") == (
        'annotation kube-vrrp.io/handover-to: "node-9" is no node of the cluster'
        " (accepted: node-1, node-2)"
    )


def test_handover_to_a_node_that_takes_no_part_is_told() -> None:
    chosen = virtual_ip("a", vrid=1, nodeSelector={"matchLabels": {"role": "edge"}})
    chosen["metadata"]["annotations"] = {"kube-vrrp.io/handover-to": "node-1"}
    status = folded(None, says("Active"), obj=chosen)
    assert message(status, "HandoverIgnored") == (
        'annotation kube-vrrp.io/handover-to: "node-1" is not a candidate'
        " (accepted: none, as there is no candidate)"
    )


def test_handover_of_a_refused_virtual_ip_has_to_wait() -> None:
    refused = {**annotated("node-2"), "spec": {"addresses": [{"address": "192.0.2.11"}]}}
    status = folded(says("Active"), says("Backup"), obj=refused)
    assert condition(status, "HandoverIgnored") == ("True", "NotACandidate")
    assert "has to wait: the VirtualIP is not accepted" in message(status, "HandoverIgnored")


def test_handover_to_a_candidate_is_not_remarked_upon() -> None:
    status = folded(says("Active"), says("Backup"), obj=annotated("node-2"))
    assert message(status, "Accepted") == "valid; virtual router ID 1"
    assert condition(status, "HandoverIgnored") == ("False", "AsExpected")


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("kube-vrrp.io/handoverto", True),
        ("kube-vrrp.io/handover_to", True),
        ("kube-vrrp.io/maintenance", True),
        ("vrrp.io/handover-to", True),
        ("handover-to", True),
        ("Handover-To", True),
        ("kubectl.kubernetes.io/last-applied-configuration", False),
        ("example.com/handover", False),
    ],
)
def test_an_annotation_that_must_be_meant_for_us_is_told(key: str, meant: bool) -> None:
    obj = virtual_ip("a", vrid=1)
    obj["metadata"]["annotations"] = {key: "node-2"}
    status = folded(says("Active"), says("Backup"), obj=obj)
    expected = ("True", "UnknownAnnotation") if meant else ("False", "AsExpected")
    assert condition(status, "HandoverIgnored") == expected
    if meant:
        assert message(status, "HandoverIgnored") == (
            f'annotation "{key}" is not known (accepted: kube-vrrp.io/handover-to: NODE)'
        )


# Room ---------------------------------------------------------------------------------


def test_messages_of_many_nodes_end_as_they_are_meant_to() -> None:
    """What is to be done stands last, and is what must not be cut."""
    long = [replace(n, name=f"{n.name}-{'x' * 200}") for n in nodes(38)]
    foreign = ForeignRouter("192.0.2.9", 77, NOW)
    conflict = Conflict("192.0.2.50", "02:00:00:00:00:09", NOW)
    router = says("Active", faults=("AddressConflict: 192.0.2.50 at 02:00:00:00:00:09",))
    router = replace(router, foreign=foreign, conflict=conflict)
    reports = {node.name: report(None, router, at=NOW) for node in long}
    obj = virtual_ip("a", vrid=1, candidates=40)
    obj["metadata"]["annotations"] = {"kube-vrrp.io/handover-to": "y" * 5000}
    cluster = snapshot([obj], long, reports=reports)
    status = virtual_ip_status(cluster.virtual_ips[0], cluster, plan(cluster), NOW)
    told = {c["type"]: c["message"] for c in status["conditions"]}
    assert all(len(text) <= 1024 for text in told.values())
    assert not [text for text in told.values() if text.endswith("…")]
    assert told["SplitBrain"].endswith(" more are Active at once")
    assert told["ForeignVRRP"].endswith("let that router take part (transport.externalPeers)")
    assert "more: 192.0.2.9 with priority 77; give that router" in told["ForeignVRRP"]
    assert told["AddressConflict"].endswith(" and 36 more")
    assert told["HandoverIgnored"].endswith(" and 36 more)")


def test_node_that_stays_although_out_of_service_is_named() -> None:
    apart = [replace(node, out_of_service=True) for node in nodes(2)]
    assert message(folded(says("Active"), says("Backup"), of_nodes=apart), "Accepted") == (
        "valid; virtual router ID 1;"
        " node-1, node-2 kept although out of service: no other can take part"
    )
    one = [apart[0], nodes(2)[1]]
    assert "out of service" not in message(folded(None, says("Active"), of_nodes=one), "Accepted")
