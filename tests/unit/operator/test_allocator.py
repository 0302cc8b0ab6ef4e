"""VRIDs: unique, sticky, oldest first, and an end at 255."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.operator.cluster import applied, nodes, snapshot, virtual_ip

from vrrp_api.conditions import Reason
from vrrp_operator.plan.allocator import allocate_vrids
from vrrp_operator.plan.planner import Plan, plan


def test_what_the_status_remembers_stays() -> None:
    cluster = snapshot([virtual_ip("a", vrid=9), virtual_ip("b", vrid=1), virtual_ip("c")])
    vrids, problems = allocate_vrids(cluster, ())
    assert vrids == {"a": 9, "b": 1, "c": 2}
    assert problems == {}


def test_a_number_asked_for_is_not_given_to_another() -> None:
    older = virtual_ip("a", created="2026-01-01T00:00:00Z")
    newer = virtual_ip("b", virtualRouterID=1, created="2026-01-02T00:00:00Z")
    vrids, _ = allocate_vrids(snapshot([older, newer]), ())
    assert vrids == {"a": 2, "b": 1}


def test_clash_refuses_the_later_one_and_names_the_owner() -> None:
    first = virtual_ip("a", vrid=5)
    second = virtual_ip("b", virtualRouterID=5)
    vrids, problems = allocate_vrids(snapshot([first, second]), ())
    assert vrids == {"a": 5}
    assert problems["b"].reason is Reason.VIRTUAL_ROUTER_ID_CONFLICT
    assert "spec.virtualRouterID: 5 belongs to VirtualIP a" in problems["b"].message


def test_two_statuses_with_one_number_leave_it_to_the_older() -> None:
    older = virtual_ip("z", vrid=5, created="2026-01-01T00:00:00Z")
    newer = virtual_ip("a", vrid=5, created="2026-01-02T00:00:00Z")
    vrids, _ = allocate_vrids(snapshot([older, newer]), ())
    assert vrids["z"] == 5
    assert vrids["a"] != 5


def test_of_two_statuses_with_one_number_the_one_whose_nodes_use_it_keeps_it() -> None:
    newer = virtual_ip("a", vrid=5, created="2026-01-02T00:00:00Z")
    running = applied(plan(snapshot([newer], nodes(2))))
    older = virtual_ip("z", vrid=5, created="2026-01-01T00:00:00Z")
    vrids, _ = allocate_vrids(snapshot([older, newer], nodes(2), reports=running), ())
    assert vrids == {"a": 5, "z": 1}


def test_the_256th_is_refused_and_the_others_stay() -> None:
    objects = [virtual_ip(f"v{n:03}", f"10.0.{n}.1") for n in range(256)]
    vrids, problems = allocate_vrids(snapshot(objects), ())
    assert sorted(vrids.values()) == list(range(1, 256))
    assert list(problems) == ["v255"]
    assert problems["v255"].reason is Reason.VIRTUAL_ROUTER_IDS_EXHAUSTED


def test_refused_virtual_ip_keeps_its_number_and_gets_no_new_one() -> None:
    cluster = snapshot([virtual_ip("a", vrid=3), virtual_ip("b")])
    assert allocate_vrids(cluster, ("a", "b")) == ({"a": 3}, {})


def test_a_freed_number_is_given_again() -> None:
    cluster = snapshot([virtual_ip("b", vrid=2), virtual_ip("c")])
    assert allocate_vrids(cluster, ())[0]["c"] == 1


def test_spec_wins_over_a_status_of_another_object_of_the_name() -> None:
    """Deleted and made anew, while the old one's status was under way."""
    vrids, problems = allocate_vrids(snapshot([virtual_ip("a", vrid=7, virtualRouterID=9)]), ())
    assert (vrids, problems) == ({"a": 9}, {})


def test_spec_that_the_status_contradicts_is_refused_where_its_number_is_taken() -> None:
    anew = virtual_ip("a", vrid=7, virtualRouterID=9)
    vrids, problems = allocate_vrids(snapshot([anew, virtual_ip("b", vrid=9)]), ())
    assert vrids == {"b": 9}
    assert problems["a"].reason is Reason.VIRTUAL_ROUTER_ID_CONFLICT


# What nodes run ---------------------------------------------------------------------------


def after(before: Plan, *objects: dict[str, Any]) -> Plan:
    return plan(snapshot(objects, nodes(2), reports=applied(before)))


def numbers(planned: Plan) -> dict[str, int]:
    return {r.name: r.virtual_router_id for r in planned.configs["node-1"].virtual_routers}


def test_a_status_that_was_lost_costs_no_election_its_number() -> None:
    before = plan(snapshot([virtual_ip("a", vrid=3), virtual_ip("b", "192.0.2.51")], nodes(2)))
    lost = virtual_ip("a"), virtual_ip("b", "192.0.2.51", vrid=1)
    assert numbers(after(before, *lost)) == {"a": 3, "b": 1}


def test_a_number_that_nodes_run_yet_for_one_that_was_deleted_is_given_last() -> None:
    before = plan(snapshot([virtual_ip("gone")], nodes(2)))
    assert before.vrids == {"gone": 1}
    assert numbers(after(before, virtual_ip("new", "192.0.2.51"))) == {"new": 2}
    others = [virtual_ip(f"v{n}", f"10.0.{n}.1", vrid=n) for n in range(2, 256)]
    assert after(before, *others, virtual_ip("new", "192.0.2.51")).vrids["new"] == 1


@pytest.mark.parametrize("spec", [{}, {"virtualRouterID": 1}])
def test_no_node_is_asked_to_run_two_elections_with_one_number(spec: dict[str, Any]) -> None:
    """One was deleted, another got its number, and it was made anew while nodes ran it yet."""
    before = plan(snapshot([virtual_ip("a", virtualRouterID=1)], nodes(2)))
    owner = virtual_ip("b", "192.0.2.51", vrid=1, **spec)
    anew = virtual_ip("a", virtualRouterID=1)
    planned = after(before, owner, anew)
    assert planned.problems["a"].reason is Reason.VIRTUAL_ROUTER_ID_CONFLICT
    assert numbers(planned) == {"b": 1}


def test_elections_of_both_families_may_have_one_number() -> None:
    """Over IPv6 it is another election, and what runs for one that is not accepted goes on."""
    before = plan(snapshot([virtual_ip("a", virtualRouterID=1)], [both(n) for n in (1, 2)]))
    owner = virtual_ip("b", "2001:db8::51", vrid=1)
    anew = virtual_ip("a", virtualRouterID=1)
    nodes_of_both = [both(n) for n in (1, 2)]
    planned = plan(snapshot([owner, anew], nodes_of_both, reports=applied(before)))
    assert numbers(planned) == {"a": 1, "b": 1}


def both(number: int) -> Any:
    node = nodes(number)[-1]
    return replace(node, addresses=(*node.addresses, f"2001:db8::{number}"))
