"""First places: who has one keeps it; what nobody runs is spread over the nodes it may use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from vrrp_operator.plan.placement import Contest, first_places

NODES = [f"node-{number}" for number in range(6)]
node_sets = st.frozensets(st.sampled_from(NODES), min_size=1)


def contest(
    number: int, nodes: frozenset[str], members: Mapping[str, int] | None = None
) -> Contest:
    return Contest(f"vip-{number:03}", nodes, members or {})


def many(count: int, nodes: list[str], first: int = 0) -> list[Contest]:
    return [contest(first + number, frozenset(nodes)) for number in range(count)]


def applied(contests: list[Contest]) -> list[Contest]:
    """Return the same contests once what was decided runs."""
    decided = first_places(contests)
    return [Contest(one.name, one.nodes, {decided[one.name]: 200}) for one in contests]


@given(st.lists(node_sets, max_size=40), st.lists(node_sets, max_size=10))
def test_virtual_ips_that_are_made_or_deleted_move_no_other(
    before: list[frozenset[str]], more: list[frozenset[str]]
) -> None:
    run = applied([contest(number, nodes) for number, nodes in enumerate(before)])
    made = [contest(len(run) + number, nodes) for number, nodes in enumerate(more)]
    were = {one.name: node for one in run for node in one.members}
    assert were.items() <= first_places([*run, *made]).items()
    assert were.items() <= first_places([*made, *run]).items()
    assert first_places(run[::2]).items() <= were.items()


@given(st.lists(node_sets, max_size=40))
def test_a_new_node_leads_nothing_of_what_runs(before: list[frozenset[str]]) -> None:
    run = applied([contest(number, nodes) for number, nodes in enumerate(before)])
    joined = [Contest(one.name, one.nodes | {"newcomer"}, one.members) for one in run]
    assert first_places(joined) == first_places(run)


@given(st.integers(1, 60), st.integers(1, 6))
def test_new_ones_of_equal_nodes_are_shared_fairly(count: int, size: int) -> None:
    led = Counter(first_places(many(count, NODES[:size])).values())
    share = -(-count // size)
    assert max(led.values()) <= share + share // 8


def test_what_other_nodes_lead_makes_no_room_short() -> None:
    """Forty of two nodes, beside one that may use 48 others: each of the two leads about half."""
    inner = [f"inner-{number}" for number in range(48)]
    edge = many(40, ["edge-1", "edge-2"])
    led = Counter(first_places([*many(1, inner, first=900), *edge]).values())
    assert led["edge-1"] + led["edge-2"] == 40
    assert min(led["edge-1"], led["edge-2"]) >= 18


def test_a_full_node_gets_no_more_while_others_have_room() -> None:
    crowded = [contest(n, frozenset(NODES[:3]), {NODES[0]: 200}) for n in range(9)]
    led = first_places([*crowded, *many(6, NODES[:3], first=100)])
    assert Counter(led.values())[NODES[0]] == 9


def test_the_next_of_those_that_take_part_follows_a_leader_that_is_gone() -> None:
    """It has the address by then, however much it leads and whatever the scores say."""
    members = {"node-9": 200, "node-1": 180, "node-2": 160, "node-3": 140}
    led = [contest(n, frozenset(NODES), {"node-1": 200}) for n in range(30)]
    for number in range(100, 120):
        gone = contest(number, frozenset(NODES), members)
        assert first_places([*led, gone])[gone.name] == "node-1"


def test_a_leader_that_may_lead_no_more_gives_its_place_to_a_member_that_may() -> None:
    one = contest(1, frozenset({"node-2", "node-3"}), {"node-1": 200, "node-3": 180})
    assert first_places([one]) == {"vip-001": "node-3"}
