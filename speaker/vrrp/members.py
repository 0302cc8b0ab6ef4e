"""Members of an election that no list names: known by their signature, bounded in number and time.

A list of members reaches each node at its own time, and some nodes never. Where an election has a
key of its own, whoever signs with that is a member: what it says counts, and it is sent to, like a
configured peer. A Backup says nothing, so a member is remembered for long after it was last heard.

To find out whether a signature is right costs more than to look an address up. Sources that are
neither listed nor known yet share an allowance of so many attempts, however many they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from vrrp.constants import NS_PER_SECOND

MAX_LEARNED = 8
"""Members beyond the list that one election knows at a time."""
LEARNED_FOR_NS = 3600 * NS_PER_SECOND
"""How long after it was last heard, or was dropped from the list, a member is still sent to.

Long, because a member that is not sent to any more, and lives, becomes Active beside the other one
for a moment; a member that does not live costs one advertisement an interval.
"""
CROWDED_OUT_NS = 10 * NS_PER_SECOND
"""Where there are too many, one that was silent for so long makes room for one that is not."""
ATTEMPTS_PER_SECOND = 500
ATTEMPTS_AT_ONCE = 50
"""Signatures of unknown sources that a node verifies: 1 to 2 % of a slow core."""


@dataclass(slots=True)
class LearnedMembers:
    """The members of one election that no list names, by packed address."""

    known_ns: dict[bytes, int] = field(default_factory=dict)
    """When each was last heard, or else was dropped from the list."""

    def has_room(self, now_ns: int) -> bool:
        """Return whether one more can be learned."""
        if len(self.known_ns) < MAX_LEARNED:
            return True
        return now_ns - min(self.known_ns.values()) >= CROWDED_OUT_NS

    def note(self, source: bytes, now_ns: int) -> None:
        """Know a member from now on, or anew; where there is no room, in place of the stalest."""
        if source not in self.known_ns and len(self.known_ns) >= MAX_LEARNED:
            del self.known_ns[min(self.known_ns, key=self.known_ns.__getitem__)]
        self.known_ns[source] = now_ns

    def keep(self, dropped: Iterable[bytes], now_ns: int) -> None:
        """Go on with members that the list names no more, as far as there is room."""
        for source in dropped:
            if len(self.known_ns) < MAX_LEARNED:
                self.known_ns[source] = now_ns

    def forget_silent(self, now_ns: int) -> bool:
        """Forget whoever was silent for too long; return whether anybody was."""
        silent = [s for s, at_ns in self.known_ns.items() if now_ns - at_ns >= LEARNED_FOR_NS]
        for source in silent:
            del self.known_ns[source]
        return bool(silent)


@dataclass(slots=True)
class Allowance:
    """So many attempts a second, and some saved up: a token bucket."""

    spent_ns: int = 0
    """Attempts are had at an even pace; this is up to when they are spent."""

    def left(self, now_ns: int) -> bool:
        """Return whether there is an attempt to be had now."""
        return now_ns >= self.spent_ns

    def take(self, now_ns: int) -> None:
        """Spend an attempt that is there to be had."""
        pace_ns = NS_PER_SECOND // ATTEMPTS_PER_SECOND
        saved_from_ns = now_ns - (ATTEMPTS_AT_ONCE - 1) * pace_ns
        self.spent_ns = max(self.spent_ns, saved_from_ns) + pace_ns
