"""One election on one simulated node: a router for each address that the node may have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address

from tests.simulation.lan import SimulatedLan
from tests.simulation.node import SimulatedNode
from tests.simulation.settings import KEYS, NodeConfig, version_of
from tests.simulation.sim_operator import KEY_REF
from tests.simulation.speaker_status import RouterMemory, Running

from vrrp.actions import StateChanged
from vrrp.authentication import Authentication, HmacKeys, Mode, Stage
from vrrp.constants import FIRST_HOLDER, State
from vrrp.validation import Datagram
from vrrp_api.node_config import VirtualRouterConfig

_KEYS = {"own": {1: KEYS[1]}, "other": {1: KEYS[2]}, KEY_REF: {1: KEYS[3]}}
_OWN_KEY = {1: bytes(range(64, 128))}
"""What nodes derive from the cluster's key for the election."""


class Seat:
    """Runs what it is told of its election; ``numbers`` are those of its slots on the LAN.

    ``news`` is called with the virtual time when there is something to report.
    """

    def __init__(self, election: str, lan: SimulatedLan, numbers: Sequence[int]) -> None:
        self.election = election
        self.lan = lan
        self.slots = tuple(lan.nodes[number] for number in numbers)
        self.router: VirtualRouterConfig | None = None
        self.news: Callable[[int], None] = lambda _: None
        self._memory = RouterMemory()
        self._by_address = {text_of(slot): slot for slot in self.slots}
        for slot in self.slots:
            slot.on_accept = self._heard

    # Looking ----------------------------------------------------------------------------

    @property
    def active(self) -> bool:
        """Whether it is Active."""
        return any(slot.state is State.ACTIVE for slot in self.slots)

    @property
    def slot(self) -> SimulatedNode | None:
        """What runs the election, if anything does."""
        return next((s for s in self.slots if s.router is not None and not s.leaving), None)

    @property
    def running(self) -> Running | None:
        """What a status tells."""
        slot = self.slot
        if self.router is None or slot is None:
            return None
        return Running(self.router, slot, self._memory)

    def of(self, addresses: Sequence[str]) -> SimulatedNode | None:
        """Return the slot of the one of a node's addresses that it runs the election from."""
        return next((self._by_address[a] for a in addresses if a in self._by_address), None)

    # Doing ------------------------------------------------------------------------------

    def run(
        self,
        router: VirtualRouterConfig | None,
        addresses: Sequence[str],
        now_ns: int,
        *,
        news: bool = False,
    ) -> None:
        """Run what a node with these addresses is asked for; None: nothing.

        ``news``: it was told so just now, and not by what it kept.
        """
        self.router = router
        own = self.of(addresses)
        stays = own if router is not None else None
        for slot in self.slots:
            if slot is not stays:
                slot.when_gone = None
                if slot.router is not None and not slot.leaving:
                    slot.shut_down(now_ns)
        if router is None or own is None:
            return

        def begin(at_ns: int) -> None:
            self._memory.begin(at_ns)
            own.start(at_ns)

        own.wanted = self._simulated(router, news=news)
        if own.router is None:
            begin(now_ns)
        elif own.leaving:
            own.when_gone = begin
        elif version_of(self.lan.cluster, own.config) != own.wanted.version:
            # Another router, as for the engine; there the old one keeps the addresses meanwhile.
            own.when_gone = begin
            own.shut_down(now_ns, hand_over=False)
        else:
            own.apply_wanted(now_ns)

    def crash(self, now_ns: int) -> None:
        """Lose power, and all that was in memory."""
        for slot in self.slots:
            if slot.router is not None:
                slot.crash(now_ns, power=True)
                slot.forget(0)

    def changed(self, now_ns: int, change: StateChanged) -> None:
        """Report soon: a router changed its state."""
        self._memory.changed(now_ns, change)
        self.news(now_ns)

    def _heard(self, slot: SimulatedNode, datagram: Datagram) -> None:
        if slot is self.slot and self._memory.hear(self.lan.now_ns, datagram):
            self.news(self.lan.now_ns)

    def _simulated(self, router: VirtualRouterConfig, *, news: bool) -> NodeConfig:
        election, first = router.election, router.take_over == FIRST_HOLDER
        indices = {text_of(node): node.index for node in self.lan.nodes}
        return NodeConfig(
            priority=router.base_priority,
            interval_ns=election.advertisement_interval_ns,
            down_advertisements=election.down_advertisements,
            preempt=election.preemption.preempt,
            preempt_delay_ns=election.preemption.delay_ns,
            peers=frozenset(indices[peer.address] for peer in router.peers),
            authentication=_authentication(router),
            take_over=0 if first else sum((router.take_over or "").encode()),
            version=election.version,
            first=first and news,
        )


def text_of(slot: SimulatedNode) -> str:
    """Return a slot's address as text."""
    return str(ip_address(slot.address))


def _authentication(router: VirtualRouterConfig) -> Authentication:
    said = router.election.authentication
    if said is None or said.type == "None":
        return None
    assert said.key_ref is not None
    keys, mode = _KEYS[said.key_ref], Mode(said.mode)
    if said.election_key is None:
        return HmacKeys(keys, 1, mode)
    return HmacKeys(keys, 1, mode, stage=Stage(said.election_key), election_keys=_OWN_KEY)
