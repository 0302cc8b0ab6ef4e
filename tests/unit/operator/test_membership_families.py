"""The first address changes its family: the election restarts over the other one."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.operator.cluster import nodes, virtual_ip
from tests.unit.operator.membership_cluster import Cluster, messages, reasons

from vrrp_api.conditions import Reason
from vrrp_api.node_config import parse_node_config

IPV4, IPV6 = "192.0.2.50", "2001:db8::50"


def both_families(count: int) -> Cluster:
    """Return a settled cluster of nodes that have an address of each family."""
    found = [
        replace(n, addresses=(*n.addresses, f"2001:db8::{number}"))
        for number, n in enumerate(nodes(count), 1)
    ]
    made = Cluster(found, virtual_ip("a", IPV4, vrid=1))
    made.settle()
    return made


def families(made: Cluster) -> set[int]:
    return {router.family for name in made.written if (router := made.router(name)) is not None}


def readable(made: Cluster) -> bool:
    """Return whether nodes can read what they are asked, and nobody is told that it is alone."""
    taking_part = made.taking_part()
    return all(
        router.peers or taking_part == [name]
        for name, config in made.written.items()
        for router in parse_node_config(config.to_object()).virtual_routers
    )


def test_who_stays_runs_what_it_ran_until_it_is_alone() -> None:
    made = both_families(2)
    made.vip = virtual_ip("a", IPV6, vrid=1)
    seen = [families(made)]
    for _ in range(8):
        made.cycle()
        seen.append(families(made))
        made.apply()
    assert {4, 6} not in seen
    assert seen[0] == {4}
    assert seen[-1] == {6}


@pytest.mark.parametrize("seed", range(60))
def test_whatever_changes_when_nodes_can_read_what_they_are_asked(seed: int) -> None:
    rng = random.Random(seed)
    made = both_families(4)
    names = [node.name for node in made.nodes]
    of_node = {node.name: node.addresses for node in made.nodes}
    for generation in range(2, 27):
        what = rng.choice(("spec", "spec", "mute", "node", "nothing", "nothing"))
        if what == "spec":
            refused: dict[str, Any] = rng.choice(({}, {"healthChecks": [{"name": "deleted"}]}))
            made.vip = virtual_ip("a", rng.choice((IPV4, IPV6)), vrid=1, **refused)
            made.vip["metadata"]["generation"] = generation
        elif what == "mute":
            made.mute = set(rng.sample(names, rng.choice((0, 1, 2))))
        elif what == "node":
            name = rng.choice(names)
            ipv4, ipv6 = of_node[name]
            made.change(name, addresses=rng.choice(((ipv4,), (ipv6,), (ipv4, ipv6))))
        made.cycle()
        assert readable(made)
        applying = [name for name in made.written if rng.random() < 0.7]
        if applying:
            made.apply(*applying)


def test_a_change_comes_to_its_end_when_all_are_back() -> None:
    made = both_families(3)
    made.mute = {"node-1"}
    made.vip = virtual_ip("a", IPV6, vrid=1)
    for _ in range(4):
        made.cycle()
        made.apply()
    made.mute = set()
    made.settle()
    assert families(made) == {6}
    assert len(made.taking_part()) == 3


def test_those_who_hold_the_old_family_leave_first_where_none_of_them_stays() -> None:
    made = both_families(1)
    first = made.nodes[0]
    second = replace(nodes(2)[1], addresses=("192.0.2.12", "2001:db8::2"))
    made.nodes = [replace(first, out_of_service=True), second]
    made.vip = virtual_ip("a", IPV6, vrid=1)
    found = made.cycle()
    assert made.taking_part() == []
    assert reasons(found)[0] is Reason.ELECTION_RESTARTS
    assert "node-2 could not hear node-1, which leave first" in messages(found)
    assert made.cycle().configs["node-2"].virtual_routers == ()  # not before node-1 says so
    made.settle()
    assert made.taking_part() == ["node-2"]
    assert families(made) == {6}
