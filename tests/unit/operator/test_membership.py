"""Who joins, is replaced and leaves, one step at a time."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.operator.cluster import nodes, virtual_ip
from tests.unit.operator.membership_cluster import (
    ACTIVE,
    BACKUP,
    FAULT,
    Cluster,
    cluster,
    messages,
    reasons,
)

from vrrp_api.conditions import Reason
from vrrp_api.node_config import NodeConfig

# Joining ------------------------------------------------------------------------------


def test_nodes_of_an_election_that_nobody_runs_begin_at_once() -> None:
    made = Cluster(nodes(3), virtual_ip("a", vrid=1))
    made.cycle()
    for node in made.written:
        assert made.peers(node) == set(made.written) - {node}


def test_a_newcomer_is_listed_by_all_before_it_gets_its_router() -> None:
    made = cluster(2, spare=1)
    made.change("node-3", has_speaker=True)
    made.cycle()
    assert made.peers("node-1") == {"node-2", "node-3"}
    assert made.peers("node-2") == {"node-1", "node-3"}
    assert made.router("node-3") is None
    made.apply("node-1", "node-3")
    found = made.cycle()
    assert made.router("node-3") is None
    assert reasons(found) == [Reason.PENDING]
    assert "node-3 joins once every member knows it; waiting for node-2" in messages(found)
    made.apply("node-2")
    assert messages(made.cycle()) == ""
    assert made.peers("node-3") == {"node-1", "node-2"}


def test_a_newcomer_moves_nothing_and_changes_nobody() -> None:
    made = cluster(2, spare=1)
    before = made.priorities()
    made.change("node-3", has_speaker=True)
    made.settle()
    assert made.priorities() == {**before, "node-3": min(before.values()) - 20}


def test_two_newcomers_list_each_other() -> None:
    made = cluster(2, spare=2)
    made.change("node-3", has_speaker=True)
    made.change("node-4", has_speaker=True)
    made.cycle()
    made.apply()
    made.cycle()
    assert made.peers("node-3") == {"node-1", "node-2", "node-4"}
    assert made.peers("node-4") == {"node-1", "node-2", "node-3"}


def test_a_newcomer_waits_for_a_member_that_cannot_be_told_and_says_for_whom() -> None:
    made = cluster(2, spare=1)
    made.mute = {"node-1"}
    made.change("node-3", has_speaker=True)
    found = made.settle()
    assert made.router("node-3") is None
    assert reasons(found) == [Reason.NODE_UNREACHABLE]
    assert "no report from node-1: if it is off, delete its Node or taint it" in messages(found)


def test_a_member_that_is_off_or_deleted_is_not_waited_for() -> None:
    for off in (True, False):
        made = cluster(2, spare=1)
        made.mute = {"node-1"}
        made.change("node-3", has_speaker=True)
        if off:
            made.change("node-1", off=True, out_of_service=True)
        else:
            made.nodes = [node for node in made.nodes if node.name != "node-1"]
        made.settle()
        assert made.router("node-3") is not None
        assert ("node-1" in made.peers("node-2")) is off


# Replacing ----------------------------------------------------------------------------


def silent(made: Cluster, node: str) -> None:
    """Let a node be silent for five minutes."""
    made.mute = {node}
    made.change(node, gone=True)


def test_a_gone_member_is_replaced_beside_it_and_stays_listed() -> None:
    made = cluster(2, spare=1, candidates=2)
    second = made.taking_part()[1]
    silent(made, second)
    made.change("node-3", has_speaker=True)
    before = made.priorities()
    found = made.settle()
    assert made.peers("node-3") == {"node-1", "node-2"}
    assert second in made.peers(made.taking_part()[0])
    assert second not in found.candidates["a"]
    assert made.priorities()["node-3"] < min(before.values())  # whoever may be deaf to it is above


def test_who_joins_without_a_members_knowing_is_below_all_others() -> None:
    pinned = [{"node": "node-3", "priority": 250}]
    made = cluster(2, spare=1, nodePriorities=pinned)
    before, second = made.priorities(), made.taking_part()[1]
    silent(made, second)
    made.change("node-3", has_speaker=True)
    made.settle()
    assert made.priorities()["node-3"] == min(before.values()) - 1
    made.mute = set()
    made.change(second, gone=False)
    made.settle()
    assert made.priorities()["node-3"] == 250


def test_a_silent_member_that_is_heard_is_not_gone() -> None:
    """The others are Backup: somebody has the addresses, and it was the last to say so."""
    made = cluster(3, spare=1, candidates=4)
    first = made.taking_part()[0]
    silent(made, first)
    made.change("node-4", has_speaker=True)
    found = made.settle()
    assert made.router("node-4") is None
    assert first in found.candidates["a"]


def test_a_gone_member_that_comes_back_has_its_place_again() -> None:
    made = cluster(3, candidates=2)
    before, (first, second) = made.priorities(), made.taking_part()
    silent(made, second)
    made.settle()
    assert len(made.priorities()) == 3
    made.mute = set()
    made.change(second, gone=False)
    made.settle()
    assert made.priorities() == before
    assert (made.peers(first), made.peers(second)) == ({second}, {first})


# Leaving ------------------------------------------------------------------------------


def new_cluster(status: dict[str, Any] | None = None, **spec: Any) -> Cluster:
    """Return nodes with speakers that have an empty configuration, and a VirtualIP that is new."""
    of_nodes = nodes(3)
    made = Cluster(of_nodes, virtual_ip("a", vrid=1, status=status, **spec))
    empty = {n.name: NodeConfig(n.name, 1, n.addresses, (), ()) for n in of_nodes}
    made.written, made.applied = dict(empty), dict(empty)
    return made


def named(made: Cluster) -> list[str | None]:
    """Return what is asked of the members beyond their places, best first."""
    return [router.take_over for n in made.taking_part() if (router := made.router(n)) is not None]


def test_the_best_of_a_new_election_is_the_first_holder_until_it_runs_it() -> None:
    made = new_cluster()
    made.cycle()
    assert named(made) == ["FirstHolder", None, None]
    best, *others = made.taking_part()
    made.apply(*others)
    made.states = dict.fromkeys(others, BACKUP)
    made.cycle()
    assert named(made) == ["FirstHolder", None, None]
    made.apply(best)
    made.cycle()
    assert named(made) == [None, None, None]
    made.settle()
    assert named(made) == [None, None, None]


def test_who_is_slow_to_hear_that_it_is_the_first_holder_is_not_once_another_one_is() -> None:
    made = new_cluster()
    made.cycle()
    _, second, third = made.taking_part()
    made.apply(second, third)
    made.states = {second: ACTIVE}
    made.cycle()
    assert named(made) == [None, None, None]


@pytest.mark.parametrize(
    "told",
    [
        {"activeNode": "node-3"},
        {"history": [{"to": "node-3"}]},
        {"transitions": 4},
        {"nodes": [{"node": "node-3"}]},
    ],
)
def test_nobody_is_named_where_somebody_held_the_addresses_before(told: dict[str, Any]) -> None:
    made = new_cluster({"virtualRouterID": 1, **told})
    made.cycle()
    assert named(made) == [None, None, None]


def test_nobody_is_named_where_routers_outside_may_hold_the_addresses() -> None:
    for transport in ({"mode": "Multicast"}, {"externalPeers": ["192.0.2.250"]}):
        made = new_cluster(transport=transport)
        made.cycle()
        assert named(made) == [None, None, None]


def test_a_node_that_does_not_report_is_not_named() -> None:
    made = new_cluster()
    made.cycle()
    best = made.taking_part()[0]
    again = new_cluster()
    again.reports()
    again.mute = {best}
    again.cycle()
    assert named(again) == [None, None, None]


def test_a_backup_leaves_and_is_dropped_when_it_says_that_it_left() -> None:
    made = cluster(3)
    first, second, third = made.taking_part()
    made.change(second, out_of_service=True)
    made.cycle()
    assert made.router(second) is None
    assert made.peers(first) == {second, third}
    made.apply(first, third)
    made.cycle()
    assert made.peers(first) == {second, third}
    made.apply(second)
    made.cycle()
    assert made.peers(first) == {third}


def test_who_is_active_leaves_once_its_successor_is() -> None:
    made = cluster(3)
    first, second, _ = made.taking_part()
    made.change(first, out_of_service=True)
    found = made.cycle()
    assert made.router(first) is not None
    assert [w.message for w in found.waits["a"]] == [
        f"{first} is to leave once {second} has the addresses"
    ]
    successor = made.router(second)
    assert successor is not None
    assert successor.base_priority > made.priorities()[first] == 200
    assert successor.take_over == first  # whatever preemption says
    made.apply(first)
    made.cycle()
    assert made.router(first) is not None
    made.apply(second)
    made.cycle()
    assert made.router(first) is None
    assert made.peers(second) >= {first}
    assert "a" not in made.settle().waits
    assert first not in made.peers(second)
    assert made.priorities()[second] == 200


def test_a_successor_that_booted_with_what_it_was_asked_for_is_asked_anew() -> None:
    """A speaker acts where it changes; with ``preemption: Never`` nothing else would move it."""
    made = cluster(2, preemption={"mode": "Never"})
    first, second = made.taking_part()
    made.change(first, out_of_service=True)
    made.states = {first: ACTIVE, second: BACKUP}
    asked = []
    for _ in range(3):
        made.cycle()
        made.apply()
        router = made.router(second)
        assert router is not None
        asked.append(router.take_over)
    assert asked == [first, None, first]
    assert made.router(first) is not None
    made.states = {first: BACKUP, second: ACTIVE}
    assert "a" not in made.settle().waits
    assert made.taking_part() == [second]


def test_a_successor_that_yielded_to_a_better_one_is_not_asked_anew() -> None:
    made = cluster(2)
    first, second = made.taking_part()
    made.change(first, out_of_service=True)
    made.states = {first: ACTIVE, second: BACKUP}
    made.yielded = {second}
    for _ in range(3):
        made.cycle()
        made.apply()
        router = made.router(second)
        assert router is not None
        assert router.take_over == first


def test_who_cannot_be_told_to_leave_yields_by_priority_and_stays_listed() -> None:
    made = cluster(3)
    first, second, third = made.taking_part()
    made.mute = {first}
    made.states = {first: ACTIVE, second: BACKUP, third: BACKUP}
    made.change(first, out_of_service=True)
    made.cycle()
    assert made.priorities()[second] == 221
    made.states = {second: ACTIVE, third: BACKUP}
    made.apply()
    found = made.settle()
    assert made.router(first) is None
    assert first in made.peers(second) & made.peers(third)
    assert made.priorities()[second] == 221  # above what the other one may still run with
    assert Reason.NODE_UNREACHABLE in reasons(found)
    assert f"{first} is to leave and cannot be told" in messages(found)
    made.mute = set()
    made.settle()
    assert first not in made.peers(second)


def test_nobody_leaves_before_another_one_can_hold_the_addresses() -> None:
    made = cluster(2)
    first, second = made.taking_part()
    made.states = {second: FAULT}
    made.change(first, out_of_service=True)
    found = made.settle()
    assert made.router(first) is not None
    assert reasons(found) == [Reason.WAITING_FOR_SUCCESSOR]
    assert f"{first} to leave once another node can hold the addresses: {second} Fault" in (
        messages(found)
    )


def test_who_is_alone_and_cannot_be_told_stays_and_it_says_who_waits_for_it() -> None:
    """A node cut off as its election begins: nobody else got its router yet."""
    made = cluster(1, spare=1)
    made.change("node-2", has_speaker=True)
    made.cycle()
    made.mute = {"node-1"}
    made.change("node-1", out_of_service=True)
    found = made.settle()
    assert [made.router(name) is not None for name in ("node-1", "node-2")] == [True, False]
    assert "node-1 to leave once another node can hold the addresses: nobody else" in (
        messages(found)
    )
    assert "node-2 joins once every member knows it; no report from node-1" in messages(found)


def test_another_holder_that_cannot_report_is_not_put_below_anybody() -> None:
    """A Backup leaves while the Active node is silent, and heard."""
    made = cluster(3)
    first, second, third = made.taking_part()
    made.mute = {first}
    made.states = {second: BACKUP, third: BACKUP}
    made.change(second, out_of_service=True)
    made.settle()
    assert made.taking_part() == [first, third]


def test_a_node_that_leaves_the_cluster_alive_leaves_its_elections_first() -> None:
    made = cluster(3)
    first, second, _ = made.taking_part()
    made.nodes = [node for node in made.nodes if node.name != first]
    made.cycle()
    assert made.router(first) is not None
    assert made.priorities()[second] == 221
    made.settle()
    assert first not in made.written


def test_nobody_is_left_where_nobody_is_wanted() -> None:
    made = cluster(3)
    made.vip = virtual_ip("a", vrid=1, nodeSelector={"matchLabels": {"no": "node"}})
    made.settle()
    assert made.priorities() == {}


def test_who_was_asked_and_has_said_nothing_is_not_forgotten() -> None:
    """It may take the router in yet, and nobody else lists it."""
    vip = virtual_ip("a", vrid=1, nodeSelector={"matchLabels": {"vrrp": "yes"}})
    for between in (False, True):
        made = Cluster(nodes(2), vip)
        made.settle()
        made.change("node-1", labels={"vrrp": "yes"})
        made.cycle()
        assert made.router("node-1") is not None
        late = made.written["node-1"]
        made.change("node-1", labels={})
        if between:
            made.cycle()
        made.change("node-2", labels={"vrrp": "yes"})
        for _ in range(3):
            made.cycle()
            made.apply("node-2")
        made.applied["node-1"] = late
        assert made.router("node-2") is None or made.peers("node-2") == {"node-1"}
        made.settle()
        assert made.taking_part() == ["node-2"]
        assert made.peers("node-2") == set()
