"""Wall clocks that step under running speakers (architecture §4.14): nobody may notice."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from tests.eventually import eventually
from tests.netns.clock import Clock
from tests.netns.inside import all_at, engine, manifest, routers, states, transitions

from vrrp_lab.lab import Lab
from vrrp_lab.node import Node

pytestmark = pytest.mark.netns
NODES = 2
MANIFEST = manifest("pair", 51, "192.0.2.50/24", ranks=(1, 2))
HOUR_S = 3600


@pytest.fixture(scope="module")
def clocks(sized: Lab, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Clock]:
    """Every speaker runs with a clock of its own."""
    folder = tmp_path_factory.mktemp("clocks")
    made = {node.name: Clock(node, folder) for node in sized.nodes}
    for node in sized.nodes:
        node.stop_speaker()
        made[node.name].start_speaker()
    return made


@pytest.fixture
def home(sized: Lab, clocks: dict[str, Clock]) -> Iterator[Node]:
    """The best node, Active before and after; every clock is right again."""
    node = sized.node("node-1")
    all_at(sized, node)
    yield node
    for clock in clocks.values():
        clock.step_to(0)
    all_at(sized, node)


def heard(node: Node) -> int:
    """Return how many advertisements a node has accepted."""
    return sum(peer.received for peer in routers(node)["pair"].peers)


def has_heard(node: Node, count: int) -> bool:
    return heard(node) > count


@pytest.mark.parametrize("stepping", ["node-1", "node-2"])
@pytest.mark.parametrize("ahead_s", [HOUR_S, -HOUR_S])
def test_clock_that_steps_and_steps_back_moves_nothing(
    sized: Lab, home: Node, clocks: dict[str, Clock], ahead_s: int, stepping: str
) -> None:
    backup = sized.node("node-2")
    before, rejected = transitions(sized.nodes), engine(backup).rejected
    for now_ahead_s in (ahead_s, 0):
        clocks[stepping].step_to(now_ahead_s)
        eventually(partial(has_heard, backup, heard(backup) + 10), within_s=10)
    assert transitions(sized.nodes) == before
    assert engine(backup).rejected == rejected


def test_node_whose_clock_stepped_believes_who_it_never_heard(
    sized: Lab, home: Node, clocks: dict[str, Clock]
) -> None:
    backup = sized.node("node-2")
    home.stop_speaker()
    backup.stop_speaker()
    clocks[backup.name].start_speaker()
    eventually(lambda: states(backup) == {"pair": "Active"}, within_s=20)
    clocks[backup.name].step_to(-HOUR_S)
    clocks[home.name].start_speaker()
    eventually(lambda: heard(backup) > 10, within_s=12)
    assert states(backup) == {"pair": "Backup"}
    assert sum(engine(backup).rejected.values()) == 0
