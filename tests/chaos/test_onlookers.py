"""What looks at real nodes sees: shared state that changes, recordings that are wrong."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.chaos.observed import NOT_RUNNING
from tests.netns.chaos_recordings import Verdict, judge_recordings
from tests.netns.chaos_watch import ChaosWatch

from vrrp.constants import State, TransitionReason
from vrrp.events import AdvertisementReceived, DeadlineReached, Event, Startup
from vrrp.recording import event_object, router_object
from vrrp.states import Parameters
from vrrp.virtual_router import VirtualRouter
from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state import layout as shm

NAME, SLOT = "vip-3", 4
INTERVAL = 200_000_000
DOWN = 3 * INTERVAL + 56 * INTERVAL // 256


@dataclass
class FakeNode:
    """As much of a node as is looked at."""

    run_dir: Path
    name: str = "node-1"


class FakeEngine:
    """Writes what an engine writes, in its order."""

    def __init__(self, run_dir: Path) -> None:
        self.shared = SharedState.create(str(run_dir / "state.shm"))

    def begin(self, state: State = State.INITIALIZE) -> None:
        """An engine takes a router up: anew, or as Active."""
        self.shared.add(shm.H_ENGINE_STARTS)
        start = shm.slot_offset(SLOT)
        self.shared.set(start + shm.S_NAME_HASH, shm.name_hash(NAME))
        if state is State.ACTIVE:
            self.shared.set(start + shm.S_LAST_SENT, time.monotonic_ns())
            return
        self.shared.set(start + shm.S_STATE, shm.STATES.index(state))
        self.shared.set(start + shm.S_SINCE, time.monotonic_ns())

    def move(
        self, before: State, after: State, reason: TransitionReason, at_ns: int | None = None
    ) -> None:
        """A router's transition."""
        start = shm.slot_offset(SLOT)
        self.shared.set(start + shm.S_STATE, shm.STATES.index(after))
        self.shared.set(start + shm.S_SINCE, at_ns or time.monotonic_ns())
        self.shared.add(start + shm.S_TRANSITIONS)
        self.shared.add32(start + shm.transition_offset(before, after, reason))

    def half_a_move(self, after: State) -> None:
        """The first of the writes of a transition."""
        self.shared.set(shm.slot_offset(SLOT) + shm.S_STATE, shm.STATES.index(after))

    def start_up(self) -> None:
        """An engine begins, and its router watches."""
        self.begin()
        self.move(State.INITIALIZE, State.BACKUP, TransitionReason.STARTUP)

    def take_over(self, at_ns: int | None = None) -> None:
        """The router becomes Active."""
        expired = TransitionReason.ACTIVE_DOWN_TIMER_EXPIRED
        self.move(State.BACKUP, State.ACTIVE, expired, at_ns)


@dataclass
class Scene:
    """One node under watch; a look happens when a test says so."""

    engine: FakeEngine
    watch: ChaosWatch
    run_dir: Path

    def sees(self, *expected: tuple[str, str]) -> None:
        """Look for a while, and compare what was seen so far: state and reason."""
        for _ in range(8):
            self.watch.look()
        assert [(turn.state, turn.reason) for turn in self.watch.turns[NAME]] == list(expected)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """A node that has been Backup for a while, and was seen as that."""
    engine = FakeEngine(tmp_path)
    engine.start_up()
    watch = ChaosWatch([FakeNode(tmp_path)], [NAME])  # type: ignore[list-item]  # a node's files are all that is used
    made = Scene(engine, watch, tmp_path)
    made.sees(BACKUP)
    assert watch.sees_everything
    return made


BACKUP, ACTIVE = ("Backup", ""), ("Active", "ActiveDownTimerExpired")
STARTED = ("Backup", "Startup")


def test_transition_is_seen_with_its_own_time(scene: Scene) -> None:
    scene.engine.take_over()
    scene.sees(BACKUP, ACTIVE)
    since_ns = scene.engine.shared.get(shm.slot_offset(SLOT) + shm.S_SINCE)
    assert scene.watch.turns[NAME][-1].at_ns == since_ns
    assert scene.watch.starts == []


def test_transitions_between_two_looks_are_put_in_order(scene: Scene) -> None:
    before_ns = time.monotonic_ns()
    scene.engine.take_over()
    scene.engine.move(State.ACTIVE, State.BACKUP, TransitionReason.HIGHER_PRIORITY_ADVERTISEMENT)
    scene.sees(BACKUP, ACTIVE, ("Backup", "HigherPriorityAdvertisement"))
    assert scene.watch.turns[NAME][1].at_ns < before_ns  # no later than it can have been


def test_transition_that_is_being_written_is_waited_for(scene: Scene) -> None:
    """The state comes first: whoever believed it would date it back, and see no reason."""
    scene.engine.half_a_move(State.ACTIVE)
    scene.watch.look()
    scene.engine.take_over()
    scene.sees(BACKUP, ACTIVE)


def test_killed_node_is_believed_when_another_engine_has_begun(scene: Scene) -> None:
    scene.engine.take_over()
    scene.sees(BACKUP, ACTIVE)
    scene.watch.died(0)
    scene.sees(BACKUP, ACTIVE, (NOT_RUNNING, ""))
    scene.engine.start_up()
    scene.sees(BACKUP, ACTIVE, (NOT_RUNNING, ""), STARTED)
    assert [node for _, node in scene.watch.starts] == [0]


def test_killed_node_that_resumes_is_active_without_a_transition(scene: Scene) -> None:
    scene.engine.take_over()
    scene.sees(BACKUP, ACTIVE)
    scene.watch.died(0)
    scene.engine.begin(State.ACTIVE)
    scene.sees(BACKUP, ACTIVE, (NOT_RUNNING, ""), ("Active", ""))


def test_replaced_engine_of_a_backup_begins_again(scene: Scene) -> None:
    scene.engine.start_up()
    scene.sees(BACKUP, ("Initialize", ""), STARTED)


def test_last_deed_of_an_engine_that_was_killed_is_seen(scene: Scene) -> None:
    """It decided before the last look, and wrote after it; the next engine goes on from there."""
    decided_ns = time.monotonic_ns()
    scene.watch.look()
    scene.engine.take_over(decided_ns)
    scene.engine.shared.add(shm.H_ENGINE_STARTS)
    scene.sees(BACKUP, ACTIVE)


def test_replaced_engine_that_goes_on_as_backup_dates_nothing_back(scene: Scene) -> None:
    """It writes nothing as it begins; much later it takes over and yields at once."""
    scene.engine.shared.add(shm.H_ENGINE_STARTS)
    scene.sees(BACKUP)
    before_ns = time.monotonic_ns()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic_ns", lambda: before_ns + 10**9)
        scene.watch.look()
        scene.engine.take_over()
        yields = TransitionReason.HIGHER_PRIORITY_ADVERTISEMENT
        scene.engine.move(State.ACTIVE, State.BACKUP, yields)
        scene.sees(BACKUP, ACTIVE, ("Backup", "HigherPriorityAdvertisement"))
    assert scene.watch.turns[NAME][1].at_ns > before_ns


def test_killed_node_that_goes_on_as_backup_is_seen_when_it_has_a_program(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.watch.died(0)
    scene.engine.shared.add(shm.H_ENGINE_STARTS)
    scene.engine.shared.set(shm.H_LOADED, 1)
    scene.sees(BACKUP, (NOT_RUNNING, ""))
    now_ns = time.monotonic_ns()
    monkeypatch.setattr(time, "monotonic_ns", lambda: now_ns + 10**9)
    scene.sees(BACKUP, (NOT_RUNNING, ""), BACKUP)
    assert scene.watch.turns[NAME][-1].at_ns < now_ns


def test_machine_without_power_begins_with_nothing(scene: Scene) -> None:
    (scene.run_dir / "state.shm").unlink()
    scene.watch.powered_off(0)
    scene.sees(BACKUP, (NOT_RUNNING, ""))
    FakeEngine(scene.run_dir).start_up()
    scene.sees(BACKUP, (NOT_RUNNING, ""), STARTED)


def test_counter_that_falls_is_wrong(scene: Scene) -> None:
    for errors in (5, 5, 4):
        assert scene.watch.wrong == []
        scene.engine.shared.set(shm.H_SEND_ERRORS, errors)
        scene.watch.compare_counters()
    assert scene.watch.wrong == ["node-1: send errors fell from 5 to 4"]


def test_whoever_looks_notices_that_the_machine_stood_still(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = time.monotonic_ns()
    assert scene.watch.stalls == []
    monkeypatch.setattr(time, "monotonic_ns", lambda: now_ns + 10**9)
    scene.watch.look()
    assert [end for _, end in scene.watch.stalls] == [now_ns + 10**9]


# Recordings --------------------------------------------------------------------------------


def recorded(path: Path, *events: tuple[int, Event], cut: str = "") -> Verdict:
    """Judge a recording of these events, each at so many nanoseconds."""
    parameters = Parameters(3, 200, INTERVAL, 3, True, 0, bytes(4))
    router = VirtualRouter(parameters)
    router.handle(Startup(), 0)
    lines: list[dict[str, Any]] = [{"router": NAME, "begins": router_object(router)}]
    lines += [
        {"router": NAME, "atNs": at_ns, "event": event_object(event)} for at_ns, event in events
    ]
    file = path / "0001-node-1.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines) + cut)
    return judge_recordings([file], lateness_ns=INTERVAL)


def test_recording_of_a_life_in_order_is_right(tmp_path: Path) -> None:
    loser = AdvertisementReceived(b"\x01", 100, 20)
    story = (
        (DOWN, DeadlineReached()),
        (DOWN + INTERVAL, DeadlineReached()),
        (DOWN + INTERVAL, loser),
    )
    verdict = recorded(tmp_path, *story)
    assert verdict.wrong == []
    assert verdict.events == {"DeadlineReached": 2, "AdvertisementReceived": 1}


def test_recording_whose_last_line_was_cut_off_is_read_to_there(tmp_path: Path) -> None:
    verdict = recorded(tmp_path, (DOWN, DeadlineReached()), cut='{"router": "vip')
    assert (verdict.wrong, verdict.events.total()) == ([], 1)


def test_recorded_loop_that_forgets_a_deadline_is_wrong(tmp_path: Path) -> None:
    heard = AdvertisementReceived(b"\x01", 100, 20)
    verdict = recorded(tmp_path, (DOWN + 2 * INTERVAL, heard))
    assert len(verdict.wrong) == 1
    assert "too long as Backup" in verdict.wrong[0]
