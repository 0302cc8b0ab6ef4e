"""Two elections of one LAN with one VRID on different nodes: neither knows of the other."""

from __future__ import annotations

import pytest
from tests.eventually import eventually
from tests.netns.inside import engine, holders, manifest, routers, transitions

from vrrp_lab.lab import Lab
from vrrp_lab.node import Node
from vrrp_speaker.engine.neighbours.foreign import SETTLING_NS

pytestmark = pytest.mark.netns
NODES, INTERVAL_NS = 4, 200_000_000
MANIFEST = "".join(
    manifest(name, 51, *addresses, ranks=ranks, spec=f"candidates: 2, {spec}")
    for name, addresses, ranks, spec in (
        ("left", ("192.0.2.50/24", "2001:db8:0:1::50/64"), (1, 2), "authentication: {type: None}"),
        ("right", ("192.0.2.51/24", "2001:db8:0:1::51/64"), (3, 4), "authentication: {type: None}"),
    )
)


def undisturbed(lab: Lab) -> bool:
    """Return whether no node refused a packet, or saw a stranger."""
    refused = {node.name: engine(node).rejected for node in lab.nodes}
    assert not any(count for counts in refused.values() for count in counts.values()), refused
    for node in lab.nodes:
        for router in routers(node).values():
            assert (router.foreign_advertisements, router.last_foreign) == (0, None)
            assert router.last_conflict is None
    return True


def sent(node: Node, name: str) -> int:
    return routers(node)[name].advertisements_sent


def test_two_elections_with_one_number_on_different_nodes_do_not_know_of_each_other(
    sized: Lab,
) -> None:
    """Plain ones, so that no signature keeps them apart; one of them fails over meanwhile."""
    first, second, third, fourth = sized.nodes
    held = {"left": first.name, "right": third.name}
    eventually(lambda: holders(sized) == held, within_s=30, every_s=0.1)
    assert [set(routers(node)) for node in sized.nodes] == [{"left"}] * 2 + [{"right"}] * 2
    moves = transitions([third, fourth])
    first.stop_speaker()
    eventually(lambda: routers(second)["left"].state == "Active", within_s=10)
    first.start_speaker()
    eventually(lambda: holders(sized) == held, within_s=30, every_s=0.1)
    # As many as take until a stranger would count.
    enough = sent(first, "left") + SETTLING_NS // INTERVAL_NS + 2
    eventually(lambda: sent(first, "left") >= enough, within_s=30)
    assert undisturbed(sized)
    assert transitions([third, fourth]) == moves
