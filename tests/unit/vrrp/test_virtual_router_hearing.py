"""What a Virtual Router does with an advertisement, by state, priority, address and version."""

from __future__ import annotations

import pytest
from tests.unit.vrrp.routers import (
    BOTH,
    GRACE,
    GREATER,
    LESSER,
    ME,
    MS,
    SECOND,
    START,
    UNBIND,
    V2,
    V3,
    Timing,
    active,
    backup,
    heard,
    parameters,
    takeover,
    yielded,
)

from vrrp.actions import AnnounceAddresses, SendAdvertisement
from vrrp.constants import State, TransitionReason
from vrrp.events import ConfigurationChanged, DeadlineReached
from vrrp.virtual_router import VirtualRouter

HIGHER = TransitionReason.HIGHER_PRIORITY_ADVERTISEMENT
GREATER_ADDRESS = TransitionReason.EQUAL_PRIORITY_GREATER_ADDRESS
ME6 = bytes.fromhex("fe800000000000000000000000800011")

# Backup ----------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("priority", [200, 201, 254, 255])
@pytest.mark.parametrize("source", [LESSER, ME, GREATER])
@pytest.mark.parametrize("preempt", [True, False])
def test_backup_hearing_no_lesser_priority_restarts_its_timer_whatever_the_source(
    timing: Timing, priority: int, source: bytes, preempt: bool
) -> None:
    router = backup(parameters(timing, preempt=preempt))
    event = heard(priority, source=source, interval_cs=timing.interval_cs)
    assert router.handle(event, START + 50) == ()
    assert router.state is State.BACKUP
    assert router.next_deadline_ns() == START + 50 + timing.down_ns


@BOTH
@pytest.mark.parametrize("priority", [1, 199])
def test_backup_hearing_a_lesser_priority_keeps_its_timer(timing: Timing, priority: int) -> None:
    router = backup(parameters(timing))
    assert router.handle(heard(priority), START + 50) == ()
    assert router.next_deadline_ns() == START + timing.down_ns
    assert router.handle(DeadlineReached(), START + timing.down_ns) == takeover()


@BOTH
@pytest.mark.parametrize("priority", [1, 199])
def test_backup_that_never_preempts_accepts_a_lesser_priority(
    timing: Timing, priority: int
) -> None:
    router = backup(parameters(timing, preempt=False))
    event = heard(priority, interval_cs=timing.interval_cs)
    assert router.handle(event, START + 50) == ()
    assert router.next_deadline_ns() == START + 50 + timing.down_ns


@BOTH
@pytest.mark.parametrize("preempt", [True, False])
def test_backup_hearing_a_release_waits_skew_only(timing: Timing, preempt: bool) -> None:
    router = backup(parameters(timing, preempt=preempt))
    assert router.handle(heard(0, interval_cs=4095), START + 50) == ()
    assert router.next_deadline_ns() == START + 50 + timing.skew_ns
    assert router.handle(DeadlineReached(), START + 50 + timing.skew_ns) == takeover()


@pytest.mark.parametrize(
    ("timing", "interval_cs", "down_ns", "skew_ns"),
    [
        (V3, 100, 3_218_750_000, 218_750_000),
        (V3, 1, 32_187_500, 2_187_500),
        (V3, 4095, 131_807_812_500, 8_957_812_500),
        (V2, 200, 3_218_750_000, 218_750_000),
    ],
)
def test_backup_learns_the_interval_of_the_active_router_in_version_3(
    timing: Timing, interval_cs: int, down_ns: int, skew_ns: int
) -> None:
    router = backup(parameters(timing))
    router.handle(heard(254, interval_cs=interval_cs), START)
    assert router.next_deadline_ns() == START + down_ns
    router.handle(heard(0), START + 1)
    assert router.next_deadline_ns() == START + 1 + skew_ns


def test_backup_does_not_learn_from_a_loser_it_discards() -> None:
    router = backup()
    router.handle(heard(100, interval_cs=4095), START)
    router.handle(heard(0), START + 1)
    assert router.next_deadline_ns() == START + 1 + V3.skew_ns


@pytest.mark.parametrize(
    ("timing", "down_advertisements", "down_ns"),
    [
        (V3, 1, 243_750_000),
        (V3, 10, 2_043_750_000),
        (V2, 1, 1_218_750_000),
        (V2, 10, 10_218_750_000),
    ],
)
def test_backup_misses_as_many_advertisements_as_configured(
    timing: Timing, down_advertisements: int, down_ns: int
) -> None:
    router = backup(parameters(timing, down_advertisements=down_advertisements))
    router.handle(heard(254, interval_cs=timing.interval_cs), START + 50)
    assert router.next_deadline_ns() == START + 50 + down_ns


# Preemption delay ------------------------------------------------------------------------

DELAY = 5 * SECOND


def delayed(timing: Timing = V3) -> VirtualRouter:
    """Return a Backup with a preemption delay, to which a loser advertised at START."""
    router = backup(parameters(timing, delay_ns=DELAY))
    assert router.handle(heard(100, interval_cs=timing.interval_cs), START) == ()
    return router


@BOTH
def test_backup_defers_to_a_loser_until_the_delay_ends(timing: Timing) -> None:
    router = delayed(timing)
    assert router.next_deadline_ns() == START + timing.down_ns
    event = heard(100, interval_cs=timing.interval_cs)
    for passed in (SECOND, DELAY - 1):
        assert router.handle(event, START + passed) == ()
        assert router.next_deadline_ns() == START + passed + timing.down_ns
    assert router.handle(event, START + DELAY) == ()
    assert router.next_deadline_ns() == START + DELAY - 1 + timing.down_ns
    assert router.handle(event, START + DELAY + SECOND) == ()
    assert router.next_deadline_ns() == START + DELAY - 1 + timing.down_ns


def test_backup_that_defers_learns_the_interval_of_the_loser() -> None:
    router = backup(parameters(delay_ns=DELAY))
    router.handle(heard(100, interval_cs=100), START)
    assert router.next_deadline_ns() == START + 3_218_750_000


@pytest.mark.parametrize("priority", [200, 254])
def test_backup_hearing_a_winner_ends_the_delay_and_a_loser_begins_another(priority: int) -> None:
    router = delayed()
    router.handle(heard(priority), START + SECOND)
    later = START + DELAY + SECOND
    router.handle(heard(100), later)
    assert router.next_deadline_ns() == later + V3.down_ns
    router.handle(heard(100), later + DELAY - 1)
    assert router.next_deadline_ns() == later + DELAY - 1 + V3.down_ns
    router.handle(heard(100), later + DELAY)
    assert router.next_deadline_ns() == later + DELAY - 1 + V3.down_ns


@BOTH
def test_release_never_makes_a_backup_wait_longer(timing: Timing) -> None:
    """As two that offer would, who release in turns for as long as nobody takes over."""
    router = backup(parameters(timing))
    for at in (START, START + 1, START + timing.skew_ns - 1):
        router.handle(heard(0), at)
        assert router.next_deadline_ns() == START + timing.skew_ns
    assert router.handle(DeadlineReached(), START + timing.skew_ns) == takeover()


def test_backup_hearing_a_release_during_the_delay_takes_over_after_skew() -> None:
    router = delayed()
    router.handle(heard(0), START + 100 * MS)
    assert router.next_deadline_ns() == START + 100 * MS + V3.skew_ns
    # The delay goes on: whoever of the losers is Active now is preempted when it ends.
    router.handle(heard(100), START + DELAY - 1)
    assert router.next_deadline_ns() == START + DELAY - 1 + V3.down_ns
    router.handle(heard(100), START + DELAY)
    assert router.next_deadline_ns() == START + DELAY - 1 + V3.down_ns


def test_backup_that_lost_its_active_router_does_not_wait_for_the_delay() -> None:
    router = delayed()
    assert router.handle(DeadlineReached(), START + V3.down_ns) == takeover()


def test_backup_that_never_preempts_has_no_delay_to_end() -> None:
    router = backup(parameters(preempt=False, delay_ns=DELAY))
    for passed in (0, DELAY, 2 * DELAY):
        router.handle(heard(100), START + passed)
        assert router.next_deadline_ns() == START + passed + V3.down_ns


@pytest.mark.parametrize(("delay_ns", "restarts"), [(DELAY, False), (DELAY + 1, True)])
def test_backup_whose_delay_is_configured_anew_counts_it_from_the_next_loser(
    delay_ns: int, restarts: bool
) -> None:
    router = delayed()
    router.handle(ConfigurationChanged(V3.interval_ns, 3, True, delay_ns, ME), START + 100 * MS)
    assert router.next_deadline_ns() == START + V3.down_ns
    router.handle(heard(100), START + DELAY)
    expected = START + DELAY if restarts else START
    assert router.next_deadline_ns() == expected + V3.down_ns


# Active: a winner ------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("preempt", [True, False])
@pytest.mark.parametrize(
    ("priority", "source", "reason"),
    [
        (201, LESSER, HIGHER),
        (201, GREATER, HIGHER),
        (254, LESSER, HIGHER),
        (255, LESSER, HIGHER),
        (200, GREATER, GREATER_ADDRESS),
        (200, b"\xff\xff\xff\xff", GREATER_ADDRESS),
    ],
)
def test_active_hearing_a_winner_yields_whether_or_not_it_preempts(
    timing: Timing, preempt: bool, priority: int, source: bytes, reason: TransitionReason
) -> None:
    router, since = active(parameters(timing, preempt=preempt))
    event = heard(priority, source=source, interval_cs=timing.interval_cs)
    assert router.handle(event, since + 5) == yielded(reason)
    assert router.state is State.BACKUP
    assert router.next_deadline_ns() == since + 5 + GRACE
    assert router.handle(DeadlineReached(), since + 5 + GRACE) == UNBIND
    assert router.next_deadline_ns() == since + 5 + timing.down_ns


@BOTH
def test_active_that_yields_learns_the_interval_in_version_3(timing: Timing) -> None:
    router, since = active(parameters(timing))
    router.handle(heard(254, interval_cs=200), since + 5)
    router.handle(DeadlineReached(), since + 5 + GRACE)
    # Version 3: three times two seconds, and (256 − 200) · 2 s / 256.
    down_ns = 6_437_500_000 if timing is V3 else V2.down_ns
    assert router.next_deadline_ns() == since + 5 + down_ns


def test_active_that_yields_begins_its_preemption_delay_with_the_next_loser() -> None:
    router, since = active(parameters(delay_ns=DELAY))
    router.handle(heard(254), since)
    router.handle(DeadlineReached(), since + GRACE)
    router.handle(heard(100), since + DELAY)
    assert router.next_deadline_ns() == since + DELAY + V3.down_ns


@pytest.mark.parametrize(
    ("mine", "theirs", "yields"),
    [
        ("c000020b", "c000020c", True),
        ("c000020b", "c000020a", False),
        ("c000020b", "c000020b", False),
        ("7fffffff", "80000000", True),  # unsigned: RFC 9568 §6.4.3 compares in network order
        ("80000000", "7fffffff", False),
        ("0a0001ff", "0a000200", True),
        ("fe800000000000000000000000800011", "fe800000000000000000000000800012", True),
        ("fe800000000000000000000000800011", "fe800000000000000000000000800010", False),
        ("fe800000000000000000000000800011", "fe800000000000000000000000800011", False),
        ("7fffffffffffffffffffffffffffffff", "80000000000000000000000000000000", True),
        ("fe8000000000000000000000000000ff", "fe800000000000000000000000000100", True),
        ("fe800000000000000000000000000100", "fe8000000000000000000000000000ff", False),
    ],
)
def test_active_hearing_its_own_priority_compares_all_bytes_of_the_address(
    mine: str, theirs: str, yields: bool
) -> None:
    router, since = active(parameters(source=bytes.fromhex(mine)))
    actions = router.handle(heard(200, source=bytes.fromhex(theirs)), since + 5)
    if yields:
        assert actions == yielded(GREATER_ADDRESS)
    else:
        assert actions == (SendAdvertisement(200), AnnounceAddresses())
