"""What each node should run: one NodeConfig per node (pure).

Equal snapshots give equal plans in any input order, so a restart of the operator cannot move an
address. Who takes part, and with what priority, is ``ranking``'s.

An election runs over the family of the VirtualIP's first address, so its candidates are nodes with
an address of that family. How it is authenticated is decided here too, and written out for nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from vrrp_api.election import PLAIN, Authentication, ElectionSpec, Preemption
from vrrp_api.health_check import HealthCheck
from vrrp_api.node_config import NodeConfig, Peer, RouterCheck, VirtualRouterConfig
from vrrp_api.virtual_ip import CheckReference
from vrrp_operator.allocator import allocate_vrids
from vrrp_operator.observe import observed
from vrrp_operator.ranking import Ranking, rank_all, without_address
from vrrp_operator.snapshot import ClusterSnapshot, Node, VirtualIPRecord
from vrrp_operator.validation import Problem, find_problems


@dataclass(frozen=True, slots=True)
class Plan:
    """What the cluster should run.

    ``configs`` has an entry for every node; ``candidates`` lists each accepted VirtualIP's nodes,
    best first, and ``priorities`` theirs; ``without_address`` the nodes it selects that have no
    address of its family.
    """

    configs: Mapping[str, NodeConfig]
    vrids: Mapping[str, int]
    problems: Mapping[str, Problem]
    candidates: Mapping[str, tuple[str, ...]]
    without_address: Mapping[str, tuple[str, ...]]
    priorities: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def plan(snapshot: ClusterSnapshot, default_key_ref: str | None = None) -> Plan:
    """Return the plan for a snapshot.

    A VirtualIP that is not accepted keeps what the current NodeConfigs run for it: bad input costs
    nothing that works.

    Args:
        snapshot: the cluster.
        default_key_ref: the key of elections that say nothing of authentication; None: plain.
    """
    problems = find_problems(snapshot)
    vrids, vrid_problems = allocate_vrids(snapshot, problems.keys())
    problems = {**vrid_problems, **problems}
    routers: dict[str, list[VirtualRouterConfig]] = {node.name: [] for node in snapshot.nodes}
    candidates: dict[str, tuple[str, ...]] = {}
    priorities: dict[str, tuple[int, ...]] = {}
    addressless: dict[str, tuple[str, ...]] = {}
    accepted = [r for r in snapshot.virtual_ips if r.name not in problems and r.spec is not None]
    for record, ranked in rank_all(accepted, snapshot):
        assert record.spec is not None
        candidates[record.name] = tuple(node.name for node, _ in ranked)
        priorities[record.name] = tuple(priority for _, priority in ranked)
        missing = without_address(record.spec, snapshot)
        if missing:
            addressless[record.name] = missing
        election = resolve_authentication(record.spec.election, default_key_ref)
        for node, config in _routers(record, vrids[record.name], election, ranked, snapshot):
            routers[node].append(config)
    _carry_over(snapshot, problems, routers)
    configs = {node.name: _config(node, routers[node.name], snapshot) for node in snapshot.nodes}
    return Plan(configs, vrids, problems, candidates, addressless, priorities)


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


def _routers(
    record: VirtualIPRecord,
    vrid: int,
    election: ElectionSpec,
    ranking: Ranking,
    snapshot: ClusterSnapshot,
) -> list[tuple[str, VirtualRouterConfig]]:
    """Return one election as each of its nodes takes part in it, by node name."""
    spec, checks = record.spec, snapshot.checks()
    assert spec is not None
    references = [resolved(reference, checks) for reference in spec.health_checks]
    if any(virtual_ip == record.name for virtual_ip, _ in snapshot.panics):
        # Where checks say nothing, the best node is no better than the one that holds on.
        election = replace(election, preemption=Preemption(preempt=False))
    members = _members(ranking, spec.family)
    return [
        (
            node.name,
            VirtualRouterConfig(
                name=record.name,
                virtual_ip_generation=record.generation,
                virtual_router_id=vrid,
                interface=spec.interface,
                addresses=spec.addresses,
                base_priority=priority,
                election=election,
                peers=tuple(member for member in members if member.node != node.name),
                health_checks=_weighed(references, record.name, node.name, snapshot),
                announcements=spec.announcements,
                require_majority=spec.require_majority,
                detect_conflicts=spec.detect_conflicts,
                take_over=_take_over(record, node.name, snapshot),
            ),
        )
        for node, priority in ranking
    ]


def _take_over(record: VirtualIPRecord, node: str, snapshot: ClusterSnapshot) -> str | None:
    """Return what makes the node of a hand-over become Active without waiting.

    A speaker acts when this changes in an election it runs: not before it runs this one.
    """
    report = snapshot.reports.get(node)
    if node != record.handover_to or report is None or report.status is None:
        return None
    runs = any(router.name == record.name for router in report.status.virtual_routers)
    return record.handover_to if runs else None


def _members(ranking: Ranking, family: int) -> list[Peer]:
    """Return the nodes of an election as others see them, by name."""
    members = []
    for node, priority in sorted(ranking, key=lambda item: item[0].name):
        address = node.address(family)
        assert address is not None
        members.append(Peer(node.name, address, priority))
    return members


def _carry_over(
    snapshot: ClusterSnapshot,
    problems: Mapping[str, Problem],
    routers: dict[str, list[VirtualRouterConfig]],
) -> None:
    """Keep what runs for VirtualIPs that are not accepted, minus peers that left the cluster."""
    existing = {node.name for node in snapshot.nodes}
    for node, report in snapshot.reports.items():
        if node not in routers or report.config is None:
            continue
        for router in report.config.virtual_routers:
            if router.name in problems:
                peers = tuple(peer for peer in router.peers if peer.node in existing)
                used = _weighed(router.health_checks, router.name, node, snapshot)
                routers[node].append(replace(router, peers=peers, health_checks=used))


def _weighed(
    references: Iterable[RouterCheck], virtual_ip: str, node: str, snapshot: ClusterSnapshot
) -> tuple[RouterCheck, ...]:
    """Return the checks of a router with whether each of them counts now on a node."""

    def ignored(name: str) -> bool:
        panic = snapshot.panics.get((virtual_ip, name))
        return panic is not None and node in panic.nodes

    return tuple(replace(reference, ignored=ignored(reference.name)) for reference in references)


def resolved(reference: CheckReference, checks: Mapping[str, HealthCheck]) -> RouterCheck:
    """Return what a VirtualIP says of a check, and where it is silent what the check says."""
    check = checks[reference.name]
    return RouterCheck(
        reference.name,
        check.weight if reference.weight is None else reference.weight,
        check.reverse if reference.reverse is None else reference.reverse,
    )


def _config(
    node: Node, routers: list[VirtualRouterConfig], snapshot: ClusterSnapshot
) -> NodeConfig:
    """Return a node's configuration with the checks its routers use."""
    used = {check.name for router in routers for check in router.health_checks}
    report, before = snapshot.reports.get(node.name), {}
    if report is not None and report.config is not None:
        before = {check.name: check for check in report.config.health_checks}
    # A check that was deleted under a router that is carried over stays as it was.
    known = {**before, **snapshot.checks()}
    checks = [
        observed(replace(known[name], generation=0), node, snapshot, before.get(name))
        for name in sorted(used)
        if name in known
    ]
    return NodeConfig(
        node=node.name,
        generation=0,
        addresses=node.addresses,
        virtual_routers=tuple(sorted(routers, key=lambda router: router.name)),
        health_checks=tuple(checks),
    )
