"""Process 1 of the speaker: keeps engine and agent alive, and nothing else.

Standard library only. The engine's code is loaded here and frozen, so that a dead engine is
replaced by a fork: the new one finds its state in shared memory and its addresses still on their
lease. Of an engine that holds addresses the heir is forked before it is needed, and advertises 1.3
ms after the death; one that has to be forked first needs 5.5 ms. Where permitted this process is of
real-time priority too. A crash loop ends in the last will and a growing back-off.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import FrameType

from vrrp_speaker.alarm import Alarm
from vrrp_speaker.engine.heir import await_turn
from vrrp_speaker.engine.last_will import execute_last_will
from vrrp_speaker.engine.main import EngineFiles, request_real_time, run_engine
from vrrp_speaker.engine.programs.set_aside import read_set_aside
from vrrp_speaker.log_stream import LogStream
from vrrp_speaker.memory import give_back
from vrrp_speaker.options import CANNOT_RUN, Options
from vrrp_speaker.pulse import Pulse
from vrrp_speaker.shared_state import layout as shm
from vrrp_speaker.supervisor.agent_process import start_agent
from vrrp_speaker.supervisor.child import (
    Child,
    backoff_s,
    fork_aside,
    fork_deaf,
    ready,
    reap_orphans,
)
from vrrp_speaker.supervisor.kernel import require_address_marks
from vrrp_speaker.supervisor.log import log
from vrrp_speaker.supervisor.run_directory import (
    create_shared_state,
    listen,
    lock,
    prepare_directories,
)
from vrrp_speaker.supervisor.service_manager import ServiceManager
from vrrp_speaker.supervisor.silence import Silence

_AGENT_BEGUN_S = 60.0
"""An agent that lived this long did begin; a busy machine takes seconds to find that it cannot."""
_HEALTHY_S = 5.0
"""An agent that lived this long is started again at once."""
_ENGINE_HEALTHY_S = 0.5
"""An engine that lived this long has resumed and advertised: its death is no crash loop."""
_SETTLED_S, _QUIET_S = 1.0, 60.0
"""So long an engine runs when its heir is made, longer than in a crash loop, and replaced."""
_CRASHES_BEFORE_LAST_WILL = 3
_ENGINE_STOP_S = 25.0
"""Longer than the engine waits for successors."""
_AGENT_STOP_S = 2.0
_TO_STOP = (signal.SIGTERM, signal.SIGINT)
_FOR_AGENT = (signal.SIGUSR1, signal.SIGUSR2)
"""What is passed on: another log level, a dump of the state."""


class Supervisor:
    """Starts, watches, replaces."""

    def __init__(self, options: Options, arguments: Sequence[str]) -> None:
        self._options = options
        self._arguments = list(arguments)
        self._engine = Child("engine", _ENGINE_HEALTHY_S)
        self._agent = Child("agent", _HEALTHY_S)
        self._heir = Child("heir", _HEALTHY_S)
        self._dead: dict[int, tuple[str, int] | None] = {}
        """Pids of those that run no more code but still end: name and failures, to be told."""
        self._agent_proved = False
        self._stopping = False
        self._for_agent: list[signal.Signals] = []
        self._manager = ServiceManager(os.environ, os.getpid())
        self._exit_status = 0
        prepare_directories(options)
        self._lock = lock(options)
        self._shared = create_shared_state(options)
        self._alarm = Alarm(self._shared)
        self._silence = Silence(self._shared, self._alarm)
        self._listener = listen(options.socket_path)
        # The children hold the reading end: it ends when this process is gone, however it went.
        self._lifeline, self._lifeline_end = os.pipe2(os.O_CLOEXEC)
        self._files = EngineFiles(
            self._shared, options.program_path, self._listener, self._lifeline, self._alarm
        )
        self._loads = self._heir_loads = 0
        """How many programs were loaded, and how many when the heir read the last one."""
        self._heir_at_s = self._heir_old_s = 0.0
        self._set_aside = read_set_aside(options.program_path)
        self._wakeup, self._wakeup_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def run(self) -> int:
        """Run until SIGTERM or SIGINT; return the exit status."""
        signal.set_wakeup_fd(self._wakeup_end)
        for number in _TO_STOP:
            signal.signal(number, self._request_stop)
        for number in _FOR_AGENT:
            signal.signal(number, self._note_for_agent)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _TO_STOP)  # see who called us
        request_real_time()
        gc.collect()
        give_back()
        gc.freeze()
        while not self._stopping:
            self._start_what_is_due()
            self._wait()
            self._reap()
            if self._engine_stopped():
                self._engine_died()
            self._check_heartbeat()
            self._keep_heir()
            self._forward()
            self._tell_manager()
        self._manager.stopping()
        self._stop_children()
        return self._exit_status

    def _request_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _note_for_agent(self, number: int, _frame: FrameType | None) -> None:
        # Sent later: here the agent may have been reaped, and its pid be another process's.
        self._for_agent.append(signal.Signals(number))

    # Starting --------------------------------------------------------------------------

    def _start_what_is_due(self) -> None:
        now_s = time.monotonic()
        for child, start in ((self._engine, self._fork_engine), (self._agent, self._start_agent)):
            if child.restart_at_s is not None and now_s >= child.restart_at_s:
                try:
                    child.started(*start())
                except OSError as error:
                    self._not_started(child, error)

    def _not_started(self, child: Child, error: OSError) -> None:
        """Try again later: a process more than allowed, or no memory, must not end this one."""
        log("cannot be started", "error", process=child.name, error=str(error))
        child.failures += 1
        if child is self._engine:
            self._replace_engine()
        else:
            child.restart_at_s = time.monotonic() + backoff_s(child.failures)

    def _fork_engine(self) -> tuple[int, Pulse]:
        self._silence.begin()
        self._shared.set(shm.H_LOADED, 0)  # it was true of the one before
        return self._fork(lambda: run_engine(self._files))

    def _fork_heir(self) -> tuple[int, Pulse]:
        self._shared.set(shm.H_HEIR, 0)
        predecessor = self._engine.pulse
        assert predecessor is not None
        return self._fork(lambda: await_turn(self._files, predecessor))

    def _fork(self, run: Callable[[], None]) -> tuple[int, Pulse]:
        """Fork a process that does this and ends; return its pid and its pulse."""
        pulse = Pulse()
        try:
            pid = fork_deaf()
        except OSError:
            pulse.watch()
            pulse.close()
            raise
        if pid:
            pulse.watch()
            return pid, pulse
        try:
            pulse.hold()
            os.close(self._lifeline_end)
            sys.stderr = LogStream(2)  # what waits in ours is ours to write
            run()
        except BaseException:
            sys.excepthook(*sys.exc_info())
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)

    def _start_agent(self) -> tuple[int, None]:
        return start_agent(self._arguments, self._lifeline, _FOR_AGENT), None

    # Watching --------------------------------------------------------------------------

    def _wait(self) -> None:
        """Wait until a process ends, a signal comes, the alarm goes off, or something is due."""
        children = self._engine, self._heir, self._agent
        watched = [self._wakeup, *self._alarm.descriptors]
        watched += (d for child in children for d in child.descriptors)
        due_s = min(self._dues_s(), default=None)
        ready(watched, None if due_s is None else due_s - time.monotonic())
        self._alarm.hush()
        with contextlib.suppress(BlockingIOError):
            os.read(self._wakeup, 512)

    def _dues_s(self) -> Iterator[float]:
        """Yield when there is something to do without news."""
        for child in (self._engine, self._agent):
            if child.restart_at_s is not None:
                yield child.restart_at_s
        if self._engine.pid and self._silence.next_ns is not None:
            yield self._silence.next_ns / 1e9
        if self._engine.pid and self._shared.get(shm.H_ACTIVE):
            if not self._heir.pid:
                yield max(self._heir_at_s, self._engine.started_s + _SETTLED_S)
            elif self._loads != self._heir_loads:
                yield self._heir_old_s
        if (ping_s := self._manager.next_s(time.monotonic())) is not None:
            yield ping_s

    def _reap(self) -> None:
        if self._engine.is_over():
            self._engine_died()
        if self._heir.is_over():
            self._dead[self._heir.leave()] = "heir", self._heir.failures
            self._heir_at_s = time.monotonic() + backoff_s(self._heir.failures)
        if self._agent.is_over():
            self._agent_ended(self._agent.ended())
        for pid, told in list(self._dead.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del self._dead[pid]
                code = os.waitstatus_to_exitcode(status)
                if told is not None:
                    log(f"{told[0]} ended", "error", status=code, failures=told[1])
        reap_orphans({self._engine.pid, self._heir.pid, self._agent.pid, *self._dead})

    def _engine_stopped(self) -> bool:
        """Return whether the engine is dead, although a thread of it sleeps in the kernel yet.

        Who waits for rtnl cannot be woken, not even to die, and nobody is told. The heir knows.
        """
        engine, heir = self._engine, self._heir
        if not engine.pid or engine.pulse is None:
            return False
        if heir.pid:
            return self._shared.get(shm.H_ENGINE_PID) == heir.pid
        return engine.pulse.has_stopped()

    def _engine_died(self) -> None:
        """Have a dead engine replaced; its end is not waited for.

        The kernel takes 20 ms to close its packet sockets, and only then tells that it has ended.
        """
        engine, heir = self._engine, self._heir
        pid = engine.leave()
        self._dead[pid] = engine.name, engine.failures
        self._note_set_aside()
        if not heir.is_over() and self._shared.get(shm.H_HEIR) == heir.pid != 0:
            self._silence.begin()
            engine.succeed(heir)  # it has seen the end as we did
            return
        self._dismiss_heir()  # it would come late
        self._replace_engine()

    def _note_set_aside(self) -> None:
        """Begin anew with what is left of the program, where what engines ended under is known."""
        known, self._set_aside = self._set_aside, read_set_aside(self._options.program_path)
        if self._set_aside != known:
            log("set aside what engines ended under", "error", **self._set_aside.told())
            self._engine.failures = 0

    def _replace_engine(self) -> None:
        """Have a new engine started: now, or after the last will where that keeps failing."""
        engine = self._engine
        if engine.failures < _CRASHES_BEFORE_LAST_WILL:
            engine.restart_at_s = 0.0
            return
        self._leave_last_will()
        engine.restart_at_s = time.monotonic() + backoff_s(
            engine.failures - _CRASHES_BEFORE_LAST_WILL
        )

    def _keep_heir(self) -> None:
        """Have one process wait for the end of an engine that holds addresses.

        None is there in a crash loop. Of a changed program it reads what differs, so another one
        takes its place when changes are over: to make one costs more than a change.
        """
        now_s, loads = time.monotonic(), self._shared.get(shm.H_LOADS)
        active = bool(self._engine.pid and self._shared.get(shm.H_ACTIVE))
        if loads != self._loads or not active:
            self._loads = loads
            self._heir_at_s = max(self._heir_at_s, now_s + _SETTLED_S)
            self._heir_old_s = now_s + _QUIET_S
        settled = now_s >= max(self._heir_at_s, self._engine.started_s + _SETTLED_S)
        if not active or (loads != self._heir_loads and now_s >= self._heir_old_s):
            self._dismiss_heir()
        if settled and not self._heir.pid:
            self._start_heir(now_s)

    def _start_heir(self, now_s: float) -> None:
        heir, self._heir_loads = self._heir, self._loads
        try:
            heir.started(*self._fork_heir())
        except OSError as error:
            heir.failures += 1
            self._heir_at_s = now_s + backoff_s(heir.failures)
            log("cannot be started", "error", process=heir.name, error=str(error))

    def _dismiss_heir(self) -> None:
        heir = self._heir
        if heir.pid:
            heir.signal(signal.SIGKILL)
            self._dead[heir.leave()] = None
            heir.failures = 0

    def _leave_last_will(self) -> None:
        """Have the last will executed beside this process: the kernel may make it wait."""
        starts = self._shared.get(shm.H_ENGINE_STARTS)
        run = partial(
            self._execute_last_will, lambda: self._shared.get(shm.H_ENGINE_STARTS) != starts
        )
        try:
            self._dead[fork_aside(run)] = None
        except OSError:
            run()

    def _execute_last_will(self, is_obsolete: Callable[[], bool] = lambda: False) -> None:
        try:
            execute_last_will(self._shared, self._options.program_path, is_obsolete)
        except OSError as error:
            log("last will failed", "error", error=str(error))

    def _agent_ended(self, status: int) -> None:
        agent = self._agent
        lived_s = time.monotonic() - agent.started_s
        self._agent_proved = self._agent_proved or lived_s > _AGENT_BEGUN_S
        if status == CANNOT_RUN and not self._agent_proved:
            # It has said why. Nothing depends on this speaker yet: let the user see it fail.
            self._stopping, self._exit_status = True, CANNOT_RUN
            return
        log("agent ended", "error", status=status, failures=agent.failures)
        agent.restart_at_s = time.monotonic() + backoff_s(agent.failures - 1)

    def _check_heartbeat(self) -> None:
        """Replace an engine that is alive but silent."""
        if self._engine.pid and self._silence.is_too_long():
            log("engine is silent", "error", silentMs=self._silence.lasts_ns // 1_000_000)
            self._engine.signal(signal.SIGKILL)

    def _forward(self) -> None:
        while self._for_agent:
            number = self._for_agent.pop(0)
            if not self._agent.pid:
                log("no agent to tell", "warning", signal=number.name)
            self._agent.signal(number)

    def _tell_manager(self) -> None:
        alive = bool(self._engine.pid) and self._silence.lasts_ns <= self._alarm.limit_ns
        ready = alive and bool(self._shared.get(shm.H_LOADED))
        self._manager.turn(time.monotonic(), ready=ready, alive=alive)

    # Stopping --------------------------------------------------------------------------

    def _stop_children(self) -> None:
        """The engine first, so that the agent can still report what it released."""
        self._dismiss_heir()
        if not self._stop(self._engine, _ENGINE_STOP_S):
            self._execute_last_will()  # it did not release, and nobody comes after it
        self._stop(self._agent, _AGENT_STOP_S)
        os.unlink(self._options.socket_path)

    def _stop(self, child: Child, patience_s: float) -> bool:
        """Have a child end; return whether there was one and it ended in order."""
        if not child.pid:
            return False
        child.signal(signal.SIGTERM)
        if not ready([child.pidfd], patience_s):
            log("does not stop", "error", process=child.name)
            child.signal(signal.SIGKILL)
        return child.ended() == 0


def supervise(options: Options, arguments: Sequence[str]) -> int:
    """Run the speaker; return its exit status.

    Raises:
        CannotRunError: the kernel lacks something, or a directory, the lock or the socket is not to
            be had; nothing was bound.
    """
    require_address_marks()
    return Supervisor(options, arguments).run()
