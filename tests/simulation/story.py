"""What the scenarios are told with: a cluster that starts, time that passes, a few checks."""

from __future__ import annotations

from tests.simulation.faults import Stage
from tests.simulation.lan import SimulatedLan
from tests.simulation.node import SimulatedNode
from tests.simulation.oracles import NetworkOracle
from tests.simulation.settings import (
    KEYS,
    MS,
    SECOND,
    Cluster,
    FaultRates,
    NodeConfig,
    Settings,
)
from tests.simulation.timeline import OracleViolation

from vrrp.authentication import HmacKeys, Mode
from vrrp.constants import Family
from vrrp.packet import ChecksumForm
from vrrp.validation import Datagram

_LATENCY_NS = MS // 5
_ON_TIME_NS = 2 * MS
HOUR_NS = 3_600 * SECOND
_HEALTHY = FaultRates(0, 0, 0, 0, SECOND, {})


def expect(right: bool, otherwise: str) -> None:
    """Say what a scenario found wrong."""
    if not right:
        raise OracleViolation(otherwise)


class Story:
    """A cluster that was just started; priorities fall, addresses rise with the index."""

    def __init__(
        self,
        *priorities: int,
        version: int = 3,
        interval_ns: int = SECOND,
        down: int = 3,
        preempt: bool = True,
        delay_ns: int = 0,
        mode: Mode = Mode.ENFORCE,
        keys: HmacKeys | None = None,
    ) -> None:
        everybody = frozenset(range(len(priorities)))
        keys = keys or HmacKeys({1: KEYS[1]}, 1, mode)
        configs = tuple(
            NodeConfig(p, interval_ns, down, preempt, delay_ns, everybody - {i}, keys)
            for i, p in enumerate(priorities)
        )
        addresses = tuple(bytes((192, 0, 2, 11 + index)) for index in everybody)
        cluster = Cluster(
            version,
            Family.IPV4,
            False,
            ChecksumForm.MESSAGE_ONLY,
            addresses,
            _LATENCY_NS,
            0,
        )
        self.lan = SimulatedLan(Settings(0, cluster, configs, _HEALTHY, False))
        self.nodes = self.lan.nodes
        self.nodes += [SimulatedNode(self.lan, i, config) for i, config in enumerate(configs)]
        self.oracle = NetworkOracle(self.lan)
        for node in self.nodes:
            node.start(0)
        self.down_ns = down * interval_ns + (SECOND if version == 2 else interval_ns)
        LAST.append(self)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.lan.run_for(int(seconds * SECOND))

    def settle(self) -> None:
        """Let the election end, and the best be Active."""
        self.lan.run_for(2 * self.down_ns)
        expect(self.lan.active() == [0], f"Active are {self.lan.active()}, not node0")
        self.oracle.begin_stage()

    def took_over_after(self, since_ns: int, node: int, expected_ns: int) -> None:
        """Check that one node took over, and when."""
        expect(self.oracle.takeovers == [node], f"took over: {self.oracle.takeovers}")
        at_ns = next(
            at for at, who, what, _ in reversed(self.lan.timeline.doings) if what == "announces"
        )
        error_ns = at_ns - since_ns - expected_ns
        expect(0 <= error_ns <= _ON_TIME_NS, f"{error_ns / MS} ms from the expected time")

    def tell_all(self, stage: Stage) -> None:
        """Roll a change out, a node every 1.3 s."""
        for node in self.nodes:
            node.wanted = stage(node.index, node.wanted)
            node.apply_wanted(self.lan.now_ns)
            self.run(1.3)


LAST: list[Story] = []
"""The stories of the running scenario, for the timeline of a failure."""


def acquaintances() -> Story:
    """Return a cluster in which everybody was Active once, so that everybody has every mark."""
    story = Story(200, 150, 100)
    story.settle()
    for gone in ((0,), (0, 1)):
        for index in gone:
            story.nodes[index].shut_down(story.lan.now_ns)
        story.run(5)
        for index in gone:
            story.nodes[index].start(story.lan.now_ns)
        story.run(10)
    story.settle()
    return story


def play(story: Story, captured: list[Datagram]) -> None:
    """Play captured datagrams to node1, which must reject each."""
    node = story.nodes[1]
    forged = [datagram._replace() for datagram in captured]
    node.injected = {id(datagram) for datagram in forged}
    for datagram in forged:
        node.receive(story.lan.now_ns, datagram)


def expect_sends(story: Story, since_ns: int, least: int, most: int) -> None:
    """Check how often node0 advertised since a moment."""
    sends = sum(
        at >= since_ns and who == 0 and what == "sends priority"
        for at, who, what, _ in story.lan.timeline.doings
    )
    expect(least <= sends <= most, f"{sends} advertisements, not {least} to {most}")
