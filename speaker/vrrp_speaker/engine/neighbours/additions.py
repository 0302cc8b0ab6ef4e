"""Addresses that were added to a running router and are asked about before they are bound.

What the router holds already goes on meanwhile. An address that nobody answers for is bound; one
that a stranger has stays off, and is asked about again every five seconds. An answer that the
election may explain proves nothing, so it is asked again soon. If a member goes on to answer for
longer than any lease, it has the address for another reason, which somebody has to be told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vrrp_speaker.engine.neighbours.listening import Sighting
from vrrp_speaker.engine.neighbours.probing import PROBES, REPROBE_NS, REPROBE_WAIT_NS, Round
from vrrp_speaker.engine.programs.program import Place

_SPACING_NS = REPROBE_WAIT_NS // (PROBES + 1)
FIRST_WAIT_NS = 80_000_000
"""How long after it began the first round is judged: somebody waits for the address. Who answers
later than that is found as anybody who takes an address that is held."""


@dataclass(slots=True)
class Addition:
    """One address, and who answered in the round that runs or begins next."""

    round: Round
    wait_ns: int = FIRST_WAIT_NS
    """How long after it began the round is judged."""
    seen_ns: int | None = None
    stranger: Sighting | None = None
    """Who answered last with nothing to explain it."""
    member: bytes | None = None
    """The hardware address of a member that answered."""
    taken: bool = False
    """Whether a stranger had it when that was last judged."""
    members_ns: int | None = None
    """Since when a member has answered for it, each time that it was judged; None: it did not."""
    holder: bytes | None = None
    """The hardware address of that member."""

    def see(self, sighting: Sighting, now_ns: int, *, explained: bool, member: bool) -> None:
        """Note that somebody uses the address; between rounds nobody was asked."""
        if now_ns < self.round.begun_ns:
            return
        if self.seen_ns is None:
            self.seen_ns = now_ns
        if member:
            self.member = sighting.mac
        if not explained and not member:
            self.stranger = sighting

    def judged_ns(self, settling_ns: int) -> int:
        """Return when the round is judged; whoever explains an answer may be heard after it."""
        end_ns = self.round.begun_ns + self.wait_ns
        return end_ns if self.seen_ns is None else max(end_ns, self.seen_ns + settling_ns)

    def wait_longer(self) -> None:
        """Judge the round later: where many ask at once, the question waits for its turn."""
        self.wait_ns *= 2

    def judge(self, stranger: Sighting | None, now_ns: int) -> None:
        """Take in what an answer came to; ``stranger``: whose it was, None for one explained.

        It is asked again soon, or after a while where a stranger has it.
        """
        self.taken = stranger is not None or (self.taken and self.member is None)
        self.holder = self.member if stranger is None else None
        if self.holder is None:
            self.members_ns = None
        elif self.members_ns is None:
            self.members_ns = self.seen_ns
        again_ns = now_ns + REPROBE_WAIT_NS
        if stranger is not None:
            again_ns = max(now_ns, self.round.begun_ns + REPROBE_NS)
        self.round, self.seen_ns = Round(again_ns, _SPACING_NS), None
        self.wait_ns = REPROBE_WAIT_NS
        self.stranger, self.member = None, None

    def next_deadline_ns(self, settling_ns: int) -> int:
        """Return when something is to be sent or judged."""
        judged_ns, due_ns = self.judged_ns(settling_ns), self.round.due_ns()
        return judged_ns if due_ns is None else min(due_ns, judged_ns)


class Additions:
    """The addresses that one Active router is asking about."""

    def __init__(self) -> None:
        self._by_place: dict[Place, Addition] = {}

    @property
    def taken(self) -> bool:
        """Whether a stranger has one of them."""
        return any(addition.taken for addition in self._by_place.values())

    def longest_held(self) -> tuple[Place, Addition, int] | None:
        """Return the one that a member has for longest, and since when; None: there is none."""
        held = [
            (place, addition, addition.members_ns)
            for place, addition in self._by_place.items()
            if addition.members_ns is not None
        ]
        return min(held, key=lambda found: (found[2], found[0]), default=None)

    def keep(self, places: frozenset[Place], now_ns: int) -> None:
        """Ask about these; rounds that run already go on."""
        before = self._by_place
        self._by_place = {
            place: before.get(place) or Addition(Round(now_ns, FIRST_WAIT_NS // (PROBES + 1)))
            for place in places
        }

    def find(self, place: Place) -> Addition | None:
        """Return the address that is asked about there, if it is one."""
        return self._by_place.get(place)

    def next_deadline_ns(self, settling_ns: int) -> int | None:
        """Return when something is to be sent or judged."""
        deadlines = (a.next_deadline_ns(settling_ns) for a in self._by_place.values())
        return min(deadlines, default=None)

    def take_due(self, now_ns: int) -> set[Place]:
        """Return where to send a probe now."""
        return {place for place, a in self._by_place.items() if a.round.take_due(now_ns)}

    def judged(self, now_ns: int, settling_ns: int) -> Iterator[tuple[Place, Addition]]:
        """Yield those whose round is over."""
        for place, addition in self._by_place.items():
            if now_ns >= addition.judged_ns(settling_ns):
                yield place, addition
