"""One election as each of its candidates is to take part, before membership's steps (pure)."""

from __future__ import annotations

from dataclasses import replace

from vrrp_api.election import PLAIN, Authentication, ElectionSpec, Preemption
from vrrp_api.node_config import VirtualRouterConfig
from vrrp_operator.model.snapshot import ClusterSnapshot, VirtualIPRecord
from vrrp_operator.plan.eligible import never_held
from vrrp_operator.plan.ranking import Ranking
from vrrp_operator.plan.router_checks import resolved, weighed


def resolve_authentication(election: ElectionSpec, default_key_ref: str | None) -> ElectionSpec:
    """Return the election with its authentication said: as given, else by the default key.

    Routers outside the cluster do not know the default key, so elections with them are plain unless
    they say otherwise.
    """
    if election.authentication is not None:
        return election
    if default_key_ref is None or election.transport.external_peers:
        return election.authenticated(PLAIN)
    return election.authenticated(Authentication("HMAC", default_key_ref))


def routers_of(
    record: VirtualIPRecord,
    vrid: int,
    election: ElectionSpec,
    ranking: Ranking,
    snapshot: ClusterSnapshot,
) -> dict[str, VirtualRouterConfig]:
    """Return one election as each of its nodes is to take part in it, best first, without peers."""
    spec, checks = record.spec, snapshot.checks
    assert spec is not None
    references = [resolved(reference, checks) for reference in spec.health_checks]
    if any(virtual_ip == record.name for virtual_ip, _ in snapshot.panics):
        # Where checks say nothing, the best node is no better than the one that holds on.
        election = replace(election, preemption=Preemption(preempt=False))
    return {
        node.name: VirtualRouterConfig(
            name=record.name,
            virtual_ip_generation=record.generation,
            virtual_router_id=vrid,
            interface=spec.interface,
            addresses=spec.addresses,
            base_priority=priority,
            election=election,
            peers=(),
            health_checks=weighed(references, record.name, node.name, snapshot),
            announcements=spec.announcements,
            require_majority=spec.require_majority,
            detect_conflicts=spec.detect_conflicts,
            take_over=_take_over(record, node.name, snapshot),
        )
        for node, priority in ranking
    }


def is_new(record: VirtualIPRecord) -> bool:
    """Return whether nobody was ever Active for a VirtualIP, nodes of the cluster or others."""
    assert record.spec is not None
    transport = record.spec.election.transport
    if transport.multicast or transport.external_peers:
        return False  # who is outside may be, and speak less often
    return never_held(record) and not record.status.get("nodes")


def _take_over(record: VirtualIPRecord, node: str, snapshot: ClusterSnapshot) -> str | None:
    """Return what makes the node of a hand-over become Active without waiting.

    A speaker acts when this changes in an election it runs: not before it runs this one.
    """
    report = snapshot.reports.get(node)
    if node != record.handover_to or report is None or report.status is None:
        return None
    return record.handover_to if node in snapshot.index.told(record.name) else None
