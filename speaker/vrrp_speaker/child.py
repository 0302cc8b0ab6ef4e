"""A process that the supervisor forked, and how it tells that one is over.

Standard library only: it belongs to process 1.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import time
from collections.abc import Iterable

_HIGH_DESCRIPTOR = 500
"""Above every other one of an engine."""


class Child:
    """One supervised process: its pid, what tells of its end, and how its starts went."""

    def __init__(self, name: str, healthy_s: float) -> None:
        self.name = name
        self.healthy_s = healthy_s
        self.pid = 0
        self.pidfd = -1
        self.pulse = -1
        """Reads end-of-file once the process runs no more code, if it has such a pipe."""
        self.started_s = 0.0
        self.failures = 0
        self.restart_at_s: float | None = 0.0

    def started(self, pid: int, pulse: int) -> None:
        """Note a new process, and the pipe (or -1) that it holds open while it runs code."""
        self.pid = pid
        self.pulse = pulse
        self.pidfd = os.pidfd_open(pid)
        self.started_s = time.monotonic()
        self.restart_at_s = None

    @property
    def descriptors(self) -> list[int]:
        """What becomes readable when the process is over."""
        return [descriptor for descriptor in (self.pidfd, self.pulse) if descriptor >= 0]

    def is_over(self) -> bool:
        """Return whether there is a process, and it runs no more code."""
        return bool(self.pid) and bool(ready(self.descriptors, 0))

    def leave(self) -> int:
        """Forget a process that is over and return its pid, which is still to be waited for."""
        lived_s = time.monotonic() - self.started_s
        self.failures = 1 if lived_s > self.healthy_s else self.failures + 1
        for descriptor in self.descriptors:
            os.close(descriptor)
        pid, self.pid, self.pidfd, self.pulse = self.pid, 0, -1, -1
        return pid

    def ended(self) -> int:
        """Wait for the process's end and return its exit status, negative for a signal."""
        _, status = os.waitpid(self.leave(), 0)
        return os.waitstatus_to_exitcode(status)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal if the process runs."""
        if self.pid:
            os.kill(self.pid, number)


def ready(descriptors: Iterable[int], seconds: float) -> list[tuple[int, int]]:
    """Wait until one of the descriptors is readable, or for so long; return those that are."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return poll.poll(int(seconds * 1000))


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


def keep_till_death(descriptor: int) -> None:
    """Let the kernel close this one before the others: of a dead process it closes the last first.

    Where that many descriptors are not allowed, its end is noticed later.
    """
    with contextlib.suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _HIGH_DESCRIPTOR)
        os.close(descriptor)
