"""What may happen to a Virtual Router while it hands over: every event, in every state."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.unit.vrrp.routers import (
    BOTH,
    GRACE,
    ME,
    MS,
    SECOND,
    UNBIND,
    V3,
    Timing,
    active,
    changed,
    heard,
    parameters,
    takeover,
    yielded,
)

from vrrp.actions import Action, AnnounceAddresses, BindAddresses, SendAdvertisement
from vrrp.constants import State, TransitionReason
from vrrp.events import (
    ConfigurationChanged,
    DeadlineReached,
    Event,
    FaultChanged,
    PriorityChanged,
    Resume,
    Shutdown,
    Startup,
    TakeOver,
)
from vrrp.virtual_router import VirtualRouter

REASON = TransitionReason
Held = tuple[VirtualRouter, int, int]
"""A router, when it stopped being Active, and until when it may hold its addresses."""


def stopping(timing: Timing = V3) -> Held:
    """Return a router that is in Initialize and holds."""
    router, since = active(parameters(timing))
    router.handle(Shutdown(), since)
    return router, since, since + timing.successor_ns


def faulty(timing: Timing = V3) -> Held:
    """Return a router that is in Fault and holds."""
    router, since = active(parameters(timing))
    router.handle(FaultChanged(True), since)
    return router, since, since + timing.successor_ns


def recovered(timing: Timing = V3) -> Held:
    """Return a router that is Backup and holds, because its fault was over within a ms."""
    router, since, until = faulty(timing)
    router.handle(FaultChanged(False), since + MS)
    return router, since, until


def outdone(timing: Timing = V3) -> Held:
    """Return a router that is Backup and holds, because it yielded to a better one."""
    router, since = active(parameters(timing))
    event = heard(201, interval_cs=timing.interval_cs)
    assert router.handle(event, since) == yielded(REASON.HIGHER_PRIORITY_ADVERTISEMENT)
    return router, since, since + GRACE


EVERY = pytest.mark.parametrize("made", [stopping, faulty, recovered, outdone])
BACKUPS = pytest.mark.parametrize("made", [recovered, outdone])
Made = Callable[..., Held]

# Leaving again ---------------------------------------------------------------------------


def report(router: VirtualRouter, after: State, reason: TransitionReason) -> tuple[Action, ...]:
    """Return what reports a transition, where it is one."""
    return () if router.state is after else (changed(router.state, after, reason),)


@EVERY
def test_shutdown_while_holding_holds_no_longer_and_no_shorter(made: Made) -> None:
    router, since, until = made()
    expected = report(router, State.INITIALIZE, REASON.REMOVED)
    assert router.handle(Shutdown(REASON.REMOVED), since + 2 * MS) == expected
    assert router.state is State.INITIALIZE
    assert router.next_deadline_ns() == until
    assert router.handle(DeadlineReached(), until) == UNBIND


@EVERY
def test_shutdown_without_hand_over_while_holding_unbinds_at_once(made: Made) -> None:
    router, since, _ = made()
    expected = UNBIND + report(router, State.INITIALIZE, REASON.SHUTDOWN)
    assert router.handle(Shutdown(hand_over=False), since + 2 * MS) == expected
    assert (router.state, router.holding) == (State.INITIALIZE, False)
    assert router.next_deadline_ns() is None


@EVERY
def test_fault_while_holding_holds_no_longer_and_no_shorter(made: Made) -> None:
    router, since, until = made()
    after = State.INITIALIZE if made is stopping else State.FAULT
    expected = report(router, after, REASON.FAULT)
    assert router.handle(FaultChanged(True), since + 2 * MS) == expected
    assert (router.state, router.faulty) == (after, True)
    assert router.next_deadline_ns() == until
    assert router.handle(DeadlineReached(), until) == UNBIND


@EVERY
def test_fault_without_hand_over_while_holding_unbinds_at_once(made: Made) -> None:
    """The link goes while a failed check hands over: the addresses are of no use any more."""
    router, since, _ = made()
    after = State.INITIALIZE if made is stopping else State.FAULT
    expected = UNBIND + report(router, after, REASON.FAULT)
    assert router.handle(FaultChanged(True, hand_over=False), since + 2 * MS) == expected
    assert (router.state, router.faulty, router.holding) == (after, True, False)
    assert router.next_deadline_ns() is None


# Beginning again -------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("hand_over", [True, False])
def test_fault_cleared_while_holding_waits_as_backup_and_lets_go_in_time(
    timing: Timing, hand_over: bool
) -> None:
    router, since, until = faulty(timing)
    now = since + 2 * MS
    assert router.handle(FaultChanged(False, hand_over), now) == (
        changed(State.FAULT, State.BACKUP, REASON.FAULT_CLEARED),
    )
    assert router.next_deadline_ns() == until
    assert router.handle(DeadlineReached(), until) == UNBIND
    assert (router.state, router.holding) == (State.BACKUP, False)
    assert router.next_deadline_ns() == now + timing.down_ns
    assert router.handle(DeadlineReached(), now + timing.down_ns) == takeover()


def test_startup_while_holding_lets_go_in_time() -> None:
    router, since, until = stopping()
    assert router.handle(Startup(), since + MS) == (
        changed(State.INITIALIZE, State.BACKUP, REASON.STARTUP),
    )
    assert router.next_deadline_ns() == until
    assert router.handle(DeadlineReached(), until) == UNBIND
    assert router.next_deadline_ns() == since + MS + V3.down_ns


def test_startup_with_a_fault_while_holding_lets_go_in_time() -> None:
    router, since, until = stopping()
    assert router.handle(FaultChanged(True), since + MS) == ()
    assert router.handle(Startup(), since + MS) == (
        changed(State.INITIALIZE, State.FAULT, REASON.FAULT),
    )
    assert router.next_deadline_ns() == until
    assert router.handle(DeadlineReached(), until) == UNBIND
    assert router.next_deadline_ns() is None


def test_resume_while_holding_goes_on_as_active() -> None:
    router, since, until = stopping()
    assert router.handle(Resume(), since + MS) == (
        SendAdvertisement(200),
        BindAddresses(),
        AnnounceAddresses(),
    )
    assert router.next_deadline_ns() == since + MS + V3.interval_ns
    assert router.handle(DeadlineReached(), until) == (SendAdvertisement(200),)


# Hearing ---------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("priority", [200, 254])
def test_backup_that_holds_and_hears_its_successor_lets_go_after_the_grace(
    timing: Timing, priority: int
) -> None:
    router, since, _ = recovered(timing)
    now = since + 10 * MS
    assert router.handle(heard(priority, interval_cs=timing.interval_cs), now) == ()
    assert router.next_deadline_ns() == now + GRACE
    assert router.handle(DeadlineReached(), now + GRACE) == UNBIND
    assert router.next_deadline_ns() == now + timing.down_ns


@BOTH
def test_backup_that_holds_and_discards_its_successor_lets_go_all_the_same(timing: Timing) -> None:
    """A lesser one took over; it will be preempted, and until then two hold for the grace only."""
    router, since, _ = recovered(timing)
    now = since + 10 * MS
    assert router.handle(heard(100, interval_cs=timing.interval_cs), now) == ()
    assert router.next_deadline_ns() == now + GRACE
    assert router.handle(DeadlineReached(), now + GRACE) == UNBIND
    assert router.next_deadline_ns() == since + MS + timing.down_ns


@BACKUPS
def test_backup_that_holds_and_hears_a_release_takes_over_after_skew(made: Made) -> None:
    router, since, until = made()
    now = since + 2 * MS
    assert router.handle(heard(0), now) == ()
    assert router.next_deadline_ns() == now + V3.skew_ns
    assert now + V3.skew_ns < until
    assert router.handle(DeadlineReached(), now + V3.skew_ns) == takeover()
    assert router.handle(DeadlineReached(), until) in [(), (SendAdvertisement(200),)]


@BACKUPS
def test_backup_that_holds_and_hears_a_late_release_lets_go_in_time(made: Made) -> None:
    router, _, until = made()
    router.handle(heard(0), until - 1)
    assert router.next_deadline_ns() == until
    assert router.handle(DeadlineReached(), until) == UNBIND
    assert router.next_deadline_ns() == until - 1 + V3.skew_ns


# Time ------------------------------------------------------------------------------------


@BACKUPS
@BOTH
def test_backup_that_holds_and_slept_past_its_turn_unbinds_at_once(
    made: Made, timing: Timing
) -> None:
    router, since, _ = made(timing)
    begun = since + MS if made is recovered else since
    now = begun + timing.down_ns + timing.interval_ns + 1
    assert router.handle(DeadlineReached(), now) == UNBIND
    assert (router.state, router.holding) == (State.BACKUP, False)
    listened = now + timing.interval_ns + timing.skew_ns
    assert router.next_deadline_ns() == listened
    assert router.handle(DeadlineReached(), listened) == takeover()


@BACKUPS
@BOTH
def test_backup_that_holds_and_slept_up_to_its_turn_takes_over_and_keeps_the_addresses(
    made: Made, timing: Timing
) -> None:
    router, since, _ = made(timing)
    begun = since + MS if made is recovered else since
    now = begun + timing.down_ns + timing.interval_ns
    assert router.handle(DeadlineReached(), now) == takeover()
    assert router.next_deadline_ns() == now + timing.interval_ns


def test_active_again_that_leaves_again_holds_for_a_whole_time_again() -> None:
    router, since, _ = recovered()
    router.handle(TakeOver(), since + 2 * MS)
    router.handle(Shutdown(), since + 3 * MS)
    assert router.next_deadline_ns() == since + 3 * MS + V3.successor_ns


# Changes ---------------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize(
    "event",
    [
        PriorityChanged(1),
        ConfigurationChanged(SECOND, 5, False, 0, ME),
        ConfigurationChanged(V3.interval_ns, 3, True, SECOND, ME),
    ],
)
def test_change_while_holding_leaves_the_addresses_alone(made: Made, event: Event) -> None:
    router, since, until = made()
    state = router.state
    assert router.handle(event, since + 2 * MS) == ()
    assert (router.state, router.holding) == (state, True)
    assert router.next_deadline_ns() == until
    assert router.handle(DeadlineReached(), until) == UNBIND


@pytest.mark.parametrize("made", [stopping, faulty])
def test_take_over_while_holding_in_a_state_that_takes_no_part_changes_nothing(made: Made) -> None:
    router, since, until = made()
    before = router.detail
    assert router.handle(TakeOver(), since + 2 * MS) == ()
    assert router.detail == before
    assert router.handle(DeadlineReached(), until) == UNBIND


@BACKUPS
def test_take_over_while_holding_as_backup_never_unbinds(made: Made) -> None:
    router, since, until = made()
    assert router.handle(TakeOver(), since + 2 * MS) == takeover(reason=REASON.HANDOVER)
    assert router.next_deadline_ns() == since + 2 * MS + V3.interval_ns
    assert router.handle(DeadlineReached(), until) in [(), (SendAdvertisement(200),)]
