"""Who may take part in each election (pure).

Who takes part already counts wherever it can be told from what nodes are asked, and what VirtualIPs
say of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from vrrp_operator.membership.hearing import heard_silent
from vrrp_operator.model.snapshot import ClusterSnapshot, Node, VirtualIPRecord
from vrrp_operator.plan.priorities import HANDOVER_PRIORITY, MAXIMUM, priority_for_rank


@dataclass(frozen=True, slots=True)
class Eligible:
    """Who may take part in one election: ``nodes``, and ``absent`` members that may be back.

    ``members`` are those who do already, with their priorities: their order stays.
    """

    nodes: list[Node]
    absent: list[Node]
    members: Mapping[str, int]

    def names(self) -> frozenset[str]:
        """Return the names of all of them."""
        return frozenset(node.name for node in (*self.nodes, *self.absent))

    def without(self, barred: Collection[str]) -> Eligible:
        """Return the same without some nodes."""
        if not barred:
            return self
        nodes = [node for node in self.nodes if node.name not in barred]
        absent = [node for node in self.absent if node.name not in barred]
        return Eligible(nodes, absent, self.members)


def without_address(record: VirtualIPRecord, snapshot: ClusterSnapshot) -> tuple[str, ...]:
    """Return the nodes that are selected and have no address of the election's family.

    One that cannot be believed counts for none where the node does not take part already.
    """
    assert record.spec is not None
    members = _members(record, snapshot)
    return tuple(
        node.name
        for node in _selected(record, snapshot)
        if not _has_address(node, record.spec.family, members)
    )


def _selected(
    record: VirtualIPRecord, snapshot: ClusterSnapshot, also: frozenset[str] = frozenset()
) -> list[Node]:
    spec = record.spec
    assert spec is not None
    known = {*_asked(record.name, snapshot), *remembered(record, snapshot)}
    return [
        node
        for node in snapshot.nodes
        if (node.has_speaker or node.name in known)
        and (
            spec.node_selector is None
            or node.name in also
            or spec.node_selector.matches(node.labels)
        )
    ]


def eligible_for(
    record: VirtualIPRecord, snapshot: ClusterSnapshot, also: frozenset[str] = frozenset()
) -> Eligible:
    """Return the nodes that may take part; ``also`` may whatever the selector says.

    Those that are out of service do only when no other node is there, those that are gone only when
    all are. A node whose new addresses cannot be believed takes part where it does already.
    """
    spec = record.spec
    assert spec is not None
    members = _members(record, snapshot)
    heard = heard_silent(record.name, snapshot)
    selected = _selected(record, snapshot, also)
    nodes = [node for node in selected if _has_address(node, spec.family, members)]
    present = [node for node in nodes if not node.gone or node.name in heard]
    in_service = [node for node in present if not node.out_of_service]
    chosen = in_service or present or nodes
    absent = [n for n in nodes if n.name in members and not n.out_of_service and n not in present]
    return Eligible(chosen, [node for node in absent if node not in chosen], members)


def _members(record: VirtualIPRecord, snapshot: ClusterSnapshot) -> dict[str, int]:
    """Return the nodes that are asked to run an election now, with their priorities.

    One that has it on loan counts only where it took part before, with what it would have: not
    where it was added. Of one that nobody ever held, those count that the others were told of
    already: whose write came through first would have the best place otherwise.
    """
    assert record.spec is not None
    asked = _asked(record.name, snapshot)
    if not asked:
        return remembered(record, snapshot)
    if never_held(record):
        asked = {**_told_of(record.name, snapshot), **asked}
    added = len(asked) > record.spec.candidates
    places = [priority_for_rank(rank, len(asked)) for rank in range(len(asked))]
    free = [place for place in places if place not in asked.values()]
    return {
        node: free[0] if priority == HANDOVER_PRIORITY and free else priority
        for node, priority in asked.items()
        if not (added and priority == HANDOVER_PRIORITY)
    }


def _asked(name: str, snapshot: ClusterSnapshot) -> dict[str, int]:
    """Return the base priorities of the nodes that are asked to run an election now."""
    return {node: router.base_priority for node, router in snapshot.index.asked(name).items()}


def _told_of(name: str, snapshot: ClusterSnapshot) -> dict[str, int]:
    """Return the priorities of the nodes that members of an election are asked to list."""
    asked = snapshot.index.asked(name).values()
    return {peer.node: peer.priority for router in asked for peer in router.peers}


def never_held(record: VirtualIPRecord) -> bool:
    """Return whether no node was ever seen to hold a VirtualIP's addresses."""
    held = ("activeNode", "history", "transitions")
    return not any(record.status.get(field) for field in held)


def remembered(record: VirtualIPRecord, snapshot: ClusterSnapshot) -> dict[str, int]:
    """Return who ran an election, as its status says, and has reported nothing else since.

    So it is where all NodeConfigs were gone while no operator ran: their nodes go on.
    """
    mute = {node.name for node in snapshot.nodes if not node.has_speaker}
    found = {
        str(entry["node"]): int(entry.get("effectivePriority") or 0)
        for entry in record.status.get("nodes") or ()
        if entry.get("node") in mute
    }
    active = record.status.get("activeNode")
    if active in found:
        found[active] = MAXIMUM + 1
    return found


def _has_address(node: Node, family: int, members: Mapping[str, int]) -> bool:
    """Return whether a node has an address of a family that it can take part with.

    One that is kept because its Node says what cannot be will do where it is known already.
    """
    address = node.address(family)
    doubted = bool(node.refused) and address in node.kept
    return address is not None and (node.name in members or not doubted)
