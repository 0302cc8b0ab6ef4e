"""A Virtual Router of priority 200 in each state, and what it may hear."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from vrrp.actions import (
    Action,
    AnnounceAddresses,
    BindAddresses,
    SendAdvertisement,
    StateChanged,
    UnbindAddresses,
)
from vrrp.constants import State, TransitionReason
from vrrp.events import AdvertisementReceived, DeadlineReached, FaultChanged, Startup
from vrrp.states import Parameters
from vrrp.virtual_router import VirtualRouter

MS = 1_000_000
SECOND = 1_000 * MS
START = 1_000_000 * MS
ME, LESSER, GREATER = b"\xc0\0\2\x0b", b"\xc0\0\2\x0a", b"\xc0\0\2\x0c"


@dataclass(frozen=True)
class Timing:
    """The intervals of a router of priority 200, worked out by hand."""

    version: int
    interval_ns: int
    interval_cs: int
    skew_ns: int
    down_ns: int
    """Three intervals and the skew."""
    successor_ns: int
    """An interval and the skew of priority 1, which is 255 / 256 of what skews are scaled by."""
    spacing_ns: int
    """Half of the skew of priority 254, which is 2 / 256 of the same."""


V3 = Timing(3, 200 * MS, 20, 43_750_000, 643_750_000, 399_218_750, 781_250)
"""Skew_Time is (256 − 200) · 200 ms / 256 (RFC 9568 §6.1)."""
V2 = Timing(2, SECOND, 100, 218_750_000, 3_218_750_000, 1_996_093_750, 3_906_250)
"""Skew_Time is (256 − 200) / 256 s (RFC 3768 §6.1)."""
GRACE = 140 * MS
"""How long addresses stay after somebody else is known to have them (architecture §4.7)."""
BOTH = pytest.mark.parametrize("timing", [V3, V2], ids=["v3", "v2"])


def parameters(
    timing: Timing = V3,
    *,
    priority: int = 200,
    preempt: bool = True,
    delay_ns: int = 0,
    down_advertisements: int = 3,
    source: bytes = ME,
) -> Parameters:
    """Return parameters that differ from the plain ones where told."""
    return Parameters(
        version=timing.version,
        priority=priority,
        adver_interval_ns=timing.interval_ns,
        down_advertisements=down_advertisements,
        preempt_mode=preempt,
        preempt_delay_ns=delay_ns,
        source=source,
    )


def heard(
    priority: int, *, source: bytes = GREATER, interval_cs: int = 20
) -> AdvertisementReceived:
    """Return an advertisement that passed the ladder."""
    return AdvertisementReceived(source, priority, interval_cs)


def backup(mine: Parameters | None = None) -> VirtualRouter:
    """Return a router that started at START and is Backup."""
    router = VirtualRouter(mine or parameters())
    router.handle(Startup(), START)
    assert router.state is State.BACKUP
    return router


def active(mine: Parameters | None = None) -> tuple[VirtualRouter, int]:
    """Return a router that became Active, and when it did."""
    router = backup(mine)
    now = router.next_deadline_ns()
    assert now is not None
    router.handle(DeadlineReached(), now)
    assert router.state is State.ACTIVE
    return router, now


def fault(mine: Parameters | None = None) -> VirtualRouter:
    """Return a router that is in Fault since START."""
    router = backup(mine)
    router.handle(FaultChanged(True), START)
    assert router.state is State.FAULT
    return router


def changed(before: State, after: State, reason: TransitionReason) -> StateChanged:
    """Return the action that reports a transition."""
    return StateChanged(before, after, reason)


def takeover(
    priority: int = 200, reason: TransitionReason = TransitionReason.ACTIVE_DOWN_TIMER_EXPIRED
) -> tuple[Action, ...]:
    """Return what becoming Active asks for: advertisement, addresses, announcement, report."""
    return (
        SendAdvertisement(priority),
        BindAddresses(),
        AnnounceAddresses(),
        changed(State.BACKUP, State.ACTIVE, reason),
    )


def yielded(reason: TransitionReason, priority: int = 200) -> tuple[Action, ...]:
    """Return what yielding to a better one asks for: to be heard, and to hold a moment longer."""
    return (SendAdvertisement(priority), changed(State.ACTIVE, State.BACKUP, reason))


UNBIND: tuple[Action, ...] = (UnbindAddresses(),)
