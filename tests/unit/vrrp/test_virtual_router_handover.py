"""Make before break (architecture §4.7): addresses stay until somebody else has them, or too long.

``test_virtual_router_holding`` says what else may happen while they do.
"""

from __future__ import annotations

import pytest
from tests.unit.vrrp.routers import (
    BOTH,
    GRACE,
    GREATER,
    LESSER,
    MS,
    SECOND,
    START,
    UNBIND,
    V2,
    V3,
    Timing,
    active,
    backup,
    changed,
    fault,
    heard,
    parameters,
    takeover,
    yielded,
)

from vrrp.actions import Action, SendAdvertisement, UnbindAddresses
from vrrp.constants import State, TransitionReason
from vrrp.events import DeadlineReached, Event, FaultChanged, Shutdown
from vrrp.virtual_router import VirtualRouter

HIGHER = TransitionReason.HIGHER_PRIORITY_ADVERTISEMENT
GREATER_ADDRESS = TransitionReason.EQUAL_PRIORITY_GREATER_ADDRESS


def ends(hand_over: bool) -> list[tuple[Event, Action]]:
    """Return the ways to leave, and the transition each reports."""
    rows: list[tuple[Event, Action]] = [
        (FaultChanged(True, hand_over), changed(State.ACTIVE, State.FAULT, TransitionReason.FAULT))
    ]
    for reason in (TransitionReason.SHUTDOWN, TransitionReason.REMOVED):
        report = changed(State.ACTIVE, State.INITIALIZE, reason)
        rows.append((Shutdown(reason, hand_over), report))
    return rows


ENDS = pytest.mark.parametrize("end", [Shutdown(), FaultChanged(True)], ids=["shutdown", "fault"])


def left(end: Event, timing: Timing = V3) -> tuple[VirtualRouter, int, int]:
    """Return a router that stopped being Active, when it did, and until when it may hold."""
    router, since = active(parameters(timing))
    router.handle(end, since)
    return router, since, since + timing.successor_ns


def test_holding_is_being_active_or_handing_over() -> None:
    assert not VirtualRouter(parameters()).holding
    assert not backup().holding
    assert not fault().holding
    assert active()[0].holding
    assert left(Shutdown())[0].holding
    assert left(FaultChanged(True))[0].holding


# Leaving ---------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(("end", "report"), ends(True))
def test_active_that_leaves_releases_and_keeps_its_addresses(
    timing: Timing, end: Event, report: Action
) -> None:
    router, since = active(parameters(timing))
    assert router.handle(end, since + 1) == (SendAdvertisement(0), report)
    assert router.holding
    assert router.next_deadline_ns() == since + 1 + timing.successor_ns


@BOTH
@pytest.mark.parametrize(("end", "report"), ends(False))
def test_active_that_leaves_without_hand_over_unbinds_at_once(
    timing: Timing, end: Event, report: Action
) -> None:
    router, since = active(parameters(timing))
    actions = (SendAdvertisement(0), UnbindAddresses(), report)
    assert router.handle(end, since + 1) == actions
    assert not router.holding
    assert router.next_deadline_ns() is None


@ENDS
@pytest.mark.parametrize("priority", [1, 200, 254])
@pytest.mark.parametrize("down_advertisements", [1, 10])
@pytest.mark.parametrize(
    ("version", "interval_ms", "longest_ns"),
    [
        (3, 10, 19_960_937),  # 10 ms and 255 / 256 of it, rounded down
        (3, 200, 399_218_750),
        (3, 40_950, 81_740_039_062),
        (2, 1_000, 1_996_093_750),  # 1 s and 255 / 256 s
        (2, 255_000, 255_996_093_750),
    ],
)
def test_active_that_leaves_waits_for_the_worst_candidate_and_one_loss(
    version: int,
    interval_ms: int,
    longest_ns: int,
    priority: int,
    down_advertisements: int,
    end: Event,
) -> None:
    timing = Timing(version, interval_ms * MS, 0, 0, 0, 0, 0)
    router, since = active(
        parameters(timing, priority=priority, down_advertisements=down_advertisements)
    )
    router.handle(end, since)
    assert router.next_deadline_ns() == since + longest_ns


@BOTH
@ENDS
@pytest.mark.parametrize("late_ns", [0, 1, 100 * SECOND])
def test_router_without_a_successor_unbinds_at_the_deadline(
    timing: Timing, end: Event, late_ns: int
) -> None:
    router, _, until = left(end, timing)
    state = router.state
    assert router.handle(DeadlineReached(), until - 1) == ()
    assert (router.state, router.holding) == (state, True)
    assert router.next_deadline_ns() == until
    assert router.handle(DeadlineReached(), until + late_ns) == UNBIND
    assert (router.state, router.holding) == (state, False)
    assert router.next_deadline_ns() is None
    assert router.handle(DeadlineReached(), until + late_ns) == ()


# A successor -----------------------------------------------------------------------------


@BOTH
@ENDS
@pytest.mark.parametrize("priority", [1, 200, 255])
@pytest.mark.parametrize("source", [LESSER, GREATER])
def test_router_that_hears_its_successor_unbinds_after_the_grace(
    timing: Timing, end: Event, priority: int, source: bytes
) -> None:
    router, since, _ = left(end, timing)
    state, heard_at = router.state, since + 7 * MS
    assert router.handle(heard(priority, source=source), heard_at) == ()
    assert router.next_deadline_ns() == heard_at + GRACE
    assert router.handle(DeadlineReached(), heard_at + GRACE - 1) == ()
    assert router.handle(DeadlineReached(), heard_at + GRACE) == UNBIND
    assert (router.state, router.holding) == (state, False)
    assert router.next_deadline_ns() is None


@ENDS
def test_router_that_hears_its_successor_again_does_not_wait_longer(end: Event) -> None:
    router, since, _ = left(end)
    router.handle(heard(100), since + 1)
    router.handle(heard(100), since + GRACE)
    assert router.next_deadline_ns() == since + 1 + GRACE


@ENDS
def test_router_that_hears_its_successor_late_does_not_wait_longer(end: Event) -> None:
    router, _, until = left(end)
    router.handle(heard(100), until - GRACE + 1)
    assert router.next_deadline_ns() == until
    assert router.handle(DeadlineReached(), until) == UNBIND


@ENDS
def test_router_that_hears_a_release_waits_on_for_a_successor(end: Event) -> None:
    router, since, until = left(end)
    assert router.handle(heard(0), since + 1) == ()
    assert router.next_deadline_ns() == until
    assert router.holding


@ENDS
def test_router_that_let_go_and_hears_its_successor_holds_nothing(end: Event) -> None:
    router, _, until = left(end)
    router.handle(DeadlineReached(), until)
    assert router.handle(heard(100), until + 1) == ()
    assert not router.holding
    assert router.next_deadline_ns() is None


# Yielding --------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("priority", "source", "reason"),
    [(201, LESSER, HIGHER), (200, GREATER, GREATER_ADDRESS)],
)
def test_active_that_yields_keeps_its_addresses_for_the_grace(
    timing: Timing, priority: int, source: bytes, reason: TransitionReason
) -> None:
    router, since = active(parameters(timing))
    better = heard(priority, source=source, interval_cs=timing.interval_cs)
    assert router.handle(better, since) == yielded(reason)
    assert router.holding
    assert router.next_deadline_ns() == since + GRACE
    assert router.handle(DeadlineReached(), since + GRACE - 1) == ()
    assert router.handle(DeadlineReached(), since + GRACE) == UNBIND
    assert (router.state, router.holding) == (State.BACKUP, False)
    assert router.next_deadline_ns() == since + timing.down_ns


def test_active_that_yields_and_hears_the_better_one_again_does_not_hold_longer() -> None:
    router, since = active()
    router.handle(heard(201), since)
    router.handle(heard(201), since + 10 * MS)
    assert router.next_deadline_ns() == since + GRACE
    router.handle(DeadlineReached(), since + GRACE)
    assert router.next_deadline_ns() == since + 10 * MS + V3.down_ns


def test_active_that_yields_to_a_fast_one_may_be_needed_again_within_the_grace() -> None:
    """Three of its 10 ms and 56 / 256 of them are over before the grace is."""
    router, since = active()
    router.handle(heard(201, interval_cs=1), since)
    down = since + 32_187_500
    assert router.next_deadline_ns() == down
    assert router.handle(DeadlineReached(), down) == takeover()
    assert router.next_deadline_ns() == down + V3.interval_ns
    assert router.handle(DeadlineReached(), since + GRACE) == ()


def test_backup_that_neither_was_nor_is_active_holds_nothing() -> None:
    router = backup(parameters(V2))
    router.handle(heard(254, interval_cs=100), START)
    assert not router.holding
    assert router.next_deadline_ns() == START + V2.down_ns
