"""Virtual time: one queue of events and one clock, of one LAN or of several."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from tests.simulation.timeline import OracleViolation

STEPS_PER_SECOND = 4_000
"""Events one virtual second may take; a storm ends the run instead of hanging it."""
STEPS_TO_BEGIN = 10_000

Deed = Callable[[int], None]


class VirtualTime:
    """Events of one nanosecond happen in the order in which they were queued.

    So a run is the same whenever its seed is.
    """

    def __init__(self) -> None:
        self.now_ns = 0
        self._queue: list[tuple[int, int, Deed]] = []
        self._queued = 0
        self._steps = 0

    def at(self, due_ns: int, deed: Deed) -> None:
        """Do something at a moment of virtual time."""
        self._queued += 1
        heapq.heappush(self._queue, (due_ns, self._queued, deed))

    def run_until(self, end_ns: int) -> None:
        """Let virtual time pass."""
        queue = self._queue
        allowed = STEPS_TO_BEGIN + STEPS_PER_SECOND * (1 + end_ns // 1_000_000_000)
        while queue and queue[0][0] <= end_ns:
            self.now_ns, _, deed = heapq.heappop(queue)
            self._steps += 1
            if self._steps > allowed:
                raise OracleViolation(f"storm: more than {allowed} events")
            deed(self.now_ns)
        self.now_ns = end_ns
