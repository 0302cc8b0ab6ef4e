"""Several operators in virtual time: the product's own leadership, and a Lease that answers late.

Requests are lost or come late, what a watch tells does so too, and a process may stand still. The
oracle is at the end of every write: where a later leader wrote a NodeConfig, a former one's write
is not done.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from tests.simulation.lan import SimulatedLan
from tests.simulation.settings import MS, SECOND
from tests.simulation.timeline import OracleViolation

from vrrp_operator.lead.leadership import Claim, Leadership, Lease

_TIMEOUT_NS = 2_500 * MS
_LOST, _LATE = 0.01, 0.02


Done = Callable[[bool], None]
"""Told that a write was done, and whether it was a fence."""


class SimulatedLease:
    """The Lease on the API server, and who wrote which NodeConfig as a leader."""

    def __init__(self, lan: SimulatedLan) -> None:
        self.lan = lan
        self.now: Lease | None = None
        self.watchers: list[Callable[[Lease], None]] = []
        self.electors: list[SimulatedElector] = []
        self.terms: dict[str, int] = {}
        """Each operator's last term, in the order of all of them."""
        self._begun = 0
        self._versions = 0
        self._written_in: dict[str, int] = {}

    def write(self, identity: str, claim: Claim) -> int | None:
        """Write over the version that a claim names; None where it is another one by now."""
        if claim.over != self.now:
            return None
        self._versions += 1
        if claim.anew:
            self._begun += 1
            self.terms[identity] = self._begun
            self.lan.timeline.did(self.lan.now_ns, -1, f"term {self._begun} begins", identity)
        self.now = Lease(self._versions, identity, claim.transitions)
        for watcher in list(self.watchers):
            watcher(self.now)
        return self._versions

    def look(self) -> None:
        """Look who leads.

        Raises:
            OracleViolation: two do.
        """
        leaders = [elector for elector in self.electors if elector.leads()]
        if len(leaders) > 1:
            raise OracleViolation("two operators lead at once")

    def wrote(self, name: str, term: int, fence: bool) -> None:
        """Note that a NodeConfig was written, or but fenced, by a leader of a term.

        Raises:
            OracleViolation: it was written, and one of a later term did so before.
        """
        latest = self._written_in.get(name, 0)
        if term < latest and fence:
            return  # it only moves the version on
        if term < latest:
            raise OracleViolation(
                f"{name} was written by the leader of term {term} after that of term {latest}"
            )
        self._written_in[name] = term


class SimulatedElector:
    """One operator's part."""

    def __init__(
        self, lease: SimulatedLease, rng: random.Random, changed: Callable[[], None]
    ) -> None:
        self._lease = lease
        self._lan = lease.lan
        self._rng = rng
        self._changed = changed
        self._leadership = Leadership(f"operator {rng.getrandbits(32):x}")
        self._alive = True
        self._busy = False
        self._seen_ns = 0
        self.stands_until_ns = 0
        self.cut_off = False
        """Whether requests are lost and the watch tells nothing, of the Lease alone."""
        lease.watchers.append(self._hear)
        lease.electors.append(self)
        self._lan.after(self._soon_ns(500), lambda _: self._see(self._lease.now))

    def end(self) -> None:
        """Die, and release nothing."""
        self._alive = False
        self._lease.watchers.remove(self._hear)
        self._lease.electors.remove(self)

    def leads(self) -> bool:
        """Return what the product says."""
        return self._leadership.leads(self._now_s())

    @property
    def term(self) -> int:
        """Which one it is for this operator."""
        return self._leadership.term

    def sends(self, name: str) -> Done:
        """Return what to call once a write that is sent now is done."""
        return partial(self._lease.wrote, name, self._lease.terms.get(self._identity, 0))

    def _now_s(self) -> float:
        return self._lan.now_ns / SECOND

    def _soon_ns(self, longest_ms: int) -> int:
        return 1 + self._rng.randrange(longest_ms * MS)

    def _hear(self, lease: Lease) -> None:
        if not self.cut_off:
            self._seen_ns = max(self._seen_ns, self._lan.now_ns + self._soon_ns(300))
            self._lan.at(self._seen_ns, lambda _: self._see(lease))

    def _see(self, lease: Lease | None) -> None:
        if not self._alive:
            return
        if self._lan.now_ns < self.stands_until_ns:
            self._lan.at(self.stands_until_ns, lambda _: self._see(lease))
            return
        self._leadership.saw(lease, self._now_s())
        self._wait()

    def _wait(self) -> None:
        due_s = self._leadership.due_s()
        if due_s < float("inf"):
            self._lan.at(int(max(self._now_s(), due_s) * SECOND) + 1, self._turn)

    def _turn(self, now_ns: int) -> None:
        if not self._alive or self._busy:
            return
        if now_ns < self.stands_until_ns:
            self._lan.at(self.stands_until_ns, self._turn)
            return
        claim = self._leadership.claim(self._now_s())
        if claim is None:
            return
        self._leadership.attempted(self._now_s(), self._rng.random())
        self._busy = True
        fate = self._rng.random()
        if self.cut_off or fate < _LOST + _LATE:
            if fate < _LATE:
                late_ns = self._soon_ns(10_000)
                self._lan.after(late_ns, partial(self._arrive_unheard, claim))
            self._lan.after(_TIMEOUT_NS, lambda _: self._unanswered())
            return
        self._lan.after(self._soon_ns(100), partial(self._arrive, claim, now_ns))

    @property
    def _identity(self) -> str:
        return self._leadership.identity

    def _arrive_unheard(self, claim: Claim, _: int) -> None:
        self._lease.write(self._identity, claim)

    def _arrive(self, claim: Claim, sent_ns: int, _: int) -> None:
        version = self._lease.write(self._identity, claim)
        self._lan.after(self._soon_ns(100), partial(self._answered, claim, sent_ns, version))

    def _answered(self, claim: Claim, sent_ns: int, version: int | None, _: int) -> None:
        if not self._alive:
            return
        if self._lan.now_ns < self.stands_until_ns:
            later = partial(self._answered, claim, sent_ns, version)
            self._lan.at(self.stands_until_ns, later)
            return
        self._busy = False
        if version is None:
            self._see(self._lease.now)
            return
        led = self.leads()
        self._leadership.written(claim, version, sent_ns / SECOND)
        self._lease.look()
        if not led:
            self._changed()
        self._wait()

    def _unanswered(self) -> None:
        if self._alive:
            self._busy = False
            self._leadership.unanswered(self._now_s())
            self._wait()
