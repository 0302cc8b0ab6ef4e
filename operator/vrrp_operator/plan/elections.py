"""Which elections there are, and where each runs or may run: what numbers are given by (pure)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

from vrrp_api.election import ElectionSpec
from vrrp_operator.model.memo import Memo
from vrrp_operator.model.snapshot import ClusterSnapshot, VirtualIPRecord
from vrrp_operator.model.views import Views
from vrrp_operator.plan.allocator import Election
from vrrp_operator.plan.eligible import remembered

Places = dict[str, dict[str, int | None]]
"""By election, the nodes that run it or may, with the number that each is asked to use."""


def elections(
    snapshot: ClusterSnapshot,
    refused: Collection[str],
    may_use: Mapping[str, frozenset[str]],
    views: Views,
    memo: Memo,
) -> tuple[list[Election], dict[str, Exception]]:
    """Return every election: of each VirtualIP, and what nodes run of others.

    Beside it, why one could not be looked at: it goes on with the number that nodes run it with.

    Args:
        snapshot: the cluster.
        refused: VirtualIPs that are not accepted.
        may_use: the nodes that each accepted VirtualIP may ever run on.
        views: of the snapshot.
        memo: what was found out before.
    """
    found: list[Election] = []
    broken: dict[str, Exception] = {}
    for record in snapshot.virtual_ips:
        accepted = record.spec is not None and record.name not in refused
        try:
            inputs = record, views.of(record), accepted, may_use.get(record.name, frozenset())
            found.append(memo(("numbered", record.name), inputs, partial(_election, *inputs)))
        except Exception as error:
            broken[record.name] = error
            found.append(_as_it_runs(record, snapshot))
    known = {election.name for election in found}
    places, alone = Places(), set[str]()
    if not snapshot.index.elections() <= known:
        places, alone = _places(snapshot)
    ended = [
        Election(name, runs_on=nodes, alone=name in alone, accepted=False)
        for name, nodes in sorted(places.items())
        if name not in known
    ]
    return [*found, *ended], broken


def needs_own_number(election: ElectionSpec) -> bool:
    """Return whether routers outside the cluster hear an election."""
    return election.transport.multicast or bool(election.transport.external_peers)


def _election(
    record: VirtualIPRecord, view: ClusterSnapshot, accepted: bool, may_use: frozenset[str]
) -> Election:
    """Return the election of a VirtualIP: what that says, and what runs of it."""
    places, heard_outside = _places(view)
    alone, spec = record.name in heard_outside, record.spec
    return Election(
        name=record.name,
        age=record.age_key,
        pinned=spec.virtual_router_id if spec is not None else None,
        recorded=record.virtual_router_id,
        runs_on=places.get(record.name) or dict.fromkeys(remembered(record, view)),
        may_use=may_use,
        alone=alone or (accepted and spec is not None and needs_own_number(spec.election)),
        accepted=accepted,
    )


def _as_it_runs(record: VirtualIPRecord, snapshot: ClusterSnapshot) -> Election:
    """Return the election of a VirtualIP by what nodes are asked to run of it, and nothing else."""
    asked = snapshot.index.asked(record.name)
    return Election(
        name=record.name,
        age=record.age_key,
        recorded=record.virtual_router_id,
        runs_on={node: router.virtual_router_id for node, router in asked.items()},
        alone=any(needs_own_number(router.election) for router in asked.values()),
        accepted=False,
    )


def _places(snapshot: ClusterSnapshot) -> tuple[Places, set[str]]:
    """Return where elections run, or may, and which of them are heard outside the cluster.

    A node that members list is sent to, and one that reports an election has not left it yet.
    """
    found: Places = {}
    alone: set[str] = set()
    for node, report in sorted(snapshot.reports.items()):
        for router in report.config.virtual_routers if report.config is not None else ():
            nodes = found.setdefault(router.name, {})
            nodes[node] = router.virtual_router_id
            for peer in router.peers:
                nodes.setdefault(peer.node, None)
            if needs_own_number(router.election):
                alone.add(router.name)
        for told in report.status.virtual_routers if report.status is not None else ():
            found.setdefault(told.name, {}).setdefault(node, None)
    return found, alone
