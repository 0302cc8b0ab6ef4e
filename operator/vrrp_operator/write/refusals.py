"""Objects that could not be written: each waits by itself until it is tried again (pure)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

FIRST_S = 1.0
"""How long the first pause is; it doubles each time. What is wanted anew is tried after so long."""
MOST_S, MOST_PASSING_S = 300.0, 10.0
"""The longest pause: after a refusal that stands, and after one that may pass by itself."""


@dataclass(frozen=True, slots=True)
class _Refused:
    """What was wanted of an object, why it was not written, and when to try again."""

    wanted: object
    why: str
    status: int
    failures: int
    tried_s: float
    pause_s: float


class Refusals:
    """What was refused, by kind and name; times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._refused: dict[tuple[str, str], _Refused] = {}

    def must_wait(self, kind: str, name: str, wanted: object, now_s: float) -> bool:
        """Return whether it is too early to write this again."""
        refused = self._refused.get((kind, name))
        if refused is None:
            return False
        pause_s = refused.pause_s if refused.wanted == wanted else min(FIRST_S, refused.pause_s)
        return now_s < refused.tried_s + pause_s

    def refused(
        self,
        kind: str,
        name: str,
        wanted: object,
        why: str,
        now_s: float,
        *,
        status: int,
        passing: bool,
    ) -> None:
        """Note that an object was not written.

        Args:
            kind: of the object.
            name: of the object.
            wanted: what was not written.
            why: for people.
            now_s: when.
            status: the answer's HTTP status, 0 where nobody said anything. Once that is an API
                server that is away; again and again, while it answers others, it is this object.
            passing: for no fault of its own, it seems.
        """
        before = self._refused.get((kind, name))
        failures = before.failures + 1 if before is not None else 1
        most_s = MOST_PASSING_S if passing and status else MOST_S
        pause_s = min(most_s, FIRST_S * 2.0 ** min(failures - 1, 16))
        if not status and failures == 1:
            pause_s = 0.0
        self._refused[kind, name] = _Refused(wanted, why, status, failures, now_s, pause_s)

    def written(self, kind: str, name: str) -> None:
        """Note that an object is as it is wanted."""
        self._refused.pop((kind, name), None)

    def forget_others(self, kind: str, names: Collection[str]) -> None:
        """Forget objects of a kind that are gone."""
        self._refused = {
            key: refused
            for key, refused in self._refused.items()
            if key[0] != kind or key[1] in names
        }

    def of(self, kind: str) -> Mapping[str, str]:
        """Return why objects of a kind are not written, by name."""
        return {name: refused.why for (of, name), refused in self._refused.items() if of == kind}

    def status_of(self, kind: str, name: str) -> int | None:
        """Return with which status an object was refused last; None: it was not."""
        refused = self._refused.get((kind, name))
        return None if refused is None else refused.status

    def due_in_s(self, now_s: float) -> float | None:
        """Return in how many seconds the next one is to be tried; None: there is none."""
        due_s = (refused.tried_s + refused.pause_s for refused in self._refused.values())
        earliest_s = min(due_s, default=None)
        return None if earliest_s is None else max(0.0, earliest_s - now_s)
