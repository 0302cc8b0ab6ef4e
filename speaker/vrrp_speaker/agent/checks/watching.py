"""A thread that waits for news from the kernel, for as long as a check wants some."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Protocol

from vrrp_api.check_kinds import CheckKind
from vrrp_speaker.agent.checks.verdict import Result
from vrrp_speaker.agent.messages import CheckMessage, CheckNews, Inbox

_log = logging.getLogger(__name__)
_RETRY_S = 1.0


class Session(Protocol):
    """What a watching thread waits for; opened anew after an error."""

    def fileno(self) -> int:
        """Return the descriptor to wait for."""

    def wait_s(self) -> float | None:
        """Return the longest wait before the next ``turn``; None: any."""

    def turn(self, wanted: Mapping[str, CheckKind]) -> Iterable[CheckMessage]:
        """Take in what is there, without waiting; return what to say of the wanted checks.

        Raises:
            OSError: the kernel tells no more.
        """

    def close(self) -> None:
        """Wait for nothing any more."""


class Watching(ABC):
    """A ``Source`` with a thread of its own, which lives while there is something to watch."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._lock = threading.Lock()
        self._wanted: dict[str, CheckKind] = {}
        self._thread: threading.Thread | None = None
        self._woken, self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    @abstractmethod
    def open(self) -> Session:
        """Begin to watch.

        Raises:
            OSError: the kernel does not let us.
        """

    def blind(self, wanted: Mapping[str, CheckKind], reason: str) -> Iterable[CheckMessage]:
        """Return what to say of the wanted checks while nothing can be watched."""
        return [CheckNews(name, kind, Result(False, reason)) for name, kind in wanted.items()]

    def watch(self, wanted: Mapping[str, CheckKind]) -> None:
        """Watch for these checks, by name, and no others."""
        with self._lock:
            if wanted == self._wanted:
                return
            self._wanted = dict(wanted)
            if self._thread is None and wanted:
                name = type(self).__name__.lower()
                self._thread = threading.Thread(target=self._run, name=name, daemon=True)
                self._thread.start()
        self._rouse()

    def stop(self) -> None:
        """Watch nothing any more."""
        self.watch({})

    def _rouse(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake, b"\0")

    def _run(self) -> None:
        session: Session | None = None
        while wanted := self._still_wanted():
            wait_s: float | None
            try:
                session = session or self.open()
                messages = session.turn(wanted)
                wait_s = session.wait_s()
            except OSError as error:
                _log.error("cannot watch", extra={"what": type(self).__name__, "error": str(error)})
                messages, wait_s = self.blind(wanted, str(error)), _RETRY_S
                if session is not None:
                    session.close()
                session = None
            for message in messages:
                self._inbox.put(message)
            self._wait(session, wait_s)
        if session is not None:
            session.close()

    def _still_wanted(self) -> dict[str, CheckKind]:
        with self._lock:
            if not self._wanted:
                self._thread = None
            return self._wanted

    def _wait(self, session: Session | None, wait_s: float | None) -> None:
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        if session is not None:
            poll.register(session.fileno(), select.POLLIN)
        poll.poll(None if wait_s is None else max(0, int(wait_s * 1000) + 1))
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken, 512)


class News:
    """Finds out what is new: of checks that were not asked for before, and changed results."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[CheckKind, Result]] = {}

    def of(self, results: Mapping[str, tuple[CheckKind, Result]]) -> Iterable[CheckMessage]:
        """Return what differs from the last time; ``results`` are all, by check."""
        fresh = [
            CheckNews(name, kind, result)
            for name, (kind, result) in results.items()
            if self._said.get(name) != (kind, result)
        ]
        self._said = dict(results)
        return fresh
