"""Which node leads each election: the first place among its candidates (pure).

The first of those that take part stays first, however much it leads: to balance what runs would
move addresses for the sake of others. Where it is no candidate any more, the next of them follows,
as it has the address by then. Only an election that nobody runs is placed: in order of age, each at
the best scored of its nodes that has room. A node has room for its fair share, and one in eight
more, of what is led by the nodes that this VirtualIP may use, so VirtualIPs of other nodes do not
count.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

_TOLERANCE = 8
"""A node may lead its fair share of VirtualIPs and one in this many more."""


@dataclass(frozen=True, slots=True)
class Contest:
    """One election whose first place is decided here.

    ``nodes`` are the names of those that may have it, at least one. ``members`` are the nodes that
    take part already, with their priorities.
    """

    name: str
    nodes: frozenset[str]
    members: Mapping[str, int]


def first_places(contests: list[Contest]) -> dict[str, str]:
    """Return which node leads each election; the contests come in order of age."""
    kept = ((contest.name, _kept(contest)) for contest in contests)
    first = {name: node for name, node in kept if node is not None}
    load = Counter(first.values())
    waiting = [contest for contest in contests if contest.name not in first]
    to_place = Counter(contest.nodes for contest in waiting)
    for contest in waiting:
        room = _room(contest.nodes, load, to_place[contest.nodes])
        with_room = [node for node in contest.nodes if load[node] < room]
        first[contest.name] = max(with_room, key=lambda node: score(contest.name, node))
        load[first[contest.name]] += 1
        to_place[contest.nodes] -= 1
    return first


def score(virtual_ip: str, node: str) -> int:
    """Return the rendezvous score of a pair."""
    digest = hashlib.blake2b(f"{virtual_ip}\0{node}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _kept(contest: Contest) -> str | None:
    """Return who comes first of those that take part and may go on."""
    members = [node for node in contest.members if node in contest.nodes]
    return max(members, key=lambda node: (contest.members[node], node), default=None)


def _room(nodes: frozenset[str], load: Counter[str], to_place: int) -> int:
    """Return how many elections each of the nodes may lead; at least one leads fewer."""
    share = -(-(sum(load[node] for node in nodes) + to_place) // len(nodes))
    return share + share // _TOLERANCE
