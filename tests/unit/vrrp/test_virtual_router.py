"""Beginning, end and fault of a Virtual Router: ordered actions, next state, next deadline.

A row for each state and event of RFC 9568 §6.4 and RFC 3768 §6.4; time, advertisements, changes and
handing over have files of their own beside this one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

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
    changed,
    fault,
    heard,
    parameters,
    takeover,
)

from vrrp.actions import AnnounceAddresses, BindAddresses, SendAdvertisement, UnbindAddresses
from vrrp.constants import State, TransitionReason
from vrrp.events import (
    AdvertisementReceived,
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

# Initialize ------------------------------------------------------------------------------


def test_new_router_is_in_initialize_without_a_timer() -> None:
    router = VirtualRouter(parameters())
    assert router.state is State.INITIALIZE
    assert router.next_deadline_ns() is None
    assert router.parameters == parameters()


def test_router_made_from_the_state_of_another_goes_on_where_that_one_was() -> None:
    before, _ = active()
    after = VirtualRouter(before.parameters, faulty=before.faulty, detail=before.detail)
    assert (after.state, after.faulty) == (State.ACTIVE, False)
    assert after.next_deadline_ns() == before.next_deadline_ns()
    assert VirtualRouter(parameters(), faulty=True).faulty
    assert fault().faulty


def test_event_of_no_known_kind_is_a_mistake_of_its_caller() -> None:
    with pytest.raises(AssertionError, match="Begin"):
        backup().handle(cast(Event, "Begin"), START)


@BOTH
def test_startup_waits_one_down_interval_as_backup(timing: Timing) -> None:
    router = VirtualRouter(parameters(timing))
    actions = router.handle(Startup(), START)
    assert actions == (changed(State.INITIALIZE, State.BACKUP, TransitionReason.STARTUP),)
    assert router.next_deadline_ns() == START + timing.down_ns


@pytest.mark.parametrize(
    ("timing", "down_advertisements", "down_ns"),
    [
        (V3, 1, 243_750_000),
        (V3, 10, 2_043_750_000),
        (V2, 1, 1_218_750_000),
        (V2, 10, 10_218_750_000),
    ],
)
def test_startup_waits_as_many_intervals_as_configured(
    timing: Timing, down_advertisements: int, down_ns: int
) -> None:
    router = backup(parameters(timing, down_advertisements=down_advertisements))
    assert router.next_deadline_ns() == START + down_ns


@pytest.mark.parametrize("priority", [1, 254])
def test_startup_waits_longer_with_a_lower_priority(priority: int) -> None:
    # (256 − p) · 200 ms / 256: 199.21875 ms at 1, 1.5625 ms at 254.
    skew_ns = {1: 199_218_750, 254: 1_562_500}[priority]
    assert backup(parameters(priority=priority)).next_deadline_ns() == START + 600 * MS + skew_ns


def test_startup_with_a_fault_waits_in_fault() -> None:
    router = VirtualRouter(parameters(), faulty=True)
    actions = router.handle(Startup(), START)
    assert actions == (changed(State.INITIALIZE, State.FAULT, TransitionReason.FAULT),)
    assert router.next_deadline_ns() is None


@BOTH
def test_resume_goes_on_as_active_without_a_transition(timing: Timing) -> None:
    router = VirtualRouter(parameters(timing))
    assert router.handle(Resume(), START) == (
        SendAdvertisement(200),
        BindAddresses(),
        AnnounceAddresses(),
    )
    assert router.state is State.ACTIVE
    assert router.holding
    assert router.next_deadline_ns() == START + timing.interval_ns


def test_resume_that_hears_a_loser_answers_the_first_one() -> None:
    router = VirtualRouter(parameters())
    router.handle(Resume(), START)
    assert router.handle(heard(100), START) == (SendAdvertisement(200), AnnounceAddresses())


def test_resume_that_hears_a_release_answers_the_first_one() -> None:
    router = VirtualRouter(parameters())
    router.handle(Resume(), START)
    assert router.handle(heard(0), START) == (SendAdvertisement(200), AnnounceAddresses())


def test_resume_with_a_fault_releases_and_unbinds() -> None:
    """Nobody waits for the Active Router that the predecessor was."""
    router = VirtualRouter(parameters(), faulty=True)
    assert router.handle(Resume(), START) == (
        SendAdvertisement(0),
        UnbindAddresses(),
        changed(State.INITIALIZE, State.FAULT, TransitionReason.FAULT),
    )
    assert router.state is State.FAULT
    assert router.next_deadline_ns() is None


@pytest.mark.parametrize("event", [Startup(), Resume()])
@pytest.mark.parametrize("made", [backup, fault, lambda: active()[0]])
def test_begin_of_a_running_router_is_a_mistake_of_its_caller(
    made: Callable[[], VirtualRouter], event: Event
) -> None:
    router = made()
    with pytest.raises(AssertionError):
        router.handle(event, START)


# States without a timer ------------------------------------------------------------------

CONFIGURATION = ConfigurationChanged(100 * MS, 5, False, SECOND, b"\xc0\0\2\x63")
UNHEEDED = [
    DeadlineReached(),
    heard(255),
    heard(100),
    heard(0),
    PriorityChanged(254),
    CONFIGURATION,
    TakeOver(),
]


@pytest.mark.parametrize("event", UNHEEDED)
@pytest.mark.parametrize("made", [lambda: VirtualRouter(parameters()), fault])
def test_event_in_a_state_without_a_timer_asks_for_nothing(
    made: Callable[[], VirtualRouter], event: Event
) -> None:
    router = made()
    before = router.state
    assert router.handle(event, START + 5) == ()
    assert router.state is before
    assert router.next_deadline_ns() is None
    assert not router.holding


@pytest.mark.parametrize("made", [lambda: VirtualRouter(parameters()), fault])
def test_change_in_a_state_without_a_timer_shows_when_one_runs(
    made: Callable[[], VirtualRouter],
) -> None:
    router = made()
    router.handle(CONFIGURATION, START)
    router.handle(PriorityChanged(192), START)
    event = Startup() if router.state is State.INITIALIZE else FaultChanged(False)
    router.handle(event, START + 1)
    # Five intervals of 100 ms, and (256 − 192) · 100 ms / 256.
    assert router.next_deadline_ns() == START + 1 + 525 * MS
    assert router.handle(DeadlineReached(), START + 1 + 525 * MS) == takeover(192)


# Shutdown --------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", [TransitionReason.SHUTDOWN, TransitionReason.REMOVED])
def test_shutdown_without_hand_over_releases_then_unbinds(reason: TransitionReason) -> None:
    router, since = active()
    assert router.handle(Shutdown(reason, hand_over=False), since + 1) == (
        SendAdvertisement(0),
        UnbindAddresses(),
        changed(State.ACTIVE, State.INITIALIZE, reason),
    )
    assert router.next_deadline_ns() is None
    assert not router.holding


def test_shutdown_without_particulars_is_a_shutdown_that_hands_over() -> None:
    assert Shutdown() == Shutdown(TransitionReason.SHUTDOWN, hand_over=True)
    assert Shutdown() != Shutdown(hand_over=False)


@pytest.mark.parametrize("hand_over", [True, False])
def test_shutdown_of_a_backup_sends_nothing(hand_over: bool) -> None:
    router = backup()
    assert router.handle(Shutdown(TransitionReason.REMOVED, hand_over), START + 1) == (
        changed(State.BACKUP, State.INITIALIZE, TransitionReason.REMOVED),
    )
    assert router.next_deadline_ns() is None


@pytest.mark.parametrize("hand_over", [True, False])
def test_shutdown_in_fault_sends_nothing(hand_over: bool) -> None:
    router = fault()
    assert router.handle(Shutdown(hand_over=hand_over), START + 1) == (
        changed(State.FAULT, State.INITIALIZE, TransitionReason.SHUTDOWN),
    )
    assert router.next_deadline_ns() is None


@pytest.mark.parametrize("hand_over", [True, False])
def test_shutdown_before_the_beginning_does_nothing(hand_over: bool) -> None:
    router = VirtualRouter(parameters())
    assert router.handle(Shutdown(hand_over=hand_over), START) == ()
    assert router.state is State.INITIALIZE


def test_startup_after_a_shutdown_begins_anew() -> None:
    router, since = active()
    router.handle(Shutdown(hand_over=False), since + 1)
    router.handle(Startup(), since + 2)
    assert router.state is State.BACKUP
    assert router.next_deadline_ns() == since + 2 + V3.down_ns


# Fault -----------------------------------------------------------------------------------


def test_fault_without_hand_over_unbinds_and_recovery_waits_a_down_interval() -> None:
    router, since = active()
    assert router.handle(FaultChanged(True, hand_over=False), since + 1) == (
        SendAdvertisement(0),
        UnbindAddresses(),
        changed(State.ACTIVE, State.FAULT, TransitionReason.FAULT),
    )
    assert router.next_deadline_ns() is None
    assert router.handle(heard(0), since + 2) == ()
    assert router.handle(FaultChanged(False), since + 3) == (
        changed(State.FAULT, State.BACKUP, TransitionReason.FAULT_CLEARED),
    )
    assert router.next_deadline_ns() == since + 3 + V3.down_ns


def test_fault_without_particulars_hands_over() -> None:
    assert FaultChanged(True) == FaultChanged(True, hand_over=True)
    assert FaultChanged(True) != FaultChanged(True, hand_over=False)


@pytest.mark.parametrize("hand_over", [True, False])
def test_fault_of_a_backup_sends_nothing(hand_over: bool) -> None:
    router = backup()
    assert router.handle(FaultChanged(True, hand_over), START + 1) == (
        changed(State.BACKUP, State.FAULT, TransitionReason.FAULT),
    )
    assert router.next_deadline_ns() is None


@pytest.mark.parametrize("hand_over", [True, False])
@pytest.mark.parametrize("cleared", [True, False])
def test_fault_before_the_beginning_is_remembered(cleared: bool, hand_over: bool) -> None:
    router = VirtualRouter(parameters())
    assert router.handle(FaultChanged(True, hand_over), START) == ()
    assert router.state is State.INITIALIZE
    if cleared:
        assert router.handle(FaultChanged(False), START) == ()
    router.handle(Startup(), START)
    assert router.state is (State.BACKUP if cleared else State.FAULT)


@BOTH
def test_fault_cleared_forgets_the_interval_that_was_learned(timing: Timing) -> None:
    router = backup(parameters(timing))
    router.handle(heard(254, interval_cs=4000), START)
    router.handle(FaultChanged(True), START + 1)
    router.handle(FaultChanged(False), START + 2)
    assert router.next_deadline_ns() == START + 2 + timing.down_ns


@pytest.mark.parametrize("hand_over", [True, False])
@pytest.mark.parametrize("faulty", [True, False])
def test_fault_said_again_changes_nothing(faulty: bool, hand_over: bool) -> None:
    for router in [fault()] if faulty else [backup(), active()[0]]:
        before, deadline = router.state, router.next_deadline_ns()
        assert router.handle(FaultChanged(faulty, hand_over), START + 1) == ()
        assert (router.state, router.next_deadline_ns()) == (before, deadline)


def test_fault_outlives_a_shutdown() -> None:
    router = fault()
    router.handle(Shutdown(), START + 1)
    router.handle(Startup(), START + 2)
    assert router.state is State.FAULT


# Parameters ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("priority", 0),
        ("priority", 255),
        ("adver_interval_ns", 10 * MS - 1),
        ("down_advertisements", 0),
    ],
)
def test_parameters_outside_the_protocol_are_a_mistake_of_their_maker(
    field: str, value: int
) -> None:
    with pytest.raises(AssertionError):
        replace(parameters(), **{field: value})  # type: ignore[arg-type]  # a field by name


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("priority", 1),
        ("priority", 254),
        ("adver_interval_ns", 10 * MS),
        ("down_advertisements", 1),
    ],
)
def test_parameters_at_the_bounds_of_the_protocol_are_taken(field: str, value: int) -> None:
    assert getattr(replace(parameters(), **{field: value}), field) == value  # type: ignore[arg-type]  # a field by name


def test_heard_is_what_an_event_says() -> None:
    assert heard(7) == AdvertisementReceived(b"\xc0\0\2\x0c", 7, 20)
    assert V2.down_ns - V2.skew_ns == 3 * V2.interval_ns
