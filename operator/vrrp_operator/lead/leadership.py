"""Which of several operators decides: one renews a Lease, the others watch it (pure).

Nobody compares clocks. Who waits measures by its own one for how long the Lease has not changed
while it could see it. Who leads gives up a second before anybody may take over, without having to
do anything for that. Every write names the version that it replaces, so that of two that take the
Lease at once one is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

DURATION_S = 4
"""A Lease that has not changed for so long may be taken."""
GIVE_UP_S = 3.0
"""So long after it asked for its last renewal a leader leads no more."""
RENEW_S = 1.0
SPREAD = 0.25
"""By which share of them pauses are longer or shorter, so that operators do not act in step."""


@dataclass(frozen=True, slots=True)
class Lease:
    """What the API server has; ``holder`` is empty once it was released."""

    version: int
    holder: str
    transitions: int = 0


@dataclass(frozen=True, slots=True)
class Claim:
    """What to write: over this Lease, or a new one; ``anew`` unless it is a renewal."""

    over: Lease | None
    transitions: int
    anew: bool


class Leadership:
    """One operator's part; times are seconds of its own clock, which goes on while it is stopped.

    ``identity`` is no other process's, also none of before.
    """

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.term = 0
        """Goes up when this operator begins to lead after another one may have."""
        self._lease: Lease | None = None
        self._looked = False
        self._seen_s: float | None = None
        """Since when the Lease has not changed while it could be seen; None while it cannot."""
        self._leads_until_s = float("-inf")
        self._others = True
        """Whether somebody else may have led since this operator did."""
        self._next_s = float("-inf")

    @property
    def holder(self) -> str:
        """Who holds the Lease, as far as is known; empty: nobody."""
        return self._lease.holder if self._lease is not None else ""

    def leads(self, now_s: float) -> bool:
        """Return whether this operator may write."""
        return now_s < self._leads_until_s

    def saw(self, lease: Lease | None, now_s: float) -> None:
        """Take in the Lease as it is; None: there is none. What is older than known is no news."""
        known = self._lease
        older = lease is not None and known is not None and lease.version < known.version
        if self._seen_s is None or not (older or lease == known):
            self._seen_s = now_s
        if older:
            return
        self._lease, self._looked = lease, True
        if self.holder != self.identity:
            self._others = True
            self._leads_until_s = float("-inf")

    def lost_sight(self) -> None:
        """Note that the Lease cannot be seen: that it does not change says nothing."""
        self._seen_s = None

    def claim(self, now_s: float) -> Claim | None:
        """Return what to write now; None: nothing yet."""
        if now_s < self.due_s():
            return None
        lease = self._lease
        if lease is None:
            return Claim(None, 0, anew=True)
        mine = lease.holder == self.identity
        return Claim(lease, lease.transitions + (not mine), anew=not mine)

    def due_s(self) -> float:
        """Return when there is something to write, unless something is seen before."""
        if not self._looked:
            return float("inf")
        if self.holder in ("", self.identity):
            return self._next_s
        if self._seen_s is None:
            return float("inf")
        return max(self._next_s, self._seen_s + DURATION_S)

    def attempted(self, now_s: float, chance: float) -> None:
        """Note that a claim is about to be sent; ``chance`` is drawn from 0 to 1."""
        self._next_s = now_s + RENEW_S * (1 - SPREAD + 2 * SPREAD * chance)

    def written(self, claim: Claim, version: int, sent_s: float) -> None:
        """Note that a claim that was sent then was written: this operator leads."""
        if self._lease is not None and version < self._lease.version:
            return
        self._lease = Lease(version, self.identity, claim.transitions)
        self._seen_s = sent_s
        self._leads_until_s = sent_s + GIVE_UP_S
        if self._others:
            self._others = False
            self.term += 1

    def unanswered(self, now_s: float) -> None:
        """Note that nobody knows what became of a claim: whoever may lead gets its time anew."""
        if self._seen_s is not None:
            self._seen_s = now_s

    def released(self) -> Claim | None:
        """Lead no more, and take no part; return what to give back, None where that is nothing."""
        self._leads_until_s, self._others = float("-inf"), True
        lease, self._lease, self._looked = self._lease, None, False
        if lease is None or lease.holder != self.identity:
            return None
        return Claim(lease, lease.transitions, anew=False)
