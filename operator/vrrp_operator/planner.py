"""What each node should run: one NodeConfig per node (pure).

Equal snapshots give equal plans in any input order, so a restart of the operator cannot move an
address. Who takes part, and with what priority, is ``ranking``'s; in which steps is
``membership``'s, so a plan is what nodes are to run next, and may not be what is wanted in the end.

An election runs over the family of the VirtualIP's first address, so its candidates are nodes with
an address of that family. How it is authenticated is decided here too, and written out for nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from vrrp_api.election import (
    PLAIN,
    Authentication,
    ElectionSpec,
    Preemption,
    may_have_own_key,
)
from vrrp_api.health_check import HealthCheck
from vrrp_api.node_config import NodeConfig, RouterCheck, VirtualRouterConfig
from vrrp_api.node_status import LEASES
from vrrp_api.virtual_ip import CheckReference
from vrrp_operator.allocator import allocate_vrids
from vrrp_operator.membership.addresses import believe
from vrrp_operator.membership.facts import facts_of, members
from vrrp_operator.membership.hearing import heard_silent
from vrrp_operator.membership.steps import next_step
from vrrp_operator.membership.waiting import Wait
from vrrp_operator.observe import observed
from vrrp_operator.ranking import Ranking, rank_all, without_address
from vrrp_operator.snapshot import ClusterSnapshot, Node, NodeReport, VirtualIPRecord
from vrrp_operator.validation import Problem, find_problems


@dataclass(frozen=True, slots=True)
class Plan:
    """What the cluster should run.

    ``configs`` has an entry for every node; ``candidates`` lists each accepted VirtualIP's nodes,
    best first, and ``priorities`` theirs; ``without_address`` the nodes it selects that have no
    address of its family. ``waits`` is what is not done yet, and for whom it waits; ``members``
    who runs each election, or may; ``nodes`` are the cluster's, with the addresses they go on with.
    """

    configs: Mapping[str, NodeConfig]
    vrids: Mapping[str, int]
    problems: Mapping[str, Problem]
    candidates: Mapping[str, tuple[str, ...]]
    without_address: Mapping[str, tuple[str, ...]]
    priorities: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    waits: Mapping[str, tuple[Wait, ...]] = field(default_factory=dict)
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    nodes: tuple[Node, ...] = ()


def plan(snapshot: ClusterSnapshot, default_key_ref: str | None = None) -> Plan:
    """Return the plan for a snapshot.

    A VirtualIP that is not accepted keeps what the current NodeConfigs run for it: bad input costs
    nothing that works.

    Args:
        snapshot: the cluster.
        default_key_ref: the key of elections that say nothing of authentication; None: plain.
    """
    believed = believe(snapshot)
    snapshot = replace(snapshot, nodes=believed.nodes)
    problems = find_problems(snapshot)
    vrids, vrid_problems = allocate_vrids(snapshot, problems.keys())
    problems = {**vrid_problems, **problems}
    board = _Board(snapshot, believed.moving)
    candidates: dict[str, tuple[str, ...]] = {}
    priorities: dict[str, tuple[int, ...]] = {}
    addressless: dict[str, tuple[str, ...]] = {}
    accepted = [r for r in snapshot.virtual_ips if r.name not in problems and r.spec is not None]
    for ranked in rank_all(accepted, snapshot):
        record = ranked.record
        assert record.spec is not None
        taking_part = [(n.name, p) for n, p in ranked.ranking if n.name not in ranked.absent]
        candidates[record.name] = tuple(name for name, _ in taking_part)
        priorities[record.name] = tuple(priority for _, priority in taking_part)
        missing = without_address(record, snapshot)
        if missing:
            addressless[record.name] = missing
        election = resolve_authentication(record.spec.election, default_key_ref)
        wanted = _routers(record, vrids[record.name], election, ranked.ranking, snapshot)
        own_key = default_key_ref is not None and may_have_own_key(record.spec.election)
        board.step(record.name, record.spec.family, wanted, own_key=own_key)
    for name in problems:
        board.carry_over(name)
    return Plan(
        configs=board.configs(),
        vrids=vrids,
        problems=problems,
        candidates=candidates,
        without_address=addressless,
        priorities=priorities,
        waits=board.waits,
        members=board.members,
        nodes=snapshot.nodes,
    )


class _Board:
    """What every node is to run, election by election."""

    def __init__(self, snapshot: ClusterSnapshot, moving: frozenset[tuple[str, int]]) -> None:
        self._snapshot = snapshot
        self._moving = moving
        self._routers: dict[str, list[VirtualRouterConfig]] = {}
        self.waits: dict[str, tuple[Wait, ...]] = {}
        self.members: dict[str, tuple[str, ...]] = {}

    def step(
        self,
        name: str,
        family: int,
        wanted: Mapping[str, VirtualRouterConfig],
        *,
        own_key: bool = False,
    ) -> None:
        """Take in the next step of one election; ``own_key``: it is to sign with a key of its own.

        It does once every speaker that takes part, or may, can.
        """
        heard = heard_silent(name, self._snapshot)
        moving = frozenset(node for node, of_family in self._moving if of_family == family)
        facts = facts_of(name, family, self._snapshot, heard)
        self.members[name] = tuple(members(facts))
        if own_key and all(facts[node].knows_keys for node in {*self.members[name], *wanted}):
            wanted = {
                n: replace(r, election=r.election.with_own_key("Require"))
                for n, r in wanted.items()
            }
        step = next_step(wanted, facts, moving)
        for node, router in step.routers.items():
            self._routers.setdefault(node, []).append(router)
        if step.waits:
            self.waits[name] = step.waits

    def carry_over(self, name: str) -> None:
        """Keep what runs for a VirtualIP that is not accepted, minus nodes that left."""
        existing = {node.name for node in self._snapshot.nodes}
        found: dict[str, VirtualRouterConfig] = {}
        for node, report in self._snapshot.reports.items():
            for router in report.config.virtual_routers if report.config is not None else ():
                if router.name == name and node in existing:
                    used = _weighed(router.health_checks, name, node, self._snapshot)
                    found[node] = replace(router, health_checks=used)
        by_priority = sorted(found.items(), key=lambda item: (-item[1].base_priority, item[0]))
        if by_priority:
            self.step(name, by_priority[0][1].family, dict(by_priority))
        else:
            self.members[name] = ()

    def configs(self) -> dict[str, NodeConfig]:
        """Return the configuration of every node, and of those that left and report yet."""
        nodes = {node.name: node for node in self._snapshot.nodes}
        for name, report in self._snapshot.reports.items():
            left = name not in nodes and report.fresh and report.status is not None
            if left and report.config is not None and _runs_something(report):
                nodes[name] = Node(name, {}, report.config.addresses)
        return {
            name: _config(node, self._routers.get(name, []), self._snapshot)
            for name, node in nodes.items()
        }


def _runs_something(report: NodeReport) -> bool:
    asked = report.config is not None and report.config.virtual_routers
    return bool(asked or (report.status is not None and report.status.virtual_routers))


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
) -> dict[str, VirtualRouterConfig]:
    """Return one election as each of its nodes is to take part in it, best first, without peers."""
    spec, checks = record.spec, snapshot.checks()
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
            health_checks=_weighed(references, record.name, node.name, snapshot),
            announcements=spec.announcements,
            require_majority=spec.require_majority,
            detect_conflicts=spec.detect_conflicts,
            take_over=_take_over(record, node.name, snapshot),
        )
        for node, priority in ranking
    }


def _take_over(record: VirtualIPRecord, node: str, snapshot: ClusterSnapshot) -> str | None:
    """Return what makes the node of a hand-over become Active without waiting.

    A speaker acts when this changes in an election it runs: not before it runs this one.
    """
    report = snapshot.reports.get(node)
    if node != record.handover_to or report is None or report.status is None:
        return None
    runs = any(router.name == record.name for router in report.status.virtual_routers)
    return record.handover_to if runs else None


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
        lease_namespace=_lease_namespace(report, snapshot),
    )


def _lease_namespace(report: NodeReport | None, snapshot: ClusterSnapshot) -> str | None:
    """Return where a node's speaker is to renew a Lease, if it said that it can."""
    if report is None or report.status is None or LEASES not in report.status.features:
        return None
    if snapshot.lease_namespace == "":
        return report.config.lease_namespace if report.config is not None else None
    return snapshot.lease_namespace
