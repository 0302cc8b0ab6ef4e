"""A LAN of simulated nodes in virtual time, and what its wire does, from one seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from tests.simulation.holding import Holding
from tests.simulation.settings import Cluster, FaultRates, Settings
from tests.simulation.timeline import Timeline
from tests.simulation.virtual_time import Deed, VirtualTime

from vrrp.actions import StateChanged
from vrrp.constants import State
from vrrp.validation import Datagram

if TYPE_CHECKING:
    from tests.simulation.node import SimulatedNode


class Wiretap(Protocol):
    """Sees every copy just before it is delivered; an attacker is one."""

    def about_to_arrive(
        self, now_ns: int, arrival_ns: int, node: SimulatedNode, datagram: Datagram
    ) -> None:
        """Look at a copy sent now, which will arrive then."""


class SimulatedLan:
    """Virtual time, the nodes, and the wire between them.

    ``beside``: another LAN, of another election of the same machines, whose time it has.
    """

    def __init__(self, settings: Settings, beside: SimulatedLan | None = None) -> None:
        self.settings = settings
        self.cluster: Cluster = settings.cluster
        self.time: VirtualTime = VirtualTime() if beside is None else beside.time
        self.timeline = Timeline()
        self.nodes: list[SimulatedNode] = []
        self.holding: Holding = Holding(self.nodes)
        self.rates: FaultRates | None = None
        """How bad the wire is; None while it is healthy."""
        self.blocked: set[tuple[int, int]] = set()
        """Pairs (from, to) between which nothing passes."""
        self.losses: dict[tuple[int, int], float] = {}
        """The share that is lost between pairs (from, to), beside what ``rates`` lose."""
        self.wiretap: Wiretap | None = None
        self.watchers: list[Callable[[int, int, StateChanged], None]] = []
        """Told of every transition: virtual time, node, change."""
        self.told: dict[int, int] = {}
        """Beside each node there is a client: whose announcement it heard last."""
        self.clients_blocked: set[tuple[int, int]] | None = None
        """Pairs (from, to) between which no announcement passes; None: the same ones."""
        self.missed_ns: dict[tuple[int, int], int] = {}
        """When the last announcement of a node did not reach the client beside another one."""
        self._arrivals: dict[tuple[int, int], int] = {}
        """When the last copy of each pair arrives; a healthy wire does not reorder."""
        self._rng = random.Random(f"{settings.seed} wire")
        self.at = self.time.at

    # Time ------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        """What virtual time it is."""
        return self.time.now_ns

    def after(self, delay_ns: int, deed: Deed) -> None:
        """Do something in a while."""
        self.time.at(self.now_ns + delay_ns, deed)

    def run_until(self, end_ns: int) -> None:
        """Let virtual time pass."""
        self.time.run_until(end_ns)

    def run_for(self, duration_ns: int) -> None:
        """Let a stretch of virtual time pass."""
        self.run_until(self.now_ns + duration_ns)

    # The wire --------------------------------------------------------------------------

    def carry(self, sender: int, receiver: SimulatedNode, datagram: Datagram) -> None:
        """Bring one copy to one node, or lose it, late, twice, out of order."""
        if (sender, receiver.index) in self.blocked:
            return
        chance = self._rng.random
        lost = self.losses.get((sender, receiver.index), 0.0)
        if lost and chance() < lost:
            self.timeline.note(self.now_ns, receiver.index, "lost, from", sender)
            return
        delay_ns = 1 + int(chance() * self.cluster.latency_ns)
        rates = self.rates
        if rates is not None:
            if chance() < rates.loss:
                self.timeline.note(self.now_ns, receiver.index, "lost, from", sender)
                return
            if chance() < rates.reorder:
                delay_ns += int(chance() * rates.reorder_ns)
            if chance() < rates.duplicate:
                self._deliver(self.now_ns + 2 * delay_ns, receiver, datagram)
            self._deliver(self.now_ns + delay_ns, receiver, datagram)
            return
        pair = (sender, receiver.index)
        arrival_ns = max(self.now_ns + delay_ns, self._arrivals.get(pair, 0))
        self._arrivals[pair] = arrival_ns
        self._deliver(arrival_ns, receiver, datagram)

    def announced(self, sender: int) -> None:
        """Tell every client that the sender reaches where the addresses are."""
        blocked = self.blocked if self.clients_blocked is None else self.clients_blocked
        for node in self.nodes:
            if (sender, node.index) in blocked:
                self.missed_ns[sender, node.index] = self.now_ns
            else:
                self.told[node.index] = sender
                self.missed_ns.pop((sender, node.index), None)

    def _deliver(self, arrival_ns: int, receiver: SimulatedNode, datagram: Datagram) -> None:
        if self.wiretap is not None:
            self.wiretap.about_to_arrive(self.now_ns, arrival_ns, receiver, datagram)
        self.at(arrival_ns, lambda now_ns: receiver.receive(now_ns, datagram))

    # Looking ---------------------------------------------------------------------------

    def active(self) -> list[int]:
        """Return which living nodes are Active."""
        return [node.index for node in self.nodes if node.state is State.ACTIVE]

    def holders(self) -> list[int]:
        """Return on which nodes the addresses are, living or not."""
        return [node.index for node in self.nodes if node.addresses.held(self.now_ns)]

    def candidates(self) -> list[SimulatedNode]:
        """Return the nodes that could be Active: alive, turning, without a fault, configured."""
        return [node for node in self.nodes if node.may_be_active]
