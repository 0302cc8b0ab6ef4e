"""Deadlines of a Virtual Router: on time, early, late, and too late to be trusted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.vrrp.routers import (
    BOTH,
    MS,
    SECOND,
    START,
    V2,
    V3,
    Timing,
    active,
    backup,
    heard,
    parameters,
    takeover,
)

from vrrp.actions import Action, SendAdvertisement, StateChanged, UnbindAddresses
from vrrp.constants import State, TransitionReason
from vrrp.events import DeadlineReached
from vrrp.states import Active
from vrrp.virtual_router import VirtualRouter

WOKE_LATE: tuple[Action, ...] = (
    UnbindAddresses(),
    StateChanged(State.ACTIVE, State.BACKUP, TransitionReason.LATE_WAKE),
)
"""What going from Active to Backup asks for where somebody else may be Active long since."""

# Backup ----------------------------------------------------------------------------------


@BOTH
def test_backup_deadline_advertises_binds_announces_in_this_order(timing: Timing) -> None:
    router = backup(parameters(timing))
    now = START + timing.down_ns
    assert router.handle(DeadlineReached(), now) == takeover()
    assert router.state is State.ACTIVE
    assert router.next_deadline_ns() == now + timing.interval_ns


@BOTH
def test_backup_deadline_not_reached_does_nothing(timing: Timing) -> None:
    router = backup(parameters(timing))
    assert router.handle(DeadlineReached(), START + timing.down_ns - 1) == ()
    assert router.state is State.BACKUP
    assert router.next_deadline_ns() == START + timing.down_ns


@BOTH
def test_backup_late_by_one_interval_still_takes_over(timing: Timing) -> None:
    router = backup(parameters(timing))
    now = START + timing.down_ns + timing.interval_ns
    assert router.handle(DeadlineReached(), now) == takeover()
    assert router.next_deadline_ns() == now + timing.interval_ns


@BOTH
def test_backup_late_by_more_than_an_interval_listens_before_it_takes_over(timing: Timing) -> None:
    router = backup(parameters(timing))
    now = START + timing.down_ns + timing.interval_ns + 1
    assert router.handle(DeadlineReached(), now) == ()
    assert router.state is State.BACKUP
    listened = now + timing.interval_ns + timing.skew_ns
    assert router.next_deadline_ns() == listened
    assert router.handle(DeadlineReached(), listened) == takeover()


def test_backup_that_listens_and_hears_the_active_router_stays() -> None:
    router = backup()
    now = START + V3.down_ns + V3.interval_ns + 1
    router.handle(DeadlineReached(), now)
    assert router.handle(heard(201), now + 1) == ()
    assert router.next_deadline_ns() == now + 1 + V3.down_ns


def test_backup_that_slept_again_listens_again() -> None:
    router = backup()
    first = START + V3.down_ns + 10 * SECOND
    router.handle(DeadlineReached(), first)
    second = first + 10 * SECOND
    assert router.handle(DeadlineReached(), second) == ()
    assert router.next_deadline_ns() == second + V3.interval_ns + V3.skew_ns


@pytest.mark.parametrize(
    ("timing", "listens_ns"),
    [
        (V3, 1_218_750_000),  # the learned second and its skew
        (V2, 1_218_750_000),  # our own second and a skew that nothing scales
    ],
)
def test_backup_listens_for_the_interval_of_the_router_it_watched(
    timing: Timing, listens_ns: int
) -> None:
    router = backup(parameters(timing))
    router.handle(heard(254, interval_cs=100), START)
    deadline = router.next_deadline_ns()
    assert deadline == START + 3_218_750_000
    now = deadline + SECOND + 1  # the interval it watched is a second in both
    assert router.handle(DeadlineReached(), now) == ()
    assert router.next_deadline_ns() == now + listens_ns


WATCHED = [
    # Our own interval and the Active Router's in ms; down timer, lateness, then listening.
    (200, 10, 32_187_500, 10 * MS, 12_187_500),
    (1000, 10, 32_187_500, 10 * MS, 12_187_500),
    (10, 200, 643_750_000, 200 * MS, 243_750_000),
    (10, 1000, 3_218_750_000, SECOND, 1_218_750_000),
]
"""With the skew of priority 200: 56 / 256 of the Active Router's interval."""


def watching(own_ms: int, watched_ms: int) -> VirtualRouter:
    """Return a Backup that heard at START an interval that is not its own."""
    router = backup(replace(parameters(), adver_interval_ns=own_ms * MS))
    router.handle(heard(254, interval_cs=watched_ms // 10), START)
    return router


@pytest.mark.parametrize(("own_ms", "watched_ms", "down_ns", "late_ns", "listens_ns"), WATCHED)
def test_backup_late_by_the_interval_it_watches_takes_over_whatever_its_own(
    own_ms: int, watched_ms: int, down_ns: int, late_ns: int, listens_ns: int
) -> None:
    router = watching(own_ms, watched_ms)
    assert router.next_deadline_ns() == START + down_ns
    now = START + down_ns + late_ns
    assert router.handle(DeadlineReached(), now) == takeover()
    assert router.next_deadline_ns() == now + own_ms * MS


@pytest.mark.parametrize(("own_ms", "watched_ms", "down_ns", "late_ns", "listens_ns"), WATCHED)
def test_backup_later_than_the_interval_it_watches_listens_whatever_its_own(
    own_ms: int, watched_ms: int, down_ns: int, late_ns: int, listens_ns: int
) -> None:
    router = watching(own_ms, watched_ms)
    now = START + down_ns + late_ns + 1
    assert router.handle(DeadlineReached(), now) == ()
    assert router.state is State.BACKUP
    assert router.next_deadline_ns() == now + listens_ns


# Active ----------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("late_ns", [0, 1, 3 * MS])
def test_active_deadline_advertises_and_keeps_the_rhythm(timing: Timing, late_ns: int) -> None:
    router, since = active(parameters(timing))
    now = since + timing.interval_ns + late_ns
    assert router.handle(DeadlineReached(), now) == (SendAdvertisement(200),)
    assert router.state is State.ACTIVE
    assert router.next_deadline_ns() == since + 2 * timing.interval_ns


@BOTH
def test_active_deadline_not_reached_does_nothing(timing: Timing) -> None:
    router, since = active(parameters(timing))
    assert router.handle(DeadlineReached(), since + timing.interval_ns - 1) == ()
    assert router.next_deadline_ns() == since + timing.interval_ns


@pytest.mark.parametrize(
    ("late_ms", "next_ms"),
    [(99, 101), (100, 100), (101, 100), (150, 100), (200, 100), (399, 100)],
)
def test_active_late_advertises_again_after_half_an_interval_at_the_earliest(
    late_ms: int, next_ms: int
) -> None:
    router, since = active()
    now = since + V3.interval_ns + late_ms * MS
    assert router.handle(DeadlineReached(), now) == (SendAdvertisement(200),)
    assert router.next_deadline_ns() == now + next_ms * MS


def test_active_late_after_months_still_counts_in_nanoseconds() -> None:
    """2^53 ns are 104 days: the first number that is not exact where numbers are floating."""
    now = 2**53 + 1
    router = VirtualRouter(parameters(), detail=Active(now - V3.interval_ns))
    assert router.handle(DeadlineReached(), now) == (SendAdvertisement(200),)
    assert router.next_deadline_ns() == now + 100 * MS


LATE_ROWS = [
    # Others may be Active after (n − 1) further intervals; with a single one after our skew.
    (V3, 3, 400 * MS),
    (V3, 10, 1_800 * MS),
    (V3, 2, 200 * MS),
    (V3, 1, 43_750_000),
    (V2, 3, 2 * SECOND),
    (V2, 10, 9 * SECOND),
    (V2, 1, 218_750_000),
]


@pytest.mark.parametrize(("timing", "down_advertisements", "late_ns"), LATE_ROWS)
def test_active_late_past_a_possible_takeover_unbinds_first(
    timing: Timing, down_advertisements: int, late_ns: int
) -> None:
    router, since = active(parameters(timing, down_advertisements=down_advertisements))
    now = since + timing.interval_ns + late_ns
    assert router.handle(DeadlineReached(), now) == WOKE_LATE
    assert router.state is State.BACKUP
    assert not router.holding
    assert router.next_deadline_ns() == now + timing.interval_ns + timing.skew_ns


@pytest.mark.parametrize(("timing", "down_advertisements", "late_ns"), LATE_ROWS)
def test_active_late_by_less_than_that_stays_active(
    timing: Timing, down_advertisements: int, late_ns: int
) -> None:
    router, since = active(parameters(timing, down_advertisements=down_advertisements))
    now = since + timing.interval_ns + late_ns - 1
    assert router.handle(DeadlineReached(), now) == (SendAdvertisement(200),)
    assert router.state is State.ACTIVE


def test_active_that_woke_late_and_hears_nobody_takes_over_again() -> None:
    router, since = active()
    router.handle(DeadlineReached(), since + 3 * V3.interval_ns)
    deadline = router.next_deadline_ns()
    assert deadline is not None
    assert router.handle(DeadlineReached(), deadline) == takeover()


def test_active_for_long_advertises_once_an_interval() -> None:
    router, since = active()
    for count in range(1, 101):
        now = since + count * V3.interval_ns
        assert router.next_deadline_ns() == now
        assert router.handle(DeadlineReached(), now + 1) == (SendAdvertisement(200),)
