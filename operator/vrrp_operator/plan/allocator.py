"""VRIDs: unique among elections that share a node, kept for life (pure).

Allocation is graph colouring, the oldest first. Two elections share a node where both run, may
run, or are wanted: what nodes are asked, what they report, whom members list, and the candidates.
So the number of VirtualIPs is bounded by what one node can run. An election that others outside the
cluster hear, by multicast or as its external peers, has its number for itself in the whole cluster.

A number is never changed under a running election. Where another one has it on a node, that node
is no candidate, and the next best one is: to wait for the other one to leave would have no end.
Only where no candidate would be left the change waits, and the VirtualIP's condition says for whom.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field

from vrrp_api.conditions import Reason
from vrrp_operator.model.vrid_limits import NUMBERS, Limits
from vrrp_operator.plan.claims import Claims
from vrrp_operator.plan.validation import Problem

SPARE = 32
"""So many numbers that nobody has are left to elections which need one for themselves, while others
can share one."""

_TOLD = 3
"""How many nodes a message names."""

Choose = Callable[[str, frozenset[str]], tuple[str, ...]]
"""Returns the nodes that an election is to run on, best first, where some nodes cannot be its."""


@dataclass(frozen=True, slots=True)
class Election:
    """What the choice of one election's number depends on.

    ``runs_on``: nodes that run it, or may, with the number that each is asked to use, or None.
    ``recorded`` is what its status says, ``pinned`` what its spec says; ``may_use`` are the nodes
    that it may ever run on. ``alone``: its number must be nobody else's in the cluster.
    ``accepted``: others get no new number.
    """

    name: str
    age: tuple[str, str] = ("", "")
    pinned: int | None = None
    recorded: int | None = None
    runs_on: Mapping[str, int | None] = field(default_factory=dict)
    may_use: frozenset[str] = frozenset()
    alone: bool = False
    accepted: bool = True

    @property
    def running(self) -> int | None:
        """The number that it runs with and keeps; None where it does not run.

        A spec that asks for another one is of another object, made anew under the same name.
        """
        asked = {number for number in self.runs_on.values() if number is not None}
        if self.pinned is not None:
            known = {*asked, self.recorded} if self.runs_on else set()
            return self.pinned if self.pinned in known else None
        if self.recorded in asked:
            return self.recorded
        return min(asked, default=self.recorded if self.runs_on else None)


@dataclass(frozen=True, slots=True)
class Allocation:
    """Numbers and problems by VirtualIP.

    ``barred``: the nodes that an election cannot come to, with who has its number there. ``stuck``
    go on where they are, as nothing else is left of what they select.
    """

    numbers: Mapping[str, int]
    problems: Mapping[str, Problem]
    barred: Mapping[str, Mapping[str, str]]
    stuck: frozenset[str]
    claims: Claims
    limits: Limits


class Admissions:
    """Who comes to which node with what was given, while one plan is made.

    What was given stays as it is: it may be used for another plan.
    """

    def __init__(self, given: Allocation) -> None:
        self.claims = given.claims.copy()
        self._limits = given.limits

    def admits(self, name: str, number: int, node: str) -> bool:
        """Let an election come to a node with its number, if that is free and has rested there."""
        if self.claims.owner(number, node) is None:
            rests = self._limits.resting.get((node, number), name)
            return rests == name and self.claims.take(number, node, name)
        return self.claims.take(number, node, name)


def allocate(elections: Iterable[Election], choose: Choose, limits: Limits) -> Allocation:
    """Return the number of each election, or why it has none.

    What runs keeps its number. Then come those that have one on record and do not run yet, then
    those whose specs ask for one, each kind by age; the rest gets a number that is free on the
    nodes which it would best run on. The order of what is given does not matter.
    """
    allocator = _Allocator(choose, limits)
    oldest_first = sorted(elections, key=lambda election: election.age)
    allocator.take_running(oldest_first)
    rest = [e for e in oldest_first if e.name not in allocator.numbers]
    for election in rest:
        allocator.keep_recorded(election)
    for election in rest:
        if election.pinned is not None and allocator.needs_one(election):
            allocator.take_pinned(election)
    for election in rest:
        if election.pinned is None and allocator.needs_one(election):
            allocator.give(election)
    return allocator.result()


class _Allocator:
    """Numbers as they are given."""

    def __init__(self, choose: Choose, limits: Limits) -> None:
        self._choose = choose
        self._limits = limits
        self._claims = Claims()
        self._rests: dict[int, dict[str, str]] = {}
        for (node, number), name in limits.resting.items():
            self._rests.setdefault(number, {})[node] = name
        self._barred: dict[str, Mapping[str, str]] = {}
        self._problems: dict[str, Problem] = {}
        self._stuck: set[str] = set()
        self.numbers: dict[str, int] = {}

    def result(self) -> Allocation:
        """Return what was given."""
        return Allocation(
            numbers=self.numbers,
            problems=self._problems,
            barred=self._barred,
            stuck=frozenset(self._stuck),
            claims=self._claims,
            limits=self._limits,
        )

    def needs_one(self, election: Election) -> bool:
        """Return whether an election is to be given a number yet."""
        return election.accepted and election.name not in self.numbers

    # Who has one --------------------------------------------------------------------------

    def take_running(self, elections: list[Election]) -> None:
        """Let what runs have its numbers; of two that run with one, the one that has it on record.

        Then let it come to other nodes, as far as its number is free there.
        """
        found = [(election, election.running) for election in elections]
        for election, running in sorted(found, key=lambda item: item[1] != item[0].recorded):
            for node, asked in election.runs_on.items():
                for its in {asked, running}:
                    if its is not None:
                        self._claims.take(its, node, election.name)
            if running is not None:
                self.numbers[election.name] = running
        for (node, left), name in self._limits.leaving.items():
            self._claims.take(left, node, name)
        for election in elections:
            number = self.numbers.get(election.name)
            if number is not None and election.alone and not election.accepted:
                self._claims.take_alone(number, election.name)
        going_on = [e for e in elections if e.accepted and e.name in self.numbers]
        for election in sorted(going_on, key=lambda e: not e.alone):
            self._go_on(election)

    def _go_on(self, election: Election) -> None:
        name, number = election.name, self.numbers[election.name]
        if election.alone:
            other = self._claims.anywhere(number, name)
            if other is not None:
                self._problems[name] = _not_alone(number, other)
                return
            self._claims.take_alone(number, name)
        barred = self._barred_from(election, number)
        if not self._settle(election, number, barred):
            self._stuck.add(name)
            self._problems[name] = Problem(
                Reason.VIRTUAL_ROUTER_ID_CONFLICT,
                f"virtual router ID {number} is in use, or was within two minutes, on every node"
                f" that it selects now: {_told(barred)}; a running election keeps its number and"
                " stays where it is: select other nodes, or delete the VirtualIP and create it"
                " again",
            )

    def _settle(self, election: Election, number: int, barred: Mapping[str, str]) -> bool:
        """Have an election run with a number where it is free; return whether it can at all."""
        name = election.name
        wanted = self._choose(name, frozenset(barred))
        if not wanted and barred:
            return False
        self.numbers[name] = number
        self._claims.know(number, name)
        if barred:
            self._barred[name] = barred
        for node in wanted:
            self._claims.take(number, node, name)
        return True

    # Who gets one -------------------------------------------------------------------------

    def keep_recorded(self, election: Election) -> None:
        """Let an election that does not run have the number on record, if nobody is in the way."""
        name, number = election.name, election.recorded
        if number is None or election.pinned not in (None, number):
            return
        if not election.accepted:
            self.numbers[name] = number
            self._claims.know(number, name)
            return
        reserved = number in self._limits.reserved and election.pinned is None
        if not reserved and self._fits(election, number):
            if election.alone:
                self._claims.take_alone(number, name)
            self._settle(election, number, self._barred_from(election, number))

    def take_pinned(self, election: Election) -> None:
        """Let an election have the number that its spec asks for, or say why not.

        Neither a reservation nor a rest, nor a stranger, stands against what was asked for.
        """
        number, name = election.pinned, election.name
        assert number is not None
        other = self._claims.alone(number, name)
        if election.alone:
            other = self._claims.anywhere(number, name)
        if other is None and election.alone:
            self._claims.take_alone(number, name)
        barred = self._barred_from(election, number)
        if other is not None or not self._settle(election, number, barred):
            other = other or next(iter(barred.values()))
            where = f" on every node that could take part ({_some(list(barred))})"
            self._problems[name] = Problem(
                Reason.VIRTUAL_ROUTER_ID_CONFLICT,
                f"spec.virtualRouterID: {number} belongs to VirtualIP {other}"
                f"{where if barred else ''};"
                " choose a free one, or leave the field out to be given one",
            )

    def give(self, election: Election) -> None:
        """Give an election a number that is free where it would run, or at least somewhere."""
        name = election.name
        free = [n for n in NUMBERS if n not in self._limits.reserved]
        if election.alone:
            own = (n for n in free if n not in self._limits.foreign and self._is_nobodys(n, name))
            number = next(own, None)
            if number is not None:
                self._claims.take_alone(number, name)
                self._settle(election, number, {})
                return
            self._problems[name] = Problem(
                Reason.VIRTUAL_ROUTER_IDS_EXHAUSTED,
                "no virtual router ID is left that nobody in the cluster uses, as mode Multicast"
                " and externalPeers need; put several addresses into one VirtualIP, or delete one",
            )
            return
        best = self._best(election, free)
        if best is not None:
            self._settle(election, best, self._barred_from(election, best))
            return
        self._problems[name] = Problem(
            Reason.VIRTUAL_ROUTER_IDS_EXHAUSTED,
            f"all {len(free)} virtual router IDs are in use on every node that could take part"
            f" ({_some(sorted(election.may_use))}), or were within two minutes; put several"
            " addresses into one VirtualIP, select other nodes, or delete one",
        )

    def _best(self, election: Election, numbers: Collection[int]) -> int | None:
        """Return the number that leaves an election the most nodes; None where none leaves any.

        Numbers that nobody has come first, while there are enough of them; strangers' come last.
        """
        name, may_use = election.name, election.may_use
        wanted = frozenset(self._choose(name, frozenset()))
        nobodys = {number for number in numbers if self._is_nobodys(number, name)}
        plenty = len(nobodys) > SPARE
        best: tuple[bool, int, bool, int, int] | None = None
        for number in numbers:
            taken = self._taken_from(election, number)
            if self._claims.alone(number, name) or (may_use and len(taken) == len(may_use)):
                continue
            foreign, shared = number in self._limits.foreign, number not in nobodys
            key = foreign, len(taken & wanted), shared == plenty, len(taken), number
            best = key if best is None else min(best, key)
            if best[:4] == (False, 0, False, 0):
                break  # none is better
        return None if best is None else best[-1]

    def _fits(self, election: Election, number: int) -> bool:
        """Return whether an election can have a number on all the nodes that it wants."""
        other = self._claims.alone(number, election.name)
        if election.alone:
            other = self._claims.anywhere(number, election.name)
        wanted = self._choose(election.name, frozenset())
        return other is None and not self._barred_from(election, number).keys() & set(wanted)

    def _barred_from(self, election: Election, number: int) -> dict[str, str]:
        """Return the nodes that an election cannot come to with a number, and for whose sake."""
        barred = self._claims.others(number, election.name, election.may_use)
        rests = self._rests_for(election, number)
        return barred | {node: rests[node] for node in sorted(rests)}

    def _taken_from(self, election: Election, number: int) -> Set[str]:
        """Return the nodes that ``_barred_from`` names: quicker, as hundreds are asked about."""
        taken = self._claims.taken(number, election.name, election.may_use)
        return taken | self._rests_for(election, number).keys()

    def _rests_for(self, election: Election, number: int) -> dict[str, str]:
        """Return on which nodes a number rests where an election would come with it."""
        if election.pinned is not None or number not in self._rests:
            return {}
        coming = election.may_use - election.runs_on.keys()
        rests = self._resting(number, election.name)
        return {node: had for node, had in rests.items() if node in coming}

    def _resting(self, number: int, name: str) -> dict[str, str]:
        return {n: had for n, had in self._rests.get(number, {}).items() if had != name}

    def _is_nobodys(self, number: int, name: str) -> bool:
        return not self._claims.has_other(number, name) and not self._resting(number, name)


def _not_alone(number: int, other: str) -> Problem:
    return Problem(
        Reason.VIRTUAL_ROUTER_ID_CONFLICT,
        f"virtual router ID {number} belongs to VirtualIP {other}, too; mode Multicast and"
        " externalPeers need one that nobody else in the cluster has: delete one of the two and"
        " create it again with another virtualRouterID, or with none",
    )


def _told(barred: Mapping[str, str]) -> str:
    return _some([f"VirtualIP {other} on {node}" for node, other in barred.items()])


def _some(texts: list[str]) -> str:
    more = f" and {len(texts) - _TOLD} more" if len(texts) > _TOLD else ""
    return ", ".join(texts[:_TOLD]) + more
