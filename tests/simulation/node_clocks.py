"""The clocks of one simulated node: monotonic, wall, and what its signatures count by."""

from __future__ import annotations

from copy import copy

from tests.simulation.settings import SECOND

from vrrp.authentication import SETTLING_NS, SignatureClock

EPOCH_NS = 1_780_000_000 * SECOND


class NodeClocks:
    """Every method takes the LAN's virtual time."""

    def __init__(self, uptime_ns: int) -> None:
        self.clock = SignatureClock()
        self.wall_offset_ns = 0
        """How far the node's wall clock is from the true time."""
        self._monotonic_offset_ns = uptime_ns

    def settling(self, now_ns: int) -> bool:
        """Return whether the node booted so recently that a step puts its clock right."""
        return now_ns + self._monotonic_offset_ns < SETTLING_NS

    def clock_ns(self, now_ns: int) -> int:
        """Return the time that it holds sequences against."""
        return copy(self.clock).read(*self._clocks(now_ns))

    def next_sequence(self, now_ns: int) -> int:
        """Return the sequence it would sign with now."""
        return copy(self.clock).next(*self._clocks(now_ns))

    def _clocks(self, now_ns: int) -> tuple[int, int]:
        """Return its monotonic and its wall clock."""
        return now_ns + self._monotonic_offset_ns, EPOCH_NS + now_ns + self.wall_offset_ns
