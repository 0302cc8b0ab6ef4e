"""From what is seen in two looks to Kubernetes Events: told once, whoever looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
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

from vrrp_api.node_status import CheckStatus, RouterStatus, Transition
from vrrp_operator.model.snapshot import ClusterSnapshot, NodeReport
from vrrp_operator.plan.planner import plan
from vrrp_operator.report.chronicle import Chronicle
from vrrp_operator.report.events import Occurrence, newest_first
from vrrp_operator.report.status import virtual_ip_status

WALL = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
NOW = "2026-03-01T12:00:00Z"


def at(seconds_ago: float) -> str:
    return (WALL - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def rise(sequence: int, seconds_ago: float, reason: str = "ActiveDownTimerExpired") -> Transition:
    return Transition(at(seconds_ago), "Backup", "Active", reason, sequence)


def fall(sequence: int, seconds_ago: float, reason: str = "Handover") -> Transition:
    return Transition(at(seconds_ago), "Active", "Backup", reason, sequence)


def router(state: str, *past: Transition, **fields: Any) -> RouterStatus:
    return replace(router_status("a", state, **fields), history=past)


def cluster(*routers: RouterStatus | None, **vip: Any) -> ClusterSnapshot:
    """Return VirtualIP a and what its nodes report, None for a node that does not run it."""
    reports = {
        f"node-{n}": report(None, *([] if told is None else [told]))
        for n, told in enumerate(routers, start=1)
    }
    made = virtual_ip("a", vrid=vip.pop("vrid", 1), status=vip.pop("status", None))
    made["metadata"].update(vip)
    return snapshot([made], nodes(max(2, len(routers))), reports=reports)


def look(chronicle: Chronicle, seen: ClusterSnapshot) -> list[Occurrence]:
    planned = plan(seen)
    (record,) = seen.virtual_ips
    status = virtual_ip_status(record, seen, planned, NOW)
    return chronicle.of_virtual_ip(record, seen, planned, status, WALL)


def told(occurrences: Sequence[Occurrence]) -> list[tuple[str, str]]:
    return [(str(o.reason), o.note) for o in occurrences]


# Moves -----------------------------------------------------------------------------------


def test_moves_are_told_in_the_order_they_happened() -> None:
    chronicle = Chronicle()
    look(chronicle, cluster(router("Active", rise(1, 50)), router("Backup")))
    after = cluster(router("Backup", rise(1, 50), fall(2, 20)), router("Active", rise(1, 19)))
    happened = look(chronicle, after)
    assert told(happened) == [
        ("Resigned", "node-1 resigned: Handover"),
        ("BecameActive", "node-2 became Active: ActiveDownTimerExpired"),
    ]
    assert [o.time for o in happened] == [at(20), at(19)]
    assert look(chronicle, after) == []


def test_a_fault_that_ended_a_tenure_is_named() -> None:
    chronicle = Chronicle()
    look(chronicle, cluster(router("Active", rise(1, 50))))
    past = rise(1, 50), Transition(at(5), "Active", "Fault", "Fault", 2)
    happened = look(chronicle, cluster(router("Fault", *past, faults=("CheckFailed: web",))))
    assert told(happened) == [("Resigned", "node-1 resigned: Fault, CheckFailed: web")]


def test_an_operator_that_starts_anew_tells_what_is_recent_under_the_same_names() -> None:
    before = cluster(router("Active", rise(1, 50)), router("Backup"))
    after = cluster(router("Backup", rise(1, 50), fall(2, 20)), router("Active", rise(1, 19)))
    running = Chronicle()
    names = {o.name for o in (*look(running, before), *look(running, after))}
    assert {o.name for o in look(Chronicle(), after)} == names
    assert len(names) == 3


def test_what_happened_long_ago_is_no_news_to_an_operator_that_starts() -> None:
    assert look(Chronicle(), cluster(router("Active", rise(1, 601)))) == []


def test_what_an_operator_missed_during_an_outage_is_told_however_old() -> None:
    chronicle = Chronicle()
    look(chronicle, cluster(router("Active", rise(1, 9000)), router("Backup")))
    happened = look(
        chronicle,
        cluster(
            router("Active", rise(1, 9000), fall(3, 3000), rise(5, 2000)),
            router("Backup", rise(8, 3001), fall(9, 2001)),
        ),
    )
    reasons = [str(o.reason) for o in happened]
    # node-2 told nothing before the outage: of its past the last ten minutes count.
    assert reasons == ["Resigned", "BecameActive"]


def test_a_sequence_that_begins_anew_with_the_node_is_no_old_news() -> None:
    chronicle = Chronicle()
    look(chronicle, cluster(router("Active", rise(40, 500))))
    assert told(look(chronicle, cluster(router("Active", rise(1, 5))))) == [
        ("BecameActive", "node-1 became Active: ActiveDownTimerExpired")
    ]


def test_a_node_that_does_not_run_it_any_more_has_resigned() -> None:
    chronicle = Chronicle()
    look(chronicle, cluster(router("Active", rise(1, 50)), router("Backup")))
    (resigned, _) = look(chronicle, cluster(None, router("Active", rise(1, 1))))[::-1]
    assert told([resigned]) == [("Resigned", "node-1 resigned: Removed")]


# Others ----------------------------------------------------------------------------------


def test_allocation_is_told_once_and_under_one_name() -> None:
    fresh = cluster(None, vrid=None)
    chronicle = Chronicle()
    first, again = look(chronicle, fresh), look(chronicle, fresh)
    assert told(first) == [("VRIDAllocated", f"virtual router ID {plan(fresh).vrids['a']}")]
    assert [o.name for o in again] == [o.name for o in first]
    assert look(Chronicle(), cluster(None, vrid=1)) == []


def test_split_brain_is_told_when_it_comes_and_when_it_goes() -> None:
    chronicle = Chronicle()
    one = cluster(router("Active"), router("Backup"))
    two = cluster(router("Active"), router("Active"))
    assert look(chronicle, one) == []
    assert told(look(chronicle, two)) == [
        ("SplitBrainDetected", "node-1, node-2 are Active at once")
    ]
    assert look(chronicle, two) == []
    assert told(look(chronicle, one)) == [
        ("SplitBrainResolved", "not more than one node is Active")
    ]


def test_address_that_a_member_has_is_told_once_it_is_known_with_both() -> None:
    chronicle, fault = Chronicle(), "AddressHeldByMember: 192.0.2.51 at node-2"
    look(chronicle, cluster(router("Active")))
    faulty = cluster(router("Active", faults=(fault,)))
    (held,) = look(chronicle, faulty)
    assert told([held]) == [
        ("AddressHeldByMember", "node-1: 192.0.2.51 at node-2, not bound"),
    ]
    assert look(chronicle, faulty) == []
    assert look(Chronicle(), faulty) == []  # since when it is so, nobody says


def test_address_conflict_is_told_with_the_stranger() -> None:
    fault = "AddressConflict: 192.0.2.50 at 02:00:5e:00:53:64"
    (conflict,) = look(Chronicle(), cluster(router("Fault", faults=(fault,))))
    assert (str(conflict.reason), "02:00:5e:00:53:64" in conflict.note) == ("AddressConflict", True)


def test_alarm_that_was_raised_long_ago_is_no_news_to_an_operator_that_starts() -> None:
    old = {
        "type": "SplitBrain",
        "status": "True",
        "reason": "SplitBrain",
        "message": "node-1, node-2 are Active at once",
        "observedGeneration": 1,
        "lastTransitionTime": "2026-03-01T11:00:00Z",
    }
    seen = cluster(router("Active"), router("Active"), status={"conditions": [old]})
    assert look(Chronicle(), seen) == []


def test_handover_is_told_when_it_begins_and_again_when_it_begins_again() -> None:
    annotations = {"kube-vrrp.io/handover-to": "node-2"}
    chronicle = Chronicle()
    at_home = router("Active", rise(1, 50)), router("Backup")
    look(chronicle, cluster(*at_home))
    asked = look(chronicle, cluster(*at_home, annotations=annotations))
    assert told(asked) == [("HandoverStarted", "from node-1 to node-2, as its annotation asks")]
    assert look(chronicle, cluster(*at_home, annotations=annotations)) == []
    away = router("Backup", rise(1, 50), fall(2, 40)), router("Active", rise(1, 40))
    look(chronicle, cluster(*away, annotations=annotations))
    back = router("Active", rise(3, 30)), router("Backup", rise(1, 40), fall(2, 30))
    look(chronicle, cluster(*back))
    again = look(chronicle, cluster(*back, annotations=annotations))
    assert told(again) == told(asked)
    assert again[0].name != asked[0].name


def test_handover_to_a_node_that_is_no_candidate_does_not_begin() -> None:
    asked = cluster(router("Active"), annotations={"kube-vrrp.io/handover-to": "node-9"})
    assert look(Chronicle(), asked) == []


def test_node_out_of_service_hands_over() -> None:
    seen = cluster(router("Active"), router("Backup"))
    first, second = seen.nodes
    seen = replace(seen, nodes=(replace(first, out_of_service=True), second))
    assert told(look(Chronicle(), seen)) == [
        ("HandoverStarted", "away from node-1, which is out of service")
    ]


# Health checks ---------------------------------------------------------------------------


def results(*passing: bool | None) -> ClusterSnapshot:
    """Return HealthCheck web and its result on each node, None for a node that tells none."""
    reports: dict[str, NodeReport] = {}
    for n, passes in enumerate(passing, start=1):
        told_here = report(None)
        assert told_here.status is not None
        message = "" if passes else "Connection refused"
        check = () if passes is None else (CheckStatus("web", passes, at(5), message),)
        reports[f"node-{n}"] = replace(told_here, status=replace(told_here.status, checks=check))
    return snapshot([], nodes(len(passing)), [tcp_check("web")], reports)


def look_at_check(chronicle: Chronicle, seen: ClusterSnapshot) -> list[tuple[str, str]]:
    return told(chronicle.of_health_check(seen.health_checks[0], seen, WALL))


def test_check_that_fails_and_recovers_is_told_for_each_node() -> None:
    chronicle = Chronicle()
    assert look_at_check(chronicle, results(True, True)) == []
    failed = look_at_check(chronicle, results(True, False))
    assert failed == [("CheckFailed", "fails on node-2: Connection refused")]
    assert look_at_check(chronicle, results(True, False)) == []
    assert look_at_check(chronicle, results(True, True)) == [("CheckRecovered", "passes on node-2")]


def test_first_result_is_told_when_it_is_a_failure() -> None:
    chronicle = Chronicle()
    look_at_check(chronicle, results(None, None))
    assert look_at_check(chronicle, results(True, False)) == [
        ("CheckFailed", "fails on node-2: Connection refused")
    ]


def test_what_is_gone_is_forgotten() -> None:
    chronicle = Chronicle()
    seen = cluster(router("Active", rise(1, 50)))
    look(chronicle, seen)
    chronicle.forget_others(snapshot())
    assert told(look(chronicle, seen)) == [
        ("BecameActive", "node-1 became Active: ActiveDownTimerExpired")
    ]


# The objects -----------------------------------------------------------------------------


def test_event_is_as_the_api_wants_it() -> None:
    (occurrence,) = look(Chronicle(), cluster(router("Active", rise(7, 5, "x" * 2000))))
    obj = occurrence.to_object("2026-03-01T12:00:01.000000Z", "operator-0")
    assert obj["metadata"] == {"name": occurrence.name, "namespace": "default"}
    assert (obj["eventTime"], obj["type"], obj["action"]) == (at(5), "Normal", "TakeOver")
    assert obj["regarding"] == {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "VirtualIP",
        "name": "a",
        "uid": "a",
    }
    assert len(obj["note"]) == 1024


@pytest.mark.parametrize("time", ["", "yesterday"])
def test_what_has_no_time_happened_now(time: str) -> None:
    (occurrence,) = look(Chronicle(), cluster(router("Active", rise(7, 5))))
    obj = replace(occurrence, time=time).to_object("now", "operator-0")
    assert obj["eventTime"] == "now"


def test_the_newest_come_first() -> None:
    chronicle = Chronicle()
    seen = cluster(router("Active", rise(1, 50), fall(2, 40), rise(3, 30)))
    assert [o.time for o in newest_first(look(chronicle, seen))] == [at(30), at(40), at(50)]
