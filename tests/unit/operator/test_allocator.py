"""VRIDs: unique on each node, sticky, oldest first, and an end at 255 on one node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.operator.cluster import applied, nodes, snapshot, virtual_ip

from vrrp_api.conditions import Reason
from vrrp_operator.model.snapshot import NodeReport
from vrrp_operator.model.vrid_limits import Limits
from vrrp_operator.plan.allocator import SPARE, Admissions, Allocation, Election, allocate
from vrrp_operator.plan.planner import Plan, plan

ALL = frozenset(range(1, 256))


def planned(*objects: dict[str, Any], count: int = 2) -> Plan:
    return plan(snapshot(objects, nodes(count)))


def test_what_the_status_remembers_stays() -> None:
    found = planned(
        virtual_ip("a", vrid=9),
        virtual_ip("b", "192.0.2.51", vrid=1),
        virtual_ip("c", "192.0.2.52"),
    )
    assert found.vrids == {"a": 9, "b": 1, "c": 2}
    assert found.problems == {}


def test_a_number_asked_for_is_not_given_to_another() -> None:
    older = virtual_ip("a", created="2026-01-01T00:00:00Z")
    newer = virtual_ip("b", "192.0.2.51", virtualRouterID=1, created="2026-01-02T00:00:00Z")
    assert planned(older, newer).vrids == {"a": 2, "b": 1}


def test_clash_refuses_the_later_one_and_names_the_owner() -> None:
    found = planned(virtual_ip("a", vrid=5), virtual_ip("b", "192.0.2.51", virtualRouterID=5))
    assert found.vrids == {"a": 5}
    assert found.problems["b"].reason is Reason.VIRTUAL_ROUTER_ID_CONFLICT
    message = found.problems["b"].message
    assert "spec.virtualRouterID: 5 belongs to VirtualIP a on every node" in message
    assert "node-1, node-2" in message


def test_two_statuses_with_one_number_leave_it_to_the_older() -> None:
    older = virtual_ip("z", vrid=5, created="2026-01-01T00:00:00Z")
    newer = virtual_ip("a", "192.0.2.51", vrid=5, created="2026-01-02T00:00:00Z")
    vrids = planned(older, newer).vrids
    assert vrids["z"] == 5
    assert vrids["a"] != 5


def test_of_two_statuses_with_one_number_the_one_whose_nodes_use_it_keeps_it() -> None:
    newer = virtual_ip("a", "192.0.2.51", vrid=5, created="2026-01-02T00:00:00Z")
    running = applied(plan(snapshot([newer], nodes(2))))
    older = virtual_ip("z", vrid=5, created="2026-01-01T00:00:00Z")
    found = plan(snapshot([older, newer], nodes(2), reports=running))
    assert found.vrids == {"a": 5, "z": 1}


def test_the_256th_of_one_node_is_refused_and_the_others_stay() -> None:
    objects = [virtual_ip(f"v{n:03}", f"10.0.{n}.1") for n in range(256)]
    found = planned(*objects)
    assert sorted(found.vrids.values()) == list(range(1, 256))
    assert list(found.problems) == ["v255"]
    assert found.problems["v255"].reason is Reason.VIRTUAL_ROUTER_IDS_EXHAUSTED
    assert "(node-1, node-2)" in found.problems["v255"].message


def test_refused_virtual_ip_keeps_its_number_and_gets_no_new_one() -> None:
    unknown = [{"name": "nothing"}]
    newer = virtual_ip("b", "192.0.2.51", healthChecks=unknown)
    found = planned(virtual_ip("a", vrid=3, healthChecks=unknown), newer)
    assert found.vrids == {"a": 3}
    assert {p.reason for p in found.problems.values()} == {Reason.HEALTH_CHECK_NOT_FOUND}


def test_a_freed_number_is_given_again() -> None:
    assert planned(virtual_ip("b", vrid=2), virtual_ip("c", "192.0.2.51")).vrids["c"] == 1


def test_without_nodes_each_has_a_number_of_its_own() -> None:
    objects = [virtual_ip(f"v{n}", f"10.0.{n}.1") for n in range(5)]
    assert sorted(planned(*objects, count=0).vrids.values()) == [1, 2, 3, 4, 5]


def test_spec_wins_over_a_status_of_another_object_of_the_name() -> None:
    """Deleted and made anew, while the old one's status was under way."""
    found = planned(virtual_ip("a", vrid=7, virtualRouterID=9))
    assert (found.vrids, found.problems) == ({"a": 9}, {})


def test_spec_that_the_status_contradicts_is_refused_where_its_number_is_taken() -> None:
    anew = virtual_ip("a", vrid=7, virtualRouterID=9)
    found = planned(anew, virtual_ip("b", "192.0.2.51", vrid=9))
    assert found.vrids == {"b": 9}
    assert found.problems["a"].reason is Reason.VIRTUAL_ROUTER_ID_CONFLICT


# Colours ----------------------------------------------------------------------------------


def given(*elections: Election, candidates: int = 3, limits: Limits | None = None) -> Allocation:
    """Return what is allocated where each election takes its first nodes by name."""
    may_use = {election.name: sorted(election.may_use) for election in elections}

    def choose(name: str, barred: frozenset[str]) -> tuple[str, ...]:
        return tuple(node for node in may_use[name] if node not in barred)[:candidates]

    return allocate(elections, choose, limits or Limits())


def on(*names: str) -> frozenset[str]:
    return frozenset(names)


def runs(number: int, *names: str) -> dict[str, int | None]:
    return dict.fromkeys(names, number)


def test_more_than_255_fit_where_they_share_no_node() -> None:
    racks = [on("a-1", "a-2"), on("b-1", "b-2")]
    found = given(*(Election(f"v{n:03}", may_use=racks[n % 2]) for n in range(510)))
    assert found.problems == {}
    for rack in range(2):
        numbers = [found.numbers[f"v{n:03}"] for n in range(rack, 510, 2)]
        assert sorted(numbers) == list(range(1, 256))


def test_a_thousand_without_a_selector_fit_on_fifty_nodes() -> None:
    everywhere = [f"n{n:02}" for n in range(50)]
    may_use = frozenset(everywhere)

    def choose(name: str, barred: frozenset[str]) -> tuple[str, ...]:
        start = int(name[1:]) * 7
        order = [everywhere[(start + step) % 50] for step in range(50)]
        return tuple(node for node in order if node not in barred)[:5]

    elections = [Election(f"v{n:04}", may_use=may_use) for n in range(1000)]
    found = allocate(elections, choose, Limits())
    assert found.problems == {}
    used: set[tuple[str, int]] = set()
    for name, number in found.numbers.items():
        chosen = choose(name, frozenset(found.barred.get(name, ())))
        assert len(chosen) == 5
        assert not used & {(node, number) for node in chosen}
        used |= {(node, number) for node in chosen}


def test_numbers_that_nobody_has_come_first_and_a_few_are_left_for_those_who_need_one() -> None:
    racks = [on("a-1"), on("b-1")]
    found = given(*(Election(f"v{n:03}", may_use=racks[n % 2]) for n in range(300)))
    assert found.problems == {}
    assert max(found.numbers.values()) == 255 - SPARE
    assert len({found.numbers[f"v{n:03}"] for n in range(255 - SPARE)}) == 255 - SPARE


def test_a_running_election_keeps_its_number_and_passes_by_a_node_where_it_is_taken() -> None:
    a = Election("a", runs_on=runs(7, "n1", "n2"), may_use=on("n1", "n2", "n3", "n4"))
    b = Election("b", runs_on=runs(7, "n3"), may_use=on("n3"))
    found = given(a, b)
    assert found.numbers == {"a": 7, "b": 7}
    assert found.barred == {"a": {"n3": "b"}}
    assert found.problems == {}


def test_of_two_that_want_to_come_to_one_node_with_one_number_the_older_does() -> None:
    younger = Election("a", ("2026-02", "a"), runs_on=runs(7, "n1"), may_use=on("n1", "n3"))
    older = Election("b", ("2026-01", "b"), runs_on=runs(7, "n2"), may_use=on("n2", "n3"))
    assert given(younger, older).barred == {"a": {"n3": "b"}}


def test_a_change_that_would_leave_no_node_waits_and_says_for_whom() -> None:
    moved = Election("a", runs_on=runs(7, "n1"), may_use=on("n3"))
    found = given(moved, Election("b", runs_on=runs(7, "n3"), may_use=on("n3")))
    assert found.numbers == {"a": 7, "b": 7}
    assert found.stuck == {"a"}
    assert found.problems["a"].reason is Reason.VIRTUAL_ROUTER_ID_CONFLICT
    assert "VirtualIP b on n3" in found.problems["a"].message


def test_one_that_does_not_run_yet_gives_a_number_up_that_is_in_the_way() -> None:
    waiting = Election("a", ("2026-01", "a"), recorded=7, may_use=on("n1"))
    found = given(waiting, Election("b", ("2026-02", "b"), runs_on=runs(7, "n1")))
    assert found.numbers == {"a": 1, "b": 7}


def test_a_thousand_that_want_one_number_harm_nobody() -> None:
    first = Election("a", runs_on=runs(7, "n1", "n2"), may_use=on("n1", "n2"))
    rest = [Election(f"v{n:04}", pinned=7, may_use=on("n1", "n2")) for n in range(1000)]
    found = given(first, *rest)
    assert found.numbers == {"a": 7}
    assert {p.reason for p in found.problems.values()} == {Reason.VIRTUAL_ROUTER_ID_CONFLICT}
    assert len(found.problems) == 1000


def test_what_is_asked_for_is_had_on_the_nodes_where_it_is_free() -> None:
    a = Election("a", runs_on=runs(7, "n1"), may_use=on("n1"))
    found = given(a, Election("b", pinned=7, may_use=on("n1", "n2")))
    assert found.numbers["b"] == 7
    assert found.barred == {"b": {"n1": "a"}}


# Heard outside the cluster ------------------------------------------------------------------


def test_one_that_others_hear_has_its_number_for_itself() -> None:
    found = given(
        Election("a", alone=True, may_use=on("n1")),
        Election("b", may_use=on("n2")),
        Election("c", runs_on=runs(1, "n3"), may_use=on("n3")),
        limits=Limits(reserved=ALL - {1, 2, 3}),
    )
    assert found.numbers == {"c": 1, "a": 2, "b": 1}


def test_a_running_one_that_is_to_be_heard_must_not_share_its_number() -> None:
    shared = Election("a", runs_on=runs(7, "n1"), may_use=on("n1"), alone=True)
    found = given(shared, Election("b", runs_on=runs(7, "n2"), may_use=on("n2")))
    assert found.numbers == {"a": 7, "b": 7}
    assert found.problems["a"].reason is Reason.VIRTUAL_ROUTER_ID_CONFLICT
    assert "VirtualIP b, too; mode Multicast" in found.problems["a"].message


def test_none_is_left_for_one_that_others_hear() -> None:
    found = given(
        Election("a", runs_on=runs(1, "n1")),
        Election("b", alone=True, may_use=on("n2")),
        limits=Limits(reserved=ALL - {1}),
    )
    assert found.problems["b"].reason is Reason.VIRTUAL_ROUTER_IDS_EXHAUSTED


@pytest.mark.parametrize("alone", [False, True])
def test_nobody_gets_a_number_that_others_hear(alone: bool) -> None:
    heard = Election("a", runs_on=runs(7, "n1"), may_use=on("n1"), alone=True)
    found = given(heard, Election("b", pinned=7, may_use=on("n2"), alone=alone))
    assert found.numbers == {"a": 7}
    assert "7 belongs to VirtualIP a" in found.problems["b"].message


def test_mode_multicast_and_external_peers_need_a_number_of_their_own() -> None:
    racks = [in_rack(n) for n in (1, 2, 3)]
    one_each = [{"matchLabels": {"rack": str(n)}} for n in (1, 2, 3)]
    external = {"externalPeers": ["192.0.2.99"]}
    objects = [
        virtual_ip("a", nodeSelector=one_each[0], transport={"mode": "Multicast"}),
        virtual_ip("b", "192.0.2.51", nodeSelector=one_each[1], transport=external),
        virtual_ip("c", "192.0.2.52", nodeSelector=one_each[2]),
    ]
    few = Limits(reserved=ALL - {1, 2})
    found = plan(replace(snapshot(objects, racks), vrid_limits=few))
    assert found.vrids == {"a": 1, "b": 2}
    assert list(found.problems) == ["c"]


def in_rack(rack: int) -> Any:
    return replace(nodes(rack)[-1], labels={"rack": str(rack)})


# What is not to be given --------------------------------------------------------------------


def test_a_reserved_number_is_given_to_those_only_who_ask_for_it() -> None:
    limits = Limits(reserved=frozenset({1, 2}))
    elections = Election("a", may_use=on("n1")), Election("b", pinned=2, may_use=on("n1"))
    assert given(*elections, limits=limits).numbers == {"a": 3, "b": 2}


def test_a_reservation_takes_nobody_its_number() -> None:
    running = Election("a", runs_on=runs(1, "n1"), may_use=on("n1"))
    assert given(running, limits=Limits(reserved=ALL)).numbers == {"a": 1}


def test_a_number_that_strangers_use_is_given_last() -> None:
    limits = Limits(reserved=ALL - {1, 2}, foreign=frozenset({1}))
    elections = [Election(name, may_use=on("n1")) for name in "ab"]
    assert given(*elections, limits=limits).numbers == {"a": 2, "b": 1}


def test_a_number_that_strangers_use_is_never_given_to_one_that_they_hear() -> None:
    limits = Limits(reserved=ALL - {1}, foreign=frozenset({1}))
    assert given(Election("a", alone=True, may_use=on("n1")), limits=limits).numbers == {}


RESTS: Mapping[tuple[str, int], str] = {("n1", 1): "gone"}


def test_a_number_rests_where_it_was_freed() -> None:
    limits = Limits(reserved=ALL - {1}, resting=RESTS)
    found = given(Election("a", may_use=on("n1")), Election("b", may_use=on("n2")), limits=limits)
    assert found.numbers == {"b": 1}
    assert found.problems["a"].reason is Reason.VIRTUAL_ROUTER_IDS_EXHAUSTED
    assert "within two minutes" in found.problems["a"].message


def test_one_that_runs_does_not_come_where_its_number_rests() -> None:
    limits = Limits(resting=RESTS)
    running = Election("a", runs_on=runs(1, "n2"), may_use=on("n1", "n2"))
    assert given(running, limits=limits).barred == {"a": {"n1": "gone"}}


@pytest.mark.parametrize(
    "election", [Election("gone", may_use=on("n1")), Election("a", pinned=1, may_use=on("n1"))]
)
def test_no_rest_keeps_a_number_from_who_had_it_or_from_who_asks_for_it(
    election: Election,
) -> None:
    limits = Limits(reserved=ALL - {1}, resting=RESTS)
    assert set(given(election, limits=limits).numbers.values()) == {1}


# What nodes run ---------------------------------------------------------------------------


def after(before: Plan, *objects: dict[str, Any]) -> Plan:
    return plan(snapshot(objects, nodes(2), reports=applied(before)))


def numbers(planned: Plan) -> dict[str, int]:
    return {r.name: r.virtual_router_id for r in planned.configs["node-1"].virtual_routers}


def test_a_status_that_was_lost_costs_no_election_its_number() -> None:
    before = plan(snapshot([virtual_ip("a", vrid=3), virtual_ip("b", "192.0.2.51")], nodes(2)))
    lost = virtual_ip("a"), virtual_ip("b", "192.0.2.51", vrid=1)
    assert numbers(after(before, *lost)) == {"a": 3, "b": 1}


def test_a_number_that_nodes_run_yet_for_one_that_was_deleted_is_not_given() -> None:
    before = plan(snapshot([virtual_ip("gone")], nodes(2)))
    assert before.vrids == {"gone": 1}
    assert numbers(after(before, virtual_ip("new", "192.0.2.51"))) == {"new": 2}
    others = [virtual_ip(f"v{n}", f"10.0.{n}.1", vrid=n) for n in range(2, 256)]
    found = after(before, *others, virtual_ip("new", "192.0.2.51"))
    assert found.problems["new"].reason is Reason.VIRTUAL_ROUTER_IDS_EXHAUSTED
    assert found.vrids.keys() == {f"v{n}" for n in range(2, 256)}


@pytest.mark.parametrize(("spec", "number"), [({}, 2), ({"virtualRouterID": 1}, None)])
def test_no_node_is_asked_to_run_two_elections_with_one_number(
    spec: dict[str, Any], number: int | None
) -> None:
    """One was deleted, another got its number, and it was made anew while nodes ran it yet."""
    before = plan(snapshot([virtual_ip("a", virtualRouterID=1)], nodes(2)))
    owner = virtual_ip("b", "192.0.2.51", vrid=1, **spec)
    found = after(before, owner, virtual_ip("a", virtualRouterID=1))
    assert found.vrids.get("b") == number
    assert numbers(found) == {"a": 1, **({"b": number} if number else {})}
    if number is None:
        assert found.problems["b"].reason is Reason.VIRTUAL_ROUTER_ID_CONFLICT


def test_one_that_is_not_accepted_comes_to_no_node_where_its_number_is_taken() -> None:
    racks = [in_rack(1), in_rack(2)]
    one_each = [{"matchLabels": {"rack": str(n)}} for n in (1, 2)]
    a = virtual_ip("a", vrid=7, nodeSelector=one_each[0])
    b = virtual_ip("b", "192.0.2.51", vrid=7, nodeSelector=one_each[1])
    before = plan(snapshot([a, b], racks))
    assert (before.vrids, before.problems) == ({"a": 7, "b": 7}, {})
    unknown = virtual_ip("a", vrid=7, healthChecks=[{"name": "nothing"}])
    found = plan(snapshot([unknown, b], racks, reports=applied(before)))
    assert found.problems.keys() == {"a"}
    assert [r.name for r in found.configs["node-2"].virtual_routers] == ["b"]
    assert [r.peers for r in found.configs["node-1"].virtual_routers] == [()]


def test_elections_of_both_families_that_share_a_number_go_on() -> None:
    """No number is given so; over IPv6 it is another election, and nothing that runs is lost."""
    found = where_both_run(virtual_ip("a", vrid=1), virtual_ip("b", "2001:db8::51", vrid=1))
    assert numbers(found) == {"a": 1, "b": 1}
    assert found.problems["b"].reason is Reason.VIRTUAL_ROUTER_ID_CONFLICT


def test_of_two_that_nodes_run_with_one_number_one_gives_way() -> None:
    found = where_both_run(virtual_ip("a", vrid=1), virtual_ip("b", "192.0.2.51", vrid=1))
    assert [r.name for r in found.configs["node-1"].virtual_routers] == ["a"]
    assert found.problems["b"].reason is Reason.VIRTUAL_ROUTER_ID_CONFLICT


def where_both_run(*objects: dict[str, Any]) -> Plan:
    """Return the plan of two nodes that are asked to run each of two VirtualIPs as if alone."""
    of_both = [both(n) for n in (1, 2)]
    each = [plan(snapshot([obj], of_both)).configs for obj in objects]
    shared = {
        node: NodeReport(
            replace(config, virtual_routers=(*config.virtual_routers, *other.virtual_routers)),
            None,
            True,
        )
        for (node, config), other in zip(each[0].items(), each[1].values(), strict=True)
    }
    return plan(snapshot(objects, of_both, reports=shared))


def both(number: int) -> Any:
    node = nodes(number)[-1]
    return replace(node, addresses=(*node.addresses, f"2001:db8::{number}"))


def test_who_was_admitted_in_one_round_is_not_in_the_next() -> None:
    """What was given is used again while nothing of it changes; admissions are not given."""
    nothing = allocate([], lambda _name, _barred: (), Limits())
    assert Admissions(nothing).admits("a", 7, "node-1")
    again = Admissions(nothing)
    assert again.admits("b", 7, "node-1")
    assert not again.admits("a", 7, "node-1")
