"""What happens to which election when: drawn from a seed before anything runs (pure).

Every election goes through its own rounds of joins, leaves, replacements, other node addresses and
other parameters; beside that nodes lose the API server for a while, again and again, and the
operator is killed. Elections that are *still* have a holder that nothing of this concerns: their
address may not move at all.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum

STILL_NODES = ("node-1", "node-2")
"""Hold the addresses of still elections; they keep their own addresses."""
MOVING_NODES = ("node-3", "node-4", "node-5", "node-6")
NODES = (*STILL_NODES, *MOVING_NODES)
ROUND_S = 50.0
_FIRST_ROUND_S, _WITHIN_ROUND_S = 30.0, 20.0
_INTERVALS = ("200ms", "400ms")
_CONNECTED_S, _CUT_OFF_S, _LONG_S = (2.0, 20.0), (0.0, 30.0), (60.0, 180.0)
_OPERATOR_LIVES_S = (40.0, 160.0)


class Kind(StrEnum):
    """What can happen."""

    JOIN = "join"
    LEAVE = "leave"
    REPLACE = "replace"
    READDRESS = "readdress"
    SIGN = "sign"
    INTERVAL = "interval"
    CUT_OFF = "cut off"
    RECONNECT = "reconnect"
    RESTART = "restart the operator"


@dataclass(frozen=True, slots=True, order=True)
class Deed:
    """One change; ``nodes`` are in the order in which they are changed."""

    at_s: float
    kind: Kind
    election: str = ""
    nodes: tuple[str, ...] = ()
    value: str = ""

    def __str__(self) -> str:
        words = (f"{self.at_s:6.1f} s", self.kind, self.election, *self.nodes, self.value)
        return " ".join(word for word in words if word)


@dataclass(frozen=True, slots=True)
class Election:
    """One VirtualIP as it begins; ``holder`` is that of a still one, empty otherwise."""

    name: str
    address: str
    members: tuple[str, ...]
    holder: str
    preempts: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """Elections, and what happens in order of time; ``rounds`` of each election."""

    elections: tuple[Election, ...]
    deeds: tuple[Deed, ...]
    rounds: int
    members: dict[str, frozenset[str]] = field(default_factory=dict)
    """Who is to take part in the end."""

    def interval_ms(self, election: str) -> int:
        """Return the longest advertisement interval that an election ever has."""
        said = [d.value for d in self.deeds if (d.kind, d.election) == (Kind.INTERVAL, election)]
        return max(int(value.removesuffix("ms")) for value in (_INTERVALS[0], *said))


def draw(seed: int, elections: int, rounds: int, *, pace: float = 1.0) -> Plan:
    """Return what a seed draws; half of the elections are still.

    ``pace``: what all times are multiplied with, 1 for delays of up to 30 s.
    """
    length_s = _FIRST_ROUND_S + rounds * ROUND_S
    made = [_Rounds(seed, number, rounds) for number in range(elections)]
    deeds = [deed for one in made for deed in one.deeds]
    for node in NODES:
        deeds += _cut_offs(random.Random(f"{seed} {node}"), node, length_s)
    deeds += _restarts(random.Random(f"{seed} operator"), length_s)
    return Plan(
        tuple(one.election for one in made),
        tuple(sorted(replace(d, at_s=d.at_s * pace) for d in deeds if d.at_s <= length_s)),
        rounds,
        {one.election.name: frozenset(one.members) for one in made},
    )


class _Rounds:
    """Draws the rounds of one election, and follows who takes part."""

    def __init__(self, seed: int, number: int, rounds: int) -> None:
        self._rng = rng = random.Random(f"{seed} election {number}")
        still = number % 2 == 0
        holder = rng.choice(STILL_NODES) if still else ""
        self._may_move = MOVING_NODES if still else NODES
        self.members = set(rng.sample(self._may_move, rng.choice((1, 2, 3))))
        everybody = (*([holder] if holder else []), *sorted(self.members))
        self._name = f"e{number:02}"
        preempts = still or rng.random() < 0.5
        self.election = Election(self._name, f"192.0.2.{140 + number}", everybody, holder, preempts)
        self.deeds = [deed for n in range(rounds) for deed in self._round(n)]
        self.members |= {holder} - {""}

    def _round(self, number: int) -> Iterator[Deed]:
        """Yield three changes within some seconds, so that they meet under way."""
        rng = self._rng
        begin_s = number * ROUND_S + rng.uniform(0, _FIRST_ROUND_S)
        for at_s in sorted(begin_s + rng.uniform(0, _WITHIN_ROUND_S) for _ in range(3)):
            yield self._deed(round(at_s, 1))

    def _deed(self, at_s: float) -> Deed:
        rng, name = self._rng, self._name
        out = [node for node in self._may_move if node not in self.members]
        leavers = sorted(self.members)
        least = 0 if self.election.holder else 1
        possible = [Kind.READDRESS]
        possible += [Kind.JOIN] * 2 if out else []
        possible += [Kind.LEAVE] * 2 if len(leavers) > least else []
        possible += [Kind.REPLACE] * 2 if out and leavers else []
        kind = rng.choice(possible)
        if rng.random() < 0.1:
            kind = rng.choice((Kind.SIGN, Kind.INTERVAL))
        if kind is Kind.SIGN:
            return Deed(at_s, kind, name, value=rng.choice(("cluster", "none", "own")))
        if kind is Kind.INTERVAL:
            return Deed(at_s, kind, name, value=rng.choice(_INTERVALS))
        if kind is Kind.READDRESS:
            return Deed(at_s, kind, name, (rng.choice(MOVING_NODES),))
        came = [rng.choice(out)] if kind in (Kind.JOIN, Kind.REPLACE) else []
        went = [rng.choice(leavers)] if kind in (Kind.LEAVE, Kind.REPLACE) else []
        self.members = self.members.union(came).difference(went)
        changed = [*came, *went]
        # With nobody selected the address goes, as it should.
        if self.election.holder or len(leavers) > 1:
            rng.shuffle(changed)
        return Deed(at_s, kind, name, tuple(changed))


def _cut_offs(rng: random.Random, node: str, length_s: float) -> Iterator[Deed]:
    """Yield when a node loses the API server, which delays what it applies; some times for long."""
    at_s = rng.uniform(0, _CONNECTED_S[1])
    while at_s < length_s:
        yield Deed(round(at_s, 1), Kind.CUT_OFF, nodes=(node,))
        at_s += rng.uniform(*(_LONG_S if rng.random() < 0.1 else _CUT_OFF_S))
        yield Deed(round(at_s, 1), Kind.RECONNECT, nodes=(node,))
        at_s += rng.uniform(*_CONNECTED_S)


def _restarts(rng: random.Random, length_s: float) -> Iterator[Deed]:
    at_s = rng.uniform(*_OPERATOR_LIVES_S)
    while at_s < length_s:
        yield Deed(round(at_s, 1), Kind.RESTART)
        at_s += rng.uniform(*_OPERATOR_LIVES_S)
