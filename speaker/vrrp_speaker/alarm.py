"""How the engine wakes the supervisor: by ceasing to turn, or because something is to be seen to.

A timer (timerfd_create(2)) that the engine winds as its loop turns: so whoever watches over it
sleeps until it has not turned for a while, and costs nothing as long as it does. Both have the same
one, by fork, and so has every engine that follows. Standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import time

from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state import layout as shm

FIRST_LIMIT_NS = 2_000_000_000
"""How long an engine may be silent that has not said itself how long."""
_WOUND_PER_LIMIT = 16
"""Not each turn: a system call costs a busy loop more than it tells."""
_SECOND_NS = 1_000_000_000
_libc = ctypes.CDLL(None, use_errno=True)


class _Setting(ctypes.Structure):
    """A struct itimerspec: never again, and in so long."""

    _fields_ = (
        ("again_s", ctypes.c_long),
        ("again_ns", ctypes.c_long),
        ("left_s", ctypes.c_long),
        ("left_ns", ctypes.c_long),
    )


class Alarm:
    """Made before the fork; wound and rung by the engine, waited for by the supervisor."""

    def __init__(self, shared: SharedState) -> None:
        """Make the descriptors.

        Raises:
            OSError: there can be no more of them.
        """
        self._shared = shared
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        flags = os.O_CLOEXEC | os.O_NONBLOCK
        self._timer: int = _libc.timerfd_create(time.CLOCK_MONOTONIC, flags)
        if self._timer < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"timerfd: {os.strerror(number)}")
        self._setting = _Setting()
        self._address = ctypes.byref(self._setting)
        self._again_ns = 0

    @property
    def limit_ns(self) -> int:
        """How long the engine may be silent, as it has said itself."""
        return self._shared.get(shm.H_SILENCE_LIMIT) or FIRST_LIMIT_NS

    @property
    def patience_ns(self) -> int:
        """After how long without a turn it goes off: half as long again as between two turns."""
        return self.limit_ns * 3 // 8

    def wind(self, now_ns: int) -> None:
        """Have it go off that much after now, or hardly earlier; the loop turns now."""
        if now_ns < self._again_ns:
            return
        self._again_ns = now_ns + self.limit_ns // _WOUND_PER_LIMIT
        setting = self._setting
        setting.left_s, setting.left_ns = divmod(self.patience_ns, _SECOND_NS)
        _libc.timerfd_settime(self._timer, 0, self._address, None)

    def ring(self) -> None:
        """Have the supervisor look around now."""
        os.eventfd_write(self._bell, 1)

    @property
    def descriptors(self) -> tuple[int, int]:
        """What becomes readable when it goes off."""
        return self._timer, self._bell

    def is_wound(self) -> bool:
        """Return whether it is going to go off."""
        found = _Setting()
        _libc.timerfd_gettime(self._timer, ctypes.byref(found))
        return bool(found.left_s or found.left_ns)

    def hush(self) -> None:
        """Take note that it went off; it does so again when it was wound or rung since."""
        for descriptor in self.descriptors:
            with contextlib.suppress(BlockingIOError):
                os.read(descriptor, 8)
