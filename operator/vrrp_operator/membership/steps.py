"""The next step of an election's membership: what each node is to run now (pure).

What holds at every moment, whatever has reached whom: any two nodes that run the election list each
other. So a newcomer is listed by all before it gets its router; who leaves goes on until another
one has the addresses, then gives up its router, says so, and only then is dropped. Nodes that are
gone are not waited for; they stay listed, and who joined without their knowing stays below all
others. (Where elections are signed with keys of their own they would hear it all the same.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from vrrp.constants import FIRST_HOLDER
from vrrp_api.node_config import Peer, VirtualRouterConfig
from vrrp_operator.membership import changes
from vrrp_operator.membership.facts import Seen, members
from vrrp_operator.membership.leaving import departures
from vrrp_operator.membership.manner import compatible, manner_of
from vrrp_operator.membership.waiting import Wait

MOST_MEMBERS = 64
"""A node lists 63 others at most."""


@dataclass(frozen=True, slots=True)
class Step:
    """What nodes are to run now, by node, and what the rest waits for."""

    routers: Mapping[str, VirtualRouterConfig]
    waits: tuple[Wait, ...] = ()


def next_step(
    wanted: Mapping[str, VirtualRouterConfig],
    facts: Mapping[str, Seen],
    moving: frozenset[str] = frozenset(),
    *,
    new: bool = False,
) -> Step:
    """Return the next step towards what is wanted.

    Args:
        wanted: each candidate's router, best first, without peers.
        facts: every node that the election may concern.
        moving: nodes that are to leave it for a moment because their address changes.
        new: nobody was ever Active in it, as far as is known.
    """
    running = members(facts)
    wanted = {node: router for node, router in wanted.items() if node in facts}
    if not running:
        return Step(_all_at_once(wanted, facts, new=new))
    # A speaker that does not know the election's own key cannot read what it is asked.
    leaving = moving | {n for n, s in running.items() if _has_own_key(s) and not s.knows_keys}
    if wanted.keys() & leaving:
        wanted = _without(leaving, wanted, running)
    return _Stage(wanted, facts, running).step()


def _without(
    moving: frozenset[str],
    wanted: Mapping[str, VirtualRouterConfig],
    running: Mapping[str, Seen],
) -> dict[str, VirtualRouterConfig]:
    """Return who is wanted while some have to leave for a moment: not all of them at once.

    Nor does one of them come where it is not yet: a node is on its way until it is in no election
    that knows it, and with many elections there is always one that it comes to. One that is alone
    in an election may stay.

    Where none but nodes under way are wanted, and none of these takes part yet, they join as they
    are: with nobody wanted the others would go, and the addresses with them.
    """
    staying = {n: r for n, r in wanted.items() if n not in moving or running.keys() == {n}}
    if any(node in running for node in staying) or not wanted:
        return staying
    kept = sorted((n for n in wanted if n in running), key=lambda n: not running[n].holds)
    return {**{node: wanted[node] for node in kept[:1]}, **staying} or dict(wanted)


def _has_own_key(seen: Seen) -> bool:
    """Return whether a node is asked to use a key of the election's own."""
    written = seen.written
    return written is not None and manner_of(written).authentication.election_key is not None


def _all_at_once(
    wanted: Mapping[str, VirtualRouterConfig], facts: Mapping[str, Seen], *, new: bool
) -> dict[str, VirtualRouterConfig]:
    """Return an election that nobody runs: all may begin, for each lists all the others.

    Where nobody ever held its addresses the best of them is named to be the first: there is nobody
    whose silence would have to be waited for. It listens all the same.
    """
    first = dict(list(wanted.items())[:MOST_MEMBERS])
    best = next(iter(first), None)
    if new and best is not None and facts[best].fresh:
        first[best] = replace(first[best], take_over=FIRST_HOLDER)
    priorities = {node: router.base_priority for node, router in first.items()}
    return {
        node: replace(router, peers=_peers(node, priorities, facts))
        for node, router in first.items()
    }


def _peers(node: str, priorities: Mapping[str, int], facts: Mapping[str, Seen]) -> tuple[Peer, ...]:
    return tuple(
        Peer(other, address, max(1, priority))
        for other, priority in sorted(priorities.items())
        if other != node and (address := facts[other].address) is not None
    )


def _family(facts: Mapping[str, Seen]) -> int | None:
    """Return the family that the election is to run over; None where no node has an address of it.

    Who runs it over the other one yet, or is to, has no other addresses than it was told.
    """
    address = next((seen.address for seen in facts.values() if seen.address is not None), None)
    return None if address is None else 6 if ":" in address else 4


class _Stage:
    """One election while it is looked at; made anew each time."""

    def __init__(
        self,
        wanted: Mapping[str, VirtualRouterConfig],
        facts: Mapping[str, Seen],
        running: Mapping[str, Seen],
    ) -> None:
        self._facts = facts
        self._running = running
        self._family = _family(facts)
        self._waits: list[Wait] = []
        knowing = all(facts[node].knows_keys for node in wanted if node not in running)
        self._change = changes.change(wanted, running, newcomers_know_keys=knowing)
        self._waits += self._change.waits
        stays = self._change.stays
        if stays is not None:
            wanted = {node: wanted[node] for node in stays}
        room = MOST_MEMBERS - len(running)
        joiners = [node for node in wanted if node not in running][: max(0, room)]
        self._wanted = {n: r for n, r in wanted.items() if n in running or n in joiners}
        self._leave = departures(self._wanted, running)

    def step(self) -> Step:
        """Return the step."""
        routers: dict[str, VirtualRouterConfig] = {}
        for node, seen in self._running.items():
            router = self._of_member(node, seen)
            if router is not None:
                routers[node] = router
        for node in self._wanted:
            if node not in routers and self._may_join(node):
                routers[node] = self._newcomer(node)
        priorities = {n: self._facts[n].priority for n in (*self._running, *self._wanted)}
        priorities |= {node: router.base_priority for node, router in routers.items()}
        listed = {n: p or self._wanted_priority(n) for n, p in priorities.items()}
        told = {node: self._listing(node, router, listed) for node, router in routers.items()}
        return Step(told, (*self._waits, *self._leave.waits))

    def _listing(
        self, node: str, router: VirtualRouterConfig, listed: Mapping[str, int]
    ) -> VirtualRouterConfig:
        """Return a router with whom it is to list; over another family it has whom it had."""
        if self._is_frozen(node):
            return router
        if router.family == self._family:
            return replace(router, peers=_peers(node, listed, self._facts))
        written = self._facts[node].written
        return router if written is None else written

    def _wanted_priority(self, node: str) -> int:
        router = self._wanted.get(node)
        return router.base_priority if router is not None else 1

    def _is_frozen(self, node: str) -> bool:
        """Return whether a node is left as it is: what it was told last is what it knows.

        Who else lists whom can be read off that, until it reports again.
        """
        seen = self._facts[node]
        return not seen.present and not seen.off and seen.written is not None

    # Members ----------------------------------------------------------------------------

    def _of_member(self, node: str, seen: Seen) -> VirtualRouterConfig | None:
        if seen.written is None:
            return None
        if self._is_frozen(node):
            return seen.written
        router = self._wanted.get(node)
        if router is None:
            return None if node in self._leave.goes else self._change.followed(seen.written)
        if not self._change.may_speak(router):
            return seen.written
        priority = self._priority(node, router.base_priority)
        token = router.take_over if priority >= router.base_priority else None
        if node == self._leave.successor and priority > self._leave.highest:
            token = self._leave.token or token
        if self._is_first_holder_yet(seen):
            token = FIRST_HOLDER
        return replace(self._change.spoken(router), base_priority=priority, take_over=token)

    def _is_first_holder_yet(self, seen: Seen) -> bool:
        """Return whether a node that was named the first holder may have to be told so yet."""
        named = seen.written is not None and seen.written.take_over == FIRST_HOLDER
        return named and seen.told is None and not any(s.holds for s in self._running.values())

    def _priority(self, node: str, wanted: int) -> int:
        """Return what a member is given; one that somebody may not hear is not put above others."""
        if node == self._leave.successor:
            wanted = self._leave.priority
            if wanted > self._wanted[node].base_priority:
                return wanted
        written = self._facts[node].written
        assert written is not None
        if wanted <= written.base_priority:
            return wanted
        return max(written.base_priority, min(wanted, self._ceiling(node)))

    def _ceiling(self, node: str) -> int:
        """Return the highest priority that a node may be given.

        A member that is gone may be alive, and does not know who joined meanwhile: so that one is
        Active only when nobody else can be whom it hears.
        """
        own = self._facts[node]
        others = [o for o in self._running.values() if o.node != node and not o.off]
        deaf = [other for other in others if not other.present and not other.lists(own)]
        return min((o.lowest_priority - 1 for o in others), default=254) if deaf else 254

    # Newcomers --------------------------------------------------------------------------

    def _may_join(self, node: str) -> bool:
        others = [other for other in self._running.values() if other.node != node]
        waiting = [other for other in others if other.present and not self._awaits(other, node)]
        if not waiting and self._newcomer_priority(node) < 1:
            waiting = [other for other in others if not other.present and not other.off]
        if waiting:
            self._waits.append(Wait.to_join(node, waiting))
        return not waiting

    def _awaits(self, member: Seen, node: str) -> bool:
        """Return whether a member would hear a newcomer as it is to speak."""
        if member.written is None or not member.settled or member.moved:
            return False
        if not member.lists(self._facts[node]):
            return False
        newcomer = manner_of(self._change.spoken(self._wanted[node]))
        if newcomer.authentication.election_key and not self._facts[node].knows_keys:
            return False
        return compatible(manner_of(member.written), newcomer)

    def _newcomer(self, node: str) -> VirtualRouterConfig:
        router = self._change.spoken(self._wanted[node])
        return replace(router, base_priority=self._newcomer_priority(node), take_over=None)

    def _newcomer_priority(self, node: str) -> int:
        return min(self._wanted[node].base_priority, self._ceiling(node))
