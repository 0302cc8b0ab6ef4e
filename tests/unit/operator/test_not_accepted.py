"""A VirtualIP that is not accepted: its parameters stay, its members follow the cluster."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.operator.membership_cluster import Cluster, cluster

from vrrp_api.conditions import Reason

UNKNOWN = [{"name": "deleted"}]


def refuse(made: Cluster, *, generation: int = 1, **spec: Any) -> None:
    """Have the VirtualIP name a check that does not exist."""
    vip = made.vip
    metadata = {**vip["metadata"], "generation": generation}
    made.vip = {
        **vip,
        "metadata": metadata,
        "spec": {**vip["spec"], "healthChecks": UNKNOWN, **spec},
    }
    assert made.settle().problems["a"].reason is Reason.HEALTH_CHECK_NOT_FOUND


@pytest.mark.parametrize("generation", [1, 2])
def test_nothing_moves_when_it_is_no_longer_accepted(generation: int) -> None:
    made = cluster(3, advertisementInterval="1s")
    before = {name: made.router(name) for name in made.written}
    refuse(made, generation=generation, advertisementInterval="2s")
    assert {name: made.router(name) for name in made.written} == before


@pytest.mark.parametrize("generation", [1, 2])
def test_peers_know_a_member_by_its_new_address(generation: int) -> None:
    made = cluster(3)
    refuse(made, generation=generation)
    made.change("node-2", addresses=("192.0.2.99",))
    made.settle()
    assert made.written["node-2"].addresses == ("192.0.2.99",)
    for name in ("node-1", "node-3"):
        router = made.router(name)
        assert router is not None
        assert {p.node: p.address for p in router.peers}["node-2"] == "192.0.2.99"


@pytest.mark.parametrize("generation", [1, 2])
def test_nodes_that_come_take_the_places_of_those_that_went(generation: int) -> None:
    made = cluster(3, spare=3, candidates=3, downAdvertisements=5)
    refuse(made, generation=generation, downAdvertisements=7)
    for number in (1, 2, 3):
        made.nodes = [n for n in made.nodes if n.name != f"node-{number}"]
        made.change(f"node-{number + 3}", has_speaker=True)
        made.settle()
        assert len(made.taking_part()) == 3
    assert set(made.taking_part()) == {"node-4", "node-5", "node-6"}
    for name in made.taking_part():
        router = made.router(name)
        assert router is not None
        assert router.election.down_advertisements == 5
        assert made.peers(name) == set(made.taking_part()) - {name}


def test_newcomers_take_no_place_and_move_nothing() -> None:
    made = cluster(2, spare=1)
    before = made.priorities()
    refuse(made)
    made.change("node-3", has_speaker=True)
    made.settle()
    assert {name: made.priorities()[name] for name in before} == before
    assert made.priorities()["node-3"] < min(before.values())


def test_selector_that_was_not_accepted_sends_nobody_away() -> None:
    made = cluster(2)
    refuse(made, generation=2, nodeSelector={"matchLabels": {"none": "of us"}})
    assert set(made.taking_part()) == {"node-1", "node-2"}


def test_node_that_is_taken_out_of_service_leaves() -> None:
    made = cluster(3, candidates=2, spare=0)
    refuse(made)
    leaving = made.taking_part()[0]
    made.change(leaving, out_of_service=True)
    made.settle()
    assert leaving not in made.taking_part()
    assert len(made.taking_part()) == 2


def test_what_cannot_be_read_at_all_keeps_its_members() -> None:
    made = cluster(3)
    made.vip = {**made.vip, "spec": {"addresses": "odd"}}
    made.nodes = [n for n in made.nodes if n.name != "node-1"]
    made.settle()
    assert set(made.taking_part()) == {"node-2", "node-3"}
