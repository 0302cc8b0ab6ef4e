"""An address that is added to a router that runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.engine.conflict_rig import (
    ADDED,
    DOWN,
    LATER,
    MS,
    NOW,
    OURS,
    PEER,
    PLACE,
    SECOND,
    SIX,
    STRANGER,
    VIP,
    Rig,
)
from tests.unit.engine.programs import packed, router_program
from tests.unit.engine.shared import snapshot

from vrrp.constants import State
from vrrp.events import (
    DeadlineReached,
    FaultChanged,
)
from vrrp_speaker.engine.neighbours.additions import FIRST_WAIT_NS
from vrrp_speaker.engine.neighbours.probing import (
    REPROBE_NS,
    REPROBE_WAIT_NS,
    quiet_ns,
    settling_ns,
)
from vrrp_speaker.shared_state import Conflict, SharedState
from vrrp_speaker.shared_state import layout as shm


@pytest.fixture
def shared(tmp_path: Path) -> SharedState:
    return SharedState.create(str(tmp_path / "state.shm"))


@pytest.fixture
def rig(shared: SharedState) -> Rig:
    return Rig(shared)


# Added to a router that runs ----------------------------------------------------------------


@pytest.fixture
def active(rig: Rig) -> Rig:
    """A router that is Active since long, and was asked nothing since."""
    assert rig.become_active() < LATER
    rig.run_until(LATER)
    rig.executor.probed.clear()
    rig.executor.asked.clear()
    return rig


def test_address_added_to_an_active_router_is_asked_about_alone_and_then_bound(active: Rig) -> None:
    active.add(LATER)
    assert active.run_until(LATER + FIRST_WAIT_NS - 1) == []
    assert active.executor.probed == [LATER + i * FIRST_WAIT_NS // 4 for i in range(3)]
    assert set(active.executor.asked) == {frozenset({PLACE})}
    assert active.executor.bound == []
    active.run_until(LATER + FIRST_WAIT_NS)
    assert active.executor.bound == [(LATER + FIRST_WAIT_NS, {PLACE})]
    active.run_until(LATER + 60 * SECOND)
    assert (len(active.executor.probed), len(active.executor.bound)) == (3, 1)
    assert (active.counted, active.conflicts.next_deadline_ns()) == (0, None)


def test_added_address_of_a_stranger_stays_off_until_it_is_gone(active: Rig) -> None:
    active.add(LATER)
    for turn in range(3):
        at_ns = LATER + turn * REPROBE_NS
        active.run_until(at_ns)
        active.see(at_ns + MS, address=ADDED)
        judged_ns = at_ns + max(REPROBE_WAIT_NS if turn else FIRST_WAIT_NS, MS + DOWN)
        assert active.run_until(judged_ns) == ([] if turn else [judged_ns])
        assert active.conflicts.keeps_off("a", LATER)
        assert active.counted == turn + 1
    assert not active.held_back
    assert active.router.machine.state is State.ACTIVE
    assert active.executor.bound == []
    assert active.executor.defended == []
    active.shared.set(active.router.offset + shm.S_NAME_HASH, 1)
    assert snapshot(active.shared).routers[0].last_conflict == Conflict(ADDED, STRANGER, judged_ns)
    free_ns = LATER + 3 * REPROBE_NS + REPROBE_WAIT_NS
    assert active.run_until(free_ns) == [free_ns]
    assert active.executor.bound == [(free_ns, {PLACE})]
    assert not active.conflicts.keeps_off("a", LATER)


def test_one_of_two_added_addresses_is_bound_while_a_stranger_has_the_other(active: Rig) -> None:
    active.add(LATER)
    active.add(LATER, "192.0.2.52")
    active.see(LATER + MS, address=ADDED)
    active.run_until(LATER + 60 * SECOND - 1)
    assert [where for _, where in active.executor.bound] == [{(2, packed("192.0.2.52"))}, {PLACE}]


def test_our_own_hardware_address_is_no_answer_for_an_added_address(active: Rig) -> None:
    active.add(LATER)
    active.see(LATER + MS, OURS, ADDED)
    active.run_until(LATER + FIRST_WAIT_NS)
    assert active.executor.bound == [(LATER + FIRST_WAIT_NS, {PLACE})]


def test_address_is_not_bound_before_anybody_was_asked_for_it(active: Rig) -> None:
    """A thousand frames a second leave an interface at most; of many questions the last waits."""
    active.add(LATER)
    active.executor.waiting = {PLACE}
    active.run_until(LATER + 3 * FIRST_WAIT_NS)
    assert active.executor.bound == []
    active.executor.waiting = set()
    active.run_until(LATER + 4 * FIRST_WAIT_NS)
    assert active.executor.bound == [(LATER + 4 * FIRST_WAIT_NS, {PLACE})]


@pytest.mark.parametrize("heard_ns", [-SECOND, 10 * MS, DOWN])
def test_answer_that_a_peer_may_have_given_proves_nothing(active: Rig, heard_ns: int) -> None:
    before = heard_ns < 0
    if before:
        active.hear(LATER + heard_ns)
    active.add(LATER)
    active.see(LATER + MS, address=ADDED)
    if not before:
        active.hear(LATER + heard_ns)
    again_ns = LATER + MS + DOWN + REPROBE_WAIT_NS
    active.run_until(again_ns)
    assert (active.executor.bound, active.counted) == ([], 0)
    active.run_until(again_ns + REPROBE_WAIT_NS)
    assert active.executor.bound == [(again_ns + REPROBE_WAIT_NS, {PLACE})]
    assert (len(active.executor.probed), active.counted) == (6, 0)


def test_stranger_of_an_earlier_round_is_not_held_against_a_peer(active: Rig) -> None:
    active.add(LATER)
    active.see(LATER + MS, address=ADDED)
    active.run_until(LATER + 2 * SECOND)
    assert active.counted == 1
    again_ns, quiet = LATER + REPROBE_NS, quiet_ns(active.router.machine.parameters)
    active.hear(again_ns - quiet + 2 * MS)
    active.run_until(again_ns)
    active.see(again_ns + MS, address=ADDED)  # the lease that the peer may have left ends just now
    active.run_until(again_ns + REPROBE_WAIT_NS)
    assert (active.counted, active.executor.bound) == (1, [])


def test_answer_waits_for_a_slow_peer_to_explain_it(shared: SharedState) -> None:
    slow = Rig(shared, adver_interval_ns=2 * SECOND)
    parameters = slow.router.machine.parameters
    down_ns = parameters.down_ns(2 * SECOND)
    slow.run_until(NOW + down_ns)
    slow.handle(DeadlineReached(), NOW + down_ns)
    at_ns = NOW + 60 * SECOND
    slow.add(at_ns)
    slow.see(at_ns + MS, address=ADDED)
    slow.run_until(at_ns + MS + settling_ns(parameters) - 1)
    assert slow.counted == 0
    slow.run_until(at_ns + MS + settling_ns(parameters))
    assert slow.counted == 1


def test_what_is_seen_between_rounds_answers_nothing(active: Rig) -> None:
    active.add(LATER)
    active.see(LATER + MS, address=ADDED)
    active.run_until(LATER + 2 * SECOND)
    active.see(LATER + 3 * SECOND, address=ADDED)
    free_ns = LATER + REPROBE_NS + REPROBE_WAIT_NS
    assert active.run_until(free_ns) == [free_ns]
    assert (active.counted, active.executor.defended) == (1, [])


def test_programs_that_follow_do_not_begin_the_asking_anew(active: Rig) -> None:
    active.add(LATER)
    active.run_until(LATER + FIRST_WAIT_NS // 2)
    active.add(LATER + FIRST_WAIT_NS // 2, "192.0.2.52")
    active.run_until(LATER + FIRST_WAIT_NS)
    assert active.executor.bound == [(LATER + FIRST_WAIT_NS, {PLACE})]


def test_conflict_ends_with_the_added_address(active: Rig) -> None:
    active.add(LATER)
    active.see(LATER + MS, address=ADDED)
    active.run_until(LATER + 2 * SECOND)
    before = active.router.program
    active.router.program = router_program(PEER, probes=before.probes[:2])
    active.executor.withhold(active.router, active.conflicts.unasked(active.router, before))
    active.conflicts.sync([active.router], LATER + 2 * SECOND)
    assert not active.conflicts.keeps_off("a", LATER)
    active.run_until(LATER + 60 * SECOND)
    assert active.executor.bound == []


def test_who_stops_being_active_asks_no_more_and_binds_all_when_it_takes_over(active: Rig) -> None:
    active.add(LATER)
    active.see(LATER + MS, address=ADDED)
    active.run_until(LATER + 2 * SECOND)
    active.hear(LATER + 3 * SECOND, priority=250)
    assert active.router.machine.state is State.BACKUP
    # Whoever is told what the router lacks is told that it lacks nothing any more.
    assert active.conflicts.judge(LATER + 3 * SECOND) == [active.router]
    assert not active.conflicts.keeps_off("a", LATER)
    probed = len(active.executor.probed)
    active.run_until(LATER + 4 * SECOND)
    for _ in ("addresses go", "down"):
        active.handle(DeadlineReached(), active.router.machine.next_deadline_ns() or 0)
        active.executor.withhold(active.router, frozenset())  # as with addresses that go
    assert active.router.machine.holding
    assert active.conflicts.next_deadline_ns() is None
    assert len(active.executor.probed) == probed


def test_backup_that_has_asked_already_asks_about_an_added_address_once_it_is_active(
    rig: Rig,
) -> None:
    rig.run_until(NOW)
    rig.add(NOW + MS)
    assert rig.router.addresses == rig.router.program.addresses[:2]
    at_ns = rig.become_active()
    rig.executor.asked.clear()
    rig.run_until(at_ns + FIRST_WAIT_NS)
    assert rig.executor.asked == [frozenset({PLACE})] * 3
    assert rig.executor.bound == [(at_ns + FIRST_WAIT_NS, {PLACE})]


def test_backup_that_begins_to_wait_anew_asks_about_all_again(rig: Rig) -> None:
    rig.run_until(NOW)
    rig.add(NOW + MS)
    rig.handle(FaultChanged(True), NOW + 2 * MS)
    rig.handle(FaultChanged(False), NOW + 3 * MS)
    rig.executor.asked.clear()
    rig.run_until(NOW + 3 * MS)
    assert rig.executor.asked == [frozenset({(2, VIP), (2, SIX), PLACE})]
    assert rig.router.addresses == rig.router.program.addresses


def test_backup_that_hears_a_peer_binds_an_added_address_with_the_others(rig: Rig) -> None:
    rig.run_until(NOW)
    rig.add(NOW + MS)
    rig.hear(NOW + 2 * MS)
    assert rig.router.addresses == rig.router.program.addresses
    rig.add(NOW + 3 * MS, "192.0.2.52")
    assert rig.router.addresses == rig.router.program.addresses


def test_backup_that_has_not_begun_asks_about_an_added_address_with_the_others(rig: Rig) -> None:
    rig.add(NOW)
    rig.run_until(NOW)
    assert rig.executor.asked == [frozenset({(2, VIP), (2, SIX), PLACE})]
    assert rig.router.addresses == rig.router.program.addresses
