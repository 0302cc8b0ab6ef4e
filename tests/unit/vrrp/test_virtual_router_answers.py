"""What an Active Router answers out of turn: losers and releases, each so often and no more."""

from __future__ import annotations

import pytest
from tests.unit.vrrp.routers import (
    BOTH,
    GREATER,
    LESSER,
    ME,
    MS,
    SECOND,
    V2,
    V3,
    Timing,
    active,
    backup,
    heard,
    parameters,
)

from vrrp.actions import Action, AnnounceAddresses, SendAdvertisement
from vrrp.constants import State
from vrrp.events import (
    AdvertisementReceived,
    ConfigurationChanged,
    DeadlineReached,
    OthersAdvertise,
)
from vrrp.virtual_router import VirtualRouter

ANSWER: tuple[Action, ...] = (SendAdvertisement(200),)
REPAIR: tuple[Action, ...] = (*ANSWER, AnnounceAddresses())
"""The first release in an interval: whoever released was Active too, and neighbours know him."""

# A loser ---------------------------------------------------------------------------------


def loser_answer(timing: Timing) -> tuple[Action, ...]:
    """Return the answer RFC 9568 §6.4.3 asks for; RFC 3768 §6.4.3 discards."""
    repaired: tuple[Action, ...] = (AnnounceAddresses(),)
    return (SendAdvertisement(200), *repaired) if timing.version == 3 else repaired


@BOTH
@pytest.mark.parametrize("preempt", [True, False])
@pytest.mark.parametrize(
    "event", [heard(199), heard(1), heard(200, source=LESSER), heard(200, source=ME)]
)
def test_active_hearing_a_loser_answers_at_once_but_once_an_interval(
    timing: Timing, preempt: bool, event: AdvertisementReceived
) -> None:
    router, since = active(parameters(timing, preempt=preempt))
    deadline = since + timing.interval_ns
    assert router.handle(event, since) == loser_answer(timing)
    assert router.handle(event, since + 1) == ()
    assert router.handle(event, since + timing.interval_ns - 1) == ()
    assert router.handle(event, since + timing.interval_ns) == loser_answer(timing)
    assert router.handle(event, since + 2 * timing.interval_ns - 1) == ()
    assert router.state is State.ACTIVE
    assert router.next_deadline_ns() == deadline


@BOTH
def test_a_second_loser_within_an_interval_has_the_addresses_announced_at_its_end(
    timing: Timing,
) -> None:
    """Three were Active: the second loser may announce after the first one was answered."""
    router, since = active(parameters(timing))
    deadline = since + timing.interval_ns
    assert router.handle(heard(199), since + 1) == loser_answer(timing)
    assert router.handle(heard(198, source=LESSER), since + 2) == ()
    assert router.handle(DeadlineReached(), deadline) == REPAIR
    # Once: the one after is an advertisement and no more.
    assert router.handle(DeadlineReached(), deadline + timing.interval_ns) == ANSWER


@BOTH
def test_a_second_release_within_an_interval_has_the_addresses_announced_at_its_end(
    timing: Timing,
) -> None:
    router, since = active(parameters(timing))
    assert router.handle(heard(0), since + 1) == REPAIR
    later = since + 1 + timing.interval_ns // 2
    assert router.handle(heard(0, source=LESSER), later) == ANSWER
    assert router.handle(DeadlineReached(), later + timing.interval_ns) == REPAIR


def test_active_flooded_by_a_loser_answers_ten_times_in_ten_intervals() -> None:
    router, since = active()
    answers = 0
    for passed in range(0, 10 * V3.interval_ns, MS):
        answers += bool(router.handle(heard(100), since + passed))
    assert answers == 10


# Ahead of time ---------------------------------------------------------------------------


@BOTH
def test_active_goes_along_with_others_and_keeps_that_rhythm(timing: Timing) -> None:
    router, since = active(parameters(timing))
    early = since + timing.interval_ns // 2
    assert router.handle(OthersAdvertise(), early) == ANSWER
    assert router.next_deadline_ns() == early + timing.interval_ns


def test_active_that_is_late_already_goes_on_as_at_its_deadline() -> None:
    router, since = active()
    slow, _ = active()
    late = since + V3.interval_ns + 5
    assert router.handle(OthersAdvertise(), late) == slow.handle(DeadlineReached(), late)
    assert router.next_deadline_ns() == slow.next_deadline_ns()


def test_backup_does_not_go_along() -> None:
    router = backup()
    due = router.next_deadline_ns()
    assert due is not None
    assert router.handle(OthersAdvertise(), due) == ()
    assert router.next_deadline_ns() == due


# A release -------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("source", [LESSER, GREATER])
def test_active_hearing_a_release_advertises_at_once_and_restarts_its_timer(
    timing: Timing, source: bytes
) -> None:
    router, since = active(parameters(timing))
    assert router.handle(heard(0, source=source), since + 5) == REPAIR
    assert router.state is State.ACTIVE
    assert router.next_deadline_ns() == since + 5 + timing.interval_ns


@BOTH
def test_active_hearing_another_release_soon_answers_it_by_its_next_advertisement(
    timing: Timing,
) -> None:
    router, since = active(parameters(timing))
    assert router.handle(heard(0), since + 5) == REPAIR
    due = since + 5 + timing.spacing_ns
    for later in (since + 5, since + 6, due - 1):
        assert router.handle(heard(0), later) == ()
        assert router.next_deadline_ns() == due
    assert router.handle(DeadlineReached(), due) == ANSWER
    assert router.next_deadline_ns() == due + timing.interval_ns


FAST = Timing(3, 10 * MS, 1, 2_187_500, 32_187_500, 19_960_937, 39_062)
"""Half of 78125 ns is not a whole number: it is rounded down."""


@pytest.mark.parametrize("timing", [V3, V2, FAST], ids=["v3", "v2", "fast"])
def test_active_hearing_another_release_later_answers_it_at_once(timing: Timing) -> None:
    router, since = active(parameters(timing))
    router.handle(heard(0), since + 5)
    later = since + 5 + timing.spacing_ns
    again = REPAIR if timing.spacing_ns >= timing.interval_ns else ANSWER
    assert router.handle(heard(0), later) == again
    assert router.next_deadline_ns() == later + timing.interval_ns


@BOTH
@pytest.mark.parametrize("quarters", range(9))
def test_active_hearing_two_releases_is_heard_before_the_best_backup_acts(
    timing: Timing, quarters: int
) -> None:
    """Its Skew_Time, from the second release on, is twice the spacing of answers."""
    router, since = active(parameters(timing))
    router.handle(heard(0), since)
    second = since + quarters * timing.spacing_ns // 4
    if ANSWER[0] not in router.handle(heard(0), second):
        deadline = router.next_deadline_ns()
        assert deadline is not None
        assert second < deadline < second + 2 * timing.spacing_ns
        assert router.handle(DeadlineReached(), deadline) == ANSWER


def test_active_whose_advertisement_is_due_sooner_does_not_wait_for_the_answer() -> None:
    """With a new interval of 40.95 s an answer waits 160 ms; the running one was 10 ms."""
    router, since = active(parameters(FAST))
    router.handle(heard(0), since + 5)
    router.handle(ConfigurationChanged(40_950 * MS, 3, True, 0, ME), since + 6)
    assert router.handle(heard(0), since + 7) == ()
    assert router.next_deadline_ns() == since + 5 + 10 * MS


def test_active_flooded_by_releases_answers_once_in_a_spacing() -> None:
    """One every 100 µs: the spacing of 781.25 µs has passed at every eighth."""
    router, since = active()
    done: list[Action] = []
    for passed in range(0, V3.interval_ns, 100_000):
        done += router.handle(heard(0), since + passed)
    assert done.count(ANSWER[0]) == 250
    assert done.count(AnnounceAddresses()) == 1
    assert router.handle(heard(0), since + V3.interval_ns) == REPAIR


# One after the other ---------------------------------------------------------------------


def answered_release(timing: Timing) -> tuple[VirtualRouter, int]:
    """Return an Active Router that answered a release, and when."""
    router, since = active(parameters(timing))
    assert router.handle(heard(0), since + 5) == REPAIR
    return router, since + 5


@BOTH
def test_active_that_answered_a_release_answers_a_loser_all_the_same(timing: Timing) -> None:
    router, answered = answered_release(timing)
    assert router.handle(heard(100), answered) == loser_answer(timing)
    assert router.handle(heard(100), answered + timing.interval_ns - 1) == ()
    assert router.handle(heard(100), answered + timing.interval_ns) == loser_answer(timing)


@BOTH
def test_active_that_answered_a_loser_answers_a_release_all_the_same(timing: Timing) -> None:
    router, since = active(parameters(timing))
    assert router.handle(heard(100), since + 5) == loser_answer(timing)
    assert router.handle(heard(0), since + 5) == ANSWER
    assert router.handle(heard(100), since + 5 + timing.interval_ns - 1) == ()


@BOTH
def test_active_that_advertises_in_turn_remembers_whom_it_answered(timing: Timing) -> None:
    router, answered = answered_release(timing)
    router.handle(heard(100), answered + 1)
    router.handle(heard(0), answered + 2)
    due = answered + timing.spacing_ns
    assert router.handle(DeadlineReached(), due) == ANSWER
    assert router.handle(heard(100), due) == ()
    assert router.handle(heard(0), due) == ANSWER


@BOTH
def test_active_anew_owes_nothing_to_what_it_answered_before(timing: Timing) -> None:
    router, answered = answered_release(timing)
    router.handle(heard(100), answered)
    router.handle(heard(254, interval_cs=timing.interval_cs), answered)
    now = answered + timing.down_ns
    router.handle(DeadlineReached(), now)
    assert router.state is State.ACTIVE
    assert router.handle(heard(0), now) == REPAIR
    assert router.handle(heard(100), now) == loser_answer(timing)


def test_release_answers_in_version_2_keep_apart_whatever_the_interval() -> None:
    """A skew is a part of a second there: 2 / 256 s of the best, half of it between answers."""
    timing = Timing(2, 255 * SECOND, 25_500, 218_750_000, 765_218_750_000, 0, 3_906_250)
    router, answered = answered_release(timing)
    assert router.handle(heard(0), answered + 1) == ()
    assert router.next_deadline_ns() == answered + 3_906_250
    assert router.handle(heard(0), answered + 3_906_250) == ANSWER
