"""An Active Router whose health checks fail: standing for election anew, and offering."""

from __future__ import annotations

import pytest
from tests.unit.vrrp.routers import (
    BOTH,
    GRACE,
    GREATER,
    LESSER,
    MS,
    UNBIND,
    V3,
    Timing,
    active,
    backup,
    changed,
    heard,
    parameters,
    takeover,
)

from vrrp.actions import AnnounceAddresses, SendAdvertisement
from vrrp.constants import State, TransitionReason
from vrrp.events import DeadlineReached, FaultChanged, PriorityChanged, Shutdown
from vrrp.virtual_router import VirtualRouter

RELEASE = SendAdvertisement(0)
OFFER = FaultChanged(True, hand_over=True, keeps=True)
GIVEN_UP = changed(State.ACTIVE, State.FAULT, TransitionReason.FAULT)


def offering(timing: Timing = V3) -> tuple[VirtualRouter, int]:
    """Return a router that has begun to offer, and when."""
    router, since = active(parameters(timing))
    now = since + 10 * MS
    assert router.handle(OFFER, now) == (RELEASE,)
    return router, now


# Lowered priority ----------------------------------------------------------------------


@BOTH
def test_nobody_may_preempt_so_an_unhealthy_active_router_stands_anew(timing: Timing) -> None:
    router, since = active(parameters(timing, preempt=False))
    now = since + 10 * MS
    assert router.handle(PriorityChanged(200, unhealthy=True), now) == (
        RELEASE,
        changed(State.ACTIVE, State.BACKUP, TransitionReason.HEALTH_LOWERED),
    )
    assert router.holding
    assert router.next_deadline_ns() == now + timing.skew_ns


def test_whoever_is_better_has_it_then() -> None:
    router, since = active(parameters(preempt=False))
    router.handle(PriorityChanged(200, unhealthy=True), since)
    router.handle(heard(1, source=LESSER), since + MS)
    assert router.handle(DeadlineReached(), since + MS + GRACE) == UNBIND
    assert router.state is State.BACKUP


def test_without_a_better_one_it_stays_and_never_let_go() -> None:
    router, since = active(parameters(preempt=False))
    router.handle(PriorityChanged(200, unhealthy=True), since)
    assert router.handle(DeadlineReached(), since + V3.skew_ns) == takeover(200)


def test_the_lowered_priority_is_what_it_stands_with() -> None:
    router, since = active(parameters(preempt=False))
    router.handle(PriorityChanged(100, unhealthy=True), since)
    # (256 − 100) · 200 ms / 256 (RFC 9568 §6.1)
    assert router.next_deadline_ns() == since + 121_875_000


def test_addresses_go_after_the_time_a_successor_may_take() -> None:
    router, since = active(parameters(preempt=False))
    router.handle(PriorityChanged(200, unhealthy=True), since)
    for at in range(since, since + V3.successor_ns, 40 * MS):
        router.handle(heard(0), at)  # others stand down too, and so nobody takes over
    assert router.handle(DeadlineReached(), since + V3.successor_ns) == UNBIND


@pytest.mark.parametrize(("preempt", "unhealthy"), [(True, True), (False, False), (True, False)])
def test_any_other_change_of_priority_moves_nothing(preempt: bool, unhealthy: bool) -> None:
    router, since = active(parameters(preempt=preempt))
    assert router.handle(PriorityChanged(100, unhealthy), since + 1) == ()
    assert router.state is State.ACTIVE


def test_a_backup_does_not_stand_for_anything() -> None:
    router = backup(parameters(preempt=False))
    assert router.handle(PriorityChanged(100, unhealthy=True), 1) == ()


# Offering ------------------------------------------------------------------------------


@BOTH
def test_all_it_advertises_is_releases_for_as_long_as_it_takes(timing: Timing) -> None:
    router, now = offering(timing)
    for _ in range(100):
        due = router.next_deadline_ns()
        assert due == now + timing.interval_ns
        assert router.handle(DeadlineReached(), due) == (RELEASE,)
        now = due
    assert (router.state, router.holding) == (State.ACTIVE, True)


@pytest.mark.parametrize("priority", [1, 200, 254])
def test_a_successor_of_any_priority_ends_it(priority: int) -> None:
    router, now = offering()
    assert router.handle(heard(priority, source=LESSER), now + 1) == (RELEASE, GIVEN_UP)
    assert router.holding
    assert router.handle(DeadlineReached(), now + 1 + GRACE) == UNBIND


@BOTH
def test_of_two_that_offer_the_one_with_the_lesser_address_lets_go(timing: Timing) -> None:
    router, now = offering(timing)
    first, second = now + 1, now + 1 + timing.interval_ns
    assert router.handle(heard(0, source=GREATER), first) == ()
    assert router.state is State.ACTIVE
    router.handle(DeadlineReached(), now + timing.interval_ns)
    assert router.handle(heard(0, source=GREATER), second) == (RELEASE, GIVEN_UP)
    assert router.holding
    assert router.handle(DeadlineReached(), second + GRACE) == UNBIND


@BOTH
def test_of_two_that_offer_the_one_with_the_greater_address_goes_on(timing: Timing) -> None:
    """It tells the neighbours, who may have heard the other one last; once an interval."""
    router, now = offering(timing)
    for number in range(9):
        heard_at = now + number * timing.interval_ns // 3
        repair = (AnnounceAddresses(),) if number % 3 == 0 else ()
        assert router.handle(heard(0, source=LESSER), heard_at) == repair
    assert router.state is State.ACTIVE


@pytest.mark.parametrize(
    "apart",
    [0, 1, V3.interval_ns // 2 - 1, 3 * V3.interval_ns + 1],
)
def test_one_release_is_of_somebody_who_leaves(apart: int) -> None:
    """Its copy comes at once; and the one who has left may come back much later."""
    router, now = offering()
    assert router.handle(heard(0, source=GREATER), now + 1) == ()
    assert router.handle(heard(0, source=GREATER), now + 1 + apart) == ()
    assert router.state is State.ACTIVE


def test_releases_of_two_who_leave_are_not_of_one_who_offers() -> None:
    router, now = offering()
    another = GREATER[:-1] + bytes((GREATER[-1] + 1,))
    for number in range(6):
        source = (GREATER, another)[number % 2]
        assert router.handle(heard(0, source=source), now + 1 + number * V3.interval_ns) == ()
    assert router.state is State.ACTIVE


def test_copies_of_releases_do_not_hide_who_offers() -> None:
    router, now = offering()
    last = now + 1 + V3.interval_ns
    for at in range(now + 1, last, V3.interval_ns // 10):
        done = router.handle(heard(0, source=GREATER), at)
        if done:
            assert done == (RELEASE, GIVEN_UP)
            assert at - now - 1 >= V3.interval_ns // 2
            return
    raise AssertionError("goes on beside another one")


def test_telling_it_again_changes_nothing() -> None:
    router, now = offering()
    assert router.handle(OFFER, now + 1) == ()
    assert router.next_deadline_ns() == now + V3.interval_ns


def test_recovered_it_says_so_at_once() -> None:
    router, now = offering()
    assert router.handle(FaultChanged(False), now + 1) == (SendAdvertisement(200),)
    due = now + 1 + V3.interval_ns
    assert router.next_deadline_ns() == due
    assert router.handle(DeadlineReached(), due) == (SendAdvertisement(200),)


@pytest.mark.parametrize(
    ("event", "held"),
    [
        (FaultChanged(True, hand_over=True), True),
        (FaultChanged(True, hand_over=False, keeps=True), False),
    ],
)
def test_a_fault_that_is_not_everywhere_ends_it(event: FaultChanged, held: bool) -> None:
    router, now = offering()
    unbind = () if held else UNBIND
    assert router.handle(event, now + 1) == (RELEASE, *unbind, GIVEN_UP)
    assert router.holding is held


def test_shutdown_ends_it_in_good_order() -> None:
    router, now = offering()
    stopped = changed(State.ACTIVE, State.INITIALIZE, TransitionReason.SHUTDOWN)
    assert router.handle(Shutdown(), now + 1) == (RELEASE, stopped)
    assert router.handle(DeadlineReached(), now + 1 + V3.successor_ns) == UNBIND


def test_a_lower_priority_does_not_disturb_it() -> None:
    router, since = active(parameters(preempt=False))
    router.handle(OFFER, since)
    assert router.handle(PriorityChanged(100, unhealthy=True), since + 1) == ()


def test_a_late_wake_takes_the_addresses_off_and_leaves_it_in_fault() -> None:
    router, now = offering()
    late = now + 3 * V3.interval_ns
    assert router.handle(DeadlineReached(), late) == (
        *UNBIND,
        changed(State.ACTIVE, State.FAULT, TransitionReason.LATE_WAKE),
    )


@pytest.mark.parametrize("keeps", [True, False])
def test_only_an_active_router_offers(keeps: bool) -> None:
    router = backup()
    fault = changed(State.BACKUP, State.FAULT, TransitionReason.FAULT)
    assert router.handle(FaultChanged(True, True, keeps), 1) == (fault,)
    assert not router.holding
