"""Process checks: a death is seen at once, by pidfd; a birth at once or by looking again.

Births are told by the kernel's process connector where it speaks to us, and elsewhere found by
scans of /proc. A scan costs: it is repeated no more often than leaves it a twentieth of one core.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vrrp_api.check_kinds import CheckKind, ProcessCheck
from vrrp_speaker.agent.checks.process_events import ProcessEvents
from vrrp_speaker.agent.checks.process_table import (
    Pattern,
    matching,
    pattern_of,
    process_ids,
)
from vrrp_speaker.agent.checks.verdict import Result
from vrrp_speaker.agent.checks.watching import News, Watching
from vrrp_speaker.agent.messages import CheckMessage

_log = logging.getLogger(__name__)
_SCAN_S = 0.5
"""Between scans where the kernel does not tell."""
_CONTROL_SCAN_S = 10.0
"""Between scans where it does: a command line may be rewritten without a word."""
_LEAST_SHARE = 20
_MOST_PIDFDS = 512
"""Of one agent; the ends of further processes are found by scans."""


@dataclass(slots=True)
class _Tracked:
    patterns: frozenset[Pattern]
    pidfd: int | None


class Processes(Watching):
    """Watches the processes of this PID namespace."""

    def open(self) -> Table:
        """Begin to look."""
        return Table()


class Table:
    """The processes that match something, and how many match what."""

    def __init__(self) -> None:
        """Open an epoll instance, and subscribe to the process connector if it speaks to us."""
        self._poll = select.epoll()
        self._tracked: dict[int, _Tracked] = {}
        self._by_pidfd: dict[int, int] = {}
        self._patterns: frozenset[Pattern] = frozenset()
        self._news = News()
        self._scan_due_s = 0.0
        self._events: ProcessEvents | None = None
        try:
            self._events = ProcessEvents()
            self._poll.register(self._events.fileno(), select.EPOLLIN)
            how, reason = "process connector", ""
        except OSError as error:
            how, reason = "scans", error.strerror or "the connector is silent"
        _log.info("processes are found by", extra={"means": how, "because": reason})

    def fileno(self) -> int:
        """Return the epoll instance."""
        return self._poll.fileno()

    def wait_s(self) -> float:
        """Return when the next scan is due."""
        return max(0.0, self._scan_due_s - time.monotonic())

    def close(self) -> None:
        """Look no more."""
        for pid in list(self._tracked):
            self._forget(pid)
        if self._events is not None:
            self._events.close()
        self._poll.close()

    def turn(self, wanted: Mapping[str, CheckKind]) -> Iterable[CheckMessage]:
        """Take in deaths and births; return what is new for the checks."""
        kinds = {name: kind for name, kind in wanted.items() if isinstance(kind, ProcessCheck)}
        patterns = frozenset(pattern_of(kind) for kind in kinds.values())
        asked = patterns != self._patterns
        self._patterns = patterns
        # Judged in between: a process that ended and is there again did end.
        self._take_deaths()
        found = [] if asked else list(self._judge(kinds))
        if self._take_births() or asked or time.monotonic() >= self._scan_due_s:
            self._scan()
        return [*found, *self._judge(kinds)]

    # Births and deaths -----------------------------------------------------------------

    def _take_deaths(self) -> None:
        for descriptor, _ in self._poll.poll(0):
            pid = self._by_pidfd.get(descriptor)
            if pid is not None:
                self._forget(pid)

    def _take_births(self) -> bool:
        """Take in what the kernel told; return whether it could not tell all."""
        if self._events is None:
            return False
        try:
            for began in self._events.read():
                # A copy has its parent's name: it matches if that does.
                if began.parent is None or began.parent in self._tracked:
                    self._look_at(began.pid)
        except OSError as error:
            _log.warning("news of processes lost", extra={"error": str(error)})
            return True
        return False

    def _scan(self) -> None:
        begun_s = time.monotonic()
        alive = set(process_ids())
        for pid in self._tracked.keys() - alive:
            self._forget(pid)
        for pid in alive:
            self._look_at(pid)
        ended_s = time.monotonic()
        least_s = _SCAN_S if self._events is None else _CONTROL_SCAN_S
        self._scan_due_s = ended_s + max(least_s, _LEAST_SHARE * (ended_s - begun_s))

    def _look_at(self, pid: int) -> None:
        tracked, patterns = self._tracked.get(pid), matching(pid, self._patterns)
        if tracked is not None:
            if tracked.pidfd is None and _is_dead(pid):
                patterns = frozenset()
            if patterns:
                tracked.patterns = patterns
            else:
                self._forget(pid)
        elif patterns:
            self._track(pid)

    def _track(self, pid: int) -> None:
        pidfd: int | None = None
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            return  # gone
        # Its number may have been given to another one before we held it.
        patterns = matching(pid, self._patterns)
        if not patterns or _ended(pidfd):
            os.close(pidfd)
            return
        if len(self._by_pidfd) < _MOST_PIDFDS:
            self._by_pidfd[pidfd] = pid
            self._poll.register(pidfd, select.EPOLLIN)
        else:
            os.close(pidfd)
            pidfd = None
        self._tracked[pid] = _Tracked(patterns, pidfd)

    def _forget(self, pid: int) -> None:
        tracked = self._tracked.pop(pid)
        if tracked.pidfd is not None:
            del self._by_pidfd[tracked.pidfd]
            with contextlib.suppress(OSError):
                self._poll.unregister(tracked.pidfd)
            os.close(tracked.pidfd)

    # Judging ---------------------------------------------------------------------------

    def _judge(self, kinds: Mapping[str, ProcessCheck]) -> Iterable[CheckMessage]:
        counts = Counter(
            pattern for tracked in self._tracked.values() for pattern in tracked.patterns
        )
        return self._news.of(
            {name: (kind, quorum(kind, counts[pattern_of(kind)])) for name, kind in kinds.items()}
        )


def quorum(kind: ProcessCheck, count: int) -> Result:
    """Return what a number of processes means for a check."""
    if kind.minimum <= count and (kind.maximum is None or count <= kind.maximum):
        return Result(True)
    wanted = f"at least {kind.minimum}" if count < kind.minimum else f"at most {kind.maximum}"
    return Result(False, f"{count} running, {wanted} must")


def _is_dead(pid: int) -> bool:
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return True
    try:
        return _ended(pidfd)
    finally:
        os.close(pidfd)


def _ended(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))
