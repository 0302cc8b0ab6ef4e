"""Moves that somebody asked for: nodes out of service, VirtualIPs handed to a node by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.operator.cluster import nodes, report, router_status, snapshot, virtual_ip

from vrrp_api.election import Announcements
from vrrp_api.node_config import VirtualRouterConfig
from vrrp_operator.model.snapshot import Node, NodeReport
from vrrp_operator.plan.planner import Plan, plan


def handed(name: str, node: str | None, *addresses: str, **spec: Any) -> dict[str, Any]:
    """Return a VirtualIP whose annotation asks for a node."""
    obj = virtual_ip(name, *addresses, **spec)
    if node is not None:
        obj["metadata"]["annotations"] = {"kube-vrrp.io/handover-to": node}
    return obj


def set_apart(of_nodes: list[Node], *names: str) -> list[Node]:
    return [replace(node, out_of_service=node.name in names) for node in of_nodes]


def running(planned: Plan) -> dict[str, NodeReport]:
    """Return the reports of a cluster whose nodes run what was planned."""
    return {
        node: report(
            config,
            *(
                router_status(r.name, "Backup", priority=r.base_priority)
                for r in config.virtual_routers
            ),
        )
        for node, config in planned.configs.items()
    }


def routers(planned: Plan, name: str) -> dict[str, VirtualRouterConfig]:
    return {
        node: router
        for node, config in planned.configs.items()
        for router in config.virtual_routers
        if router.name == name
    }


def priorities(planned: Plan, name: str = "a") -> dict[str, int]:
    return {node: router.base_priority for node, router in routers(planned, name).items()}


def tokens(planned: Plan, name: str = "a") -> Mapping[str, str | None]:
    return {node: router.take_over for node, router in routers(planned, name).items()}


def test_announcements_reach_the_nodes() -> None:
    spec = {"burst": 9, "repeatAfter": "0s", "refresh": "5m"}
    planned = plan(snapshot([virtual_ip("a", announcements=spec)], nodes(2)))
    expected = Announcements(9, 0, 300_000_000_000)
    assert {router.announcements for router in routers(planned, "a").values()} == {expected}


def test_conflict_detection_reaches_the_nodes() -> None:
    planned = plan(snapshot([virtual_ip("a", conflictPolicy="Ignore")], nodes(2)))
    assert [router.detect_conflicts for router in routers(planned, "a").values()] == [False] * 2


# Out of service -----------------------------------------------------------------------


def test_a_node_out_of_service_runs_no_election_and_is_nobodys_peer() -> None:
    planned = plan(snapshot([virtual_ip("a")], set_apart(nodes(3), "node-2")))
    assert set(priorities(planned)) == {"node-1", "node-3"}
    assert planned.configs["node-2"].virtual_routers == ()
    peers = {peer.node for router in routers(planned, "a").values() for peer in router.peers}
    assert peers == {"node-1", "node-3"}


def test_another_node_takes_its_place_among_the_candidates() -> None:
    objects = [virtual_ip("a", candidates=2)]
    first, second = plan(snapshot(objects, nodes(3))).candidates["a"]
    instead = plan(snapshot(objects, set_apart(nodes(3), first))).candidates["a"]
    assert set(instead) == {"node-1", "node-2", "node-3"} - {first}
    assert instead[0] == second


def test_nodes_out_of_service_stay_where_no_other_can_take_part() -> None:
    three = set_apart(nodes(3), "node-1", "node-2")
    away = [replace(node, gone=node.name == "node-3") for node in three]
    assert set(priorities(plan(snapshot([virtual_ip("a")], away)))) == {"node-1", "node-2"}
    all_apart = set_apart(nodes(2), "node-1", "node-2")
    assert set(priorities(plan(snapshot([virtual_ip("a")], all_apart)))) == {"node-1", "node-2"}


def test_it_stays_for_the_virtual_ip_that_has_no_other_node_and_for_no_more() -> None:
    labelled = [replace(node, labels={"name": node.name}) for node in nodes(2)]
    own = virtual_ip("own", "192.0.2.60", nodeSelector={"matchLabels": {"name": "node-1"}})
    planned = plan(snapshot([virtual_ip("a"), own], set_apart(labelled, "node-1")))
    assert [router.name for router in planned.configs["node-1"].virtual_routers] == ["own"]


# Handed over --------------------------------------------------------------------------


def settled(count: int = 3, **spec: Any) -> tuple[list[str], dict[str, NodeReport]]:
    """Return the candidates of VirtualIP a, best first, and the reports of nodes that run it."""
    planned = plan(snapshot([virtual_ip("a", vrid=1, **spec)], nodes(count)))
    return list(planned.candidates["a"]), running(planned)


def hand_over(
    node: str | None, reports: Mapping[str, NodeReport], count: int = 3, **spec: Any
) -> Plan:
    obj = handed("a", node, vrid=1, **spec)
    return plan(snapshot([obj], nodes(count), reports=reports))


def test_the_named_node_is_first_and_the_others_keep_their_priorities() -> None:
    ranked, reports = settled()
    planned = hand_over(ranked[2], reports)
    assert priorities(planned) == {ranked[2]: 220, ranked[0]: 200, ranked[1]: 180}
    assert planned.candidates["a"] == (ranked[2], ranked[0], ranked[1])
    for router in routers(planned, "a").values():
        assert {p.node: p.priority for p in router.peers}.items() <= priorities(planned).items()


def test_it_alone_is_told_to_take_over() -> None:
    ranked, reports = settled()
    assert tokens(hand_over(ranked[1], reports)) == {
        ranked[1]: ranked[1],
        ranked[0]: None,
        ranked[2]: None,
    }


def test_the_best_node_named_changes_no_priority() -> None:
    ranked, reports = settled()
    planned = hand_over(ranked[0], reports)
    assert priorities(planned) == {ranked[0]: 200, ranked[1]: 180, ranked[2]: 160}
    assert tokens(planned)[ranked[0]] == ranked[0]


def test_a_node_is_added_to_the_candidates_and_is_told_once_it_runs_the_election() -> None:
    (first, second), reports = settled(3, candidates=2)
    third = next(n for n in ("node-1", "node-2", "node-3") if n not in (first, second))
    planned = hand_over(third, reports, candidates=2)
    assert priorities(planned) == {first: 200, second: 180}  # they have to know it first
    planned = hand_over(third, running(planned), candidates=2)
    assert priorities(planned) == {third: 220, first: 200, second: 180}
    assert tokens(planned)[third] is None  # a speaker acts on a change in what it runs
    later = hand_over(third, running(planned), candidates=2)
    assert priorities(later) == priorities(planned)
    assert tokens(later)[third] == third
    undone = hand_over(None, running(later), candidates=2)
    assert set(undone.candidates["a"]) == {first, second}


@pytest.mark.parametrize("named", [0, 1, 2, 3, 4])
def test_the_end_of_a_hand_over_restores_what_was(named: int) -> None:
    objects = [virtual_ip(f"vip-{n}", f"192.0.2.{50 + n}", vrid=n + 1) for n in range(10)]
    before = plan(snapshot(objects, nodes(5)))
    asked = [
        handed("vip-4", f"node-{named + 1}", "192.0.2.54", vrid=5) if n == 4 else obj
        for n, obj in enumerate(objects)
    ]
    during = plan(snapshot(asked, nodes(5), reports=running(before)))
    for name in before.candidates:
        if name != "vip-4":
            assert routers(during, name) == routers(before, name)
    still = plan(snapshot(asked, nodes(5), reports=running(during)))
    assert still.configs == during.configs
    after = plan(snapshot(objects, nodes(5), reports=running(still)))
    assert after.configs == before.configs


def test_a_loan_does_not_count_when_first_places_are_balanced() -> None:
    """All first places on loan at one node: a new VirtualIP finds every node's load as it was."""
    objects = [virtual_ip(f"vip-{n}", f"192.0.2.{50 + n}", vrid=n + 1) for n in range(6)]
    before = plan(snapshot(objects, nodes(3)))
    asked = [
        handed(f"vip-{n}", "node-1", f"192.0.2.{50 + n}", vrid=n + 1, created="2026-01-01")
        for n in range(6)
    ]
    during = plan(snapshot(asked, nodes(3), reports=running(before)))
    newer = virtual_ip("newer", "192.0.2.70", created="2026-06-01T00:00:00Z")
    with_loans = plan(snapshot([*asked, newer], nodes(3), reports=running(during)))
    without = plan(snapshot([*objects, newer], nodes(3), reports=running(before)))
    assert with_loans.candidates["newer"] == without.candidates["newer"]


def test_priorities_of_its_own_stay_below_the_named_node() -> None:
    pinned = [{"node": "node-1", "priority": 120}, {"node": "node-2", "priority": 90}]
    _, reports = settled(4, nodePriorities=pinned)
    before = priorities(hand_over(None, reports, 4, nodePriorities=pinned))
    after = priorities(hand_over("node-2", reports, 4, nodePriorities=pinned))
    assert after == {**before, "node-2": 140}


def test_the_highest_priority_there_is_is_passed_on_and_the_order_below_kept() -> None:
    pinned = [
        {"node": "node-1", "priority": 254},
        {"node": "node-2", "priority": 253},
        {"node": "node-3", "priority": 9},
    ]
    _, reports = settled(3, nodePriorities=pinned)
    after = priorities(hand_over("node-3", reports, nodePriorities=pinned))
    assert after == {"node-3": 254, "node-1": 253, "node-2": 252}


@given(
    st.lists(st.integers(1, 254), min_size=0, max_size=6, unique=True),
    st.integers(1, 8),
    st.integers(1, 9),
)
def test_a_hand_over_is_a_ranking_led_by_the_named_node(
    pinned: list[int], named: int, candidates: int
) -> None:
    explicit = [{"node": f"node-{n}", "priority": p} for n, p in enumerate(pinned, start=1)]
    spec: dict[str, Any] = {"nodePriorities": explicit, "candidates": candidates}
    found = priorities(hand_over(f"node-{named}", {}, 8, **spec))
    assert max(found, key=found.__getitem__) == f"node-{named}"
    assert len(set(found.values())) == len(found) <= candidates + 1
    assert all(1 <= priority <= 254 for priority in found.values())


@pytest.mark.parametrize("name", ["node-9", "node-3", "silent", "six", ""])
def test_a_node_that_is_no_candidate_is_ignored(name: str) -> None:
    of_nodes = [
        *set_apart(nodes(3), "node-3"),
        Node("silent", {}, ("192.0.2.21",), has_speaker=False),
        Node("six", {}, ("2001:db8::21",)),
    ]
    expected = plan(snapshot([virtual_ip("a", vrid=1)], of_nodes))
    assert plan(snapshot([handed("a", name, vrid=1)], of_nodes)).configs == expected.configs
