"""What an engine does before its loop turns, and when the agent has it load another program."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.engine.programs import router_program

from vrrp.actions import StateChanged
from vrrp.constants import State, TransitionReason
from vrrp_speaker.engine import loading as loading_module
from vrrp_speaker.engine import main as main_module
from vrrp_speaker.engine.loading import Loading
from vrrp_speaker.engine.main import Engine
from vrrp_speaker.engine.programs import known_program as known_program_module
from vrrp_speaker.engine.programs.fields import ProgramError
from vrrp_speaker.engine.programs.known_program import KnownProgram
from vrrp_speaker.engine.programs.program import EngineProgram
from vrrp_speaker.engine.programs.reading import ProgramReader
from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state import layout as shm

MS = 1_000_000
LIMIT_NS, READING_NS = 40 * MS, 300 * MS
PROGRAM = EngineProgram("n", 7, ())


class Rig:
    """An engine whose parts are replaced; reading a program takes its time."""

    def __init__(self, shared: SharedState) -> None:
        self.now_ns, self.shared = 10**12, shared
        self.loaded_ns: list[int] = []
        self.limits_ns: list[int] = []
        self.sent: list[dict[str, Any]] = []
        self.steps = 3
        """How many routers differ in what is loaded."""
        self.stopping = self.wrong = False
        self.rung = 0
        """How often the supervisor was asked to look around."""
        shared.set(shm.H_SILENCE_LIMIT, LIMIT_NS)
        nothing: Callable[..., None] = lambda *_: None  # noqa: E731 - stands for many methods
        changes: Any = SimpleNamespace(ask=nothing, begin=nothing, mind=nothing)
        self.routers = dict[str, Any]()
        table: Any = SimpleNamespace(
            load=lambda _program, now_ns: self._step(now_ns),
            steps=lambda _program, _ended: [self._step] * self.steps,
            silence_limit_ns=lambda: LIMIT_NS,
            routers=self.routers,
        )
        self.loading = Loading(
            shared,
            "",
            table,
            changes,
            caught_up_ns=lambda: self.now_ns,
            is_stopping=lambda: self.stopping,
            tell_supervisor=self._ring,
            tell_agent=self.sent.append,
        )
        engine = Engine.__new__(Engine)
        parts: dict[str, object] = {
            "_shared": shared,
            "_files": SimpleNamespace(
                program_path="", parent=0, alarm=SimpleNamespace(ring=self._ring)
            ),
            "_worker": SimpleNamespace(start=nothing),
            "_changes": changes,
            "_network": SimpleNamespace(known=True),
            "_concerns": (),
            "_table": table,
            "_loading": self.loading,
            "_loop": SimpleNamespace(run=lambda *_: True),
            "_agent": SimpleNamespace(send=self.sent.append),
            "_catch_signals": lambda: 0,
        }
        vars(engine).update(parts)
        self.engine = engine

    def _step(self, now_ns: int) -> None:
        self.loaded_ns.append(now_ns)
        self._note()

    def _ring(self) -> None:
        self.rung += 1

    def _note(self) -> None:
        self.limits_ns.append(self.shared.get(shm.H_SILENCE_LIMIT))

    def read_stored(self, _path: str, _reader: ProgramReader) -> EngineProgram:
        """Stand for what reads the program file of an engine that begins."""
        self._note()
        self.now_ns += READING_NS
        return PROGRAM

    def read(self, path: str, reader: ProgramReader) -> Generator[None, None, EngineProgram]:
        """Stand for what reads the program file of an agent that wants it loaded."""
        self.read_stored(path, reader)
        yield
        if self.wrong:
            raise ProgramError("wrong")
        return PROGRAM


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    made = Rig(SharedState.create(str(tmp_path / "state.shm")))
    for module in (main_module, loading_module):
        monkeypatch.setattr(module, "monotonic_ns", lambda: made.now_ns)
    monkeypatch.setattr(main_module, "lock_memory", lambda: True)
    monkeypatch.setattr(main_module, "name_process", lambda _: None)
    monkeypatch.setattr(known_program_module, "stored_program", made.read_stored)
    monkeypatch.setattr(loading_module, "read_and_keep", made.read)
    return made


def start(rig: Rig) -> None:
    rig.engine.run(KnownProgram(""))


def reload(rig: Rig) -> int:
    """Have a program loaded; return in how many turns."""
    rig.loading.begin(frozenset())
    turns = 0
    while (due_ns := rig.loading.next_deadline_ns()) is not None:
        assert due_ns <= rig.now_ns  # the next turn does not wait
        rig.loading.run(rig.now_ns)
        rig.now_ns += MS
        turns += 1
    return turns


def test_time_that_reading_a_program_took_has_passed_when_it_is_loaded(rig: Rig) -> None:
    """An heir resumes only what was silent for less than a peer waits; reading counts."""
    start(rig)
    assert rig.loaded_ns == [rig.now_ns]


def test_routers_that_differ_are_read_and_replaced_one_in_a_turn(rig: Rig) -> None:
    begun_ns = rig.now_ns
    turns = reload(rig)
    # One was read in the first turn; each of the three is told the time of its own turn.
    first_ns = begun_ns + READING_NS + MS
    assert rig.loaded_ns == [first_ns, first_ns + MS, first_ns + 2 * MS]
    assert turns == 1 + 3 + 1
    assert [message["type"] for message in rig.sent] == ["loaded"]


def test_program_that_is_being_loaded_is_left_there_when_the_engine_ends(rig: Rig) -> None:
    """No router is to begin after all of them have released."""
    rig.loading.begin(frozenset())
    for _ in range(2):
        rig.loading.run(rig.now_ns)
    rig.stopping = True
    rig.loading.run(rig.now_ns)
    assert len(rig.loaded_ns) == 1
    assert (rig.loading.under_way, rig.loading.next_deadline_ns()) == (False, None)


@pytest.mark.parametrize("loads", [start, reload])
def test_engine_that_loads_may_be_silent_for_longer_than_one_that_turns(
    rig: Rig, loads: Callable[[Rig], object]
) -> None:
    loads(rig)
    assert set(rig.limits_ns) == {0}
    assert rig.shared.get(shm.H_SILENCE_LIMIT) == LIMIT_NS
    assert rig.now_ns - rig.shared.get(shm.H_HEARTBEAT) <= MS


def test_program_that_is_refused_leaves_the_limit_as_it_was(rig: Rig) -> None:
    rig.wrong = True
    reload(rig)
    assert [message["type"] for message in rig.sent] == ["refused"]
    assert rig.loaded_ns == []
    assert rig.shared.get(shm.H_SILENCE_LIMIT) == LIMIT_NS
    assert rig.now_ns - rig.shared.get(shm.H_HEARTBEAT) <= MS


@pytest.mark.parametrize("left", ["active", "backup"])
def test_engine_that_resumes_does_not_wait_for_the_kernel(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    """Others may hold its lock; who has nothing to be on time for waits for a second."""
    router = router_program(name="a", slot=0)
    parts = vars(rig.engine)
    parts["_network"].known = False
    monkeypatch.setattr(main_module, "left_active", lambda *_: left == "active")
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        rig.now_ns += int(seconds * 10**9) + 1

    parts["_worker"].wait = wait
    parts["_leases"] = SimpleNamespace(settle=lambda _now_ns: None)
    rig.shared.set(shm.slot_offset(0) + shm.S_LAST_SENT, rig.now_ns - 50 * MS)
    due_ns = router.adver_interval_ns - 50 * MS if left == "active" else 1000 * MS
    rig.engine._await_network(EngineProgram("n", 1, (router,)))
    assert waited == [due_ns / 10**9]


@pytest.mark.parametrize("loads", [start, reload])
def test_every_program_that_was_loaded_is_counted(rig: Rig, loads: Callable[[Rig], object]) -> None:
    """An heir that has read one before is replaced."""
    loads(rig)
    assert (rig.shared.get(shm.H_LOADS), rig.rung) == (1, 1)


def test_routers_that_are_active_are_counted_anew_by_each_engine(rig: Rig) -> None:
    """One that resumes tells of no transition, and one that died could not tell of its own."""
    rig.shared.set(shm.H_ACTIVE, 9)
    states = State.ACTIVE, State.BACKUP, State.ACTIVE
    for number, state in enumerate(states):
        rig.routers[f"r{number}"] = SimpleNamespace(machine=SimpleNamespace(state=state))
    start(rig)
    assert rig.shared.get(shm.H_ACTIVE) == 2
    reason = TransitionReason.FAULT
    for before, after, count in (
        (State.BACKUP, State.ACTIVE, 3),
        (State.BACKUP, State.FAULT, 3),
        (State.ACTIVE, State.FAULT, 2),
    ):
        rig.engine._report("r1", StateChanged(before, after, reason), 1, rig.now_ns)
        assert rig.shared.get(shm.H_ACTIVE) == count


def test_supervisor_is_told_when_addresses_are_held_and_when_none_is(rig: Rig) -> None:
    """It looks at nothing by itself, and has an heir for whoever holds one."""
    for before, after, rung in (
        (State.BACKUP, State.ACTIVE, 1),
        (State.BACKUP, State.ACTIVE, 1),
        (State.ACTIVE, State.BACKUP, 1),
        (State.ACTIVE, State.FAULT, 2),
        (State.FAULT, State.BACKUP, 2),
    ):
        change = StateChanged(before, after, TransitionReason.FAULT)
        rig.engine._report("r1", change, 1, rig.now_ns)
        assert rig.rung == rung
