"""What a judge says: violations, and figures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule was broken, at a moment, for so long."""

    election: str
    rule: str
    at_ns: int
    lasted_ns: int
    detail: str
    excused: bool
    """The machine itself stood still shortly before."""

    def words(self, zero_ns: int) -> str:
        """Return it as a line, with the time since ``zero_ns``."""
        excused = " (the machine stood still)" if self.excused else ""
        return (
            f"{(self.at_ns - zero_ns) / 1e9:8.3f} s {self.election}: {self.rule}:"
            f" {self.detail}, {self.lasted_ns / 1e6:.1f} ms{excused}"
        )


@dataclass(frozen=True, slots=True)
class Figures:
    """How it went, apart from right and wrong; nanoseconds."""

    transitions: int
    nobody_ns: int
    nobody_longest_ns: int
    several_ns: int
    several_longest_ns: int
    calms: int
    """Stretches in which the cluster was found at rest, in order."""
    settled_longest_ns: int
    """The longest time from the last node's return to the best one's takeover."""

    def words(self) -> str:
        """Return them as a line."""
        return (
            f"{self.transitions} transitions; nobody had it for {self.nobody_ns / 1e9:.2f} s,"
            f" at once {self.nobody_longest_ns / 1e6:.0f} ms;"
            f" two had it for {self.several_ns / 1e9:.2f} s,"
            f" at once {self.several_longest_ns / 1e6:.0f} ms;"
            f" {self.calms} times at rest, at most"
            f" {self.settled_longest_ns / 1e6:.0f} ms after the last node's return"
        )
