"""One side of a duel: a router, its part of every variant, and what is seen of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from tests.eventually import eventually
from tests.interop.config import Mode, RouterConfig
from tests.interop.routers import Router
from tests.interop.variants import Variant

from vrrp_lab.lan import Host, Lan

_CLOCK_S = 60.0


class Life(Enum):
    """What was done to a router last."""

    UNBORN = "not started yet"
    RUNNING = "runs"
    STOPPED = "was stopped"
    KILLED = "was killed"


@dataclass(frozen=True, slots=True)
class View:
    """What was seen of one side at one moment."""

    held: frozenset[str]
    states: dict[int, str]


class Side:
    """``name`` is "left" or "right"; ``clock`` is its Virtual Router for waiting, see ``duel``."""

    def __init__(
        self,
        name: str,
        implementation: type[Router],
        lan: Lan,
        variants: Sequence[Variant],
        folder: Path,
    ) -> None:
        self.name = name
        self.host, other = lan.hosts if name == "left" else reversed(lan.hosts)
        self.clock = _clock(name, implementation)
        configs = [*(self.config(variant) for variant in variants), self.clock]
        own = folder / name
        own.mkdir()
        self.router = implementation(
            self.host, lan, [_with_peers(config, other) for config in configs], own
        )
        self.life = Life.UNBORN

    def config(self, variant: Variant) -> RouterConfig:
        """Return this side's part of a variant."""
        return variant.left if self.name == "left" else variant.right

    def start(self) -> None:
        """Start the router; return when each of its elections has had time to be won."""
        self.router.start()
        self.life = Life.RUNNING
        vrid = self.clock.vrid
        eventually(
            lambda: self.router.states().get(vrid) == "Active", within_s=_CLOCK_S, every_s=0.5
        )

    def stop(self) -> None:
        """Stop the router in an orderly way."""
        self.router.stop()
        self.life = Life.STOPPED

    def kill(self) -> None:
        """Kill the router."""
        self.router.kill()
        self.life = Life.KILLED

    def view(self) -> View:
        """Look at the host and, while it runs, the router."""
        states = dict(self.router.states()) if self.life is Life.RUNNING else {}
        return View(self.router.held(), states)

    def complaint(self, view: View, variant: Variant, expected: str) -> str | None:
        """Return in what a view differs from the state expected of a running router, or None."""
        addresses = frozenset(self.config(variant).addresses)
        held = len(addresses & view.held)
        state = view.states.get(variant.vrid, self.life.value)
        running = self.life is Life.RUNNING
        right_state = state == expected or not running
        if running and expected == "Active":
            right_addresses = held == len(addresses)
        else:
            right_addresses = not held or self._may_leave_behind()
        if right_state and right_addresses:
            return None
        return f"{self.name}: {state}, holds {held} of {len(addresses)} addresses"

    def _may_leave_behind(self) -> bool:
        return self.life is Life.KILLED and self.router.leaves_addresses_behind


def _clock(side: str, implementation: type[Router]) -> RouterConfig:
    number = 1 if side == "left" else 2
    config = RouterConfig(number, (f"192.0.2.{number}",), priority=1, interval_cs=100)
    if implementation.lacks(config) is None:
        return config
    return replace(config, mode=Mode.MULTICAST)


def _with_peers(config: RouterConfig, other: Host) -> RouterConfig:
    if config.peers or config.mode is Mode.MULTICAST:
        return config
    return replace(config, peers=(other.address6 if config.family == 6 else other.address,))
