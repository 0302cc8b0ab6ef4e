"""Writes Events in a thread of its own, so that no reconcile waits for one."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Protocol

from vrrp_operator.caught import Report, log_only
from vrrp_operator.report.event_budget import EventBudget, SeriesUpdate, Verdict
from vrrp_operator.report.events import Occurrence

_log = logging.getLogger(__name__)
MAX_WAITING = 256
_LOOK_S = 10.0
_BACKOFF_S = (0.5, 2.0, 10.0, 30.0)


class EventClient(Protocol):
    """What can write Events; ``apply.Writer`` does."""

    def create_event(self, obj: dict[str, Any]) -> str:
        """Create an Event; return what became of it: created, known or refused."""

    def count_event(self, update: SeriesUpdate) -> None:
        """Write the series of an Event; one that is gone is no error."""


class EventPoster:
    """Takes occurrences from reconciles and posts what the budget allows."""

    def __init__(
        self,
        client: EventClient,
        instance: str,
        unavailable: type[Exception],
        count: Callable[[str], None],
        caught: Report = log_only,
        *,
        may_post: Callable[[], bool] = lambda: True,
    ) -> None:
        """Post with ``client``.

        Args:
            client: writes them.
            instance: how this operator is named in Events.
            unavailable: what the client raises while the API server does not take them.
            count: told of each occurrence what became of it.
            caught: told what nobody expected.
            may_post: False while another operator posts; what waits then is dropped.
        """
        self._may_post = may_post
        self._caught = caught
        self._client = client
        self._instance = instance
        self._unavailable = unavailable
        self._count = count
        self._budget = EventBudget()
        self._waiting: deque[Occurrence] = deque()
        self._granted: Occurrence | None = None
        """Within the budget, and not written yet."""
        self._updates: deque[SeriesUpdate] = deque()
        self._lock = threading.Lock()
        self._news = threading.Event()

    def start(self) -> None:
        """Post in a thread of its own until the process ends."""
        threading.Thread(target=self._run, name="events", daemon=True).start()

    def post(self, occurrences: Iterable[Occurrence]) -> None:
        """Take occurrences, the most important first; never waits. What does not fit is counted."""
        for occurrence in occurrences:
            with self._lock:
                fits = len(self._waiting) < MAX_WAITING
                if fits:
                    self._waiting.append(occurrence)
            if not fits:
                self._count("dropped")
        self._news.set()

    def work(self, now_s: float) -> None:
        """Post everything that waits.

        Raises:
            Exception: as ``unavailable``; what was not posted still waits.
        """
        while self._waiting and self._may_post():
            occurrence = self._waiting[0]
            self._count(self._post(occurrence, now_s))
            with self._lock:
                self._waiting.popleft()
        self._updates.extend(self._budget.due(now_s))
        while self._updates and self._may_post():
            self._client.count_event(self._updates[0])
            self._updates.popleft()

    def _post(self, occurrence: Occurrence, now_s: float) -> str:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if self._granted is None:
            verdict = self._budget.judge(occurrence, now_s, now)
            if verdict is not Verdict.POST:
                return "folded" if verdict is Verdict.FOLD else "dropped"
            self._granted = occurrence
        outcome = self._client.create_event(occurrence.to_object(now, self._instance))
        self._granted = None
        return outcome

    def _run(self) -> None:
        failures = 0
        while True:
            self._news.wait(_LOOK_S)
            self._news.clear()
            if not self._may_post():
                self._drop_all()
            try:
                self.work(time.monotonic())
                failures = 0
            except self._unavailable as error:
                _log.warning("events not written", extra={"error": str(error)})
                time.sleep(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
                failures += 1
                self._news.set()
            except Exception as error:  # of the first one that waits; it is given up
                self._caught("events", error)
                self._give_up()
                self._news.set()

    def _drop_all(self) -> None:
        self._granted = None
        with self._lock:
            for _ in self._waiting:
                self._count("dropped")
            self._waiting.clear()
            self._updates.clear()

    def _give_up(self) -> None:
        """Drop what work() stopped at, so that it does not stop at it again."""
        self._granted = None
        with self._lock:
            if self._waiting:
                self._waiting.popleft()
                self._count("dropped")
            elif self._updates:
                self._updates.popleft()
