"""Addresses of nodes: what is believed, and how a node takes another one."""

from __future__ import annotations

from tests.unit.operator.cluster import snapshot, virtual_ip
from tests.unit.operator.membership_cluster import cluster

from vrrp_api.conditions import Reason
from vrrp_operator.membership.facts import facts_of
from vrrp_operator.membership.steps import next_step
from vrrp_operator.plan.planner import plan

# Addresses ----------------------------------------------------------------------------


def test_another_address_is_taken_outside_of_the_election() -> None:
    made = cluster(3)
    first, second, _ = made.taking_part()
    made.change(second, addresses=("192.0.2.99",))
    made.cycle()
    assert made.router(second) is None
    assert made.written[second].addresses[0] != "192.0.2.99"
    made.apply(second)
    made.cycle()
    assert made.written[second].addresses == ("192.0.2.99",)
    assert made.router(second) is None
    made.settle()
    router = made.router(first)
    assert router is not None
    assert "192.0.2.99" in [peer.address for peer in router.peers]
    assert made.router(second) is not None


def test_a_node_that_may_begin_yet_keeps_the_address_by_which_it_is_listed() -> None:
    """It was asked to come, then to leave, and has said nothing to either."""
    made = cluster(2, spare=1)
    made.change("node-3", has_speaker=True)
    made.cycle()
    made.apply()
    made.cycle()
    assert made.router("node-3") is not None
    made.change("node-3", addresses=("192.0.2.99",))
    for _ in range(3):
        made.cycle()
        made.apply("node-1", "node-2")
        assert made.router("node-3") is None
        assert made.written["node-3"].addresses[0] == "192.0.2.13"
    made.settle()
    assert made.written["node-3"].addresses == ("192.0.2.99",)
    assert made.router("node-3") is not None


def test_addresses_that_all_change_are_taken_one_after_the_other() -> None:
    made = cluster(2)
    first, second = made.taking_part()
    made.change(first, addresses=("192.0.2.98",))
    made.change(second, addresses=("192.0.2.99",))
    made.cycle()
    assert made.router(first) is not None
    assert made.router(second) is None
    made.settle()
    assert made.written[first].addresses == ("192.0.2.98",)
    assert made.written[second].addresses == ("192.0.2.99",)
    assert len(made.priorities()) == 2


def test_members_stay_where_the_only_one_wanted_is_on_the_way_to_another_address() -> None:
    """All leave other elections for new addresses, and the newcomer is not here yet."""
    made = cluster(2, spare=1)
    made.change("node-3", has_speaker=True)
    now = snapshot([made.vip], made.nodes, reports=made.reports())
    router = made.router("node-1")
    assert router is not None
    moving = frozenset(("node-1", "node-2", "node-3"))
    step = next_step({"node-3": router}, facts_of("a", 4, now, frozenset()), moving)
    assert step.routers.keys() == {"node-1", "node-2"}
    said = {wait.reason for wait in step.waits}
    assert said == {Reason.WAITING_FOR_SUCCESSOR, Reason.PENDING}


def test_a_node_on_its_way_to_another_address_comes_nowhere_before() -> None:
    """Else, where there are many elections, it is always in one that it has to leave again."""
    made = cluster(2, spare=1)
    made.change("node-3", has_speaker=True)
    now = snapshot([made.vip], made.nodes, reports=made.reports())
    written = {name: made.router(name) for name in ("node-1", "node-2")}
    wanted = {name: router for name, router in written.items() if router is not None}
    wanted["node-3"] = wanted["node-2"]
    step = next_step(wanted, facts_of("a", 4, now, frozenset()), frozenset(["node-3"]))
    assert {n: r.peers for n, r in step.routers.items()} == {
        n: r.peers for n, r in written.items() if r is not None
    }
    assert step.waits == ()


def test_a_node_alone_takes_its_new_address_at_once() -> None:
    made = cluster(1)
    made.change("node-1", addresses=("192.0.2.99",))
    made.cycle()
    assert made.written["node-1"].addresses == ("192.0.2.99",)
    assert made.router("node-1") is not None


def test_a_node_alone_that_does_not_report_keeps_its_address() -> None:
    """Who joins when it is gone lists it, and it has not heard of another address."""
    made = cluster(1)
    made.mute = {"node-1"}
    made.change("node-1", addresses=("192.0.2.99",))
    made.cycle()
    assert made.written["node-1"].addresses[0] == "192.0.2.11"
    assert made.router("node-1") is not None
    made.mute = set()
    made.settle()
    assert made.written["node-1"].addresses == ("192.0.2.99",)


def test_a_node_alone_that_an_operator_has_not_heard_yet_keeps_its_address() -> None:
    """To one that has just begun its last report seems fresh, however old it is."""
    made = cluster(1)
    made.mute = made.unheard = {"node-1"}
    made.change("node-1", addresses=("192.0.2.99",))
    made.cycle()
    assert made.written["node-1"].addresses[0] == "192.0.2.11"
    assert made.router("node-1") is not None
    made.mute, made.unheard = set(), set()
    made.settle()
    assert made.written["node-1"].addresses == ("192.0.2.99",)


def test_addresses_that_vanish_are_kept() -> None:
    made = cluster(3)
    before = dict(made.written)
    for node in list(made.nodes):
        made.change(node.name, addresses=())
    found = made.cycle()
    assert made.written == before
    assert [node.kept for node in found.nodes] == [n.addresses for n in before.values()]


def test_an_address_of_a_virtual_ip_is_no_nodes() -> None:
    made = cluster(3)
    before = dict(made.written)
    made.change("node-1", addresses=("192.0.2.50",))
    found = made.cycle()
    assert found.problems == {}
    assert made.written == before
    assert found.nodes[0].refused == ("192.0.2.50 is the address of VirtualIP a",)


def test_an_address_of_another_node_is_not_taken() -> None:
    made = cluster(3)
    before = dict(made.written)
    made.change("node-2", addresses=("192.0.2.11",))
    found = made.cycle()
    assert made.written == before
    assert found.nodes[1].refused == ("192.0.2.11 is the address of node node-1",)


def test_new_nodes_that_claim_one_address_are_no_candidates_and_say_why() -> None:
    made = cluster(2, spare=2)
    for name in ("node-3", "node-4"):
        made.change(name, has_speaker=True, addresses=("192.0.2.77",))
    found = made.settle()
    assert set(found.candidates["a"]) == {"node-1", "node-2"}
    assert set(found.without_address["a"]) == {"node-3", "node-4"}
    assert "192.0.2.77 is said to be the address of node-4, too" in found.nodes[2].refused


def test_a_doubted_node_goes_on_where_it_is_and_joins_nothing() -> None:
    made = cluster(2)
    made.change("node-1", addresses=(), refused=("'x' is no IP address",))
    made.settle()
    assert made.router("node-1") is not None
    second = virtual_ip("b", "192.0.2.60", vrid=2)
    found = plan(snapshot([made.vip, second], made.nodes, reports=made.reports()))
    assert found.candidates == {"a": tuple(made.taking_part()), "b": ("node-2",)}
