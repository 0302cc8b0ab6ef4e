"""The invariants of a cluster under chaos, judged from outside: who was what, who had an address.

The same rules for real nodes and for simulated ones; they follow from the protocol's timers, and a
world adds only its own lateness (``Allowance``). Whatever is found is either explained by a fault
that was in effect on the nodes concerned, or a violation. What a healthy node did at each event is
another oracle's business (``tests.simulation.watch``).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from tests.chaos.causes import CAUSES, CONFLICT, LEAVES_ADDRESSES, LEGAL, WHILE_STARTING
from tests.chaos.observed import (
    HANDOVER_GRACE_NS,
    NOT_RUNNING,
    Allowance,
    Run,
    Struck,
    Turn,
)
from tests.chaos.plan import DIVIDES, Kind
from tests.chaos.seen import Seen
from tests.chaos.spans import Spans, both, longest, total, union, without
from tests.chaos.verdict import Figures, Violation

from vrrp.constants import State, TransitionReason


class Judge:
    """Holds one run against the rules."""

    def __init__(self, run: Run, allowance: Allowance) -> None:
        self._run = run
        self._election = run.election
        self._slack_ns = allowance.slack_ns
        self._start_ns = allowance.start_ns
        self._resolve_ns = allowance.resolve_ns if run.election.unicast else 0
        self._install_ns = allowance.install_ns
        self._fork_ns = allowance.fork_ns
        self._fuzz_ns = allowance.lease_fuzz_ns
        self._seen = Seen(run)
        self._addresses = sorted({held.address for held in run.held})
        self._settled: list[int] = []

    def violations(self) -> list[Violation]:
        """Return what was wrong, in order."""
        found = [
            *self._illegal(),
            *self._two_active(),
            *self._thawed(),
            *self._replaced(),
            *self._at_rest(),
            *(wrong for address in self._addresses for wrong in self._of_address(address)),
        ]
        return sorted(found, key=lambda violation: violation.at_ns)

    def figures(self) -> Figures:
        """Return how it went; of several addresses the worst counts."""
        nobody = [self._seen.nobody_has(address) for address in self._addresses]
        several = [
            union(*(both(a, b) for _, _, a, b in self._seen.pairs(self._seen.holding(address))))
            for address in self._addresses
        ]
        self._settled.clear()
        list(self._at_rest())
        return Figures(
            sum(bool(t.reason) and t.at_ns >= self._run.begun_ns for t in self._run.turns),
            max(map(total, nobody)),
            max(map(longest, nobody)),
            max(map(total, several)),
            max(map(longest, several)),
            len(self._settled),
            max(self._settled, default=0),
        )

    # The rules, for each address --------------------------------------------------------

    def _of_address(self, address: str) -> Iterator[Violation]:
        holding = self._seen.holding(address)
        yield from self._left_behind(address, holding)
        yield from self._without_the_address(address, holding)
        yield from self._nobody(address)
        for one, other, first, second in self._seen.pairs(holding):
            detail = f"{address} is on {_name(one)} and {_name(other)}, which hear each other"
            least_ns = self._election.interval_ns + HANDOVER_GRACE_NS + self._slack_ns
            spans = without(both(first, second), self._excuses_for_two(one, other))
            yield from self._wrong("two have an address", spans, least_ns, detail)

    def _left_behind(self, address: str, holding: dict[int, Spans]) -> Iterator[Violation]:
        """Nobody has an address that is not Active, nor hands it over, nor died lately."""
        for node, held in holding.items():
            allowed = union(self._seen.active[node], self._may_linger(node))
            spans = without(held, allowed)
            yield from self._wrong("left behind", spans, 0, f"{address} on {_name(node)}")
            for struck in self._seen.struck(node, Kind.FREEZE):
                gone_ns = struck.in_effect_ns + self._lease_ns(node)
                late = both(held, ((gone_ns, struck.mending_ns),))
                detail = f"{address} on {_name(node)}, which stands still"
                yield from self._wrong("outlives its lease", late, 0, detail)

    def _may_linger(self, node: int) -> Iterator[tuple[int, int]]:
        """Yield when addresses may be there though the node is not Active any more."""
        for (_, end, turn), (_, _, after) in pairwise(self._seen.states[node]):
            if turn.state != State.ACTIVE:
                continue
            gone_ns = end + self._may_stay_ns(node, after)
            yield end, min(gone_ns, self._begins_again_ns(node, end))
            # Whoever is struck meanwhile drops them later, or never.
            for struck in self._seen.struck(node, Kind.KILL, Kind.FREEZE, Kind.ENGINE):
                meanwhile = end <= struck.in_effect_ns and struck.begun_ns <= gone_ns
                if meanwhile and after.state != NOT_RUNNING:
                    yield end, self._drops_ns(node, struck)

    def _begins_again_ns(self, node: int, since_ns: int) -> int:
        """Return when a node begins that has died at a moment or later; it drops what was left."""
        for begin, end, turn in self._seen.states[node]:
            if begin >= since_ns and turn.state == NOT_RUNNING:
                return end + self._slack_ns
        return self._run.ended_ns

    def _drops_ns(self, node: int, struck: Struck) -> int:
        """Return when a node that was struck as it let addresses go has none any more."""
        if struck.fault.kind is Kind.KILL:
            lease_end_ns = struck.in_effect_ns + self._lease_ns(node)
            return min(lease_end_ns, self._begins_again_ns(node, struck.begun_ns))
        if struck.fault.kind is Kind.FREEZE:
            return struck.mended_ns + self._slack_ns
        return struck.in_effect_ns + self._fork_ns + self._slack_ns

    def _may_stay_ns(self, node: int, after: Turn) -> int:
        """Return how long addresses stay when an Active node becomes something else."""
        if after.reason == TransitionReason.LATE_WAKE:
            return self._slack_ns
        if after.state == NOT_RUNNING:
            powered_off = any(s.begun_ns <= after.at_ns <= s.mended_ns
                              for s in self._seen.struck(node, Kind.POWER))  # fmt: skip
            return self._slack_ns if powered_off else self._slack_ns + self._lease_ns(node)
        if after.state == State.BACKUP:
            return HANDOVER_GRACE_NS + self._slack_ns
        if after.reason == TransitionReason.SHUTDOWN:
            return self._election.handing_over_ns + self._slack_ns
        return self._slack_ns  # a fault of the link: nobody would be served

    def _lease_ns(self, node: int) -> int:
        return self._election.lease_ns(node) + self._fuzz_ns

    def _without_the_address(self, address: str, holding: dict[int, Spans]) -> Iterator[Violation]:
        """Whoever is Active and turns has the addresses."""
        for node, active in self._seen.active.items():
            spans = without(without(active, holding[node]), self._seen.frozen[node])
            least_ns = self._installed_ns(address)
            detail = f"{address} on {_name(node)}"
            yield from self._wrong("Active without an address", spans, least_ns, detail)

    def _installed_ns(self, address: str) -> int:
        """Return how long it may take from the decision to the address."""
        return self._slack_ns + self._install_ns * (":" in address)

    def _nobody(self, address: str) -> Iterator[Violation]:
        """A Backup that turns waits for nobody longer than its down interval, faults or not.

        Whoever has no address does not advertise; partitions and losses make a Backup hear less.
        """
        gaps = self._seen.nobody_has(address)
        for node in self._election.nodes:
            for begin, end, turn in self._seen.states[node]:
                if turn.state != State.BACKUP:
                    continue
                spans = both(gaps, without(((begin, end),), self._still(node)))
                least_ns = self._election.down_ns(node) + self._installed_ns(address)
                detail = f"{address} while {_name(node)} is Backup"
                yield from self._wrong("nobody has an address", spans, least_ns, detail)

    def _still(self, node: int) -> Spans:
        """Return when no engine turned on a node."""
        return union(
            self._seen.frozen[node],
            (
                (struck.begun_ns, struck.in_effect_ns + self._fork_ns)
                for struck in self._seen.struck(node, Kind.ENGINE)
            ),
        )

    # The rules, for the election --------------------------------------------------------

    def _two_active(self) -> Iterator[Violation]:
        """Two Active Routers that hear each other are one again within an interval."""
        active = {
            node: without(spans, self._seen.frozen[node])
            for node, spans in self._seen.active.items()
        }
        for one, other, first, second in self._seen.pairs(active):
            spans = without(both(first, second), self._excuses_for_two(one, other))
            detail = f"{_name(one)} and {_name(other)}, which hear each other"
            least_ns = self._election.interval_ns + self._slack_ns
            yield from self._wrong("two are Active", spans, least_ns, detail)

    def _excuses_for_two(self, one: int, other: int) -> Spans:
        """Return when two nodes may both have the addresses: they do not hear each other.

        What was divided hears again within an interval once it knows each other's hardware
        addresses, and whoever yields hands over.
        """
        after_ns = self._election.interval_ns + HANDOVER_GRACE_NS + self._slack_ns
        after_ns += self._resolve_ns
        found = []
        for struck in self._run.struck:
            fault = struck.fault
            if fault.node not in (one, other):
                continue
            lease_end_ns = struck.in_effect_ns + self._lease_ns(fault.node)
            far = other if fault.node == one else one
            divides = fault.kind in DIVIDES and (far in fault.others or fault.kind is Kind.LOSS)
            # Whose link was gone has forgotten its peers, and they may have given it up.
            forgets = self._resolve_ns and fault.kind in (Kind.POWER, Kind.CUT)
            if divides or forgets:
                found.append((struck.begun_ns, struck.mended_ns + after_ns))
            elif fault.kind is Kind.ENGINE:
                found.append((struck.begun_ns, struck.in_effect_ns + self._fork_ns))
            elif fault.kind is Kind.KILL:
                found.append((struck.begun_ns, lease_end_ns))
            elif fault.kind is Kind.FREEZE:
                found.append((struck.begun_ns, min(struck.mended_ns, lease_end_ns)))
        return union(found)

    def _thawed(self) -> Iterator[Violation]:
        """Whoever may have been replaced while it stood still steps down and drops all first."""
        for node in self._election.nodes:
            for struck in self._seen.struck(node, Kind.FREEZE):
                spare_ns = min(self._election.down_ns(n) for n in self._election.nodes if n != node)
                stood_ns = struck.mending_ns - struck.in_effect_ns
                if stood_ns <= spare_ns or not self._was_active(node, struck):
                    continue
                awake_ns = struck.mended_ns + self._slack_ns
                again_ns = self._active_again_ns(node, struck.mending_ns)
                stale = both(self._seen.active[node], ((awake_ns, again_ns),))
                yield from self._wrong("woke late and went on", stale, 0, _name(node))
                for address in self._addresses:
                    kept = both(self._seen.holding(address)[node], ((awake_ns, again_ns),))
                    detail = f"{address} on {_name(node)}"
                    yield from self._wrong("woke late with an address", kept, 0, detail)

    def _active_again_ns(self, node: int, since_ns: int) -> int:
        """Return when a node becomes Active after a moment, be it for no time at all."""
        begins = (turn.at_ns for turn in self._seen.turns[node] if turn.state == State.ACTIVE)
        return next((at_ns for at_ns in begins if at_ns >= since_ns), self._run.ended_ns)

    def _replaced(self) -> Iterator[Violation]:
        """The engine of an Active node is replaced by one that goes on as Active."""
        for node in self._election.nodes:
            for struck in self._seen.struck(node, Kind.ENGINE):
                if not any(b <= struck.begun_ns < e for b, e in self._seen.active[node]):
                    continue
                until_ns = struck.in_effect_ns + self._fork_ns + self._slack_ns
                for turn in self._seen.turns[node]:
                    begins = turn.reason == TransitionReason.STARTUP
                    if begins and struck.begun_ns <= turn.at_ns <= until_ns:
                        yield self._violation(
                            "did not resume", struck.begun_ns, turn.at_ns, _name(node)
                        )

    def _was_active(self, node: int, struck: Struck) -> bool:
        within = ((struck.in_effect_ns, struck.mending_ns),)
        return total(both(self._seen.active[node], within)) == total(within)

    def _at_rest(self) -> Iterator[Violation]:
        """Once all is mended the nodes return, the best takes over, and nothing moves any more."""
        for begin, end in self._calms():
            returned_ns = max(self._returned_ns(node, begin) for node in self._election.nodes)
            if returned_ns > begin + self._start_ns:
                if end > begin + self._start_ns:
                    yield self._violation("a node does not return", begin, end, "within its time")
                continue
            settle_ns = self._election.settle_ns + self._resolve_ns
            rests_ns = returned_ns + settle_ns + self._slack_ns
            if rests_ns >= end:
                continue
            turned = [turn.at_ns for turn in self._run.turns if returned_ns <= turn.at_ns < end]
            self._settled.append(max(turned, default=returned_ns) - returned_ns)
            yield from self._moved(rests_ns, end)

    def _calms(self) -> Spans:
        troubled = union((s.begun_ns, s.mended_ns) for s in self._run.struck)
        return without(((self._run.begun_ns, self._run.ended_ns),), troubled)

    def _returned_ns(self, node: int, since_ns: int) -> int:
        """Return from when on the node took part, looked at from a moment on."""
        for begin, end, turn in self._seen.states[node]:
            if end > since_ns and turn.state in (State.BACKUP, State.ACTIVE):
                return max(since_ns, begin)
        return self._run.ended_ns

    def _moved(self, begin: int, end: int) -> Iterator[Violation]:
        rest, best = ((begin, end),), self._election.best
        for turn in self._run.turns:
            if begin <= turn.at_ns < end:
                detail = f"{_name(turn.node)} becomes {turn.state} by {turn.reason}"
                yield self._violation("moves at rest", turn.at_ns, turn.at_ns, detail)
        for node in self._election.nodes:
            wanted = State.ACTIVE if node == best else State.BACKUP
            spans = without(rest, self._seen.in_state(node, wanted))
            yield from self._wrong("not the best", spans, 0, f"{_name(node)} is not {wanted}")
            for address in self._addresses:
                held = self._seen.holding(address)[node]
                spans = without(rest, held) if node == best else both(rest, held)
                detail = f"{address}, {_name(node)}; the best is {_name(best)}"
                yield from self._wrong("not where it belongs", spans, 0, detail)

    def _illegal(self) -> Iterator[Violation]:
        """Transitions are of the table, follow each other, and have their cause."""
        for node in self._election.nodes:
            state = NOT_RUNNING
            for turn in self._seen.turns[node]:
                judged = turn.reason and turn.at_ns >= self._run.begun_ns
                if judged and (wrong := self._wrong_with(turn, state)):
                    yield self._violation("illegal transition", turn.at_ns, turn.at_ns, wrong)
                state = turn.state

    def _wrong_with(self, turn: Turn, state: str) -> str:
        detail = f": {turn.detail}" * bool(turn.detail)
        words = f"{_name(turn.node)} {turn.before} → {turn.state} ({turn.reason}{detail})"
        if turn.reason not in LEGAL.get((State(turn.before), State(turn.state)), ()):
            return f"{words} is not in the table"
        begins = turn.before == State.INITIALIZE
        if not begins and state not in (turn.before, NOT_RUNNING):
            return f"{words} does not follow {state}"
        reason = TransitionReason(turn.reason)
        if reason in CAUSES and not self._has_cause(turn, CAUSES[reason]):
            return f"{words} has no cause"
        return ""

    def _has_cause(self, turn: Turn, kinds: tuple[Kind, ...]) -> bool:
        """Return whether such a fault was in effect, or had ended as lately as a start takes."""
        if turn.detail == CONFLICT:
            return self._has_the_address_unheard(turn)
        for struck in self._seen.struck(turn.node, *kinds):
            starting = turn.reason in WHILE_STARTING and struck.fault.kind is not Kind.CUT
            late_ns = self._start_ns if starting else self._slack_ns
            since = without(((struck.mended_ns, turn.at_ns),), self._seen.frozen[turn.node])
            if struck.begun_ns <= turn.at_ns and total(since) <= late_ns:
                return True
        return False

    def _has_the_address_unheard(self, turn: Turn) -> bool:
        """Return whether another node may have answered for the address and not been heard.

        It died, lost its link or was divided from the others, as lately as a wait and a lease.
        """
        wait_ns = self._election.down_ns(turn.node) + self._slack_ns
        for struck in self._run.struck:
            left = struck.fault.kind in LEAVES_ADDRESSES and struck.fault.node != turn.node
            lease_end_ns = struck.in_effect_ns + self._lease_ns(struck.fault.node)
            until_ns = struck.mended_ns if struck.fault.kind in DIVIDES else lease_end_ns
            if (left or struck.fault.kind in DIVIDES) and (
                struck.begun_ns <= turn.at_ns <= until_ns + wait_ns
            ):
                return True
        return False

    # Saying so -------------------------------------------------------------------------

    def _wrong(self, rule: str, spans: Spans, least_ns: int, detail: str) -> Iterator[Violation]:
        for begin, end in spans:
            if end - begin > least_ns:
                yield self._violation(rule, begin, end, detail)

    def _violation(self, rule: str, begin: int, end: int, detail: str) -> Violation:
        excused = any(
            stalled <= end and begin <= resumed + self._election.settle_ns
            for stalled, resumed in self._run.stalls
        )
        return Violation(self._election.name, rule, begin, end - begin, detail, excused)


def _name(node: int) -> str:
    return f"node-{node + 1}"
