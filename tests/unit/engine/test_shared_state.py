"""Shared state: what the engine writes is what a reader in another mapping sees."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.eventually import eventually
from tests.unit.engine.shared import snapshot

from vrrp.actions import StateChanged
from vrrp.constants import State, TransitionReason
from vrrp_speaker.shared_state import ForeignRouter, SharedState
from vrrp_speaker.shared_state import layout as shm
from vrrp_speaker.shared_state.reader import SharedStateReader
from vrrp_speaker.shared_state.values import PastTransition

TAKEOVER = StateChanged(State.BACKUP, State.ACTIVE, TransitionReason.ACTIVE_DOWN_TIMER_EXPIRED)
YIELD = StateChanged(State.ACTIVE, State.BACKUP, TransitionReason.HIGHER_PRIORITY_ADVERTISEMENT)
STARTUP = StateChanged(State.INITIALIZE, State.BACKUP, TransitionReason.STARTUP)


def test_reader_sees_what_the_engine_wrote(tmp_path: Path) -> None:
    path = str(tmp_path / "state.shm")
    writer, offset = SharedState.create(path), shm.slot_offset(7)
    reader = SharedStateReader(path)
    writer.set(offset + shm.S_NAME_HASH, shm.name_hash("ingress"))
    writer.set(offset + shm.S_STATE, shm.STATES.index(State.ACTIVE))
    writer.set(offset + shm.S_EFFECTIVE_PRIORITY, 200)
    writer.set(offset + shm.S_FAULTS, 0b101)
    writer.set(shm.peer_offset(7, 1) + shm.PEER_RECEIVED, 5)
    writer.set(offset + shm.S_UNLISTED, 6)
    reason = TransitionReason.ACTIVE_DOWN_TIMER_EXPIRED
    writer.add32(offset + shm.transition_offset(State.BACKUP, State.ACTIVE, reason))
    writer.add(shm.H_REJECTED + 8 * shm.REJECTIONS.index("unknown_vrid"), 3)
    state = reader.snapshot()
    assert set(state.routers) == {7}
    router = state.routers[7]
    assert (router.state, router.effective_priority) == ("Active", 200)
    assert router.faults == ("InterfaceDown", "AddressInstallFailed")
    assert (router.peers[0].received, router.peers[1].received) == (0, 5)
    assert router.unlisted.received == 6
    assert router.transition_counts == (("Backup", "Active", "ActiveDownTimerExpired", 1),)
    assert state.unknown_vrid == 3


def test_state_survives_its_writer_and_a_cleared_slot_is_free(tmp_path: Path) -> None:
    path = str(tmp_path / "state.shm")
    first = SharedState.create(path)
    first.set(shm.slot_offset(0) + shm.S_NAME_HASH, 1)
    second = SharedState.create(path)
    assert set(snapshot(second).routers) == {0}
    second.clear_slot(0)
    assert snapshot(second).routers == {}


def test_a_stranger_is_news_at_once_and_then_every_ten_seconds(tmp_path: Path) -> None:
    path, ten_s = str(tmp_path / "state.shm"), 10 * 10**9
    shared = SharedState.create(path)
    reader, digests = SharedStateReader(path), []
    for seen_ns in (0, ten_s, 2 * ten_s - 1, 2 * ten_s):
        if seen_ns:
            shared.note_foreign(3, ForeignRouter(bytes(4), 100, seen_ns))
        digests.append(reader.digest([3]))
    assert digests[0] != digests[1] == digests[2] != digests[3]


def test_history_is_numbered_over_all_routers_and_outlives_its_writer(tmp_path: Path) -> None:
    path = str(tmp_path / "state.shm")
    first = SharedState.create(path)
    for slot in (0, 1):
        first.set(shm.slot_offset(slot) + shm.S_NAME_HASH, 1)
    assert first.note_transition(0, TAKEOVER, 50, 7_000) == 1
    assert first.note_transition(1, STARTUP, 60, 8_000) == 2
    second = SharedState.create(path)
    assert second.note_transition(0, YIELD, 70, 9_000) == 3
    routers = SharedStateReader(path).snapshot().routers
    assert routers[0].history == (
        PastTransition(1, 7_000, "Backup", "Active", "ActiveDownTimerExpired"),
        PastTransition(3, 9_000, "Active", "Backup", "HigherPriorityAdvertisement"),
    )
    assert routers[1].history == (PastTransition(2, 8_000, "Initialize", "Backup", "Startup"),)
    assert (routers[0].state, routers[0].since_ns, routers[0].transitions) == ("Backup", 70, 2)
    second.clear_slot(0)
    assert second.note_transition(0, TAKEOVER, 80, 10_000) == 4


def test_history_is_bounded_and_keeps_who_was_active(tmp_path: Path) -> None:
    shared = SharedState.create(str(tmp_path / "state.shm"))
    shared.set(shm.slot_offset(0) + shm.S_NAME_HASH, 1)
    for _ in range(shm.TENURES):
        shared.note_transition(0, TAKEOVER, 0, 1)
        shared.note_transition(0, YIELD, 0, 1)
    for _ in range(10 * shm.OTHERS):
        shared.note_transition(0, STARTUP, 0, 1)
    history = snapshot(shared).routers[0].history
    assert len(history) == shm.TENURES + shm.OTHERS
    assert [past.sequence for past in history[: shm.TENURES]] == list(range(25, 49))
    assert [past.sequence for past in history[shm.TENURES :]] == list(range(121, 129))


@pytest.mark.parametrize(
    ("duration_ms", "bucket"), [(0, 0), (5, 0), (5.1, 1), (30_000, 11), (30_001, 12)]
)
def test_durations_fall_into_the_bucket_of_their_bound(
    duration_ms: float, bucket: int, tmp_path: Path
) -> None:
    shared = SharedState.create(str(tmp_path / "state.shm"))
    shared.note_duration(shm.H_HANDOVERS, int(duration_ms * 1e6))
    seen = snapshot(shared)
    assert seen.handovers.sum_ns == int(duration_ms * 1e6)
    assert [i for i, count in enumerate(seen.handovers.counts) if count] == [bucket]
    assert not any(seen.takeovers.counts)


@pytest.mark.parametrize("content", [b"", b"short", bytes(shm.SIZE)])
def test_reader_refuses_a_file_that_is_not_shared_state(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "state.shm"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not the shared state"):
        SharedStateReader(path)


def test_slots_do_not_overlap_and_header_fields_fit() -> None:
    assert shm.H_REJECTED + 8 * len(shm.REJECTIONS) <= shm.H_OBSERVED
    assert shm.H_OBSERVED + 8 * len(shm.OBSERVATIONS) <= shm.H_ANNOUNCED
    assert shm.H_LATENESS + 8 * (len(shm.LATENESS_BOUNDS_NS) + 1) <= shm.H_UNOBSERVED
    assert shm.H_UNOBSERVED + 8 <= shm.H_REJECTED
    assert shm.H_ANNOUNCED + 8 * len(shm.KINDS) <= shm.H_FENCED
    assert shm.S_CONFLICT + shm.CONFLICT.size <= shm.S_FOREIGN_COUNT
    assert shm.S_FOREIGN_COUNT + 8 <= shm.S_FOREIGN
    assert shm.S_UNLISTED + 16 <= shm.S_HELD_BY
    assert shm.S_HELD_BY + 8 <= shm.S_CONFLICTS
    assert shm.S_FOREIGN + shm.FOREIGN.size <= shm.S_WITHHELD
    assert shm.S_VOICES + 8 <= shm.S_HELD
    assert shm.S_HELD + 16 <= shm.S_TRANSITION_COUNTS
    counts = 4 * len(shm.STATES) ** 2 * len(shm.REASONS)
    assert shm.S_TRANSITION_COUNTS + counts <= shm.S_PEERS
    assert shm.S_PEERS + shm.PEER_SIZE * shm.MAX_PEERS <= shm.S_TENURE_COUNT
    assert shm.S_OTHER_COUNT + 8 <= shm.S_TENURES
    assert shm.S_OTHERS + shm.TRANSITION.size * shm.OTHERS <= shm.SLOT_SIZE
    histogram = 8 * (2 + len(shm.DURATION_BOUNDS_NS))
    assert shm.H_FENCED + 8 * len(shm.FENCINGS) <= shm.H_TAKEOVERS
    assert shm.H_TAKEOVERS + histogram <= shm.H_HANDOVERS
    assert shm.H_HANDOVERS + histogram <= shm.HEADER_SIZE


def test_value_that_is_being_written_is_read_as_the_old_or_the_new_one(tmp_path: Path) -> None:
    path = str(tmp_path / "state.shm")
    shared, reader = SharedState.create(path), SharedStateReader(path)
    low, high = 0x00FF_FFFF_FFFF_FFFF, 0x0100_0000_0000_0000
    shared.set(shm.H_HEARTBEAT, low)
    # SIGALRM ends the writer if this test does not.
    script = (
        "import signal, sys; from vrrp_speaker.shared_state import SharedState; signal.alarm(30)\n"
        "shared = SharedState.create(sys.argv[1])\n"
        f"while True: shared.set({shm.H_HEARTBEAT}, {high}); shared.set({shm.H_HEARTBEAT}, {low})"
    )
    with subprocess.Popen([sys.executable, "-c", script, path]) as writer:
        eventually(lambda: shared.get(shm.H_HEARTBEAT) == high, within_s=10, every_s=0)
        seen = {shared.get(shm.H_HEARTBEAT) for _ in range(200_000)}
        seen |= {reader.heartbeat_ns() for _ in range(200_000)}
        writer.kill()
    assert seen == {low, high}
