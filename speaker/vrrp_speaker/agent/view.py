"""One consistent look at the node for status and metrics: program, engine state, checks."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vrrp_speaker.shared_state import Conflict, EngineFault, EngineState, RouterState


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

    def routers(self) -> Iterator[tuple[Mapping[str, Any], RouterState]]:
        """Yield each router of the program with its state in the engine."""
        if self.program is None or self.engine is None:
            return
        for router in self.program["routers"]:
            state = self.engine.routers.get(router["slot"])
            if state is not None and state.vrid == router["vrid"]:
                yield router, state

    def faults(self, router: Mapping[str, Any], state: RouterState) -> tuple[str, ...]:
        """Return what keeps a router from holding its addresses, from all who can tell."""
        own = (_explained(fault, router, state.last_conflict) for fault in state.faults)
        return (*router["faults"], *self.input_faults.get(router["name"], ()), *own)


def address_text(packed: bytes) -> str:
    """Return an address as people write it."""
    return str(ipaddress.ip_address(packed))


_LIMITS = {4: "net.ipv4.igmp_max_memberships", 6: "net.core.optmem_max"}
"""The sysctl that says how many groups a socket may be in, by family."""


def _explained(fault: str, router: Mapping[str, Any], conflict: Conflict | None) -> str:
    if fault == EngineFault.GROUP_NOT_JOINED:
        return f"{fault}: on {router['interface']}; {_LIMITS[router['family']]} may be too low"
    if fault != EngineFault.ADDRESS_CONFLICT or conflict is None:
        return fault
    return f"{fault}: {address_text(conflict.address)} at {conflict.mac.hex(':')}"
