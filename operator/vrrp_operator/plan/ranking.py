"""In which order nodes take part in each election (pure); who may is ``eligible``'s.

Ranking is a rendezvous hash: each pair (VirtualIP, node) has a score, and a VirtualIP ranks its
nodes by score. A node that comes or goes therefore changes only what it wins or held. Scores alone
spread 50 VirtualIPs over 3 nodes unevenly by chance (10 to 24 is usual), so who comes first is
decided by ``placement``.

A VirtualIP that is handed to a node by name is ranked as ever, and then that node is put above all
others. Theirs, and what balancing sees, stays as it was: nobody has to hear of a lower priority
before the named node can take over, and the end of the hand-over restores what was before.

Who takes part already comes before who does not, so that a node that joins takes nobody's place and
moves nothing; and a node that was silent for so long that another one joins for it keeps its place
in the order, for it may be back at any moment.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial

from vrrp_api.virtual_ip import VirtualIP
from vrrp_operator.model.memo import Memo
from vrrp_operator.model.snapshot import ClusterSnapshot, Node, VirtualIPRecord
from vrrp_operator.model.views import Views
from vrrp_operator.plan.eligible import Eligible, eligible_for
from vrrp_operator.plan.placement import Contest, first_places, score
from vrrp_operator.plan.priorities import (
    FIRST_PRIORITY,
    LARGEST_GAP,
    MAXIMUM,
    priority_for_rank,
)

Ranking = list[tuple[Node, int]]
"""Candidates with their priorities, best first."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A VirtualIP with its candidates, best first, those in ``absent`` included.

    ``absent`` are members that are gone: others take their places as candidates beside them.
    """

    record: VirtualIPRecord
    ranking: Ranking
    absent: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Asked:
    """All of a VirtualIP that the order of its nodes depends on."""

    name: str
    candidates: int
    node_priorities: Mapping[str, int]
    preferred_nodes: tuple[str, ...]
    handover_to: str | None

    @classmethod
    def of(cls, record: VirtualIPRecord) -> _Asked:
        """Return what a VirtualIP asks for."""
        spec = record.spec
        assert spec is not None
        pinned, preferred = spec.node_priorities, spec.preferred_nodes
        return cls(record.name, spec.candidates, pinned, preferred, record.handover_to)


_Order = tuple[_Asked, Eligible, str | None]
"""What is asked, who may take part, and who comes first: what an order of nodes follows from."""


class Ranker:
    """Ranks VirtualIPs one by one; who leads each was decided for all of them together."""

    def __init__(self, accepted: list[VirtualIPRecord], views: Views, memo: Memo) -> None:
        self._memo = memo
        self._records = {record.name: record for record in accepted}
        self._eligible = {record.name: self._look(record, views) for record in accepted}
        first = _first_places(accepted, self._eligible, memo)
        self._orders: dict[str, _Order] = {
            record.name: memo.same(
                ("order", record.name),
                (_Asked.of(record), self._eligible[record.name], first.get(record.name)),
            )
            for record in accepted
        }
        self._ranked = {record.name: self._rank(record.name) for record in accepted}

    def _look(self, record: VirtualIPRecord, views: Views) -> Eligible:
        view = views.of(record)
        return self._memo(("eligible", record.name), view, lambda: eligible_for(record, view))

    def may_use(self) -> dict[str, frozenset[str]]:
        """Return the nodes that each VirtualIP may ever run on, those that are gone included."""
        return {
            name: self._memo(("may use", name), found, found.names)
            for name, found in self._eligible.items()
        }

    def orders(self) -> tuple[_Order, ...]:
        """Return all that ``choose`` depends on; the same objects while nothing of it changes."""
        return tuple(self._orders.values())

    def rank(self, name: str, barred: Collection[str] = ()) -> Ranked:
        """Return a VirtualIP with its candidates and their priorities, best first.

        Nodes in ``barred`` cannot be its candidates.
        """
        return self._rank(name, barred) if barred else self._ranked[name]

    def choose(self, name: str, barred: frozenset[str]) -> tuple[str, ...]:
        """Return the nodes of a VirtualIP, best first, those that are gone included."""
        return tuple(node.name for node, _ in self.rank(name, barred).ranking)

    def _rank(self, name: str, barred: Collection[str] = ()) -> Ranked:
        record, without = self._records[name], frozenset(barred)
        asked, eligible, first = self._orders[name]
        ranking = self._memo(
            ("rank", name, without),
            self._orders[name],
            lambda: _rank(asked, eligible.without(without), first),
        )
        ranked = Ranked(record, ranking, _names(eligible.without(without).absent))
        return self._memo.same(("ranked", name, without), ranked)


def ranker(
    accepted: list[VirtualIPRecord], views: Views, memo: Memo
) -> tuple[Ranker, dict[str, Exception]]:
    """Return what ranks VirtualIPs, without those that cannot be ranked, and why they cannot."""
    try:
        return Ranker(accepted, views, memo), {}
    except Exception:
        broken: dict[str, Exception] = {}
        for record in accepted:
            try:
                Ranker([record], views, memo)
            except Exception as error:
                broken[record.name] = error
        if not broken:
            raise
    others = [record for record in accepted if record.name not in broken]
    return Ranker(others, views, memo), broken


def rank_carried(
    record: VirtualIPRecord, asked: Mapping[str, int], snapshot: ClusterSnapshot, *, stay: bool
) -> Ranking:
    """Return who takes part in an election that goes on although its VirtualIP is not accepted.

    Who takes part keeps its priority; newcomers, for members that are gone, come below all.

    Args:
        record: the VirtualIP, with the addresses that the election runs for.
        asked: the priorities of the nodes that are asked to run it now.
        snapshot: the cluster.
        stay: members stay whatever the selector says, for it is not the one they were chosen by.
    """
    assert record.spec is not None
    most = max(record.spec.candidates, len(asked)) if stay else record.spec.candidates
    carried = replace(record, spec=_unranked(record.spec, candidates=most))
    eligible = eligible_for(carried, snapshot, frozenset(asked) if stay else frozenset())
    first = _first_places([carried], {record.name: eligible}, Memo())
    ranking = _rank(_Asked.of(carried), eligible, first.get(record.name))
    chosen = [node for node, _ in ranking]
    known = [(node, asked[node.name]) for node in chosen if node.name in asked]
    lowest = min((priority for _, priority in known), default=FIRST_PRIORITY + 1)
    return known + _below(lowest, [node for node in chosen if node.name not in asked])


def expected_priorities(spec: VirtualIP) -> tuple[int, ...]:
    """Return the priorities in an election with as many candidates as it may have, best first.

    With fewer, the gaps are the same or wider.
    """
    pinned = [Node(name, {}, ()) for name in spec.node_priorities]
    others = [Node(str(place), {}, ()) for place in range(spec.candidates)]
    ranking = _with_priorities((pinned + others)[: spec.candidates], spec.node_priorities)
    return tuple(sorted((priority for _, priority in ranking), reverse=True))


# In which order -------------------------------------------------------------------------


def _rank(asked: _Asked, eligible: Eligible, first: str | None) -> Ranking:
    pinned, absent = asked.node_priorities, _names(eligible.absent)
    by_score = sorted(
        [*eligible.nodes, *eligible.absent],
        key=lambda n: (
            n.name == first,
            eligible.members.get(n.name, 0),
            score(asked.name, n.name),
        ),
        reverse=True,
    )
    explicit = sorted(
        (n for n in by_score if n.name in pinned), key=lambda n: pinned[n.name], reverse=True
    )
    if asked.preferred_nodes:
        place = {name: place for place, name in enumerate(asked.preferred_nodes)}
        explicit = sorted((n for n in by_score if n.name in place), key=lambda n: place[n.name])
    rest = [n for n in by_score if n not in explicit]
    chosen: list[Node] = []
    for node in explicit + rest:
        if node.name in absent or sum(n.name not in absent for n in chosen) < asked.candidates:
            chosen.append(node)
    ranking = _with_priorities(chosen, pinned)
    named = next((node for node in eligible.nodes if node.name == asked.handover_to), None)
    return ranking if named is None else _handed_to(named, ranking)


def _names(nodes: list[Node]) -> frozenset[str]:
    return frozenset(node.name for node in nodes)


def _with_priorities(chosen: list[Node], pinned: Mapping[str, int]) -> Ranking:
    """Return the chosen nodes, best first, with what the VirtualIP or their place gives them."""
    ranking = [(node, pinned[node.name]) for node in chosen if node.name in pinned]
    if not ranking:
        return [(node, priority_for_rank(i, len(chosen))) for i, node in enumerate(chosen)]
    lowest = min(priority for _, priority in ranking)
    return ranking + _below(lowest, [node for node in chosen if node.name not in pinned])


def _below(lowest: int, nodes: list[Node]) -> Ranking:
    """Rank nodes without a priority of their own below those that have one.

    Nodes for which no priority is left above 0 take no part: equal priorities would not rank.
    """
    fitting = nodes[: lowest - 1]
    gap = max(1, min(LARGEST_GAP, (lowest - 1) // (len(fitting) + 1)))
    return [(node, lowest - (i + 1) * gap) for i, node in enumerate(fitting)]


def _handed_to(named: Node, ranking: Ranking) -> Ranking:
    """Return the ranking with one node put first, beside the others where it is not among them.

    They keep their priorities, except where the best has the highest there is.
    """
    if ranking[0][0] == named:
        return ranking
    others = [(node, priority) for node, priority in ranking if node != named]
    result = [(named, min(MAXIMUM, ranking[0][1] + LARGEST_GAP))]
    for node, priority in others:
        result.append((node, min(priority, result[-1][1] - 1)))
    return result


# First places ---------------------------------------------------------------------------


def _first_places(
    accepted: list[VirtualIPRecord], eligible: Mapping[str, Eligible], memo: Memo
) -> dict[str, str]:
    """Return the first place of each VirtualIP that does not name its own.

    Who prefers nodes has the first of them that is there, and that counts for the others.
    """
    free = [r for r in accepted if eligible[r.name].nodes and r.spec and not r.spec.node_priorities]
    return first_places(
        [
            memo(
                ("contest", record.name),
                (record, eligible[record.name]),
                partial(_contest, record, eligible[record.name]),
            )
            for record in sorted(free, key=lambda record: record.age_key)
        ]
    )


def _contest(record: VirtualIPRecord, eligible: Eligible) -> Contest:
    assert record.spec is not None
    nodes = frozenset(node.name for node in eligible.nodes)
    preferred = next((name for name in record.spec.preferred_nodes if name in nodes), None)
    if preferred is not None:
        return Contest(record.name, frozenset({preferred}), {preferred: MAXIMUM})
    return Contest(record.name, nodes, eligible.members)


def _unranked(spec: VirtualIP, *, candidates: int) -> VirtualIP:
    """Return a VirtualIP that says nothing of the order of its nodes."""
    return replace(spec, node_priorities={}, preferred_nodes=(), candidates=candidates)
