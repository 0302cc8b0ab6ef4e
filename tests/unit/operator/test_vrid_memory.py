"""What is remembered of VRIDs: which rest, who leaves, and which strangers use."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.operator.cluster import nodes, report, router_status, snapshot, virtual_ip

from vrrp_api.node_status import ForeignRouter
from vrrp_operator.model.snapshot import ClusterSnapshot, NodeReport
from vrrp_operator.plan.planner import plan
from vrrp_operator.plan.vrid_memory import REST_S, STRANGER_S, VridMemory

ONE = plan(snapshot([virtual_ip("a", vrid=7)], nodes(1))).configs["node-1"]
NONE = replace(ONE, virtual_routers=())
BACKUP = router_status("a", "Backup")


def seen(*reports: NodeReport) -> ClusterSnapshot:
    return snapshot(reports={f"node-{n}": report for n, report in enumerate(reports, 1)})


def test_a_number_rests_for_two_minutes_after_a_node_left_its_election() -> None:
    memory = VridMemory()
    found, due = [], []
    steps = (report(ONE, BACKUP), 0.0), (report(NONE), 10.0), (report(NONE), 100.0)
    for told, now_s in (*steps, (report(NONE), 10.0 + REST_S)):
        found.append(memory.look(seen(told), now_s).resting)
        due.append(memory.due_in_s)
    rests = {("node-1", 7): "a"}
    assert found == [{}, rests, rests, {}]
    assert due == [None, REST_S, REST_S - 90.0, None]


def test_a_node_that_has_not_left_yet_uses_its_number() -> None:
    memory = VridMemory()
    memory.look(seen(report(ONE, BACKUP)), 0.0)
    found = memory.look(seen(report(NONE, BACKUP)), 1000.0)
    assert (found.leaving, found.resting) == ({("node-1", 7): "a"}, {})
    assert memory.look(seen(report(NONE)), 1001.0).resting == {("node-1", 7): "a"}


def test_a_node_that_members_list_is_sent_to_and_uses_the_number() -> None:
    two = plan(snapshot([virtual_ip("a", vrid=7)], nodes(2))).configs["node-1"]
    memory = VridMemory()
    assert memory.look(seen(report(two)), 0.0).leaving == {("node-2", 7): "a"}
    assert memory.look(seen(report(ONE)), 1.0).resting == {("node-2", 7): "a"}


def test_an_operator_that_has_just_begun_takes_the_number_of_who_leaves_from_the_record() -> None:
    left = snapshot([virtual_ip("a", vrid=7)], reports={"node-1": report(NONE, BACKUP)})
    memory = VridMemory()
    unknown = snapshot(reports=left.reports)
    assert memory.look(unknown, 0.0).leaving == {}
    assert memory.look(left, 0.0).leaving == {("node-1", 7): "a"}


def test_a_node_that_is_gone_leaves_its_numbers_to_rest() -> None:
    memory = VridMemory()
    memory.look(seen(report(ONE)), 0.0)
    assert memory.look(seen(), 1.0).resting == {("node-1", 7): "a"}


def stranger(time: str) -> ClusterSnapshot:
    told = replace(BACKUP, foreign=ForeignRouter("192.0.2.99", 100, time))
    return seen(report(ONE, told))


def test_the_number_of_a_stranger_is_avoided_until_an_hour_after_it_was_last_seen() -> None:
    memory = VridMemory()
    assert memory.look(stranger("2026-01-01T00:00:00Z"), 0.0).foreign == {7}
    assert memory.look(stranger("2026-01-01T00:30:00Z"), 1800.0).foreign == {7}
    assert memory.look(seen(report(NONE)), 1800.0 + STRANGER_S - 1).foreign == {7}
    assert memory.look(seen(report(NONE)), 1800.0 + STRANGER_S).foreign == frozenset()


def test_what_a_node_says_of_a_stranger_for_ever_is_no_news() -> None:
    memory = VridMemory()
    memory.look(stranger("2026-01-01T00:00:00Z"), 0.0)
    assert memory.look(stranger("2026-01-01T00:00:00Z"), STRANGER_S).foreign == frozenset()


def test_reservations_are_told() -> None:
    assert VridMemory({1, 2}).look(seen(), 0.0).reserved == {1, 2}
