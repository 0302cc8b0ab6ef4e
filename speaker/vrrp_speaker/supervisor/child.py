"""A process that the supervisor forked, and how it tells that one is over.

Standard library only: it belongs to process 1.
"""

from __future__ import annotations

import errno
import math
import os
import select
import signal
import time
from collections.abc import Callable, Iterable

from vrrp_speaker.pulse import Pulse

_MAX_BACKOFF_S = 30.0


class Child:
    """One supervised process: its pid, what tells of its end, and how its starts went."""

    def __init__(self, name: str, healthy_s: float) -> None:
        self.name = name
        self.healthy_s = healthy_s
        self.pid = 0
        self.pidfd = -1
        self.pulse: Pulse | None = None
        """Tells of its end before its parent is told, if it holds one."""
        self.started_s = 0.0
        self.failures = 0
        self.restart_at_s: float | None = 0.0

    def started(self, pid: int, pulse: Pulse | None) -> None:
        """Note a new process, and the pulse that it holds."""
        self.pid = pid
        self.pulse = pulse
        self.pidfd = os.pidfd_open(pid)
        self.started_s = time.monotonic()
        self.restart_at_s = None

    def succeed(self, other: Child) -> None:
        """Take another one's process, which has just begun to do what this one did."""
        self.pid, self.pidfd, self.pulse = other.pid, other.pidfd, other.pulse
        self.started_s, self.restart_at_s = time.monotonic(), None
        other.pid, other.pidfd, other.pulse = 0, -1, None

    @property
    def descriptors(self) -> list[int]:
        """What becomes readable when the process is over."""
        if not self.pid:
            return []
        return [self.pidfd] if self.pulse is None else [self.pidfd, self.pulse.fileno()]

    def is_over(self) -> bool:
        """Return whether there is a process, and it runs no more code."""
        return bool(self.pid) and bool(ready(self.descriptors, 0))

    def leave(self) -> int:
        """Forget a process that is over and return its pid, which is still to be waited for."""
        lived_s = time.monotonic() - self.started_s
        self.failures = 1 if lived_s > self.healthy_s else self.failures + 1
        os.close(self.pidfd)
        if self.pulse is not None:
            self.pulse.close()
        pid, self.pid, self.pidfd, self.pulse = self.pid, 0, -1, None
        return pid

    def ended(self) -> int:
        """Wait for the process's end and return its exit status, negative for a signal."""
        _, status = os.waitpid(self.leave(), 0)
        return os.waitstatus_to_exitcode(status)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal if the process runs."""
        if self.pid:
            os.kill(self.pid, number)


def ready(descriptors: Iterable[int], seconds: float | None) -> list[tuple[int, int]]:
    """Wait until one of the descriptors is readable, or for so long; return those that are."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return poll.poll(None if seconds is None else max(0, math.ceil(seconds * 1000)))


def fork_deaf() -> int:
    """Fork; to the child no SIGTERM comes until it lets it in, because it could do nothing yet."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    pid = -1
    try:
        pid = os.fork()
    finally:
        if pid:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    return pid


def fork_aside(run: Callable[[], None], patience_s: float = 1.0) -> int:
    """Have something done by a process of its own, which may go on for longer; return its pid.

    Raises:
        OSError: there can be no more processes.
    """
    pid = os.fork()
    if pid:
        descriptor = os.pidfd_open(pid)
        ready([descriptor], patience_s)
        os.close(descriptor)
        return pid
    try:
        signal.set_wakeup_fd(-1)
        run()
    finally:
        os._exit(0)


def reap_orphans(children: set[int]) -> None:
    """As process 1, collect grandchildren whose parent died; our own are waited for by pid.

    All of them: where several end together, one signal tells it.
    """
    if os.getpid() != 1:
        return
    try:
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid in children:
                return  # its descriptor tells of it, and then of those behind it
            os.waitpid(ended.si_pid, os.WNOHANG)
    except OSError as error:
        if error.errno != errno.ECHILD:
            raise


def backoff_s(failures: int) -> float:
    """Return how long to wait before the next start, in seconds."""
    return min(_MAX_BACKOFF_S, 2.0**failures) if failures else 0.0
