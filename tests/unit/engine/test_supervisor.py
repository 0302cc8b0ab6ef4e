"""What the supervisor knows of its children."""

from __future__ import annotations

import errno
import json
import mmap
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.unit.engine.test_program import document

from vrrp_speaker.engine.main import Engine
from vrrp_speaker.engine.programs.set_aside import RouterError, note_end
from vrrp_speaker.options import CANNOT_RUN, Options, parse_options
from vrrp_speaker.program_file import encode
from vrrp_speaker.pulse import Pulse
from vrrp_speaker.shared_state import layout as shm
from vrrp_speaker.supervisor import child as child_module
from vrrp_speaker.supervisor import silence as silence_module
from vrrp_speaker.supervisor import supervisor as supervisor_module
from vrrp_speaker.supervisor.child import Child, ready
from vrrp_speaker.supervisor.run_directory import CannotRunError
from vrrp_speaker.supervisor.supervisor import Supervisor


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_child_is_over_once_its_pulse_has_ended_and_is_not_waited_for(
    sleeper: subprocess.Popen[bytes],
) -> None:
    pulse = Pulse()
    child = Child("engine", 0.5)
    assert not child.is_over()
    child.started(sleeper.pid, pulse)
    assert not child.is_over()
    pulse.watch()
    assert child.is_over()
    assert child.leave() == sleeper.pid
    assert sleeper.poll() is None
    assert (child.pid, child.descriptors, child.failures) == (0, [], 1)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(pulse.fileno())


def test_child_without_a_pulse_is_over_when_it_has_ended(sleeper: subprocess.Popen[bytes]) -> None:
    child = Child("agent", 0.5)
    child.started(sleeper.pid, None)
    assert not child.is_over()
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert child.is_over()
    child.started_s -= 1
    child.failures = 7
    child.leave()
    assert child.failures == 1


# Signals and ends ------------------------------------------------------------------------


@pytest.fixture
def options(tmp_path: Path) -> Options:
    run, state = tmp_path / "run", tmp_path / "state"
    return parse_options(["--node", "n", "--run-dir", str(run), "--state-dir", str(state)])


@pytest.fixture
def supervisor(options: Options) -> Supervisor:
    return Supervisor(options, [])


class Wills:
    """Stands for the last will: counts how often it is executed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._page = mmap.mmap(-1, mmap.PAGESIZE)  # a process of its own may execute it
        monkeypatch.setattr(supervisor_module, "execute_last_will", self._execute)

    @property
    def executed(self) -> int:
        return self._page[0]

    def _execute(self, *_: object) -> None:
        self._page[0] += 1


@pytest.fixture
def wills(monkeypatch: pytest.MonkeyPatch) -> Wills:
    return Wills(monkeypatch)


def fork_engine(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, runs: Any
) -> tuple[int, Pulse]:
    """Fork an engine that does this instead."""
    monkeypatch.setattr(supervisor_module, "run_engine", runs)
    pid, pulse = supervisor._fork_engine()
    supervisor._engine.started(pid, pulse)
    return pid, pulse


def test_engine_is_stopped_by_a_signal_that_came_before_it_could_catch_any(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a stop just after a start waits until its patience is over, and kills."""
    before = signal.signal(signal.SIGTERM, supervisor._request_stop)

    def run(_files: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        stopped: list[bool] = []
        engine = SimpleNamespace(_loop=SimpleNamespace(stop=lambda: stopped.append(True)))
        Engine._catch_signals(cast("Any", engine))
        os._exit(7 if stopped else 8)

    try:
        fork_engine(supervisor, monkeypatch, run)
        assert supervisor._engine.ended() == 7
        assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(("status", "executed"), [(0, 0), (1, 1)])
def test_last_will_is_executed_where_a_stopped_engine_did_not_end_in_order(
    supervisor: Supervisor,
    monkeypatch: pytest.MonkeyPatch,
    wills: Wills,
    status: int,
    executed: int,
) -> None:
    fork_engine(supervisor, monkeypatch, lambda _files: os._exit(status))
    supervisor._stop_children()
    assert wills.executed == executed


def test_last_will_is_executed_where_the_engine_died_just_before_the_stop(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, wills: Wills
) -> None:
    fork_engine(supervisor, monkeypatch, lambda _files: os._exit(1))
    ready(supervisor._engine.descriptors, 5)
    supervisor._reap()
    assert wills.executed == 0  # it is to be replaced, had nobody asked for the end
    supervisor._stop_children()
    assert wills.executed == 1


def test_what_is_set_aside_is_told_and_the_rest_begins_at_once(
    supervisor: Supervisor,
    monkeypatch: pytest.MonkeyPatch,
    wills: Wills,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Instead of the last will, which would take the addresses of all."""
    Path(supervisor._options.program_path).write_bytes(encode(document()))
    error = RouterError("ingress")
    for turn in range(4):
        note_end(supervisor._options.program_path, error, turn, proved=False)
        fork_engine(supervisor, monkeypatch, lambda _files: os._exit(1))
        ready(supervisor._engine.descriptors, 5)
        supervisor._reap()
        assert supervisor._engine.restart_at_s == 0, turn
    told = [line for line in capsys.readouterr().err.splitlines() if "set aside" in line]
    assert len(told) == 1
    assert json.loads(told[0])["virtualRouters"] == ["ingress"]
    assert wills.executed == 0


def test_supervisor_that_may_not_fork_goes_on_and_executes_the_last_will(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, wills: Wills
) -> None:
    """As where scripts have used up the processes of the pod."""

    def refuse() -> int:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    open_before = os.listdir("/proc/self/fd")
    monkeypatch.setattr(os, "fork", refuse)
    for turn in range(3):
        assert wills.executed == 0, turn
        supervisor._start_what_is_due()
    assert wills.executed == 1
    assert (supervisor._engine.pid, supervisor._agent.pid) == (0, 0)
    assert supervisor._agent.restart_at_s  # later
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert os.listdir("/proc/self/fd") == open_before


@pytest.mark.parametrize(("lived_s", "ends"), [(1, True), (20, True), (61, False)])
def test_agent_that_cannot_begin_ends_the_speaker_however_slow_the_machine_is(
    supervisor: Supervisor, lived_s: float, ends: bool
) -> None:
    within = cast(Any, supervisor)
    within._agent.started_s = time.monotonic() - lived_s
    within._agent_ended(CANNOT_RUN)
    assert within._stopping is ends
    assert within._exit_status == (CANNOT_RUN if ends else 0)
    assert (within._agent.restart_at_s > 0) is not ends


def test_lock_that_cannot_be_made_is_told_in_one_line(options: Options) -> None:
    (Path(options.run_dir) / "lock").mkdir(parents=True)
    with pytest.raises(CannotRunError, match="lock: Is a directory"):
        Supervisor(options, [])


# The heir -----------------------------------------------------------------------------


class Clock:
    """Stands for the time module: time passes when told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1000.0
        for module in (supervisor_module, child_module, silence_module):
            monkeypatch.setattr(module, "time", self)

    def monotonic(self) -> float:
        return self.now_s

    def monotonic_ns(self) -> int:
        return int(self.now_s * 1e9)

    def time(self) -> float:
        return self.now_s


class Home:
    """A supervisor whose engine is Active and whose heir is ready; both only sleep."""

    def __init__(self, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
        self.supervisor, self.shared = supervisor, supervisor._shared
        self.clock = Clock(monkeypatch)
        for name in ("run_engine", "await_turn"):
            monkeypatch.setattr(supervisor_module, name, lambda *_: signal.pause())
        self.shared.set(shm.H_ACTIVE, 1)
        self.shared.set(shm.H_LOADS, 7)
        monkeypatch.setattr(supervisor, "_start_agent", lambda: (0, None))
        supervisor._agent.restart_at_s = None

    def turn(self, passed_s: float = 0.1) -> None:
        """Let time pass, and the supervisor do what is due."""
        self.clock.now_s += passed_s
        self.supervisor._start_what_is_due()
        self.supervisor._reap()
        self.supervisor._keep_heir()

    def settle(self) -> int:
        """Let as much pass as an heir needs; return its pid."""
        self.turn()
        self.turn(1.1)
        self.turn()
        pid = self.supervisor._heir.pid
        assert pid
        self.shared.set(shm.H_HEIR, pid)
        return pid

    def engine(self) -> int:
        return self.supervisor._engine.pid

    def heir(self) -> int:
        return self.supervisor._heir.pid

    def kill(self, child: Child) -> None:
        """Kill a child, and wait until it has ended."""
        os.kill(child.pid, signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)


@pytest.fixture
def home(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    made = Home(supervisor, monkeypatch)
    yield made
    for child in (supervisor._heir, supervisor._engine):
        if child.pid:
            child.signal(signal.SIGKILL)
            child.ended()


def test_heir_comes_once_an_engine_has_settled_and_holds_something(home: Home) -> None:
    home.shared.set(shm.H_ACTIVE, 0)
    home.turn()
    home.turn(5)
    assert home.engine()
    assert not home.heir()
    home.shared.set(shm.H_ACTIVE, 1)
    home.turn(0.9)
    assert not home.heir()
    home.turn(0.2)
    heir = home.heir()
    assert heir
    home.turn(5)
    assert home.heir() == heir
    home.shared.set(shm.H_ACTIVE, 0)
    home.turn()
    assert not home.heir()


def test_ready_heir_is_the_engine_that_follows(home: Home) -> None:
    heir = home.settle()
    home.shared.set(shm.H_HEARTBEAT, 0)
    home.kill(home.supervisor._engine)
    home.turn()
    assert (home.engine(), home.heir()) == (heir, 0)
    assert home.supervisor._engine.failures == 1
    # Who goes on for a silent engine must not be taken for one.
    assert home.shared.get(shm.H_HEARTBEAT) == home.clock.monotonic_ns()
    home.turn(1.1)
    home.turn()
    assert home.heir() not in (0, heir)


def test_heir_that_is_not_ready_is_not_waited_for(home: Home) -> None:
    heir = home.settle()
    home.shared.set(shm.H_HEIR, 0)
    home.kill(home.supervisor._engine)
    home.turn(0)
    home.turn(0)
    assert home.engine() not in (0, heir)
    assert not home.heir()


def test_heir_that_died_with_the_engine_does_not_follow(home: Home) -> None:
    heir = home.settle()
    home.kill(home.supervisor._heir)
    home.kill(home.supervisor._engine)
    home.turn(0)
    home.turn(0)
    assert home.engine() not in (0, heir)


def test_heir_that_died_is_replaced_later_each_time(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    heir, engine = home.settle(), home.engine()
    home.kill(home.supervisor._heir)
    home.turn()
    assert not home.heir()
    home.turn(1.8)
    assert not home.heir()
    home.turn(0.3)
    assert home.heir() not in (0, heir)
    assert home.engine() == engine
    assert "heir ended" in capsys.readouterr().err


def test_heir_is_replaced_once_changes_of_the_program_are_over(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    heir = home.settle()
    for loads in (8, 9):
        home.shared.set(shm.H_LOADS, loads)
        home.turn(59)
        assert home.heir() == heir
    home.turn(61)
    home.turn()
    assert home.heir() not in (0, heir)
    assert "ended" not in capsys.readouterr().err


def test_crash_loop_has_no_heir(home: Home, wills: Wills) -> None:
    home.settle()
    for _ in range(3):
        home.kill(home.supervisor._engine)
        home.turn(0.2)
        assert not home.heir()
        home.turn(0.2)
    assert wills.executed == 1


def test_heir_is_gone_before_the_engine_is_stopped(home: Home, wills: Wills) -> None:
    """Else it would go on for it."""
    pulse = home.supervisor._heir.pulse if home.settle() else None
    assert pulse is not None
    assert not ready([pulse.fileno()], 0)
    gone: list[bool] = []
    stop = home.supervisor._stop

    def note(child: Child, patience_s: float) -> bool:
        gone.append(not home.heir())
        child.signal(signal.SIGKILL)
        return stop(child, patience_s)

    vars(home.supervisor)["_stop"] = note
    home.supervisor._stop_children()
    assert gone[0]


def test_where_no_heir_can_be_forked_the_engine_goes_on(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.turn()
    engine = home.engine()

    def refuse() -> int:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fork", refuse)
        home.turn(1.1)
        home.turn(0.1)
    assert (home.engine(), home.heir()) == (engine, 0)
    home.turn(2.1)
    assert home.heir()
