"""A successor that was named (``TakeOver``): Active without waiting, from Backup only."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.unit.vrrp.routers import (
    BOTH,
    GRACE,
    MS,
    SECOND,
    START,
    UNBIND,
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

from vrrp.constants import State, TransitionReason
from vrrp.events import DeadlineReached, Doubt, FaultChanged, Startup, TakeOver
from vrrp.virtual_router import VirtualRouter

NAMED = TransitionReason.HANDOVER
HIGHER = TransitionReason.HIGHER_PRIORITY_ADVERTISEMENT


@BOTH
@pytest.mark.parametrize("passed", [0, 5])
def test_take_over_of_a_backup_makes_it_active_at_once(timing: Timing, passed: int) -> None:
    router = backup(parameters(timing))
    assert router.handle(TakeOver(), START + passed) == takeover(reason=NAMED)
    assert router.state is State.ACTIVE
    assert router.holding
    assert router.next_deadline_ns() == START + passed + timing.interval_ns


@pytest.mark.parametrize("priority", [0, 100, 254])
@pytest.mark.parametrize("preempt", [True, False])
def test_take_over_asks_for_no_priority_and_no_delay(priority: int, preempt: bool) -> None:
    router = backup(parameters(preempt=preempt, delay_ns=60 * SECOND))
    router.handle(heard(priority), START)
    assert router.handle(TakeOver(), START + 1) == takeover(reason=NAMED)


def test_take_over_of_a_backup_long_past_its_deadline_does_not_listen_first() -> None:
    router = backup()
    now = START + 100 * V3.down_ns
    assert router.handle(TakeOver(), now) == takeover(reason=NAMED)
    assert router.next_deadline_ns() == now + V3.interval_ns


def test_take_over_of_a_backup_that_holds_still_keeps_the_addresses() -> None:
    router, since = active()
    assert router.handle(heard(254), since) == yielded(HIGHER)
    assert router.handle(TakeOver(), since + 1) == takeover(reason=NAMED)
    assert router.handle(DeadlineReached(), since + GRACE) == ()
    assert router.next_deadline_ns() == since + 1 + V3.interval_ns


def test_take_over_of_the_active_router_changes_nothing() -> None:
    router, since = active()
    before = router.detail
    assert router.handle(TakeOver(), since + 5) == ()
    assert router.detail == before


@pytest.mark.parametrize("made", [lambda: VirtualRouter(parameters()), fault])
def test_take_over_of_a_router_that_takes_no_part_changes_nothing(
    made: Callable[[], VirtualRouter],
) -> None:
    router = made()
    before = router.detail
    assert router.handle(TakeOver(), START + 5) == ()
    assert router.detail == before


def test_take_over_without_the_better_priority_lasts_until_the_better_one_speaks() -> None:
    """Who names a successor has lowered the others' priorities first, or it is given back."""
    router = backup()
    router.handle(TakeOver(), START)
    assert router.handle(heard(201), START + 1) == yielded(HIGHER)
    assert router.handle(DeadlineReached(), START + 1 + GRACE) == UNBIND


# In doubt --------------------------------------------------------------------------------


@BOTH
def test_backup_in_doubt_waits_until_then_and_not_less(timing: Timing) -> None:
    router = backup(parameters(timing))
    assert router.handle(Doubt(START + 1), START) == ()
    assert router.next_deadline_ns() == START + timing.down_ns
    later = START + timing.down_ns + MS
    assert router.handle(Doubt(later), START + timing.down_ns) == ()
    assert router.handle(DeadlineReached(), START + timing.down_ns) == ()
    assert router.next_deadline_ns() == later
    assert router.handle(DeadlineReached(), later) == takeover()


def test_doubt_is_nothing_to_any_other_router() -> None:
    holder, since = active()
    for router, due in ((holder, since + V3.interval_ns), (fault(), None)):
        assert router.handle(Doubt(since + SECOND), since) == ()
        assert router.next_deadline_ns() == due


# The first holder -----------------------------------------------------------------------


@BOTH
def test_first_holder_listens_for_one_interval_and_its_skew(timing: Timing) -> None:
    router = VirtualRouter(parameters(timing))
    router.handle(Startup(first=True), START)
    due = START + timing.interval_ns + timing.skew_ns
    assert router.next_deadline_ns() == due
    assert router.handle(DeadlineReached(), due) == takeover()


def test_first_holder_that_hears_an_active_one_is_a_backup_as_any_other() -> None:
    router = VirtualRouter(parameters())
    router.handle(Startup(first=True), START)
    router.handle(heard(254), START + 1)
    assert router.next_deadline_ns() == START + 1 + V3.down_ns


@pytest.mark.parametrize("again", [True, False])
def test_first_holder_with_a_fault_is_the_first_once_it_is_over(again: bool) -> None:
    router = VirtualRouter(parameters(), faulty=True)
    router.handle(Startup(first=True), START)
    if again:
        router.handle(FaultChanged(True), START + 1)
    router.handle(FaultChanged(False), START + 2)
    assert router.next_deadline_ns() == START + 2 + V3.interval_ns + V3.skew_ns
    # Once: what follows has been in the election.
    router.handle(FaultChanged(True), START + 3)
    router.handle(FaultChanged(False), START + 4)
    assert router.next_deadline_ns() == START + 4 + V3.down_ns


@pytest.mark.parametrize("priority", [0, 1, 254])
def test_first_holder_with_a_fault_that_heard_somebody_is_not_the_first(priority: int) -> None:
    router = VirtualRouter(parameters(), faulty=True)
    router.handle(Startup(first=True), START)
    router.handle(heard(priority), START + 1)
    router.handle(FaultChanged(False), START + 2)
    assert router.next_deadline_ns() == START + 2 + V3.down_ns
