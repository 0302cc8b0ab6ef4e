"""How many Events may be written: a budget for each object and one for all (pure).

What exceeds an object's budget is folded into the series of the Event it repeats: the last one of
that object and reason. The series is written at most once a minute. What exceeds the budget of all
is dropped and counted; it is in status, metrics and logs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from vrrp_operator.report.events import EventReason, Occurrence, micro_time

OBJECT_BURST, OBJECT_REFILL_S = 15, 60.0
"""Five moves with their two sides and what goes with them; then one a minute."""
TOTAL_BURST, TOTAL_REFILL_S = 200, 1.0
SERIES_EVERY_S = 60.0
_FORGOTTEN_S = 3600.0
"""The API server forgets Events after an hour, and so their series end."""
_MAX_SERIES = 1024


class Verdict(StrEnum):
    """What becomes of an occurrence."""

    POST = "Post"
    FOLD = "Fold"
    DROP = "Drop"


@dataclass(frozen=True, slots=True)
class SeriesUpdate:
    """How often the Event of that name happened by now, and when last (RFC 3339)."""

    name: str
    count: int
    last: str


@dataclass(slots=True)
class _Bucket:
    size: int
    refill_s: float
    tokens: float
    at_s: float

    def take(self, now_s: float) -> bool:
        """Take one token if there is one."""
        grown = (now_s - self.at_s) / self.refill_s
        self.tokens, self.at_s = min(float(self.size), self.tokens + grown), now_s
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    def is_full(self, now_s: float) -> bool:
        """Return whether forgetting it would change nothing."""
        return self.tokens + (now_s - self.at_s) / self.refill_s >= self.size


@dataclass(slots=True)
class _Series:
    name: str
    posted_s: float
    written_s: float
    count: int = 1
    last: str = ""
    pending: bool = False


@dataclass(slots=True)
class EventBudget:
    """Decides what is posted; times are seconds of one monotonic clock."""

    _total: _Bucket = field(
        default_factory=lambda: _Bucket(TOTAL_BURST, TOTAL_REFILL_S, TOTAL_BURST, 0.0)
    )
    _objects: dict[str, _Bucket] = field(default_factory=dict)
    _series: dict[tuple[str, EventReason], _Series] = field(default_factory=dict)

    def judge(self, occurrence: Occurrence, now_s: float, now: str) -> Verdict:
        """Return what becomes of an occurrence, and count it.

        ``now`` is RFC 3339 with microseconds, for what has no time of its own.
        """
        uid = occurrence.regarding.uid
        bucket = self._objects.setdefault(
            uid, _Bucket(OBJECT_BURST, OBJECT_REFILL_S, OBJECT_BURST, now_s)
        )
        if not bucket.take(now_s):
            return self._fold(occurrence, now)
        if not self._total.take(now_s):
            return Verdict.DROP
        key = (uid, occurrence.reason)
        if len(self._series) < _MAX_SERIES or key in self._series:
            # What was folded into the Event before is told with it, or not at all.
            self._series[key] = _Series(occurrence.name, now_s, now_s)
        return Verdict.POST

    def due(self, now_s: float) -> list[SeriesUpdate]:
        """Return the series to write now; what is over is forgotten."""
        found = []
        for series in self._series.values():
            ripe = series.pending and now_s - series.written_s >= SERIES_EVERY_S
            if ripe and self._total.take(now_s):
                series.pending, series.written_s = False, now_s
                found.append(SeriesUpdate(series.name, series.count, series.last))
        self._forget(now_s)
        return found

    def _fold(self, occurrence: Occurrence, now: str) -> Verdict:
        series = self._series.get((occurrence.regarding.uid, occurrence.reason))
        if series is None:
            return Verdict.DROP
        series.count, series.pending = series.count + 1, True
        series.last = max(series.last, micro_time(occurrence.time) or now)
        return Verdict.FOLD

    def _forget(self, now_s: float) -> None:
        self._objects = {u: b for u, b in self._objects.items() if not b.is_full(now_s)}
        self._series = {
            key: series
            for key, series in self._series.items()
            if now_s - series.posted_s < _FORGOTTEN_S
        }
