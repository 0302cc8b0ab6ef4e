"""The planner's promises: spread, stability, priorities, and what bad input costs."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.operator.cluster import applied, nodes, snapshot, tcp_check, virtual_ip
from tests.unit.operator.membership_cluster import cluster

from vrrp_api.conditions import Reason
from vrrp_api.election import PLAIN, Authentication, ElectionSpec, Preemption, Transport
from vrrp_api.node_config import parse_node_config
from vrrp_operator.model.snapshot import Node
from vrrp_operator.plan.planner import Plan, plan
from vrrp_operator.plan.priorities import priority_for_rank


def fifty() -> list[dict[str, Any]]:
    return [virtual_ip(f"vip-{n}", f"192.0.2.{50 + n}") for n in range(50)]


def leaders(planned: Plan) -> dict[str, str]:
    """Return which node has the highest base priority for each VirtualIP, from the NodeConfigs."""
    best: dict[str, tuple[int, str]] = {}
    for node, config in planned.configs.items():
        for router in config.virtual_routers:
            best[router.name] = max(best.get(router.name, (0, "")), (router.base_priority, node))
    return {name: node for name, (_, node) in best.items()}


def test_fifty_virtual_ips_spread_evenly_over_three_nodes() -> None:
    planned = plan(snapshot(fifty(), nodes(3)))
    load = Counter(leaders(planned).values())
    even = 50 / 3
    assert len(load) == 3
    assert all(0.7 * even <= count <= 1.3 * even for count in load.values())
    assert len(set(planned.vrids.values())) == 50
    assert set(planned.vrids.values()) <= set(range(1, 256))


def test_every_candidate_knows_every_other_one_with_its_priority() -> None:
    planned = plan(snapshot([virtual_ip("a")], nodes(3)))
    routers = {name: config.virtual_routers[0] for name, config in planned.configs.items()}
    for node, router in routers.items():
        assert {peer.node for peer in router.peers} == set(routers) - {node}
        for peer in router.peers:
            assert peer.priority == routers[peer.node].base_priority
            assert peer.address == f"192.0.2.1{peer.node[-1]}"
    assert sorted(r.base_priority for r in routers.values()) == [160, 180, 200]


def test_input_order_changes_nothing() -> None:
    objects, of_nodes = fifty(), nodes(5)
    expected = plan(snapshot(objects, of_nodes))
    shuffled = random.Random(7)
    for _ in range(5):
        shuffled.shuffle(objects)
        shuffled.shuffle(of_nodes)
        assert plan(snapshot(objects, of_nodes)) == expected


def test_a_plan_that_is_applied_is_planned_again() -> None:
    first = plan(snapshot(fifty(), nodes(4)))
    remembered = [
        {**obj, "status": {"virtualRouterID": first.vrids[obj["metadata"]["name"]]}}
        for obj in fifty()
    ]
    again = plan(snapshot(remembered, nodes(4), reports=applied(first)))
    assert again.configs == first.configs


def test_a_node_that_goes_moves_only_what_it_led() -> None:
    first = plan(snapshot(fifty(), nodes(4)))
    second = plan(snapshot(fifty(), nodes(3), reports=applied(first)))
    for name, node in leaders(first).items():
        if node != "node-4":
            assert leaders(second)[name] == node


def test_candidates_bound_the_election() -> None:
    planned = plan(snapshot([virtual_ip("a", candidates=2)], nodes(6)))
    taking_part = [n for n, config in planned.configs.items() if config.virtual_routers]
    assert len(taking_part) == 2
    assert sorted(planned.candidates["a"]) == taking_part


def test_node_priorities_are_used_and_the_rest_ranks_below() -> None:
    pinned = [{"node": "node-2", "priority": 120}, {"node": "node-3", "priority": 90}]
    planned = plan(snapshot([virtual_ip("a", nodePriorities=pinned)], nodes(4)))
    priorities = {n: c.virtual_routers[0].base_priority for n, c in planned.configs.items()}
    assert (priorities["node-2"], priorities["node-3"]) == (120, 90)
    assert priorities["node-1"] != priorities["node-4"]
    assert max(priorities["node-1"], priorities["node-4"]) < 90


@given(st.integers(1, 254), st.integers(1, 9))
def test_no_two_candidates_have_the_same_priority(lowest: int, others: int) -> None:
    pinned = [{"node": "node-1", "priority": lowest}]
    cluster = snapshot([virtual_ip("a", nodePriorities=pinned, candidates=64)], nodes(others + 1))
    planned = plan(cluster)
    priorities = [r.base_priority for c in planned.configs.values() for r in c.virtual_routers]
    assert len(set(priorities)) == len(priorities)
    assert all(1 <= priority <= 254 for priority in priorities)
    assert len(priorities) == 1 + min(others, lowest - 1)


def test_ranks_are_wide_apart_until_there_are_too_many() -> None:
    assert [priority_for_rank(rank, 5) for rank in range(5)] == [200, 180, 160, 140, 120]
    many = [priority_for_rank(rank, 64) for rank in range(64)]
    assert len(set(many)) == 64
    assert min(many) >= 1


def test_node_selector_and_missing_speakers_leave_nodes_out() -> None:
    mixed = [
        Node("edge", {"role": "edge"}, ("192.0.2.1",)),
        Node("silent", {"role": "edge"}, ("192.0.2.2",), has_speaker=False),
        Node("core", {"role": "core"}, ("192.0.2.3",)),
    ]
    selector = {"matchLabels": {"role": "edge"}}
    assert plan(snapshot([virtual_ip("a", nodeSelector=selector)], mixed)).candidates["a"] == (
        "edge",
    )


def mixed_nodes() -> list[Node]:
    return [
        Node("both", {}, ("2001:db8::1", "192.0.2.1", "192.0.2.2", "2001:db8::2")),
        Node("four", {}, ("192.0.2.3",)),
        Node("six", {}, ("2001:db8::4",)),
        Node("bare", {}, ()),
    ]


@pytest.mark.parametrize(
    ("addresses", "taking_part", "missing"),
    [
        (("192.0.2.50",), {"both": "192.0.2.1", "four": "192.0.2.3"}, ["bare", "six"]),
        (("2001:db8::50",), {"both": "2001:db8::1", "six": "2001:db8::4"}, ["bare", "four"]),
        (
            ("192.0.2.50", "2001:db8::50"),
            {"both": "192.0.2.1", "four": "192.0.2.3"},
            ["bare", "six"],
        ),
        (
            ("2001:db8::50", "192.0.2.50"),
            {"both": "2001:db8::1", "six": "2001:db8::4"},
            ["bare", "four"],
        ),
    ],
)
def test_candidates_have_an_address_of_the_first_address_s_family(
    addresses: tuple[str, ...], taking_part: dict[str, str], missing: list[str]
) -> None:
    planned = plan(snapshot([virtual_ip("a", *addresses)], mixed_nodes()))
    assert set(planned.candidates["a"]) == set(taking_part)
    assert sorted(planned.without_address["a"]) == missing
    for node, config in planned.configs.items():
        peers = {p.node: p.address for r in config.virtual_routers for p in r.peers}
        others = {name: address for name, address in taking_part.items() if name != node}
        assert peers == (others if node in taking_part else {})


def test_elections_of_both_families_run_side_by_side() -> None:
    objects = [virtual_ip("four", "192.0.2.50"), virtual_ip("six", "2001:db8::50")]
    planned = plan(snapshot(objects, mixed_nodes()))
    families = {r.name: r.family for r in planned.configs["both"].virtual_routers}
    assert families == {"four": 4, "six": 6}
    assert [r.name for r in planned.configs["four"].virtual_routers] == ["four"]
    assert [r.name for r in planned.configs["six"].virtual_routers] == ["six"]


def test_a_node_long_gone_is_replaced_unless_all_are() -> None:
    three = nodes(3)
    first = plan(snapshot([virtual_ip("a", candidates=2)], three))
    gone = first.candidates["a"][0]
    away = [replace(node, gone=node.name == gone) for node in three]
    assert gone not in plan(snapshot([virtual_ip("a", candidates=2)], away)).candidates["a"]
    all_gone = [replace(node, gone=True) for node in three]
    assert len(plan(snapshot([virtual_ip("a")], all_gone)).candidates["a"]) == 3


# The election -------------------------------------------------------------------------


def elections(
    *, default_key_ref: str | None = None, of_nodes: int = 2, **spec: Any
) -> list[ElectionSpec]:
    """Return the election of VirtualIP a as each node gets it."""
    planned = plan(snapshot([virtual_ip("a", **spec)], nodes(of_nodes)), default_key_ref)
    assert planned.problems == {}
    found = [r.election for config in planned.configs.values() for r in config.virtual_routers]
    assert len(found) == of_nodes
    return found


def test_nodes_get_the_election_as_it_was_asked_for() -> None:
    spec: dict[str, Any] = {
        "version": 2,
        "advertisementInterval": "2s",
        "downAdvertisements": 5,
        "transport": {"externalPeers": ["192.0.2.3"], "ttl": {"send": 9, "acceptMinimum": 8}},
        "preemption": {"mode": "Always", "delay": "7s"},
        "authentication": {"type": "Simple", "keyName": "old"},
    }
    expected = ElectionSpec(
        version=2,
        advertisement_interval_ns=2_000_000_000,
        down_advertisements=5,
        transport=Transport(False, ("192.0.2.3",), 9, 8),
        preemption=Preemption(True, 7_000_000_000),
        authentication=Authentication("Simple", "old"),
    )
    assert elections(**spec) == [expected, expected]


@pytest.mark.parametrize(
    ("spec", "default_key_ref", "expected"),
    [
        ({}, None, PLAIN),
        ({}, "cluster", Authentication("HMAC", "cluster", "Enforce")),
        (
            {"version": 2, "advertisementInterval": "1s"},
            "cluster",
            Authentication("HMAC", "cluster"),
        ),
        ({"transport": {"mode": "Multicast"}}, "cluster", Authentication("HMAC", "cluster")),
        ({"transport": {"externalPeers": ["192.0.2.3"]}}, "cluster", PLAIN),
        ({"authentication": {"type": "None"}}, "cluster", PLAIN),
        (
            {"authentication": {"type": "HMAC", "keyName": "own", "mode": "Permissive"}},
            "cluster",
            Authentication("HMAC", "own", "Permissive"),
        ),
        (
            {
                "authentication": {"type": "HMAC", "keyName": "own"},
                "transport": {"externalPeers": ["192.0.2.3"]},
            },
            "cluster",
            Authentication("HMAC", "own"),
        ),
        (
            {"authentication": {"type": "HMAC", "keyName": "own"}},
            None,
            Authentication("HMAC", "own"),
        ),
    ],
)
def test_authentication_is_as_given_else_the_default_key_inside_the_cluster(
    spec: dict[str, Any], default_key_ref: str | None, expected: Authentication
) -> None:
    found = elections(default_key_ref=default_key_ref, **spec)
    assert {election.authentication for election in found} == {expected}


def test_plain_is_written_out_for_nodes() -> None:
    planned = plan(snapshot([virtual_ip("a")], nodes(1)))
    router = planned.configs["node-1"].to_object()["spec"]["virtualRouters"][0]
    assert router["authentication"] == {"type": "None"}


def test_what_is_carried_over_keeps_the_key_it_runs_with() -> None:
    good = virtual_ip("a", vrid=1)
    first = plan(snapshot([good], nodes(2)), "cluster")
    bad = virtual_ip("a", "192.0.2.11", vrid=1)
    second = plan(snapshot([bad], nodes(2), reports=applied(first)), "other")
    assert second.configs == first.configs


def test_largest_election_stays_within_what_a_node_takes() -> None:
    outside = [f"198.51.100.{n}" for n in range(1, 17)]
    spec: dict[str, Any] = {"candidates": 64, "transport": {"externalPeers": outside}}
    obj = virtual_ip("a", "203.0.113.50", **spec)
    planned = plan(snapshot([obj], nodes(70)))
    routers = [r for config in planned.configs.values() for r in config.virtual_routers]
    assert len(routers) == 64
    assert all(len(r.peers) + len(r.election.transport.external_peers) == 79 for r in routers)
    for config in planned.configs.values():
        assert parse_node_config(config.to_object()) == config


# Bad input ----------------------------------------------------------------------------


def test_second_virtual_ip_with_an_address_is_refused_and_the_first_runs_on() -> None:
    older = virtual_ip("z-first", "192.0.2.50/24", created="2026-01-01T00:00:00Z")
    newer = virtual_ip("a-second", "192.0.2.50", created="2026-01-02T00:00:00Z")
    planned = plan(snapshot([newer, older], nodes(2)))
    problem = planned.problems["a-second"]
    assert problem.reason is Reason.ADDRESS_CONFLICT
    assert "spec.addresses[0].address: 192.0.2.50 belongs to VirtualIP z-first" in problem.message
    assert "z-first" in planned.candidates
    assert all(len(config.virtual_routers) == 1 for config in planned.configs.values())


def test_accepted_virtual_ip_keeps_its_address_against_an_older_one() -> None:
    running = virtual_ip("running", "192.0.2.50", vrid=7, created="2026-02-01T00:00:00Z")
    intruder = virtual_ip("intruder", "192.0.2.50", created="2026-01-01T00:00:00Z")
    assert set(plan(snapshot([running, intruder], nodes(2))).problems) == {"intruder"}


def test_address_of_a_node_is_refused() -> None:
    planned = plan(snapshot([virtual_ip("a", "192.0.2.11/24")], nodes(2)))
    assert planned.problems["a"].reason is Reason.ADDRESS_IS_NODE_ADDRESS
    assert "node-1" in planned.problems["a"].message


@pytest.mark.parametrize(
    ("addresses", "peer", "words"),
    [
        (("192.0.2.50",), "192.0.2.12", "is the address of node node-2"),
        (("192.0.2.50/24",), "192.0.2.50", "is one of the addresses themselves"),
        (("192.0.2.50", "192.0.2.51"), "192.0.2.51", "is one of the addresses themselves"),
        (("2001:db8::50",), "2001:db8:0::50", "is one of the addresses themselves"),
    ],
)
def test_external_peer_that_is_one_of_ours_is_refused(
    addresses: tuple[str, ...], peer: str, words: str
) -> None:
    outside = ["198.51.100.1" if "." in peer else "2001:db8::99", peer]
    obj = virtual_ip("a", *addresses, transport={"externalPeers": outside})
    problem = plan(snapshot([obj], nodes(2))).problems["a"]
    assert problem.reason is Reason.EXTERNAL_PEER_CONFLICT
    assert problem.message.startswith("spec.transport.externalPeers[1]: ")
    assert words in problem.message
    assert "routers outside the cluster" in problem.message


def test_missing_health_check_is_named() -> None:
    planned = plan(snapshot([virtual_ip("a", healthChecks=[{"name": "web"}])], nodes(2)))
    assert planned.problems["a"].reason is Reason.HEALTH_CHECK_NOT_FOUND
    assert "spec.healthChecks[0].name: HealthCheck web does not exist" in (
        planned.problems["a"].message
    )


def test_what_ran_goes_on_when_its_new_spec_is_not_accepted() -> None:
    made = cluster(3)
    before = dict(made.written)
    assert len(made.taking_part()) == 3
    made.vip = virtual_ip("a", "192.0.2.11", vrid=1)
    assert "a" in made.settle().problems
    assert made.written == before


def test_a_check_deleted_under_a_running_virtual_ip_stays_with_its_nodes() -> None:
    obj = virtual_ip("a", vrid=1, healthChecks=[{"name": "web"}])
    first = plan(snapshot([obj], nodes(2), [tcp_check("web", rise=1)]))
    second = plan(snapshot([obj], nodes(2), reports=applied(first)))
    assert second.configs == first.configs


def test_nodes_get_the_checks_they_use_with_resolved_weights() -> None:
    references = [{"name": "web"}, {"name": "dns", "weight": -7}]
    checks = [tcp_check("web", weight=-30), tcp_check("dns"), tcp_check("unused")]
    planned = plan(snapshot([virtual_ip("a", healthChecks=references)], nodes(1), checks))
    config = planned.configs["node-1"]
    assert [check.name for check in config.health_checks] == ["dns", "web"]
    weights = {check.name: check.weight for check in config.virtual_routers[0].health_checks}
    assert weights == {"web": -30, "dns": -7}


@pytest.mark.parametrize("count", [0, 1])
def test_few_nodes_are_no_error(count: int) -> None:
    planned = plan(snapshot([virtual_ip("a")], nodes(count)))
    assert planned.problems == {}
    assert len(planned.candidates["a"]) == count
