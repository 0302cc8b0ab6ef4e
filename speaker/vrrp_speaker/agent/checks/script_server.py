"""``python -m vrrp_speaker.agent.checks.script_server``: runs scripts for the agent.

One process with one thread; for each run it forks a keeper, which starts the script, ends it at its
deadline with everything that it left behind, and reports. The keeper is the reaper of all its
descendants, so that none escapes it by leaving its session or its parent.
"""

from __future__ import annotations

import contextlib
import gc
import json
import math
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vrrp_speaker.agent.checks.script_folder import RefusedError, trusted_script
from vrrp_speaker.agent.checks.script_process import (
    ENVIRONMENT,
    PROCESSES,
    ScriptUser,
    Start,
    become,
    become_reaper,
    find_user,
)

_MOST_ORDER = 1 << 20
_MOST_LINE = 200
_TAIL = 1024
_PIECE = 1 << 14
_PIECES_APART_S = 0.005
"""Output is taken slowly: a script that only writes waits most of its time."""
_COUNT_EVERY_S = 10.0
_LONGEST_WAIT_S = 0.25


def main() -> None:
    """Serve until the agent is gone."""
    agent = socket.socket(fileno=int(sys.argv[1]))
    agent.set_inheritable(False)
    agent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _MOST_ORDER)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: _reap())
    server = Server(agent, *sys.argv[2:5])
    # A collection in a forked process would copy every page that it looks at.
    gc.disable()
    gc.freeze()
    with contextlib.suppress(OSError):
        while data := agent.recv(_MOST_ORDER):
            server.run(json.loads(data))


class Server:
    """Starts a keeper for each order."""

    def __init__(self, agent: socket.socket, node: str, folder: str, user: str) -> None:
        self._agent = agent
        self._node = node
        self._folder = folder
        self._user = user
        self._counted_s = 0.0
        self._count = 0

    def run(self, order: Mapping[str, Any]) -> None:
        """Begin one run; whatever happens ends in one report."""
        try:
            start = self._start(order)
            pid = os.fork()
        except RefusedError as refused:
            self._report(order, False, str(refused))
            return
        except OSError as error:
            self._report(order, False, f"not started: {error.strerror}")
            return
        if pid:
            return
        try:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            become_reaper()
            Keeper(self._agent, start, order["deadline"]).keep(
                lambda passed, message: self._report(order, passed, message)
            )
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(0)

    def _start(self, order: Mapping[str, Any]) -> Start:
        user = find_user(self._user)
        timeout_s = order["deadline"] - time.monotonic()
        environment = {
            **ENVIRONMENT,
            "KUBE_VRRP_CHECK": order["check"],
            "KUBE_VRRP_NODE": self._node,
            "KUBE_VRRP_TIMEOUT_MS": str(max(0, round(timeout_s * 1000))),
        }
        return Start(
            path=trusted_script(self._folder, order["script"]),
            args=order["args"],
            environment=environment,
            user=user,
            cpu_s=max(0, math.ceil(timeout_s)) + 1,
            processes=self._processes_of(user) + PROCESSES,
        )

    def _processes_of(self, user: ScriptUser) -> int:
        """Return what the user runs already, threads counted: the limit is on all of it."""
        now_s = time.monotonic()
        if not self._counted_s or now_s - self._counted_s > _COUNT_EVERY_S:
            self._counted_s, self._count = now_s, sum(_tasks_of(user.uid))
        return self._count

    def _report(self, order: Mapping[str, Any], passed: bool, message: str) -> None:
        report = {"run": order["run"], "passed": passed, "message": message}
        self._agent.send(json.dumps(report).encode())


@dataclass
class _Output:
    """The end of what a script wrote; the rest is read and forgotten."""

    tail: bytes = b""

    def take(self, data: bytes) -> None:
        """Add to it."""
        self.tail = (self.tail + data)[-_TAIL:]

    @property
    def last_line(self) -> str:
        """The last line that is not empty, bounded, without control characters."""
        lines = [line for line in self.tail.decode(errors="replace").splitlines() if line.strip()]
        text = lines[-1].strip()[:_MOST_LINE] if lines else ""
        return "".join(sign if sign.isprintable() else "?" for sign in text)


class Keeper:
    """Keeps one script."""

    def __init__(self, agent: socket.socket, start: Start, deadline_s: float) -> None:
        self._agent = agent
        self._start = start
        self._deadline_s = deadline_s
        self._output = _Output()
        self._pid = 0

    def keep(self, report: Callable[[bool, str], None]) -> None:
        """Run the script, report, and end whatever is left of it."""
        output, script_output = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        problem, script_problem = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(script_output, True)
        self._pid = os.fork()
        if not self._pid:
            self._become(script_output, script_problem)
        os.close(script_output)
        os.close(script_problem)
        status = self._wait(output)
        # Until it is reaped its number is nobody else's.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        self._drain(output)
        told = os.read(problem, _TAIL) if _is_readable(problem) else b""
        with contextlib.suppress(OSError):  # the agent may be gone
            report(*self._judge(status, told.decode(errors="replace")))
        _end_descendants()

    def _become(self, output: int, problem: int) -> None:
        try:
            become(self._start, output)
        except OSError as error:
            said = error.strerror or str(error)
            os.write(problem, f"{self._start.path}: {said}".encode())
        finally:
            os._exit(127)

    def _wait(self, output: int) -> int | None:
        """Return the script's exit status; None: at its deadline, or left alone by the agent."""
        pidfd = os.pidfd_open(self._pid)
        reads_from_s = 0.0
        while True:
            now_s = time.monotonic()
            if now_s >= self._deadline_s:
                return None
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            poll.register(self._agent, 0)  # hang-up only
            wait_s = self._deadline_s - now_s
            if output >= 0 and now_s >= reads_from_s:
                poll.register(output, select.POLLIN)
            elif output >= 0:
                wait_s = min(wait_s, reads_from_s - now_s)
            ready = dict(poll.poll(wait_s * 1000 + 1))
            if pidfd in ready:
                return _exit_status(self._pid)
            if self._agent.fileno() in ready:
                return None
            if output in ready:
                reads_from_s = now_s + _PIECES_APART_S
                if not self._take(output):
                    output = -1

    def _take(self, output: int) -> bool:
        """Take a piece of output; return whether there may be more."""
        try:
            data = os.read(output, _PIECE)
        except BlockingIOError:
            return True
        self._output.take(data)
        return bool(data)

    def _drain(self, output: int) -> None:
        for _ in range(8):  # a pipe holds no more than that
            try:
                data = os.read(output, _PIECE)
            except BlockingIOError:
                return
            if not data:
                return
            self._output.take(data)

    def _judge(self, status: int | None, problem: str) -> tuple[bool, str]:
        if problem:
            return False, problem[:_MOST_LINE]
        if status == 0:
            return True, ""
        if status is None:
            said = "timed out, killed"
        elif status < 0:
            said = f"ended by {_signal_name(-status)}"
        else:
            said = f"exit status {status}"
        line = self._output.last_line
        return False, f"{said}: {line}" if line else said


def _exit_status(pid: int) -> int:
    """Return the exit status of a process that has ended, negative for a signal; it stays so."""
    ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert ended is not None
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


def _end_descendants() -> None:
    """Kill and reap until there are none; one in an uninterruptible sleep may take its time."""
    wait_s = 0.001
    while _reap():
        for pid in _descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(wait_s)
        wait_s = min(_LONGEST_WAIT_S, wait_s * 2)


def _reap() -> bool:
    """Reap the children that have ended; return whether there are others."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _descendants(ancestor: int) -> Iterator[int]:
    """Yield the living descendants of a process (proc(5))."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdecimal() and (found := _state_and_parent(int(name))) is not None:
            children.setdefault(found[1], []).append(int(name))
    waiting = [ancestor]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            state = _state_and_parent(child)
            if state is not None and state[0] not in "ZX":
                yield child
            waiting.append(child)


def _state_and_parent(pid: int) -> tuple[str, int] | None:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], int(fields[1])


def _tasks_of(uid: int) -> Iterator[int]:
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if name.isdecimal() and os.stat(f"/proc/{name}").st_uid == uid:
                yield len(os.listdir(f"/proc/{name}/task"))


def _is_readable(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


if __name__ == "__main__":
    main()
