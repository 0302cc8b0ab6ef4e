"""What a simulated node's speaker has to tell: the speaker's own status, of simulated routers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tests.simulation.node import SimulatedNode
from tests.simulation.node_clocks import EPOCH_NS
from tests.simulation.settings import SECOND

from vrrp.actions import StateChanged
from vrrp.validation import Datagram
from vrrp_api.node_config import VirtualRouterConfig
from vrrp_api.node_status import NodeConfigStatus
from vrrp_speaker.agent.status.builder import StatusBuilder
from vrrp_speaker.agent.view import NodeView, address_text
from vrrp_speaker.shared_state import layout
from vrrp_speaker.shared_state.values import (
    EngineState,
    LearnedState,
    PeerState,
    RouterState,
    decode,
)

_BOOT_NS = SECOND
"""What the monotonic clock says as virtual time begins: 0 would mean never."""
_EMPTY: EngineState = decode(bytes(layout.SIZE))
_NEVER = PeerState(0, 0)


class RouterMemory:
    """What an engine shares of one router."""

    def __init__(self) -> None:
        self._heard: dict[bytes, PeerState] = {}
        self._active: bytes | None = None
        self.since_ns = 0
        self._transitions = 0

    def begin(self, now_ns: int) -> None:
        """Begin with a router that has heard nobody."""
        self._heard, self._active = {}, None
        self.since_ns = now_ns

    def changed(self, now_ns: int, _: StateChanged) -> None:
        """Note a transition."""
        self.since_ns = now_ns
        self._transitions += 1

    def hear(self, now_ns: int, datagram: Datagram) -> bool:
        """Note an advertisement; return whether another one speaks than before."""
        before = self._heard.get(datagram.source, _NEVER)
        self._heard[datagram.source] = PeerState(before.received + 1, now_ns + _BOOT_NS)
        other, self._active = self._active != datagram.source, datagram.source
        return other

    def state(self, router: VirtualRouterConfig, slot: SimulatedNode) -> RouterState:
        """Return what the engine shares of the router."""
        addresses = [slot.lan.cluster.addresses[peer] for peer in sorted(slot.config.peers)]
        texts = {address_text(address): address for address in addresses}
        peers = [self._heard.get(texts.get(p.address, b""), _NEVER) for p in router.peers]
        learned = [
            LearnedState(address, self._heard.get(address, _NEVER))
            for address in slot.learned.known_ns
        ]
        return RouterState(
            state=str(slot.state),
            since_ns=self.since_ns + _BOOT_NS,
            effective_priority=slot.priority,
            base_priority=slot.config.priority,
            transitions=self._transitions,
            advertisements_sent=0,
            last_sent_ns=0,
            address_present=bool(slot.addresses.held(slot.lan.now_ns)),
            addresses_restored=0,
            dual_active_ns=0,
            vrid=router.virtual_router_id,
            faults=(),
            link_down=0,
            peers=tuple(peers),
            unlisted=_NEVER,
            learned=tuple(learned),
            transition_counts=(),
            conflicts=0,
            last_conflict=None,
            held=None,
            foreign_advertisements=0,
            last_foreign=None,
            history=(),
        )


@dataclass(frozen=True, slots=True)
class Running:
    """A router that runs: what was asked for, what runs it, what is known of it."""

    router: VirtualRouterConfig
    slot: SimulatedNode
    memory: RouterMemory


class SpeakerStatus:
    """Tells what engines share as the speaker of a node does."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._builder = StatusBuilder()

    def build(self, now_ns: int, generation: int, found: Iterable[Running]) -> NodeConfigStatus:
        """Return the status."""
        running = list(found)
        program = {"routers": [_programmed(r.router, place) for place, r in enumerate(running)]}
        routers = {place: r.memory.state(r.router, r.slot) for place, r in enumerate(running)}
        at_ns = now_ns + _BOOT_NS
        engine = replace(_EMPTY, heartbeat_ns=at_ns, generation=generation, routers=routers)
        view = NodeView(self._node, program, engine, {}, (), generation, "API", at_ns)
        return self._builder.build(view, (EPOCH_NS + now_ns) / SECOND, at_ns)


def _programmed(router: VirtualRouterConfig, place: int) -> dict[str, object]:
    """Return what of a compiled router the status looks at."""
    return {
        "name": router.name,
        "slot": place,
        "vrid": router.virtual_router_id,
        "virtualIPGeneration": router.virtual_ip_generation,
        "interface": "",
        "advertisementIntervalNs": router.election.advertisement_interval_ns,
        "downAdvertisements": router.election.down_advertisements,
        "peers": [{"address": peer.address, "node": peer.node} for peer in router.peers],
        "faults": (),
    }
