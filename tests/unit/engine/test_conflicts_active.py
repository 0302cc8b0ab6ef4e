"""Others that are seen with the addresses of an Active router."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from tests.unit.engine.conflict_rig import DOWN, INTERVAL, MS, OTHER, SECOND, VIP, Rig

from vrrp.events import (
    FaultChanged,
)
from vrrp_speaker.engine.neighbours.defence import DEFEND_INTERVAL_NS
from vrrp_speaker.shared_state import SharedState


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(SharedState.create(str(tmp_path / "state.shm")))


# While Active -----------------------------------------------------------------------------


def test_stranger_is_a_conflict_unless_somebody_explains_it(rig: Rig) -> None:
    at_ns = rig.become_active() + SECOND
    rig.see(at_ns)
    rig.see(at_ns + MS)
    rig.run_until(at_ns + DOWN - 1)
    assert (rig.counted, rig.executor.defended) == (0, [])
    rig.run_until(at_ns + DOWN)
    assert rig.counted == 2
    assert rig.executor.defended == [(at_ns + DOWN, {VIP})]
    assert not rig.held_back


def test_peer_heard_after_its_frame_explains_it(rig: Rig) -> None:
    at_ns = rig.become_active() + SECOND
    rig.see(at_ns)
    rig.hear(at_ns + DOWN - MS)
    rig.run_until(at_ns + 20 * SECOND)
    assert (rig.counted, rig.executor.defended) == (0, [])


def test_last_frames_of_a_predecessor_are_no_conflict(rig: Rig) -> None:
    since_ns = rig.become_active()
    rig.see(since_ns + INTERVAL - 1)
    rig.hear(since_ns + INTERVAL)
    rig.see(since_ns + INTERVAL + 2 * SECOND - 1)
    rig.run_until(since_ns + 10 * SECOND)
    assert rig.counted == 0


def test_what_is_seen_in_the_first_interval_is_no_conflict(rig: Rig) -> None:
    since_ns = rig.become_active()
    rig.see(since_ns + INTERVAL - 1)
    rig.run_until(since_ns + 10 * SECOND)
    assert rig.counted == 0
    rig.see(since_ns + 10 * SECOND)
    rig.run_until(since_ns + 20 * SECOND)
    assert rig.counted == 1


def test_what_a_dead_predecessor_s_kernel_sent_is_not_held_against_it_later(rig: Rig) -> None:
    since_ns = rig.become_active()
    rig.hear(since_ns + SECOND)
    rig.see(since_ns + 3 * SECOND - 1)
    rig.run_until(since_ns + 10 * SECOND)
    assert rig.counted == 0
    rig.see(since_ns + 10 * SECOND)
    rig.run_until(since_ns + 20 * SECOND)
    assert rig.counted == 1


def test_defence_at_most_once_in_ten_seconds_and_none_is_forgotten(rig: Rig) -> None:
    at_ns = rig.become_active() + SECOND
    first_ns = at_ns + DOWN
    for step in range(0, 25 * SECOND, 100 * MS):
        rig.see(at_ns + step)
        rig.run_until(at_ns + step)
    moments = [moment for moment, _ in rig.executor.defended]
    assert len(moments) == 3
    assert all(b - a >= DEFEND_INTERVAL_NS for a, b in pairwise(moments))
    assert moments[0] >= first_ns
    assert rig.counted == 250


def test_known_stranger_needs_no_second_look_and_a_new_one_does(rig: Rig) -> None:
    at_ns = rig.become_active() + SECOND
    rig.see(at_ns)
    rig.run_until(at_ns + SECOND)
    rig.see(at_ns + 2 * SECOND)
    assert rig.counted == 2
    rig.see(at_ns + 3 * SECOND, OTHER)
    assert rig.counted == 2
    rig.run_until(at_ns + 4 * SECOND)
    assert rig.counted == 3
    rig.see(at_ns + 70 * SECOND, OTHER)  # not seen for a minute
    assert rig.counted == 3


def test_who_is_no_longer_active_defends_nothing(rig: Rig) -> None:
    at_ns = rig.become_active() + SECOND
    rig.see(at_ns)
    rig.handle(FaultChanged(True), at_ns + MS)
    rig.run_until(at_ns + 20 * SECOND)
    assert (rig.counted, rig.executor.defended) == (0, [])


def test_steady_state_costs_nothing(rig: Rig) -> None:
    at_ns = rig.become_active()
    rig.run_until(at_ns)
    assert rig.conflicts.next_deadline_ns() is None
