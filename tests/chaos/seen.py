"""A run seen by node: what each was, when it was struck, when it had an address."""

from __future__ import annotations

from collections.abc import Iterator

from tests.chaos.observed import NOT_RUNNING, Run, Struck, Turn
from tests.chaos.plan import Kind
from tests.chaos.spans import Spans, both, union, without

from vrrp.constants import State


class Seen:
    """What a run shows of each node; nodes count from 0."""

    def __init__(self, run: Run) -> None:
        self.run = run
        nodes = run.election.nodes
        self.turns = {node: list(_turns_of(run, node)) for node in nodes}
        self.states = {node: list(self._spans_of(node)) for node in nodes}
        """From when until when a node was what it had become."""
        self.active = {node: self.in_state(node, State.ACTIVE) for node in nodes}
        self._holding: dict[str, dict[int, Spans]] = {}
        self.frozen = {node: self.during(node, Kind.FREEZE) for node in nodes}

    def _spans_of(self, node: int) -> Iterator[tuple[int, int, Turn]]:
        """Yield from when until when the node was what it had become, within the run."""
        turns, run = self.turns[node], self.run
        for turn, following in zip(turns, [*turns[1:], None], strict=True):
            end_ns = run.ended_ns if following is None else following.at_ns
            if end_ns >= run.begun_ns:
                yield max(run.begun_ns, turn.at_ns), end_ns, turn

    def in_state(self, node: int, state: State) -> Spans:
        """Return when a node was in a state."""
        return union((b, e) for b, e, turn in self.states[node] if turn.state == state)

    def struck(self, node: int, *kinds: Kind) -> list[Struck]:
        """Return the faults of these kinds that struck a node."""
        return [s for s in self.run.struck if s.fault.node == node and s.fault.kind in kinds]

    def during(self, node: int, *kinds: Kind) -> Spans:
        """Return when a fault of these kinds was, or may have been, in effect on a node."""
        return union((s.begun_ns, s.mended_ns) for s in self.struck(node, *kinds))

    def holding(self, address: str) -> dict[int, Spans]:
        """Return when each node had an address."""
        if address not in self._holding:
            nodes = self.run.election.nodes
            self._holding[address] = {node: self._held_by(node, address) for node in nodes}
        return self._holding[address]

    def _held_by(self, node: int, address: str) -> Spans:
        begun: int | None = None
        spans = []
        for change in self.run.held:
            if (change.node, change.address) != (node, address):
                continue
            if change.held and begun is None:
                begun = change.at_ns
            elif not change.held and begun is not None:
                spans.append((begun, change.at_ns))
                begun = None
        if begun is not None:
            spans.append((begun, self.run.ended_ns))
        return both(union(spans), ((self.run.begun_ns, self.run.ended_ns),))

    def nobody_has(self, address: str) -> Spans:
        """Return when no node had an address."""
        whole = ((self.run.begun_ns, self.run.ended_ns),)
        return without(whole, union(*self.holding(address).values()))

    def pairs(self, of: dict[int, Spans]) -> Iterator[tuple[int, int, Spans, Spans]]:
        """Yield every two nodes and what is known of each."""
        for one in self.run.election.nodes:
            for other in range(one):
                yield other, one, of[other], of[one]


def _turns_of(run: Run, node: int) -> Iterator[Turn]:
    """Yield what a node became; a death of one that had not begun again is none."""
    state = None
    for turn in run.turns:
        if turn.node == node:
            if (state, turn.state) != (NOT_RUNNING, NOT_RUNNING):
                yield turn
            state = turn.state
