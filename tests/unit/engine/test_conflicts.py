"""Who has an address that is about to be bound: asked, judged, listened for."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.engine.conflict_rig import (
    DOWN,
    INTERVAL,
    MEMBER,
    MS,
    NOW,
    OTHER,
    OURS,
    PEER,
    SECOND,
    SIX,
    STRANGER,
    VIP,
    Rig,
)
from tests.unit.engine.programs import announcement, packed, router_program
from tests.unit.engine.shared import snapshot

from vrrp.constants import State
from vrrp.events import (
    DeadlineReached,
    Startup,
    TakeOver,
)
from vrrp_speaker.engine.neighbours.probing import (
    REPROBE_NS,
    REPROBE_WAIT_NS,
    quiet_ns,
    settling_ns,
)
from vrrp_speaker.engine.routers.running_router import new_router
from vrrp_speaker.shared_state import Conflict, SharedState
from vrrp_speaker.shared_state import layout as shm


@pytest.fixture
def shared(tmp_path: Path) -> SharedState:
    return SharedState.create(str(tmp_path / "state.shm"))


@pytest.fixture
def rig(shared: SharedState) -> Rig:
    return Rig(shared)


def test_bounds_by_hand(rig: Rig) -> None:
    parameters = rig.router.machine.parameters
    # Worst candidate: 600 ms and 255/256 of 200 ms, so a lease of 1 s; a second for the kernel.
    assert quiet_ns(parameters) == 2 * SECOND
    assert settling_ns(parameters) == DOWN


def test_bound_of_a_slow_election_is_an_interval_and_a_skew(shared: SharedState) -> None:
    slow = Rig(shared, adver_interval_ns=2 * SECOND).router.machine.parameters
    assert settling_ns(slow) == 2 * SECOND + 56 * 2 * SECOND // 256


# Before it is bound -----------------------------------------------------------------------


def test_three_probes_within_the_wait_the_first_at_once(rig: Rig) -> None:
    rig.run_until(NOW + DOWN - 1)
    assert rig.executor.probed == [NOW, NOW + DOWN // 4, NOW + DOWN // 4 * 2]
    assert rig.neighbours.watched == {VIP, SIX, PEER.address}
    assert not rig.held_back


@pytest.mark.parametrize("address", [VIP, SIX])
def test_answer_is_judged_when_the_wait_ends_and_not_before(rig: Rig, address: bytes) -> None:
    rig.see(NOW, address=address)
    assert rig.run_until(NOW + DOWN - 1) == []
    assert rig.run_until(NOW + DOWN) == [NOW + DOWN]
    assert rig.held_back
    assert rig.counted == 1
    rig.shared.set(rig.router.offset + shm.S_NAME_HASH, 1)
    found = snapshot(rig.shared)
    assert found.routers[0].last_conflict == Conflict(address, STRANGER, NOW + DOWN)


def test_answer_just_before_the_wait_ends_is_listened_for_as_an_active_router_would(
    rig: Rig,
) -> None:
    """The announcement of a peer that became Active comes before what it says in the election."""
    rig.run_until(NOW)
    rig.see(NOW + DOWN - 2 * MS)
    rig.run_until(NOW + DOWN)
    rig.handle(DeadlineReached(), NOW + DOWN)
    assert (rig.router.machine.state, rig.held_back, rig.counted) == (State.BACKUP, False, 0)
    assert not rig.hear(NOW + DOWN + 2 * MS, priority=254)
    assert rig.run_until(NOW + 20 * SECOND) == []
    assert (rig.router.machine.state, rig.counted) == (State.BACKUP, 0)


def test_answer_of_a_member_is_the_elections_for_as_long_as_it_answers(rig: Rig) -> None:
    """It was not told of us yet, or its kernel keeps the lease of an engine that died."""
    rig.run_until(NOW)
    rig.see(NOW, mac=MEMBER)
    rig.see(NOW + MS, mac=MEMBER, address=PEER.address)
    due = NOW + DOWN
    for _ in range(5):
        answered = due - DOWN // 4
        rig.run_until(answered)
        rig.see(answered, mac=MEMBER)
        rig.run_until(due)
        rig.handle(DeadlineReached(), due)
        assert (rig.router.machine.state, rig.held_back, rig.counted) == (State.BACKUP, False, 0)
        due = answered + DOWN
        assert rig.router.machine.next_deadline_ns() == due
    rig.run_until(due)
    rig.handle(DeadlineReached(), due)
    assert (rig.router.machine.state, rig.counted) == (State.ACTIVE, 0)


def test_member_that_answered_and_fell_silent_is_waited_for_no_longer_than_one_that_advertised(
    rig: Rig,
) -> None:
    """Its lease ended. An engine that began just then waited for nearly two down intervals."""
    rig.run_until(NOW)
    rig.see(NOW, mac=MEMBER)
    rig.see(NOW + MS, mac=MEMBER, address=PEER.address)
    rig.run_until(NOW + DOWN)
    rig.handle(DeadlineReached(), NOW + DOWN)
    assert (rig.router.machine.state, rig.counted) == (State.ACTIVE, 0)


def test_member_seen_beside_an_active_router_is_no_stranger(rig: Rig) -> None:
    active = rig.become_active() + 3 * SECOND
    rig.see(active, mac=MEMBER)
    assert rig.executor.members_asked[-1] == active
    rig.see(active + MS, mac=MEMBER, address=PEER.address)
    rig.run_until(active + 10 * SECOND)
    assert rig.counted == 0


def test_answer_that_nothing_explains_is_a_strangers_once_that_has_settled(rig: Rig) -> None:
    rig.run_until(NOW)
    answered = NOW + DOWN - 2 * MS
    rig.see(answered)
    rig.see(answered + MS)  # it goes on to answer; the first time counts
    rig.run_until(NOW + DOWN)
    rig.handle(DeadlineReached(), NOW + DOWN)
    assert rig.router.machine.next_deadline_ns() == answered + DOWN
    assert rig.run_until(answered + DOWN - 1) == []
    assert rig.run_until(answered + DOWN) == [answered + DOWN]
    assert (rig.router.machine.state, rig.held_back, rig.counted) == (State.FAULT, True, 1)


@pytest.mark.parametrize("priority", [0, 100, 254])
def test_who_hears_anybody_of_the_election_asks_no_more(rig: Rig, priority: int) -> None:
    rig.run_until(NOW)
    rig.see(NOW + MS)
    assert not rig.hear(NOW + 2 * MS, priority)
    assert rig.run_until(NOW + 20 * SECOND) == []
    assert rig.executor.probed == [NOW]
    assert rig.counted == 0


def test_who_knew_a_peer_before_a_restart_does_not_ask(shared: SharedState) -> None:
    shared.set(shm.peer_offset(0, 0) + shm.PEER_LAST, NOW - SECOND)
    rig = Rig(shared)
    rig.see(NOW + MS)
    rig.run_until(NOW + DOWN)
    assert rig.executor.probed == []
    assert not rig.held_back


def test_who_knew_a_peer_long_ago_asks(shared: SharedState) -> None:
    shared.set(shm.peer_offset(0, 0) + shm.PEER_LAST, NOW - 60 * SECOND)
    rig = Rig(shared)
    rig.run_until(NOW)
    assert rig.executor.probed == [NOW]


def test_named_successor_is_not_held_up(rig: Rig) -> None:
    rig.see(NOW + MS)
    rig.handle(TakeOver(), NOW + 2 * MS)
    assert rig.run_until(NOW + DOWN) == []
    assert rig.router.machine.state is State.ACTIVE


def test_who_slept_through_the_deadline_listens_before_it_judges(rig: Rig) -> None:
    rig.see(NOW + MS)
    assert rig.conflicts.judge(NOW + DOWN + INTERVAL + 1) == []
    assert not rig.held_back


@pytest.mark.parametrize(
    ("mac", "address", "link"),
    [(OURS, VIP, 2), (STRANGER, packed("192.0.2.51"), 2), (STRANGER, VIP, 3)],
)
def test_ourselves_other_addresses_and_other_links_are_no_answer(
    rig: Rig, mac: bytes, address: bytes, link: int
) -> None:
    rig.see(NOW + MS, mac, address, link)
    assert rig.run_until(NOW + DOWN) == []


def test_fault_ends_with_the_lease_that_a_peer_left_which_died_before(rig: Rig) -> None:
    rig.in_conflict()
    rig.executor.probed.clear()
    again_ns = NOW + quiet_ns(rig.router.machine.parameters)
    assert rig.run_until(again_ns + REPROBE_WAIT_NS) == [again_ns + REPROBE_WAIT_NS]
    spacing = REPROBE_WAIT_NS // 4
    assert rig.executor.probed == [
        *(again_ns + i * spacing for i in range(3)),
        again_ns + REPROBE_WAIT_NS,  # Backup again, and nobody heard yet
    ]
    assert rig.router.machine.state is State.BACKUP


def test_fault_lasts_while_the_stranger_answers(rig: Rig) -> None:
    rig.in_conflict()
    first_ns = NOW + quiet_ns(rig.router.machine.parameters)
    for turn in range(1, 4):
        again_ns = first_ns + (turn - 1) * REPROBE_NS
        rig.run_until(again_ns)
        rig.see(again_ns + MS, OTHER)
        assert rig.run_until(again_ns + REPROBE_WAIT_NS) == []
        assert rig.counted == 1 + turn
    assert rig.held_back


def test_fault_ends_when_a_peer_is_active(rig: Rig) -> None:
    since_ns = rig.in_conflict()
    assert rig.hear(since_ns + SECOND)
    assert not rig.held_back


def test_fault_ends_with_the_address(rig: Rig) -> None:
    rig.in_conflict()
    rig.router.program = router_program(PEER, probes=(announcement("2001:db8::50"),))
    rig.conflicts.sync([rig.router], NOW + 2 * SECOND)
    assert not rig.held_back
    assert rig.neighbours.watched == {SIX, PEER.address}


def test_router_that_begins_anew_asks_anew(rig: Rig) -> None:
    since_ns = rig.in_conflict()
    rig.router = new_router(rig.router.program, input_faults=False, priority=200)
    rig.router.machine.handle(Startup(), since_ns)
    rig.executor.probed.clear()
    rig.conflicts.sync([rig.router], since_ns)
    rig.run_until(since_ns)
    assert not rig.held_back
    assert rig.executor.probed == [since_ns]


def test_without_probes_nothing_is_looked_for(shared: SharedState) -> None:
    rig = Rig(shared, probes=())
    rig.see(NOW + MS)
    assert rig.conflicts.next_deadline_ns() is None
    assert rig.run_until(NOW + DOWN) == []
    assert rig.neighbours.watched == frozenset()
