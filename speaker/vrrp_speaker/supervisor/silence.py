"""Whether an engine is alive and silent: its loop does not turn for longer than it may."""

from __future__ import annotations

import time

from vrrp_speaker.alarm import Alarm
from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state import layout as shm

_LOOKS_PER_LIMIT = 5
"""How often the heartbeat is looked at for as long as the engine may be silent, once it is."""


class Silence:
    """Looks at the heartbeat when the alarm goes off, and then closely until it is heard again."""

    def __init__(self, shared: SharedState, alarm: Alarm) -> None:
        self._shared = shared
        self._alarm = alarm
        self._awake_since_ns = 0
        self.next_ns: int | None = None
        """When to look again; None: when the alarm goes off."""

    @property
    def lasts_ns(self) -> int:
        """For how long the engine has been silent."""
        return time.monotonic_ns() - self._shared.get(shm.H_HEARTBEAT)

    def begin(self) -> None:
        """Begin with an engine that is just made."""
        self._shared.set(shm.H_HEARTBEAT, time.monotonic_ns())
        self.next_ns = None

    def is_too_long(self) -> bool:
        """Look; return whether the engine has been silent for longer than it may.

        Who slept too cannot tell: from when we should have been woken we must have been awake.
        """
        now_ns, heard_ns = time.monotonic_ns(), self._shared.get(shm.H_HEARTBEAT)
        limit_ns, suspect_ns = self._alarm.limit_ns, heard_ns + self._alarm.patience_ns
        between_ns = limit_ns // _LOOKS_PER_LIMIT
        if now_ns - (suspect_ns if self.next_ns is None else self.next_ns) > between_ns:
            self._awake_since_ns = now_ns
        if now_ns < suspect_ns:
            self.next_ns = None if self._alarm.is_wound() else suspect_ns
            return False
        over_ns = max(heard_ns, self._awake_since_ns) + limit_ns
        is_over = now_ns > over_ns
        self.next_ns = now_ns + between_ns if is_over else min(now_ns + between_ns, over_ns + 1)
        return is_over
