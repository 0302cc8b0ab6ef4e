"""The clock of signatures, and what it is held against where members are far ahead of it.

So it is on a virtual machine that was put back to a snapshot. Its wall clock is put right by who
looks after it, its hardware clock by the host.
"""

from __future__ import annotations

from collections.abc import Callable
from time import time_ns

from vrrp.authentication import SignatureClock

_HARDWARE_CLOCK = "/sys/class/rtc/rtc0/since_epoch"
_AGAIN_NS = 5_000_000_000
"""So often at most the others are read while none of them agrees."""

ReadClock = Callable[[], int | None]


def hardware_clock_ns() -> int | None:
    """Return the hardware clock's time in nanoseconds since 1970; None where there is none."""
    try:
        with open(_HARDWARE_CLOCK, "rb") as file:
            return int(file.read()) * 1_000_000_000
    except (OSError, ValueError):
        return None


class Clocks:
    """Puts the clock of signatures forward when a member and another clock say that it is late."""

    def __init__(
        self, signing: SignatureClock, others: tuple[ReadClock, ...] = (time_ns, hardware_clock_ns)
    ) -> None:
        self._signing = signing
        self._others = others
        self._again_ns = 0

    def heard(self, sequence: int, now_ns: int) -> None:
        """Take in a sequence that a member signed."""
        if not self._signing.is_behind(sequence, now_ns) or now_ns < self._again_ns:
            return
        self._again_ns = now_ns + _AGAIN_NS
        for read in self._others:
            clock_ns = read()
            if clock_ns is not None and self._signing.put_forward(sequence, now_ns, clock_ns):
                return
