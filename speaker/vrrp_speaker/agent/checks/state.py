"""What a row of results makes of a check; keepalived's script state machine (reference §1b).

``score`` runs from 0 to rise + fall − 1, and the check passes while it is at least ``rise``. One
success while passing wipes all earlier failures, one failure while failing all earlier successes;
the very first result decides alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class CheckState:
    """The state of one check; ``decided`` is False until the first result."""

    rise: int
    fall: int
    score: int
    decided: bool = False

    @property
    def passing(self) -> bool:
        """Whether the check passes; meaningless until ``decided``."""
        return self.score >= self.rise

    def after(self, passed: bool) -> CheckState:
        """Return the state that follows one result."""
        score = self._score_after_success() if passed else self._score_after_failure()
        return replace(self, score=score, decided=True)

    def reconfigured(self, rise: int, fall: int) -> CheckState:
        """Return the state under new thresholds: what was known stays known.

        A count that had begun goes on: as many successes as before are missing from passing, as
        many failures are missing from failing; a count that had not begun begins with the new
        thresholds. Source: keepalived ``vrrp.c``, ``clear_diff_script``.
        """
        fresh = initial_state(rise, fall)
        if not self.decided:
            return fresh
        full = rise + fall - 1
        if not self.passing:
            score = max(0, self.score + rise - self.rise) if self.score else 0
        elif self.score == self.rise + self.fall - 1:
            score = full
        else:
            score = min(full, self.score + rise - self.rise)
        return replace(fresh, score=score, decided=True)

    def _score_after_success(self) -> int:
        if self.score < self.rise - 1:
            return self.score + 1
        return self.rise + self.fall - 1

    def _score_after_failure(self) -> int:
        return self.score - 1 if self.score > self.rise else 0


def initial_state(rise: int, fall: int, *, failing: bool = False) -> CheckState:
    """Return the state before the first result: one success from passing.

    ``failing``: it is decided already, and takes all of ``rise`` (keepalived's ``init_fail``).
    """
    if failing:
        return CheckState(rise, fall, score=0, decided=True)
    return CheckState(rise, fall, score=rise - 1)
