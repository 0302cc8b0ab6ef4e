"""What an Active router makes of others that are seen with its addresses (RFC 5227 §2.4).

Whoever nothing explains so far is looked at again after a while; then it is a stranger, and the
addresses are announced again, at most once in ten seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vrrp_speaker.engine.neighbours.listening import Sighting

_SECOND = 1_000_000_000
DEFEND_INTERVAL_NS = 10 * _SECOND
"""RFC 5227 §1.1."""
REMEMBERED_NS = 60 * _SECOND
"""So long a stranger that was seen needs no second look."""


@dataclass(slots=True)
class Defence:
    """What an Active router makes of sightings; ``active_ns`` is since when it is Active."""

    active_ns: int
    suspect: Sighting | None = None
    frames: int = 0
    settled_ns: int = 0
    stranger: bytes = b""
    stranger_ns: int = 0
    defended_ns: int | None = None
    defend_at_ns: int | None = None
    disputed: set[bytes] = field(default_factory=set)

    def seen(self, sighting: Sighting, settling: int, now_ns: int) -> int:
        """Take in a sighting that nothing explains so far; return how many conflicts that makes.

        A stranger that is known is one at once; others are looked at again after ``settling`` ns.
        """
        if sighting.mac == self.stranger and now_ns - self.stranger_ns < REMEMBERED_NS:
            self._dispute(sighting, now_ns)
            return 1
        if self.suspect is None:
            self.settled_ns, self.frames = now_ns + settling, 0
        self.suspect = sighting
        self.frames += 1
        return 0

    def settle(self, now_ns: int, *, explained: bool) -> tuple[Sighting, int] | None:
        """Judge the suspect when it is time; return who it is, and how often it was seen."""
        if self.suspect is None or now_ns < self.settled_ns:
            return None
        suspect, self.suspect = self.suspect, None
        if explained:
            return None
        self._dispute(suspect, now_ns)
        return suspect, self.frames

    def take_disputed(self, now_ns: int) -> set[bytes]:
        """Return the addresses to announce now, at most once in ``DEFEND_INTERVAL_NS``."""
        if self.defend_at_ns is None or now_ns < self.defend_at_ns:
            return set()
        disputed, self.disputed = self.disputed, set()
        self.defended_ns, self.defend_at_ns = now_ns, None
        return disputed

    def next_deadline_ns(self) -> int | None:
        """Return when something is to be judged or announced."""
        settled_ns = self.settled_ns if self.suspect is not None else None
        return min((d for d in (settled_ns, self.defend_at_ns) if d is not None), default=None)

    def _dispute(self, sighting: Sighting, now_ns: int) -> None:
        self.stranger, self.stranger_ns = sighting.mac, now_ns
        self.disputed.add(sighting.address)
        if self.defend_at_ns is None:
            after_ns = self.defended_ns
            due_ns = now_ns if after_ns is None else after_ns + DEFEND_INTERVAL_NS
            self.defend_at_ns = max(now_ns, due_ns)
