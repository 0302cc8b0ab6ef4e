"""What becomes of one election now, worked out from its view of the cluster alone (pure)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from vrrp_api.election import may_have_own_key
from vrrp_api.features import ELECTION_KEYS
from vrrp_api.node_config import VirtualRouterConfig
from vrrp_operator.membership.facts import Seen, facts_of, members
from vrrp_operator.membership.hearing import heard_silent
from vrrp_operator.membership.steps import next_step
from vrrp_operator.membership.waiting import Wait
from vrrp_operator.model.snapshot import ClusterSnapshot, VirtualIPRecord
from vrrp_operator.plan.eligible import remembered, without_address
from vrrp_operator.plan.other_versions import kinds_know
from vrrp_operator.plan.ranking import Ranked, rank_carried
from vrrp_operator.plan.router_checks import weighed
from vrrp_operator.plan.routers import is_new, resolve_authentication, routers_of


@dataclass(frozen=True, slots=True)
class Choice:
    """Who is chosen for an election of an accepted VirtualIP, best first.

    ``without_address`` are the nodes that are selected and have no address of its family.
    """

    ranked: Ranked
    candidates: tuple[str, ...]
    priorities: tuple[int, ...]
    without_address: tuple[str, ...]

    @property
    def concerned(self) -> frozenset[str]:
        """The nodes that take part, may be back, or would take part with an address."""
        ranking = (node.name for node, _ in self.ranked.ranking)
        return frozenset((*ranking, *self.without_address))


@dataclass(frozen=True, slots=True)
class Carried:
    """Who goes on with an election that is not accepted, with their priorities; best first."""

    best: VirtualRouterConfig
    takes_part: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Wish:
    """An election as it is to be in the end, and what is known of it now.

    ``own_key``: it is to sign with a key of its own, once every speaker that takes part, or may,
    can; those in ``knowing`` can. ``new``: nobody was ever Active in it.
    """

    name: str
    family: int
    routers: Mapping[str, VirtualRouterConfig]
    facts: Mapping[str, Seen]
    members: tuple[str, ...]
    own_key: bool = False
    knowing: frozenset[str] = frozenset()
    new: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What nodes are to run of an election now, by node; its members, and what it waits for."""

    routers: Mapping[str, VirtualRouterConfig] = field(default_factory=dict)
    members: tuple[str, ...] = ()
    waits: tuple[Wait, ...] = ()


def choice_of(ranked: Ranked, view: ClusterSnapshot) -> Choice:
    """Return who is chosen, as ranked."""
    taking_part = [(n.name, p) for n, p in ranked.ranking if n.name not in ranked.absent]
    return Choice(
        ranked,
        tuple(node for node, _ in taking_part),
        tuple(priority for _, priority in taking_part),
        without_address(ranked.record, view),
    )


def wish_of(choice: Choice, vrid: int, default_key_ref: str | None, view: ClusterSnapshot) -> Wish:
    """Return what an accepted VirtualIP's election is to be."""
    record = choice.ranked.record
    spec = record.spec
    assert spec is not None
    election = resolve_authentication(spec.election, default_key_ref)
    own_key = default_key_ref is not None and may_have_own_key(spec.election)
    wish = _wish(
        record.name,
        spec.family,
        routers_of(record, vrid, election, choice.ranked.ranking, view),
        view,
    )
    return replace(
        wish,
        own_key=own_key and kinds_know(ELECTION_KEYS, view),
        # Those that ran it, and have reported nothing since, knew what they ran.
        knowing=frozenset(remembered(record, view)),
        new=is_new(record),
    )


def carried_of(record: VirtualIPRecord, view: ClusterSnapshot, *, stuck: bool) -> Carried | None:
    """Return who goes on with what runs for a VirtualIP that is not accepted; None: nothing runs.

    Who takes part, and from where, follows the cluster. ``stuck``: it can go nowhere else.
    """
    found = view.index.asked(record.name)
    if not found:
        return None
    best = max(found.values(), key=lambda router: router.base_priority)
    asked = {node: router.base_priority for node, router in found.items()}
    existing = {node.name for node in view.nodes}
    takes_part = [(node, priority) for node, priority in asked.items() if node in existing]
    if record.spec is not None:
        carried = replace(record, spec=replace(record.spec, addresses=best.addresses))
        stay = record.generation != best.virtual_ip_generation or stuck
        ranking = rank_carried(carried, asked, view, stay=stay)
        takes_part = [(node.name, priority) for node, priority in ranking]
    takes_part.sort(key=lambda item: (-item[1], item[0]))
    return Carried(best, tuple(takes_part))


def wish_to_go_on(name: str, carried: Carried, view: ClusterSnapshot) -> Wish:
    """Return what an election goes on with: its parameters stay."""
    found, best = view.index.asked(name), carried.best
    wanted = {}
    for node, priority in carried.takes_part:
        known = node in found and found[node].family == best.family
        router = found[node] if known else replace(best, take_over=None)
        used = weighed(router.health_checks, name, node, view)
        wanted[node] = replace(router, base_priority=priority, peers=(), health_checks=used)
    return _wish(name, best.family, wanted, view)


def _wish(
    name: str,
    family: int,
    routers: Mapping[str, VirtualRouterConfig],
    view: ClusterSnapshot,
) -> Wish:
    facts = facts_of(name, family, view, heard_silent(name, view))
    return Wish(name, family, routers, facts, tuple(members(facts)))


def outcome_of(wish: Wish, admitted: Collection[str], moving: frozenset[str]) -> Outcome | None:
    """Return the next step of an election; None: it is left just as it is.

    Args:
        wish: what it is to be.
        admitted: who may come to it, of those that are wanted; members always may.
        moving: nodes that have to leave it for a moment, for a new address.
    """
    wanted = {
        node: router
        for node, router in wish.routers.items()
        if node in wish.members or node in admitted
    }
    if not wanted and wish.members and wish.routers:
        return None
    taking_part = {*wish.members, *wanted} - wish.knowing
    if wish.own_key and all(wish.facts[node].knows_keys for node in taking_part):
        wanted = {
            n: replace(r, election=r.election.with_own_key("Require")) for n, r in wanted.items()
        }
    step = next_step(wanted, wish.facts, moving, new=wish.new)
    return Outcome(step.routers, wish.members, step.waits)


def withdrawn(record: VirtualIPRecord, view: ClusterSnapshot) -> Outcome:
    """Return that nobody is to run an election any more; who may yet is its member."""
    assert record.spec is not None
    facts = facts_of(record.name, record.spec.family, view, frozenset())
    return Outcome(members=tuple(members(facts)))
