"""Which addresses nodes have: what Node objects say is not believed at once (pure).

A node's address is where its advertisements come from, so all others of its elections know it. It
stays what it was while its Node says nothing of it, or nothing that can be; a new one is taken once
the node has left the elections in which others know the old one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from vrrp_api.conditions import ConditionType
from vrrp_operator.membership.facts import facts_of, members
from vrrp_operator.model.nodes import most_addresses
from vrrp_operator.model.snapshot import ClusterSnapshot, Node

FAMILIES = (4, 6)


@dataclass(frozen=True, slots=True)
class Believed:
    """The nodes with the addresses they go on with.

    ``moving``: (node, family) where the node has to leave its elections for its new address.
    """

    nodes: tuple[Node, ...]
    moving: frozenset[tuple[str, int]] = frozenset()


def believe(snapshot: ClusterSnapshot) -> Believed:
    """Return the nodes as elections are to see them."""
    own = {
        name: report.config.addresses
        for name, report in snapshot.reports.items()
        if report.config is not None
    }
    judge = _judge(snapshot, own)
    nodes, moving = [], set()
    for node in snapshot.nodes:
        seen, families = _addresses_of(node, own.get(node.name, ()), judge, snapshot)
        nodes.append(seen)
        moving |= {(node.name, family) for family in families}
    return Believed(tuple(nodes), frozenset(moving))


def _judge(
    snapshot: ClusterSnapshot, own: Mapping[str, tuple[str, ...]]
) -> Callable[[str, str], str]:
    """Return what says why an address cannot be a node's; it returns nothing where it can."""
    virtual = _virtual_addresses(snapshot)
    owners: dict[str, str] = {}
    for name, addresses in sorted(own.items()):
        for address in addresses:
            owners.setdefault(address, name)
    claims: dict[str, list[str]] = {}
    for node in snapshot.nodes:
        for address in node.addresses:
            claims.setdefault(address, []).append(node.name)

    def judge(node: str, address: str) -> str:
        if address in own.get(node, ()):
            return ""
        if address in virtual:
            return f"{address} is the address of VirtualIP {virtual[address]}"
        if address in owners:
            return f"{address} is the address of node {owners[address]}"
        others = [name for name in claims[address] if name != node]
        return f"{address} is said to be the address of {', '.join(others)}, too" if others else ""

    return judge


def _virtual_addresses(snapshot: ClusterSnapshot) -> dict[str, str]:
    """Return the addresses that elections run for, or that were accepted, with their names."""
    found: dict[str, str] = {}
    for report in snapshot.reports.values():
        for router in report.config.virtual_routers if report.config is not None else ():
            found |= {address.address: router.name for address in router.addresses}
    for record in snapshot.virtual_ips:
        accepted = any(
            c.type == ConditionType.ACCEPTED and c.status == "True" for c in record.conditions
        )
        if accepted:
            for text in record.status.get("addresses") or ():
                found.setdefault(str(text).partition("/")[0], record.name)
    return found


def _addresses_of(
    node: Node,
    own: tuple[str, ...],
    judge: Callable[[str, str], str],
    snapshot: ClusterSnapshot,
) -> tuple[Node, list[int]]:
    """Return a node with the addresses it goes on with, and the families that have to move."""
    verdicts = {address: judge(node.name, address) for address in node.addresses}
    refused = (*node.refused, *(why for why in verdicts.values() if why))
    usable = [address for address, why in verdicts.items() if not why]
    kept: list[str] = []
    first: list[str] = []
    moving = []
    for family in FAMILIES:
        before = next(iter(_of(own, family)), None)
        now = _of(usable, family)
        if before is None or before in now:
            first += [before] if before else []
        elif not now:
            kept += _of(own, family)
        elif _is_known(node.name, family, snapshot):
            moving.append(family)
            first.append(before)
    # A family keeps its place in the order, and its first address the first.
    ordered = dict.fromkeys((*first, *usable, *kept))
    if own and ordered.keys() == set(own):
        ordered = dict.fromkeys(own)
    seen = most_addresses(ordered)
    return replace(node, addresses=seen, kept=tuple(kept), refused=refused), moving


def _of(addresses: Iterable[str], family: int) -> list[str]:
    return [address for address in addresses if (":" in address) == (family == 6)]


def _is_known(node: str, family: int, snapshot: ClusterSnapshot) -> bool:
    """Return whether others know the node by its address in an election of a family.

    So may those that come to one which it has been told to leave, and has not left yet. It may also
    begin yet with what it was asked for before: it is known wherever it is listed.
    """
    report = snapshot.reports[node]
    status = report.status.virtual_routers if report.status is not None else ()
    asked = report.config.virtual_routers if report.config is not None else ()
    names = {r.name for r in asked if r.family == family} | {r.name for r in status}
    names |= {
        router.name
        for other in snapshot.reports.values()
        for router in (other.config.virtual_routers if other.config is not None else ())
        if router.family == family and any(peer.node == node for peer in router.peers)
    }
    for name in names - {r.name for r in asked if r.family != family}:
        running = members(facts_of(name, family, snapshot, frozenset()))
        if node not in running:
            continue
        alone = len(running) == 1 and running[node].written is not None
        # One that is alone and does not report may be silent for long: who joins then has to know.
        # An operator that has just begun has heard nobody yet, however fresh all seem.
        if not alone or not running[node].fresh or not report.alive:
            return True
    return False
