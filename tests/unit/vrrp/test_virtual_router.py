"""The state machine, a row of RFC 9568 §6.4 at a time: ordered actions, state, next deadline."""

from __future__ import annotations

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
from vrrp.events import (
    AdvertisementReceived,
    ConfigurationChanged,
    DeadlineReached,
    FaultChanged,
    PriorityChanged,
    Resume,
    Shutdown,
    Startup,
)
from vrrp.virtual_router import Parameters, VirtualRouter

MS = 1_000_000
INTERVAL = 200 * MS
SKEW_200 = 43_750_000  # (256 − 200) · 200 ms / 256
DOWN_200 = 3 * INTERVAL + SKEW_200
START = 1_000 * MS
ME, LESSER, GREATER = b"\xc0\0\2\x0b", b"\xc0\0\2\x0a", b"\xc0\0\2\x0c"


def parameters(priority: int = 200, *, preempt: bool = True) -> Parameters:
    return Parameters(priority, INTERVAL, preempt, ME)


def heard(
    priority: int, *, source: bytes = GREATER, interval_cs: int = 20
) -> AdvertisementReceived:
    return AdvertisementReceived(source, priority, interval_cs)


def backup(*, preempt: bool = True) -> VirtualRouter:
    """Return a router that started at START and is Backup with priority 200."""
    router = VirtualRouter(parameters(preempt=preempt))
    router.handle(Startup(), START)
    return router


def active() -> tuple[VirtualRouter, int]:
    """Return a router that became Active, and when it did."""
    router = backup()
    now = START + DOWN_200
    router.handle(DeadlineReached(), now)
    assert router.state is State.ACTIVE
    return router, now


def changed(before: State, after: State, reason: TransitionReason) -> StateChanged:
    return StateChanged(before, after, reason)


def test_startup_waits_one_down_interval_as_backup() -> None:
    router = VirtualRouter(parameters())
    actions = router.handle(Startup(), START)
    assert actions == (changed(State.INITIALIZE, State.BACKUP, TransitionReason.STARTUP),)
    assert router.next_deadline_ns() == START + DOWN_200


def test_backup_deadline_advertises_binds_announces_in_this_order() -> None:
    router = backup()
    now = START + DOWN_200
    reason = TransitionReason.ACTIVE_DOWN_TIMER_EXPIRED
    assert router.handle(DeadlineReached(), now) == (
        SendAdvertisement(200),
        BindAddresses(),
        AnnounceAddresses(),
        changed(State.BACKUP, State.ACTIVE, reason),
    )
    assert router.next_deadline_ns() == now + INTERVAL


def test_backup_deadline_not_reached_does_nothing() -> None:
    router = backup()
    assert router.handle(DeadlineReached(), START + DOWN_200 - 1) == ()
    assert router.state is State.BACKUP


def test_backup_hearing_a_greater_priority_restarts_its_timer() -> None:
    router = backup()
    assert router.handle(heard(201), START + 50) == ()
    assert router.next_deadline_ns() == START + 50 + DOWN_200


def test_backup_hearing_its_own_priority_restarts_its_timer_whatever_the_source() -> None:
    router = backup()
    router.handle(heard(200, source=LESSER), START + 50)
    assert router.next_deadline_ns() == START + 50 + DOWN_200


def test_backup_hearing_a_lesser_priority_keeps_its_timer() -> None:
    router = backup()
    router.handle(heard(199), START + 50)
    assert router.next_deadline_ns() == START + DOWN_200


def test_backup_that_never_preempts_accepts_a_lesser_priority() -> None:
    router = backup(preempt=False)
    router.handle(heard(1), START + 50)
    assert router.next_deadline_ns() == START + 50 + DOWN_200


def test_backup_hearing_a_release_waits_skew_only() -> None:
    router = backup()
    router.handle(heard(0), START + 50)
    assert router.next_deadline_ns() == START + 50 + SKEW_200


def test_backup_learns_the_interval_of_the_active_router() -> None:
    router = backup()
    router.handle(heard(254, interval_cs=100), START)
    assert router.next_deadline_ns() == START + 3000 * MS + 218_750_000


def test_backup_late_by_more_than_an_interval_listens_before_it_takes_over() -> None:
    router = backup()
    now = START + DOWN_200 + INTERVAL + 1
    assert router.handle(DeadlineReached(), now) == ()
    assert router.state is State.BACKUP
    assert router.next_deadline_ns() == now + INTERVAL + SKEW_200
    router.handle(heard(201), now + 1)
    assert router.next_deadline_ns() == now + 1 + DOWN_200


def test_active_deadline_advertises_and_keeps_the_rhythm() -> None:
    router, since = active()
    assert router.handle(DeadlineReached(), since + INTERVAL + 3 * MS) == (SendAdvertisement(200),)
    assert router.next_deadline_ns() == since + 2 * INTERVAL


def test_active_late_past_a_possible_takeover_unbinds_first() -> None:
    router, since = active()
    now = since + 3 * INTERVAL
    assert router.handle(DeadlineReached(), now) == (
        UnbindAddresses(),
        changed(State.ACTIVE, State.BACKUP, TransitionReason.LATE_WAKE),
    )
    assert router.next_deadline_ns() == now + INTERVAL + SKEW_200


def test_active_late_by_less_than_that_stays_active() -> None:
    router, since = active()
    now = since + 3 * INTERVAL - 1
    assert router.handle(DeadlineReached(), now) == (SendAdvertisement(200),)
    assert router.state is State.ACTIVE


def test_active_hearing_a_release_advertises_at_once() -> None:
    router, since = active()
    assert router.handle(heard(0), since + 5) == (SendAdvertisement(200),)
    assert router.next_deadline_ns() == since + 5 + INTERVAL


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (heard(201, source=LESSER), TransitionReason.HIGHER_PRIORITY_ADVERTISEMENT),
        (heard(200, source=GREATER), TransitionReason.EQUAL_PRIORITY_GREATER_ADDRESS),
    ],
)
def test_active_hearing_a_winner_yields(
    event: AdvertisementReceived, reason: TransitionReason
) -> None:
    router, since = active()
    assert router.handle(event, since + 5) == (
        UnbindAddresses(),
        changed(State.ACTIVE, State.BACKUP, reason),
    )
    assert router.next_deadline_ns() == since + 5 + DOWN_200


def test_active_that_never_preempts_yields_all_the_same() -> None:
    router = backup(preempt=False)
    router.handle(DeadlineReached(), START + DOWN_200)
    router.handle(heard(201), START + DOWN_200 + 1)
    assert router.state is State.BACKUP


@pytest.mark.parametrize("event", [heard(199), heard(200, source=LESSER), heard(200, source=ME)])
def test_active_hearing_a_loser_answers_at_once_but_once_an_interval(
    event: AdvertisementReceived,
) -> None:
    router, since = active()
    answer: tuple[Action, ...] = (SendAdvertisement(200), AnnounceAddresses())
    assert router.handle(event, since + 5) == answer
    assert router.handle(event, since + 6) == ()
    assert router.handle(event, since + 5 + INTERVAL) == answer
    assert router.next_deadline_ns() == since + INTERVAL


def test_shutdown_of_the_active_router_releases_then_unbinds() -> None:
    router, since = active()
    assert router.handle(Shutdown(), since + 1) == (
        SendAdvertisement(0),
        UnbindAddresses(),
        changed(State.ACTIVE, State.INITIALIZE, TransitionReason.SHUTDOWN),
    )
    assert router.next_deadline_ns() is None


def test_shutdown_of_a_backup_sends_nothing() -> None:
    router = backup()
    assert router.handle(Shutdown(TransitionReason.REMOVED), START + 1) == (
        changed(State.BACKUP, State.INITIALIZE, TransitionReason.REMOVED),
    )
    assert router.next_deadline_ns() is None


def test_fault_of_the_active_router_releases_and_recovery_waits_a_down_interval() -> None:
    router, since = active()
    assert router.handle(FaultChanged(True), since + 1) == (
        SendAdvertisement(0),
        UnbindAddresses(),
        changed(State.ACTIVE, State.FAULT, TransitionReason.FAULT),
    )
    assert router.next_deadline_ns() is None
    assert router.handle(heard(0), since + 2) == ()
    assert router.handle(FaultChanged(False), since + 3) == (
        changed(State.FAULT, State.BACKUP, TransitionReason.FAULT_CLEARED),
    )
    assert router.next_deadline_ns() == since + 3 + DOWN_200


def test_startup_with_a_fault_waits_in_fault() -> None:
    router = VirtualRouter(parameters(), faulty=True)
    router.handle(Startup(), START)
    assert router.state is State.FAULT
    assert router.next_deadline_ns() is None


def test_priority_change_moves_the_running_timer_by_the_difference() -> None:
    router = backup()
    router.handle(PriorityChanged(100), START + 100)
    # Skew at 100 is 121.875 ms, 78.125 ms more than at 200; the timer is not restarted.
    assert router.next_deadline_ns() == START + DOWN_200 + 78_125_000


def test_priority_change_of_the_active_router_shows_in_the_next_advertisement() -> None:
    router, since = active()
    assert router.handle(PriorityChanged(50), since + 1) == ()
    assert router.handle(DeadlineReached(), since + INTERVAL) == (SendAdvertisement(50),)


def test_configuration_change_of_the_active_router_keeps_it_active() -> None:
    router, since = active()
    assert router.handle(ConfigurationChanged(100 * MS, True, ME), since + 1) == ()
    assert router.state is State.ACTIVE
    assert router.next_deadline_ns() == since + 1 + 100 * MS


def test_resume_goes_on_as_active_without_a_transition() -> None:
    router = VirtualRouter(parameters())
    assert router.handle(Resume(), START) == (SendAdvertisement(200), BindAddresses())
    assert router.state is State.ACTIVE
    assert router.next_deadline_ns() == START + INTERVAL


def test_resume_with_a_fault_unbinds() -> None:
    router = VirtualRouter(parameters(), faulty=True)
    assert UnbindAddresses() in router.handle(Resume(), START)
    assert router.state is State.FAULT
