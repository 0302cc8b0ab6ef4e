"""Who is heard although it does not report, as others of its election tell (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vrrp_api.node_status import RouterStatus
from vrrp_operator.membership.facts import ACTIVE, BACKUP
from vrrp_operator.model.snapshot import ClusterSnapshot, NodeReport

Told = Mapping[str, tuple[NodeReport, RouterStatus]]
"""What each node reported last of an election."""


def heard_silent(name: str, snapshot: ClusterSnapshot) -> frozenset[str]:
    """Return the nodes that do not report, but hold the addresses of an election, as others hear.

    A member that no node is known for is told by its address.
    """
    said = snapshot.index.told(name)
    told = {node: (snapshot.reports[node], router) for node, router in said.items()}
    fresh = {node for node, (report, _) in told.items() if report.fresh}
    if any(told[node][1].peers_heard for node in fresh):
        return frozenset(_heard(name, told, snapshot)) - fresh
    return _inferred(told)


def _heard(name: str, told: Told, snapshot: ClusterSnapshot) -> Iterator[str]:
    """Yield whom nodes say that they hear.

    What a node said before it was known that another one became Active may be over.
    """
    active = [r.active_seen_s.get(name, 0.0) for r, router in told.values() if r.fresh]
    since_s = max(active, default=0.0)
    for report, router in told.values():
        if not report.fresh or report.heard_s < since_s:
            continue
        for peer in router.peers_heard:
            if peer.heard:
                yield peer.node or snapshot.owners.get(peer.address, peer.address)


def _inferred(told: Told) -> frozenset[str]:
    """Return who must be heard where speakers of an earlier version do not say it.

    A Backup hears somebody, or it would not be one. Where none of those that report is Active, it
    is one of the others that they hear: the one that said so last, else any of them.
    """
    fresh = [router for report, router in told.values() if report.fresh]
    if not any(r.state == BACKUP for r in fresh) or any(r.state == ACTIVE for r in fresh):
        return frozenset()
    silent = {node: router for node, (report, router) in told.items() if not report.fresh}
    active = {node for node, router in silent.items() if router.state == ACTIVE}
    return frozenset(active or silent)
