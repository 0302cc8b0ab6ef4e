"""Priority and configuration that change under a running Virtual Router."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.unit.vrrp.routers import (
    BOTH,
    GREATER,
    ME,
    MS,
    SECOND,
    START,
    V2,
    V3,
    Timing,
    active,
    backup,
    fault,
    heard,
    parameters,
    takeover,
    yielded,
)

from vrrp.actions import SendAdvertisement
from vrrp.constants import State, TransitionReason
from vrrp.events import ConfigurationChanged, DeadlineReached, FaultChanged, PriorityChanged
from vrrp.virtual_router import VirtualRouter


def configured(
    timing: Timing = V3,
    *,
    interval_ns: int | None = None,
    down_advertisements: int = 3,
    preempt: bool = True,
    delay_ns: int = 0,
    source: bytes = ME,
) -> ConfigurationChanged:
    """Return a configuration that differs from the plain one where told."""
    interval = timing.interval_ns if interval_ns is None else interval_ns
    return ConfigurationChanged(interval, down_advertisements, preempt, delay_ns, source)


# Priority --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timing", "priority", "shift_ns"),
    [
        (V3, 100, 78_125_000),  # 100 / 256 of 200 ms
        (V3, 254, -42_187_500),  # 54 / 256 of 200 ms
        (V3, 200, 0),
        (V2, 100, 390_625_000),  # 100 / 256 of a second
        (V2, 254, -210_937_500),
    ],
)
def test_priority_change_moves_the_running_timer_by_the_difference(
    timing: Timing, priority: int, shift_ns: int
) -> None:
    router = backup(parameters(timing))
    assert router.handle(PriorityChanged(priority), START + 100) == ()
    assert router.state is State.BACKUP
    assert router.next_deadline_ns() == START + timing.down_ns + shift_ns
    assert router.parameters == parameters(timing, priority=priority)


def test_priority_change_is_scaled_by_the_interval_that_was_learned() -> None:
    router = backup()
    router.handle(heard(254, interval_cs=100), START)
    router.handle(PriorityChanged(100), START + 100)
    assert router.next_deadline_ns() == START + 3_218_750_000 + 390_625_000


def test_priority_change_there_and_back_leaves_the_timer_as_it_was() -> None:
    router = backup()
    for priority in (1, 254, 77, 200):
        router.handle(PriorityChanged(priority), START + 100)
    assert router.next_deadline_ns() == START + V3.down_ns


def test_priority_change_after_a_release_moves_the_shorter_timer_too() -> None:
    router = backup()
    router.handle(heard(0), START)
    router.handle(PriorityChanged(100), START + 1)
    assert router.next_deadline_ns() == START + V3.skew_ns + 78_125_000


def test_priority_change_of_a_backup_shows_in_whom_it_discards() -> None:
    router = backup()
    router.handle(PriorityChanged(150), START)
    router.handle(heard(160), START + 50)
    # Skew at 150: 106 · 200 ms / 256.
    assert router.next_deadline_ns() == START + 50 + 600 * MS + 82_812_500
    assert router.handle(DeadlineReached(), START + 50 + 682_812_500) == takeover(150)


def test_priority_change_of_the_active_router_shows_in_the_next_advertisement() -> None:
    router, since = active()
    assert router.handle(PriorityChanged(50), since + 1) == ()
    assert router.state is State.ACTIVE
    assert router.next_deadline_ns() == since + V3.interval_ns
    assert router.handle(DeadlineReached(), since + V3.interval_ns) == (SendAdvertisement(50),)


def test_priority_change_of_the_active_router_shows_in_whom_it_yields_to() -> None:
    router, since = active()
    router.handle(PriorityChanged(50), since + 1)
    reason = TransitionReason.HIGHER_PRIORITY_ADVERTISEMENT
    assert router.handle(heard(51), since + 2) == yielded(reason, 50)


@pytest.mark.parametrize("priority", [0, 255])
def test_priority_change_out_of_range_is_a_mistake_of_its_caller(priority: int) -> None:
    with pytest.raises(AssertionError):
        backup().handle(PriorityChanged(priority), START)


# Configuration ---------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(("down_advertisements", "intervals"), [(1, -2), (3, 0), (10, 7)])
def test_configuration_change_moves_the_running_timer_by_the_missed_advertisements(
    timing: Timing, down_advertisements: int, intervals: int
) -> None:
    router = backup(parameters(timing))
    event = configured(timing, down_advertisements=down_advertisements)
    assert router.handle(event, START + 100) == ()
    assert router.state is State.BACKUP
    shift_ns = intervals * timing.interval_ns
    assert router.next_deadline_ns() == START + timing.down_ns + shift_ns


def test_configuration_change_counts_missed_advertisements_in_the_learned_interval() -> None:
    router = backup()
    router.handle(heard(254, interval_cs=100), START)
    router.handle(configured(down_advertisements=5), START + 100)
    assert router.next_deadline_ns() == START + 3_218_750_000 + 2 * SECOND


def test_configuration_change_of_our_interval_leaves_a_learned_one_in_force() -> None:
    router = backup()
    router.handle(heard(254, interval_cs=100), START)
    router.handle(configured(interval_ns=50 * MS), START + 100)
    assert router.next_deadline_ns() == START + 3_218_750_000
    assert router.handle(DeadlineReached(), START + 3_218_750_000) == takeover()
    assert router.next_deadline_ns() == START + 3_218_750_000 + 50 * MS


@pytest.mark.parametrize(
    ("interval_s", "down_ns"),
    [(2, 6_218_750_000), (10, 30_218_750_000), (255, 765_218_750_000)],
)
def test_longer_interval_in_version_2_counts_at_once(interval_s: int, down_ns: int) -> None:
    """Nobody tells it there; a Backup that waited on by the old one would take over too soon."""
    router = backup(parameters(V2))
    router.handle(heard(254, interval_cs=100), START)
    assert router.handle(configured(V2, interval_ns=interval_s * SECOND), START + SECOND) == ()
    assert router.next_deadline_ns() == START + down_ns
    router.handle(heard(254, interval_cs=100 * interval_s), START + 2 * SECOND)
    assert router.next_deadline_ns() == START + 2 * SECOND + down_ns


def test_shorter_interval_in_version_2_counts_at_once_too() -> None:
    router = backup(parameters(Timing(2, 10 * SECOND, 1000, 0, 0, 0, 0)))
    assert router.next_deadline_ns() == START + 30_218_750_000
    router.handle(configured(V2), START + SECOND)
    assert router.next_deadline_ns() == START + V2.down_ns


@pytest.mark.parametrize(
    ("hears", "interval_ms", "down_ns"),
    [
        (None, 1_000, 3_218_750_000),  # nobody was heard: our own interval was all there is
        (None, 40_950, 131_807_812_500),
        (20, 1_000, 3_218_750_000),  # the Active Router has ours, and will change it as we do
        (None, 100, 643_750_000),  # a shorter one counts when the Active Router tells it
        (20, 100, 643_750_000),
        (10, 1_000, 321_875_000),  # learned: what we configure for ourselves is not theirs
        (10, 100, 321_875_000),
        (100, 2_000, 3_218_750_000),
    ],
)
def test_other_interval_in_version_3_counts_at_once_where_it_is_longer_and_was_ours(
    hears: int | None, interval_ms: int, down_ns: int
) -> None:
    router = backup()
    if hears is not None:
        router.handle(heard(254, interval_cs=hears), START)
    assert router.handle(configured(interval_ns=interval_ms * MS), START + MS) == ()
    assert router.next_deadline_ns() == START + down_ns


def test_longer_interval_that_counts_is_what_the_router_watches_from_then_on() -> None:
    router = backup()
    router.handle(configured(interval_ns=SECOND), START)
    # A release leaves the skew of that second, and lateness is measured by it.
    router.handle(heard(0), START + 50)
    assert router.next_deadline_ns() == START + 50 + 218_750_000
    now = START + 50 + 218_750_000 + SECOND
    assert router.handle(DeadlineReached(), now) == takeover()


def test_longer_interval_moves_what_is_left_after_a_release_too() -> None:
    router = backup()
    router.handle(heard(0), START)
    router.handle(configured(interval_ns=SECOND), START + 1)
    # 3.21875 s − 643.75 ms more than the skew of 43.75 ms.
    assert router.next_deadline_ns() == START + 43_750_000 + 2_575 * MS


# Never into the past ---------------------------------------------------------------------


def test_fewer_advertisements_to_miss_than_are_missed_already_ends_the_wait_now() -> None:
    """Seven intervals fewer of ten lie before now: no reason to think that we slept."""
    router = backup(parameters(down_advertisements=10))
    now = START + 2 * SECOND
    assert router.handle(configured(down_advertisements=1), now) == ()
    assert router.next_deadline_ns() == now
    assert router.handle(DeadlineReached(), now) == takeover()


@pytest.mark.parametrize(("passed_us", "left_us"), [(1_562, 0.5), (1_563, 0), (40_000, 0)])
def test_greater_priority_than_the_wait_allows_ends_it_now(passed_us: int, left_us: float) -> None:
    """After a release: 43.75 ms of skew at 200, 1.5625 ms at 254."""
    router = backup()
    router.handle(heard(0), START)
    now = START + passed_us * 1_000
    router.handle(PriorityChanged(254), now)
    assert router.next_deadline_ns() == now + round(left_us * 1_000)
    assert router.handle(DeadlineReached(), now + 500) == takeover(254)


def test_configuration_change_to_never_preempting_accepts_a_loser() -> None:
    router = backup()
    router.handle(configured(preempt=False), START)
    router.handle(heard(100), START + 50)
    assert router.next_deadline_ns() == START + 50 + V3.down_ns


def test_configuration_change_to_preempting_discards_a_loser() -> None:
    router = backup(parameters(preempt=False))
    router.handle(configured(), START)
    router.handle(heard(100), START + 50)
    assert router.next_deadline_ns() == START + V3.down_ns


def test_configuration_change_of_the_source_shows_in_the_tie_break() -> None:
    router, since = active()
    router.handle(configured(source=b"\xc0\0\2\xff"), since + 1)
    assert router.handle(heard(200, source=GREATER), since + 2) != ()
    assert router.state is State.ACTIVE


@BOTH
def test_configuration_change_keeps_priority_and_version(timing: Timing) -> None:
    router = backup(parameters(timing))
    event = ConfigurationChanged(3 * SECOND, 7, False, 9 * SECOND, GREATER)
    router.handle(event, START)
    assert router.parameters == replace(
        parameters(timing, preempt=False, delay_ns=9 * SECOND, source=GREATER),
        adver_interval_ns=3 * SECOND,
        down_advertisements=7,
    )


@pytest.mark.parametrize(
    ("passed_ms", "interval_ms", "deadline_ms"),
    [
        (1, 100, 101),  # a shorter one counts from now
        (150, 100, 200),  # unless the running one ends sooner
        (1, 1000, 200),  # a longer one is told before it is used
        (1, 200, 200),
    ],
)
def test_configuration_change_of_the_active_router_never_delays_its_advertisement(
    passed_ms: int, interval_ms: int, deadline_ms: int
) -> None:
    router, since = active()
    event = configured(interval_ns=interval_ms * MS)
    assert router.handle(event, since + passed_ms * MS) == ()
    assert router.state is State.ACTIVE
    assert router.next_deadline_ns() == since + deadline_ms * MS
    router.handle(DeadlineReached(), since + deadline_ms * MS)
    assert router.next_deadline_ns() == since + (deadline_ms + interval_ms) * MS


def test_configuration_change_of_the_active_router_keeps_the_limit_of_its_answers() -> None:
    router, since = active()
    assert router.handle(heard(100), since + 1) != ()
    assert router.handle(heard(0), since + 1) != ()
    router.handle(configured(), since + 2)
    router.handle(PriorityChanged(200), since + 2)
    assert router.handle(heard(100), since + 3) == ()
    assert router.handle(heard(0), since + 3) == ()
    assert router.handle(heard(100), since + 1 + V3.interval_ns) != ()


@pytest.mark.parametrize("made", [backup, fault, lambda: active()[0]])
def test_configuration_said_again_changes_nothing(made: Callable[[], VirtualRouter]) -> None:
    router = made()
    state, deadline = router.state, router.next_deadline_ns()
    assert router.handle(configured(), START + V3.down_ns) == ()
    assert (router.state, router.next_deadline_ns()) == (state, deadline)
    assert router.parameters == parameters()


def test_configuration_change_in_fault_counts_after_it() -> None:
    router = fault()
    router.handle(configured(interval_ns=SECOND, down_advertisements=1), START)
    router.handle(FaultChanged(False), START + 1)
    assert router.next_deadline_ns() == START + 1 + 1_218_750_000
