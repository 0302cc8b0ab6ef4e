"""What the loop turns besides elections: one protocol for all of it.

A new concern is a file of its own with a class that has what it needs of these, and a line in the
list in ``main``. The list's order is the order in which they run, and in which they are given what
was received.
"""

from __future__ import annotations


class Concern:
    """Something that is heard, or due, beside the elections; by default it is neither."""

    def filenos(self) -> tuple[int, ...]:
        """Return the descriptors to wait on; they may change whenever this one has run."""
        return ()

    def receive(self, descriptor: int, now_ns: int) -> None:
        """Take in a bounded batch of what waits on one of the descriptors."""

    def woken(self, now_ns: int) -> None:
        """Look at the world after the loop has waited, before it sends again."""

    def run(self, now_ns: int) -> None:
        """Do what is due by now."""

    def next_deadline_ns(self) -> int | None:
        """Return when ``run`` has something to do; None: whenever others have."""
        return None
