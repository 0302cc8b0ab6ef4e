"""What the supervisor knows of its children."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from vrrp_speaker import supervisor as supervisor_module
from vrrp_speaker.child import Child, ready
from vrrp_speaker.engine.main import Engine
from vrrp_speaker.options import Options, parse_options
from vrrp_speaker.run_directory import CannotRunError
from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.supervisor import Supervisor


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_child_is_over_once_its_pulse_has_ended_and_is_not_waited_for(
    sleeper: subprocess.Popen[bytes],
) -> None:
    pulse, pulse_end = os.pipe()
    child = Child("engine", 0.5)
    assert not child.is_over()
    child.started(sleeper.pid, pulse)
    assert not child.is_over()
    os.close(pulse_end)
    assert child.is_over()
    assert child.leave() == sleeper.pid
    assert sleeper.poll() is None
    assert (child.pid, child.descriptors, child.failures) == (0, [], 1)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(pulse)


def test_child_without_a_pulse_is_over_when_it_has_ended(sleeper: subprocess.Popen[bytes]) -> None:
    child = Child("agent", 0.5)
    child.started(sleeper.pid, -1)
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
        self.executed = 0
        monkeypatch.setattr(supervisor_module, "execute_last_will", self._execute)

    def _execute(self, _shared: SharedState, _path: str) -> None:
        self.executed += 1


@pytest.fixture
def wills(monkeypatch: pytest.MonkeyPatch) -> Wills:
    return Wills(monkeypatch)


def fork_engine(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, runs: Any
) -> tuple[int, int]:
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


def test_lock_that_cannot_be_made_is_told_in_one_line(options: Options) -> None:
    (Path(options.run_dir) / "lock").mkdir(parents=True)
    with pytest.raises(CannotRunError, match="lock: Is a directory"):
        Supervisor(options, [])
