"""From what nodes report to conditions and history."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.operator.cluster import (
    nodes,
    report,
    router_status,
    snapshot,
    tcp_check,
    virtual_ip,
)

from vrrp_api.conditions import ConditionType
from vrrp_api.node_status import CheckStatus, RouterStatus, Transition
from vrrp_operator.model.snapshot import ClusterSnapshot, Node, NodeReport
from vrrp_operator.plan.planner import plan
from vrrp_operator.report.status import health_check_status, virtual_ip_status

NOW = "2026-03-01T00:00:00Z"


def folded(
    *routers: tuple[RouterStatus, bool],
    status: dict[str, Any] | None = None,
    now: str = NOW,
    **spec: Any,
) -> dict[str, Any]:
    """Return the status of VirtualIP a, whose nodes report these routers."""
    obj = virtual_ip("a", vrid=1, status=status, **spec)
    of_nodes = nodes(max(1, len(routers)))
    configs = plan(snapshot([obj], of_nodes)).configs
    reports = {
        f"node-{n}": report(configs[f"node-{n}"], router, fresh=fresh)
        for n, (router, fresh) in enumerate(routers, start=1)
    }
    cluster = snapshot([obj], of_nodes, reports=reports)
    return status_of(cluster, now)


def status_of(cluster: ClusterSnapshot, now: str = NOW) -> dict[str, Any]:
    return virtual_ip_status(cluster.virtual_ips[0], cluster, plan(cluster), now)


def condition(status: dict[str, Any], kind: str) -> tuple[str, str]:
    found = next(c for c in status["conditions"] if c["type"] == kind)
    assert found["observedGeneration"] == status["observedGeneration"]
    return found["status"], found["reason"]


def message(status: dict[str, Any], kind: str) -> str:
    return next(str(c["message"]) for c in status["conditions"] if c["type"] == kind)


def active(**fields: Any) -> RouterStatus:
    return router_status("a", "Active", **fields)


def backup(**fields: Any) -> RouterStatus:
    return router_status("a", "Backup", priority=180, **fields)


def test_one_active_node_is_ready() -> None:
    status = folded((active(), True), (backup(), True), (backup(), True))
    assert condition(status, "Ready") == ("True", "Active")
    assert condition(status, "Programmed") == ("True", "Programmed")
    assert condition(status, "Accepted") == ("True", "Accepted")
    assert (status["activeNode"], status["standbys"], status["virtualRouterID"]) == ("node-1", 2, 1)
    assert (status["effectivePriority"], status["interface"]) == (200, "eth0")


@pytest.mark.parametrize(
    ("reported", "reason"),
    [
        ([(backup(), True)], "NoActive"),
        ([(active(), False), (backup(), True)], "HeartbeatStale"),
        ([(active(), True), (active(), True)], "SplitBrain"),
        ([(active(generation=0), True)], "Progressing"),
    ],
)
def test_anything_else_is_not_ready(reported: list[tuple[RouterStatus, bool]], reason: str) -> None:
    assert condition(folded(*reported), "Ready") == ("False", reason)


def test_a_node_that_cannot_report_is_the_holder_while_others_stand_by_for_it() -> None:
    status = folded((active(), False), (backup(), True))
    assert status["activeNode"] == "node-1"
    assert message(status, "Ready") == "node-1 is Active, as others hear, and reports no more"


def test_holder_that_takes_part_is_believed_before_one_that_nobody_asked() -> None:
    """A speaker may say anything; one that left a moment ago says the truth and is named alone."""
    obj, of_nodes = virtual_ip("a", vrid=1, candidates=1), nodes(2)
    configs = plan(snapshot([obj], of_nodes)).configs
    member = next(name for name, config in configs.items() if config.virtual_routers)
    (stranger,) = configs.keys() - {member}
    said = active(priority=254, since="2026-02-01T00:00:00Z")
    reports = {
        member: report(configs[member], active()),
        stranger: report(configs[stranger], said),
    }
    both = status_of(snapshot([obj], of_nodes, reports=reports))
    assert (both["activeNode"], condition(both, "SplitBrain")[0]) == (member, "True")
    reports[member] = report(configs[member], router_status("a", "Backup"))
    assert status_of(snapshot([obj], of_nodes, reports=reports))["activeNode"] == stranger


def test_a_node_that_cannot_report_is_not_the_holder_where_nobody_hears_it() -> None:
    assert "activeNode" not in folded((active(), False), (router_status("a", "Fault"), True))


def test_a_holder_that_is_to_leave_is_named() -> None:
    apart = [replace(node, out_of_service=node.name == "node-1") for node in nodes(2)]
    configs = plan(snapshot([virtual_ip("a", vrid=1)], nodes(2))).configs
    reports = {
        "node-1": report(configs["node-1"], active()),
        "node-2": report(configs["node-2"], backup()),
    }
    status = status_of(snapshot([virtual_ip("a", vrid=1)], apart, reports=reports))
    assert message(status, "Ready") == "node-1 is Active, and is to leave the election"


def test_node_that_has_not_applied_the_generation_is_pending() -> None:
    status = folded((active(), True), (backup(generation=0), True))
    assert condition(status, "Programmed") == ("False", "Pending")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("InterfaceNotFound: eth9", ("False", "InterfaceNotFound")),
        ("AddressInUse: 192.0.2.50 on eth0", ("False", "AddressInUse")),
        ("InterfaceAmbiguous: eth0, eth1", ("False", "InterfaceAmbiguous")),
        ("AuthenticationKeyMissing: cluster", ("False", "AuthenticationKeyMissing")),
        ("AuthenticationKeyInvalid: cluster.1", ("False", "AuthenticationKeyInvalid")),
        ("CheckFailed: web", ("True", "Programmed")),
    ],
)
def test_faults_of_placement_are_the_programmed_reason(
    fault: str, expected: tuple[str, str]
) -> None:
    status = folded((active(), True), (router_status("a", "Fault", faults=(fault,)), True))
    assert condition(status, "Programmed") == expected
    assert status["nodes"][1]["faults"] == [fault]


def test_failing_checks_are_listed_by_name() -> None:
    faults = ("CheckFailed: web", "InterfaceDown")
    status = folded((router_status("a", "Fault", faults=faults), True))
    assert status["nodes"][0]["failingChecks"] == ["web"]


def test_not_accepted_says_why_and_what_goes_on() -> None:
    obj = virtual_ip("a", "192.0.2.11", vrid=1)
    cluster = snapshot([obj], nodes(1), reports={"node-1": report(None, active())})
    status = status_of(cluster)
    assert condition(status, "Accepted") == ("False", "AddressIsNodeAddress")
    assert condition(status, "Ready") == ("False", "NotAccepted")
    assert "node-1 goes on with what was accepted before" in message(status, "Ready")


def test_no_node_is_no_candidates() -> None:
    assert condition(status_of(snapshot([virtual_ip("a")])), "Ready") == ("False", "NoCandidates")


@pytest.mark.parametrize(
    ("address", "of_bare", "family"),
    [("192.0.2.50", "2001:db8::2", 4), ("2001:db8::50", "192.0.2.2", 6)],
)
def test_node_without_address_is_a_reason_that_says_which_family(
    address: str, of_bare: str, family: int
) -> None:
    both = Node("node-1", {}, ("192.0.2.1", "2001:db8::1"))
    bare = Node("bare", {}, (of_bare,))
    reports = {"node-1": report(None, active())}
    status = status_of(snapshot([virtual_ip("a", address)], [both, bare], reports=reports))
    assert condition(status, "Programmed") == ("False", "NodeWithoutAddress")
    assert message(status, "Programmed").startswith(f"bare: no IPv{family} InternalIP")


def test_cluster_without_an_address_of_the_family_says_so() -> None:
    status = status_of(snapshot([virtual_ip("a", "2001:db8::50")], nodes(2)))
    assert condition(status, "Ready") == ("False", "NoCandidates")
    assert condition(status, "Programmed") == ("False", "NodeWithoutAddress")
    for kind in ("Ready", "Programmed"):
        assert message(status, kind).startswith("node-1, node-2: no IPv6 InternalIP")


def test_fault_of_a_key_names_node_and_key() -> None:
    faulty = router_status("a", "Fault", faults=("AuthenticationKeyMissing: cluster",))
    status = folded((active(), True), (faulty, True))
    assert message(status, "Programmed") == "node-2: AuthenticationKeyMissing: cluster"


def test_interface_that_no_node_has_names_all_nodes_and_one_that_a_node_lacks_only_that() -> None:
    lacks = router_status("a", "Fault", faults=("InterfaceNotFound: eth9: the node has no such",))
    full = router_status("a", "Fault", faults=("AddressInUse: 192.0.2.50 on eth0",))
    status = folded((lacks, True), (lacks, True))
    assert message(status, "Programmed").startswith("node-1, node-2: InterfaceNotFound: eth9: ")
    status = folded((active(), True), (lacks, True))
    assert message(status, "Programmed").startswith("node-2: InterfaceNotFound: eth9: ")
    status = folded((full, True), (lacks, True))
    assert message(status, "Programmed") == "node-1: AddressInUse: 192.0.2.50 on eth0"


def test_of_many_nodes_with_one_fault_some_are_named() -> None:
    lacks = router_status("a", "Fault", faults=("InterfaceNotFound: eth9",))
    status = folded(*[(lacks, True)] * 7, candidates=7)
    nodes = ", ".join(f"node-{n}" for n in range(1, 6))
    assert message(status, "Programmed") == f"{nodes} and 2 more: InterfaceNotFound: eth9"


@pytest.mark.parametrize(
    ("transport", "said"),
    [({}, False), ({"externalPeers": ["198.51.100.1"]}, True), ({"mode": "Multicast"}, True)],
)
def test_address_may_be_with_a_router_outside(transport: dict[str, Any], said: bool) -> None:
    obj = virtual_ip("a", transport=transport)
    status = status_of(snapshot([obj], nodes(1), reports={"node-1": report(None, backup())}))
    assert condition(status, "Ready") == ("False", "NoActive")
    assert ("outside the cluster" in message(status, "Ready")) is said


def test_equal_reports_give_equal_statuses() -> None:
    routers = (active(), True), (backup(), True)
    first = folded(*routers)
    assert folded(*routers, status=first, now="2027-01-01T00:00:00Z") == first


def test_transition_time_moves_when_the_status_flips_only() -> None:
    before = folded((active(), True))
    cluster = snapshot(
        [virtual_ip("a", vrid=1, status=before)],
        nodes(1),
        reports={"node-1": report(None, backup())},
    )
    flipped = virtual_ip_status(
        cluster.virtual_ips[0], cluster, plan(cluster), "2027-01-01T00:00:00Z"
    )
    times = {c["type"]: c["lastTransitionTime"] for c in flipped["conditions"]}
    assert times.pop("Ready") == "2027-01-01T00:00:00Z"
    assert set(times) == set(ConditionType) - {"Ready"}
    assert set(times.values()) == {NOW}


def takeover(time: str) -> Transition:
    return Transition(time, "Backup", "Active", "ActiveDownTimerExpired")


def test_history_holds_the_last_five_takeovers_in_order() -> None:
    status: dict[str, Any] = {}
    for second in range(7):
        node = f"node-{second % 2 + 1}"
        other = f"node-{(second + 1) % 2 + 1}"
        last = takeover(f"2026-02-01T00:00:0{second}.000000Z")
        reports = {node: report(None, active(last=last)), other: report(None, backup())}
        obj = virtual_ip("a", vrid=1, status=status)
        status = status_of(snapshot([obj], nodes(2), reports=reports))
    assert [entry["time"][18] for entry in status["history"]] == ["2", "3", "4", "5", "6"]
    assert [entry["to"] for entry in status["history"][-2:]] == ["node-2", "node-1"]
    assert status["history"][-1]["from"] == "node-2"
    assert status["history"][-1]["reason"] == "ActiveDownTimerExpired"


def test_health_check_counts_the_nodes_that_pass() -> None:
    def with_check(passing: bool) -> Any:
        base = report(None)
        assert base.status is not None
        result = CheckStatus("web", passing, NOW, "" if passing else "timed out")
        return replace(base, status=replace(base.status, checks=(result,)))

    reports = {"node-1": with_check(True), "node-2": with_check(False)}
    cluster = snapshot([], nodes(2), [tcp_check("web")], reports)
    status = health_check_status(cluster.health_checks[0], cluster, NOW)
    assert (status["passing"], status["failing"]) == (1, 1)
    assert (status["type"], status["target"]) == ("tcp", "127.0.0.1:80")
    assert [entry["message"] for entry in status["nodes"]] == ["", "timed out"]


def test_wrong_health_check_says_what_is_wrong() -> None:
    cluster = snapshot([], [], [tcp_check("web", rise=0)])
    status = health_check_status(cluster.health_checks[0], cluster, NOW)
    assert condition(status, "Accepted") == ("False", "InvalidSpec")
    assert "spec.rise: 0" in status["conditions"][0]["message"]


def heard(router: RouterStatus, *, active_s: float | None, heard_s: float) -> NodeReport:
    """Return a fresh report; the router was first seen Active at ``active_s``."""
    seen = {} if active_s is None else {"a": active_s}
    return replace(report(None, router), heard_s=heard_s, active_seen_s=seen)


def two_active(first_heard_s: float) -> dict[str, Any]:
    """node-1 was seen Active at second 10, node-2 at second 20."""
    reports = {
        "node-1": heard(active(), active_s=10.0, heard_s=first_heard_s),
        "node-2": heard(active(priority=180), active_s=20.0, heard_s=20.0),
    }
    return status_of(snapshot([virtual_ip("a", vrid=1)], nodes(2), reports=reports))


def test_a_node_not_heard_since_another_took_over_is_not_believed() -> None:
    status = two_active(first_heard_s=19.0)
    assert (status["activeNode"], condition(status, "Ready")) == ("node-2", ("True", "Active"))
    assert [n["state"] for n in status["nodes"]] == ["Unknown", "Active"]


def test_a_node_heard_after_another_took_over_is_a_split_brain() -> None:
    assert condition(two_active(first_heard_s=21.0), "Ready") == ("False", "SplitBrain")


# Whom to believe -------------------------------------------------------------------------


def test_stale_node_is_unknown_and_no_standby() -> None:
    status = folded((active(), True), (backup(), False), (backup(), True))
    assert [n["state"] for n in status["nodes"]] == ["Active", "Unknown", "Backup"]
    assert status["standbys"] == 1


def test_operator_that_starts_anew_believes_only_whom_it_did_or_who_moved() -> None:
    """All heartbeats look fresh to it; that of a node dead for days would, too."""
    before = folded((active(), True), (backup(), False), (backup(), True))
    obj = virtual_ip("a", vrid=1, status=before)
    told = {"node-1": active(), "node-2": backup(), "node-3": backup()}
    unseen = {name: replace(report(None, r), alive=False) for name, r in told.items()}
    started = status_of(snapshot([obj], nodes(3), reports=unseen))
    assert [n["state"] for n in started["nodes"]] == ["Active", "Unknown", "Backup"]
    assert started["standbys"] == 1
    moved = {**unseen, "node-2": report(None, backup())}
    later = status_of(snapshot([obj], nodes(3), reports=moved))
    assert [n["state"] for n in later["nodes"]] == ["Active", "Backup", "Backup"]


def test_dead_node_whose_node_object_is_gone_is_not_shown() -> None:
    reports = {
        "node-1": report(None, active()),
        "left": report(None, backup(), fresh=False),
        "leaving": report(None, backup()),
    }
    status = status_of(snapshot([virtual_ip("a", vrid=1)], nodes(1), reports=reports))
    assert [n["node"] for n in status["nodes"]] == ["leaving", "node-1"]


def test_a_move_during_an_outage_leaves_no_gap_in_the_history() -> None:
    """Both nodes moved it back and forth; each tells its own part, long after."""

    def at(sequence: int, second: int, before: str, after: str) -> Transition:
        return Transition(f"2026-02-01T00:00:0{second}.000000Z", before, after, "Fault", sequence)

    first = at(1, 1, "Backup", "Active"), at(2, 2, "Active", "Fault"), at(5, 4, "Backup", "Active")
    second = at(9, 2, "Backup", "Active"), at(10, 4, "Active", "Backup")
    status = folded(
        (replace(active(), history=first), True), (replace(backup(), history=second), True)
    )
    assert [(e["from"], e["to"]) for e in status["history"]] == [
        ("", "node-1"),
        ("node-1", "node-2"),
        ("node-2", "node-1"),
    ]


# Numbers and times --------------------------------------------------------------------


def test_transitions_count_takeovers_and_never_fall() -> None:
    """Speakers count since their boot, and members leave: the status counts on."""
    held = active(last=takeover("2026-02-01T00:00:00Z"))
    first = folded((held, True), (backup(), True))
    assert first["transitions"] == 1
    assert folded((held, True), (backup(), True), status=first)["transitions"] == 1
    booted = folded((active(), True), (backup(), True), status=first)
    assert booted["transitions"] == 1
    moved = folded(
        (backup(), True), (active(last=takeover("2026-02-01T00:05:00Z")), True), status=booted
    )
    assert moved["transitions"] == 2
    assert folded((backup(), True), status=moved)["transitions"] == 2


def test_transitions_go_on_from_what_an_earlier_version_counted() -> None:
    """It counted state changes; its history, where it has one, says which takeovers are in it."""
    held = active(last=takeover("2026-02-01T00:00:00Z"))
    assert folded((held, True), status={"transitions": 40})["transitions"] == 40
    known = [{"time": "2026-01-01T00:00:00Z", "from": "", "to": "node-1", "reason": "Startup"}]
    told = folded((held, True), status={"transitions": 40, "history": known})
    assert told["transitions"] == 41


@pytest.mark.parametrize("since", ["", "yesterday", "2026-02-30T00:00:00Z", "2026-02-01"])
def test_since_is_a_time_or_absent(since: str) -> None:
    assert "since" not in folded((active(since=since), True))
    result = replace(report(None), fresh=True)
    assert result.status is not None
    said = replace(result.status, checks=(CheckStatus("web", True, since, ""),))
    cluster = snapshot([], nodes(1), [tcp_check("web")], {"node-1": replace(result, status=said)})
    (entry,) = health_check_status(cluster.health_checks[0], cluster, NOW)["nodes"]
    assert "since" not in entry


# Addresses ----------------------------------------------------------------------------


def test_every_address_is_in_the_line_for_tables() -> None:
    obj = virtual_ip("a", "192.0.2.50/24", "2001:DB8::0:50/64", "192.0.2.51", vrid=1)
    cluster = snapshot([obj], nodes(1))
    status = status_of(cluster)
    assert status["addressSummary"] == "192.0.2.50/24,2001:db8::50/64,192.0.2.51/32"
    assert status["addresses"] == status["addressSummary"].split(",")


def test_addresses_of_a_refused_object_are_shown_as_they_are_written() -> None:
    obj = virtual_ip("a", "192.0.2.50/99", "nowhere")
    status = status_of(snapshot([obj], nodes(1)))
    assert (status["addressSummary"], status["addresses"]) == ("192.0.2.50/99,nowhere", [])
    assert (
        status_of(snapshot([{**obj, "spec": {"addresses": {}}}], nodes(1)))["addressSummary"] == ""
    )


def test_as_many_and_as_long_addresses_as_there_may_be_fit_the_line() -> None:
    long = [f"2001:db8:1111:2222:3333:4444:5555:{n:04x}/128" for n in range(0x1000, 0x1040)]
    assert status_of(snapshot([virtual_ip("a", *long)], nodes(1)))["addressSummary"].endswith(
        long[-1]
    )
