"""Wall clocks that step under running speakers (architecture §4.14): nobody may notice.

A namespace has no wall clock of its own. So Python's is another one in the processes of these
speakers: it is ahead by as many seconds as a file of the node says, from one moment to the next.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.eventually import eventually
from tests.netns.inside import all_at, engine, manifest, routers, states, transitions

from vrrp_lab.lab import Lab
from vrrp_lab.node import Node

pytestmark = pytest.mark.netns
NODES = 2
MANIFEST = manifest("pair", 51, "192.0.2.50/24", ranks=(1, 2))
HOUR_S = 3600

# Python imports a module of this name before anything else.
_SITE = """
import time

real, real_ns = time.time, time.time_ns

def ahead():
    with open({path!r}) as file:
        return int(file.read())

time.time = lambda: real() + ahead()
time.time_ns = lambda: real_ns() + ahead() * 1_000_000_000
"""


class Clock:
    """The wall clock of one node."""

    def __init__(self, node: Node, folder: Path) -> None:
        self._node = node
        self._site = folder / node.name
        self._site.mkdir()
        self._ahead = self._site / "ahead"
        self.step_to(0)
        (self._site / "sitecustomize.py").write_text(_SITE.format(path=str(self._ahead)))

    def step_to(self, ahead_s: int) -> None:
        """Put the clock this far ahead of the others'."""
        unfinished = self._ahead.with_suffix(".new")
        unfinished.write_text(str(ahead_s))
        unfinished.replace(self._ahead)

    def start_speaker(self) -> None:
        """Start the node's speaker with this clock, as after a boot: it remembers nobody."""
        for remembered in self._node.run_dir.iterdir():
            remembered.unlink()
        path = os.pathsep.join(filter(None, (str(self._site), os.environ.get("PYTHONPATH"))))
        self._node.start_speaker(under=["env", f"PYTHONPATH={path}"])


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
