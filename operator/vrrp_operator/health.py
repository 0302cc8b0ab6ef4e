"""Whether reconciles end well, and whether a restart would help where they do not."""

from __future__ import annotations

import logging
import time

_log = logging.getLogger(__name__)
STALE_S = 180.0


class Health:
    """What became of reconciles; may be asked from any thread."""

    def __init__(self) -> None:
        self._begun_s: float | None = None
        """When one first began, or somebody first asked."""
        self.succeeded_s = 0.0
        """When the last one ended well, monotonic; 0 while none did."""
        self._excused_s = 0.0
        """When one last failed for a reason that is not the operator's, monotonic."""
        self._problem = ""
        """Why the last one failed; empty when it did not."""
        self._how = "ok"

    def begins(self) -> float:
        """Note that a reconcile begins; return when, monotonic."""
        now_s = time.monotonic()
        self._begun_s = self._begun_s if self._begun_s is not None else now_s
        return now_s

    def went_well(self, how: str = "ok") -> None:
        """Note that a reconcile ended well, and what to say of that."""
        self._problem, self._how = "", how
        self.succeeded_s = time.monotonic()

    def failed(self, problem: str, *, excused: bool) -> None:
        """Note why a reconcile failed; logged once for each reason, as it is tried again soon.

        ``excused``: a restart would not help, for the API server is away or lacks something.
        """
        if excused:
            self._excused_s = time.monotonic()
        if problem != self._problem:
            _log.warning("reconcile failed, trying again", extra={"error": problem})
        self._problem = problem

    def healthy(self) -> tuple[bool, str]:
        """Return whether reconciles end well often enough, and at all.

        An API server that is away excuses them: restarting would not help against that. Against a
        loop that is stuck, or ends badly although the API server answers, it may.
        """
        begun_s = self._begun_s if self._begun_s is not None else self.begins()
        age_s = time.monotonic() - max(begun_s, self.succeeded_s, self._excused_s)
        if age_s > STALE_S:
            return False, f"no reconcile for {age_s:.0f} s{self._because()}"
        return True, "ok"

    def ready(self) -> tuple[bool, str]:
        """Return whether a first reconcile ended well."""
        if self.succeeded_s:
            return True, self._how
        return False, f"no reconcile yet{self._because()}"

    def _because(self) -> str:
        return f": {self._problem}" if self._problem else ""
