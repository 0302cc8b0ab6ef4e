"""Threads for runs that block: as many as runs are in flight, so that none waits for another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

_IDLE_S = 10.0
_MOST = 1024
"""More runs than this hang only if somebody replaces hanging checks over and over."""

Job = Callable[[], None]


class Workers:
    """Begins each job at once, in a thread that has ended its last one or in a new one."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._jobs: SimpleQueue[Job] = SimpleQueue()
        self._idle = 0
        """Threads that wait, less the jobs that are there for them."""
        self._count = 0

    def begin(self, job: Job) -> None:
        """Run a job that raises nothing; with the most threads in use it waits for one."""
        with self._lock:
            if self._idle <= 0 and self._count < _MOST:
                self._count += 1
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
            else:
                self._idle -= 1
            self._jobs.put(job)

    @property
    def count(self) -> int:
        """The number of threads."""
        return self._count

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=_IDLE_S)
            except Empty:
                with self._lock:
                    if self._jobs.empty():
                        self._count -= 1
                        self._idle -= 1
                        return
                continue
            job()
            with self._lock:
                self._idle += 1
