"""What failed is tried again: soon, then less often, until it works or something newer takes over.

Pure; the caller has the clock.
"""

from __future__ import annotations

_FIRST_S = 0.5
_LONGEST_S = 60.0


class Retry:
    """When one thing is due to be tried again; None while nothing is."""

    def __init__(self) -> None:
        self._failures = 0
        self.due_s: float | None = None

    def failed(self, now_s: float) -> None:
        """Try again: after half a second, doubled with each failure, a minute at most."""
        self.due_s = now_s + min(_LONGEST_S, _FIRST_S * 2.0 ** min(self._failures, 16))
        self._failures += 1

    def over(self) -> None:
        """Try no more: it worked, or nobody wants it any more."""
        self._failures, self.due_s = 0, None

    def worked(self) -> None:
        """Note that it worked once; a try that is due stays, for it may be of something newer."""
        if self.due_s is None:
            self._failures = 0

    def take(self, now_s: float) -> bool:
        """Return whether it is to be tried now; then it is due no more until it fails again."""
        if self.due_s is None or now_s < self.due_s:
            return False
        self.due_s = None
        return True
