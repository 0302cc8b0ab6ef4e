"""One consistent look at the node for status and metrics: program, engine state, checks."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from vrrp.constants import State
from vrrp_speaker.agent.config.not_understood import NotUnderstood
from vrrp_speaker.shared_state import EngineFault
from vrrp_speaker.shared_state.layout import bytes_hash
from vrrp_speaker.shared_state.values import EngineState, PeerState, RouterState

ENGINE_SILENT = "EngineSilent"
_SILENT_NS = 500_000_000
"""Five turns that the engine's loop owes; its supervisor replaces it earlier, if that turns."""


@dataclass(frozen=True, slots=True)
class CheckView:
    """One check: its verdict, and how long its runs took in all."""

    name: str
    decided: bool
    passing: bool
    since_s: float
    message: str
    duration_sum_s: float
    duration_count: int


@dataclass(frozen=True, slots=True)
class NodeView:
    """Everything the agent can report; ``program`` is the one the engine has loaded."""

    node: str
    program: Mapping[str, Any] | None
    engine: EngineState | None
    input_faults: Mapping[str, tuple[str, ...]]
    checks: tuple[CheckView, ...]
    desired_generation: int
    config_source: str
    now_ns: int
    """CLOCK_MONOTONIC when this was looked at."""
    config_refused: bool = False
    """Whether a newer configuration than the one in force cannot be used, or a part of it."""
    not_understood: Mapping[str, NotUnderstood] = field(default_factory=dict)
    """Virtual routers that cannot be read, by name; those of the program run on as they were."""
    ignored_fields: Mapping[str, int] = field(default_factory=dict)
    """How often each field that is not known is in the newest configuration."""
    keys_refused: bool = False
    """Whether newer key files than those in use cannot be used."""

    def routers(self) -> Iterator[tuple[Mapping[str, Any], RouterState]]:
        """Yield each router of the program with its state in the engine."""
        if self.program is None or self.engine is None:
            return
        for router in self.program["routers"]:
            state = self.engine.routers.get(router["slot"])
            if state is not None and state.vrid == router["vrid"]:
                yield router, state

    def reported(self) -> list[tuple[Mapping[str, Any], RouterState]]:
        """Return each router with what can be said of it.

        A router whose engine does not turn takes no part any more, whatever that last wrote: its
        peers have counted it out, and nobody renews its addresses.
        """
        return [(router, self._heard(router, state)) for router, state in self.routers()]

    def _heard(self, router: Mapping[str, Any], state: RouterState) -> RouterState:
        assert self.engine is not None
        wait_ns = router["downAdvertisements"] * router["advertisementIntervalNs"]
        if self.now_ns - self.engine.heartbeat_ns <= max(_SILENT_NS, wait_ns):
            return state
        return replace(
            state,
            state=str(State.FAULT),
            since_ns=max(state.since_ns, self.engine.heartbeat_ns),
            address_present=False,
            faults=(*state.faults, ENGINE_SILENT),
        )

    def faults(self, router: Mapping[str, Any], state: RouterState) -> tuple[str, ...]:
        """Return what keeps a router from holding its addresses, from all who can tell."""
        own = (_explained(fault, router, state) for fault in state.faults)
        return (*router["faults"], *self.input_faults.get(router["name"], ()), *own)


def peers_heard(
    router: Mapping[str, Any], state: RouterState
) -> list[tuple[Mapping[str, Any], PeerState]]:
    """Return each peer of the program with what was heard from it, those never heard as well."""
    never_heard = [PeerState(0, 0)] * (len(router["peers"]) - len(state.peers))
    # A program that has just been compiled may have fewer peers than the engine still runs.
    return list(zip(router["peers"], (*state.peers, *never_heard), strict=False))


@dataclass(frozen=True, slots=True)
class HeardRouter:
    """One that was heard; ``node`` is None for a member that the program does not list."""

    address: str
    node: str | None
    last_ns: int
    """When it was last heard; CLOCK_MONOTONIC."""
    speaks: bool
    """Whether it does so still."""


def routers_heard(router: Mapping[str, Any], state: RouterState, now_ns: int) -> list[HeardRouter]:
    """Return the other routers of the election that were heard, listed ones first.

    Whoever speaks is heard every interval. One that was silent for two of them while another spoke
    has let go, however long a Backup would wait.
    """
    interval_ns = router["advertisementIntervalNs"]
    patience_ns = router["downAdvertisements"] * interval_ns
    listed = [(p["address"], p["node"], heard) for p, heard in peers_heard(router, state)]
    learned = [(address_text(member.address), None, member.heard) for member in state.learned]
    ever = [row for row in (*listed, *learned) if row[2].last_ns]
    newest_ns = max((heard.last_ns for _, _, heard in ever), default=0)
    since_ns = max(now_ns - patience_ns, newest_ns - 2 * interval_ns)
    if state.state == State.ACTIVE:
        since_ns = max(since_ns, state.since_ns)
    return [
        HeardRouter(address, node, heard.last_ns, heard.last_ns >= since_ns)
        for address, node, heard in ever
    ]


def address_text(packed: bytes) -> str:
    """Return an address as people write it."""
    return str(ipaddress.ip_address(packed))


_LIMITS = {4: "net.ipv4.igmp_max_memberships", 6: "net.core.optmem_max"}
"""The sysctl that says how many groups a socket may be in, by family."""


def _explained(fault: str, router: Mapping[str, Any], state: RouterState) -> str:
    conflict, held = state.last_conflict, state.held
    if fault == EngineFault.INTERFACE_DOWN and state.link_down != router["ifindex"]:
        return f"{fault}: {_link_that_is_down(router, state.link_down)}"
    if fault == EngineFault.GROUP_NOT_JOINED:
        return f"{fault}: on {router['interface']}; {_LIMITS[router['family']]} may be too low"
    if fault == EngineFault.ADDRESS_HELD_BY_MEMBER and held is not None:
        member = _member(router, state, held.member)
        return f"{fault}: {address_text(held.address)} at {member or 'a member'}"
    if fault != EngineFault.ADDRESS_CONFLICT or conflict is None:
        return fault
    return f"{fault}: {address_text(conflict.address)} at {conflict.mac.hex(':')}"


def _member(router: Mapping[str, Any], state: RouterState, hashed: int) -> str | None:
    """Return the node of a member, or its address where no list names it; None: not known."""
    listed = ((str(p["address"]), str(p["node"])) for p in router["peers"])
    learned = ((address_text(m.address), address_text(m.address)) for m in state.learned)
    for address, name in (*listed, *learned):
        if bytes_hash(ipaddress.ip_address(address).packed) == hashed:
            return name
    return None


def _link_that_is_down(router: Mapping[str, Any], ifindex: int) -> str:
    """Return which link it is, where it is another one than the router's own."""
    for address in router["addresses"]:
        if address["ifindex"] == ifindex:
            return f"{address['interface']} of {address['address']}"
    return f"the interface of {router['source']}, which the advertisements come from"
