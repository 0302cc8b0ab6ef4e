"""An answer for an address is never taken for a stranger's where a member gave it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.engine.conflict_rig import (
    ADDED,
    DOWN,
    LATER,
    MEMBER,
    MS,
    NOW,
    PEER,
    SECOND,
    STRANGER,
    VIP,
    Rig,
)
from tests.unit.engine.programs import packed
from tests.unit.engine.shared import snapshot

from vrrp.constants import State
from vrrp_speaker.engine.neighbours.probing import (
    REPROBE_NS,
    REPROBE_WAIT_NS,
    quiet_ns,
    settling_ns,
)
from vrrp_speaker.shared_state import EngineFault, HeldByMember, SharedState
from vrrp_speaker.shared_state import layout as shm
from vrrp_speaker.shared_state.layout import bytes_hash

PLACE = (2, ADDED)
LEARNED = packed("192.0.2.14")


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(SharedState.create(str(tmp_path / "state.shm")))


@pytest.fixture
def active(rig: Rig) -> Rig:
    """A router that is Active since long and has been given another address just now."""
    rig.become_active()
    rig.run_until(LATER)
    rig.add(LATER)
    rig.run_until(LATER)
    return rig


def tell_who(rig: Rig, at_ns: int) -> None:
    """Let the member answer for its own address."""
    rig.see(at_ns, MEMBER, PEER.address)


@pytest.mark.parametrize("told_first", [True, False])
def test_member_that_has_an_added_address_is_no_stranger(active: Rig, told_first: bool) -> None:
    """The two questions go out together, and their answers come in either order."""
    if told_first:
        tell_who(active, LATER + MS)
    active.see(LATER + 2 * MS, MEMBER, ADDED)
    tell_who(active, LATER + 3 * MS)
    judged_ns = LATER + 2 * MS + settling_ns(active.router.machine.parameters)
    assert active.run_until(judged_ns) == []
    assert (active.counted, active.executor.bound) == (0, [])
    # It lets go: the address is bound once nobody has answered in a whole round.
    free_ns = judged_ns + 2 * REPROBE_WAIT_NS
    active.run_until(free_ns)
    assert active.executor.bound == [(free_ns, {PLACE})]
    assert active.counted == 0


def test_member_that_keeps_an_added_address_for_longer_than_a_lease_is_told(active: Rig) -> None:
    tell_who(active, LATER)
    parameters = active.router.machine.parameters
    told, quiet = [], quiet_ns(parameters)
    now = LATER
    for turn in range(5):
        active.see(now + MS, MEMBER, ADDED)
        now += max(REPROBE_WAIT_NS if turn else 0, MS + settling_ns(parameters))
        told += active.run_until(now)
        now += REPROBE_WAIT_NS
        told += active.run_until(now)
    now -= REPROBE_WAIT_NS
    assert len(told) == 1
    assert told[0] - LATER >= quiet
    assert active.conflicts.keeps_off("a", now) == {EngineFault.ADDRESS_HELD_BY_MEMBER}
    assert (active.counted, active.held_back) == (0, False)
    active.shared.set(active.router.offset + shm.S_NAME_HASH, 1)
    held = snapshot(active.shared).routers[active.router.program.slot].held
    assert held == HeldByMember(ADDED, bytes_hash(PEER.address))
    ended = active.run_until(now + 2 * REPROBE_WAIT_NS)
    assert ended == [now + 2 * REPROBE_WAIT_NS]
    assert active.conflicts.keeps_off("a", ended[0]) == frozenset()
    assert active.shared.get(active.router.offset + shm.S_HELD_BY) == 0


def test_stranger_and_member_that_both_have_an_added_address_are_told_apart(active: Rig) -> None:
    tell_who(active, LATER)
    active.see(LATER + MS, STRANGER, ADDED)
    active.see(LATER + 2 * MS, MEMBER, ADDED)
    active.run_until(LATER + 2 * SECOND)
    assert active.counted == 1
    assert active.conflicts.keeps_off("a", LATER) == {EngineFault.ADDRESS_CONFLICT}


def test_who_was_taken_for_a_stranger_is_none_once_it_is_known(active: Rig) -> None:
    """The question for the member's own address was lost; the next one is not."""
    active.see(LATER + MS, MEMBER, ADDED)
    active.run_until(LATER + 2 * SECOND)
    assert active.counted == 1
    again = LATER + REPROBE_NS
    active.run_until(again)
    tell_who(active, again + MS)
    active.see(again + 2 * MS, MEMBER, ADDED)
    active.run_until(again + REPROBE_WAIT_NS)
    assert active.conflicts.keeps_off("a", again + REPROBE_WAIT_NS) == frozenset()
    assert active.counted == 1


def test_known_stranger_that_turns_out_to_be_a_member_is_counted_no_more(rig: Rig) -> None:
    at_ns = rig.become_active() + 3 * SECOND
    rig.see(at_ns, MEMBER)
    rig.run_until(at_ns + SECOND)
    assert rig.counted == 1
    tell_who(rig, at_ns + 2 * SECOND)
    rig.see(at_ns + 2 * SECOND + MS, MEMBER)
    rig.run_until(at_ns + 3 * SECOND)
    assert rig.counted == 1


def test_member_that_answers_after_a_stranger_went_ends_the_fault_unnamed(rig: Rig) -> None:
    """The stranger left the address, and a member took it before we had asked again."""
    due = rig.in_conflict()
    asked_ns = max(due, NOW + quiet_ns(rig.router.machine.parameters))
    rig.run_until(asked_ns)
    counted = rig.counted
    rig.see(asked_ns + MS, MEMBER)
    tell_who(rig, asked_ns + 2 * MS)
    assert rig.run_until(asked_ns + REPROBE_WAIT_NS) == [asked_ns + REPROBE_WAIT_NS]
    assert (rig.held_back, rig.counted) == (False, counted)
    assert rig.router.machine.state is State.BACKUP


def test_member_that_was_learned_since_the_program_was_loaded_is_asked_and_known(rig: Rig) -> None:
    rig.run_until(NOW)
    rig.router.others.learned.note(LEARNED, NOW)
    rig.run_until(NOW + DOWN // 4)
    assert LEARNED in rig.neighbours.watched
    rig.see(NOW + DOWN // 4 + MS, MEMBER)
    rig.see(NOW + DOWN // 4 + 2 * MS, MEMBER, LEARNED)
    rig.run_until(NOW + DOWN)
    assert (rig.held_back, rig.counted) == (False, 0)
    assert VIP in rig.neighbours.watched
