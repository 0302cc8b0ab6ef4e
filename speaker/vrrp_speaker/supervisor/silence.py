"""How long an engine may be silent: it is alive, and its loop does not turn."""

from __future__ import annotations

import time

from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state import layout as shm

_LONGEST_WAIT_S = 0.1
_LOOKS_PER_LIMIT = 5
"""How often the heartbeat is looked at while the engine may be silent."""
_FIRST_LIMIT_NS = 2_000_000_000
"""How long an engine may be silent that has not said itself how long."""


class Silence:
    """Looks at the heartbeat in the shared state, as often as its owner does."""

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared
        self._looked_s = self._awake_since_s = time.monotonic()

    @property
    def limit_ns(self) -> int:
        """How long the engine may be silent, as it has said itself."""
        return self._shared.get(shm.H_SILENCE_LIMIT) or _FIRST_LIMIT_NS

    @property
    def wait_s(self) -> float:
        """In how long to look again at the latest."""
        return min(_LONGEST_WAIT_S, self.limit_ns / _LOOKS_PER_LIMIT / 1e9)

    @property
    def lasted_ns(self) -> int:
        """For how long the engine has been silent."""
        return time.monotonic_ns() - self._shared.get(shm.H_HEARTBEAT)

    def is_too_long(self) -> bool:
        """Look; return whether an engine has been silent for longer than it may.

        Who slept too cannot tell: we must have been awake for as long as it may be silent.
        """
        now_s, limit_ns = time.monotonic(), self.limit_ns
        if now_s - self._looked_s > 2 * self.wait_s:
            self._awake_since_s = now_s
        self._looked_s = now_s
        return now_s - self._awake_since_s >= limit_ns / 1e9 and self.lasted_ns > limit_ns
