"""How a process learns that another one runs no more code."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from vrrp_speaker import pulse as pulse_module
from vrrp_speaker.pulse import Pulse
from vrrp_speaker.supervisor.child import ready


@pytest.fixture
def fork() -> Iterator[Callable[[Callable[[], int]], int]]:
    """Forks processes that do something and exit with what it returns; they end with the test."""
    pids: list[int] = []

    def start(run: Callable[[], int]) -> int:
        pid = os.fork()
        if not pid:
            try:
                os._exit(run())
            finally:
                os._exit(99)
        pids.append(pid)
        return pid

    yield start
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


Fork = Callable[[Callable[[], int]], int]


def held(pulse: Pulse, said: int) -> int:
    """Hold the pulse for ever."""
    pulse.hold()
    os.write(said, b"x")
    signal.pause()
    return 0


def waits(pulse: Pulse, parent: int, said: int) -> int:
    """Wait for the end; exit with 1 if the parent is there then."""
    os.write(said, b"x")
    return int(pulse.await_end(parent))


class Pair:
    """A process with a pulse, and another one that waits for its end."""

    def __init__(self, fork: Fork) -> None:
        self.pulse = Pulse()
        said, saying = os.pipe()
        self.watched = fork(lambda: held(self.pulse, saying))
        os.read(said, 1)
        self.kept = os.dup(self.pulse._held)
        self.pulse.watch()
        self.parent, self.parent_end = os.pipe()

        def wait() -> int:
            os.close(self.parent_end)
            os.close(self.kept)
            return waits(self.pulse, self.parent, saying)

        self.waiting = fork(wait)
        os.read(said, 1)
        self.pidfd = os.pidfd_open(self.waiting)

    def kill(self) -> None:
        """Kill the watched one; nobody waits for its end."""
        os.kill(self.watched, signal.SIGKILL)

    def waited(self, seconds: float) -> int | None:
        """Return what the one that waits has found, None if it still waits."""
        if not ready([self.pidfd], seconds):
            return None
        return os.waitstatus_to_exitcode(os.waitpid(self.waiting, 0)[1])


def test_mutex_tells_of_the_end_also_where_the_pipe_does_not(fork: Fork) -> None:
    """The pipe is still open here: as if the kernel took its time."""
    pair = Pair(fork)
    assert pair.waited(0.05) is None
    pair.kill()
    assert pair.waited(5) == 1
    assert not ready([pair.pulse.fileno()], 0)
    os.close(pair.kept)


def test_pipe_tells_of_the_end_where_there_are_no_such_mutexes(
    fork: Fork, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse: Callable[..., int] = lambda *_: 95  # noqa: E731 - stands for many functions
    names = "lock", "unlock", "init"
    nothing = {f"pthread_mutex_{name}": refuse for name in names}
    nothing |= {f"pthread_mutexattr_{name}": refuse for name in ("init", "setpshared", "setrobust")}
    monkeypatch.setattr(pulse_module, "_libc", SimpleNamespace(**nothing))
    pair = Pair(fork)
    pair.kill()
    assert pair.waited(0.05) is None
    os.close(pair.kept)
    assert pair.waited(5) == 1


def test_nobody_follows_where_the_parent_is_gone_too(fork: Fork) -> None:
    pair = Pair(fork)
    os.close(pair.parent_end)
    assert pair.waited(0.05) is None
    pair.kill()
    assert pair.waited(5) == 0


def test_pulse_of_a_process_that_ends_in_order_ends_as_well(fork: Fork) -> None:
    pulse = Pulse()
    parent, _parent_end = os.pipe()

    def run() -> int:
        pulse.hold()
        return 0

    os.waitpid(fork(run), 0)
    pulse.watch()
    assert ready([pulse.fileno()], 5)
    assert pulse.await_end(parent)


def test_pulse_is_the_highest_descriptor_of_who_holds_it(fork: Fork) -> None:
    """The kernel lets go of that first."""
    pulse = Pulse()

    def run() -> int:
        pulse.hold()
        return int(max(map(int, os.listdir("/proc/self/fd"))) >= 500)

    assert os.waitstatus_to_exitcode(os.waitpid(fork(run), 0)[1]) == 1
