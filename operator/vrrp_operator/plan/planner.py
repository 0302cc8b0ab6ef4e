"""What each node should run: one NodeConfig per node (pure).

Equal snapshots give equal plans in any input order, so a restart of the operator cannot move an
address. Who takes part, and with what priority, is ``ranking``'s; in which steps is
``membership``'s, so a plan is what nodes are to run next, and may not be what is wanted in the end.

An election runs over the family of the VirtualIP's first address, so its candidates are nodes with
an address of that family. How it is authenticated is decided here too, and written out for nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from vrrp_api.election import (
    may_have_own_key,
)
from vrrp_api.features import ELECTION_KEYS
from vrrp_api.node_config import NodeConfig, VirtualRouterConfig
from vrrp_operator.membership.addresses import Believed, believe
from vrrp_operator.membership.facts import facts_of, members
from vrrp_operator.membership.hearing import heard_silent
from vrrp_operator.membership.steps import next_step
from vrrp_operator.membership.waiting import Wait
from vrrp_operator.model.snapshot import ClusterSnapshot, Node, NodeReport, VirtualIPRecord
from vrrp_operator.plan.allocator import Allocation, allocate
from vrrp_operator.plan.elections import elections
from vrrp_operator.plan.fitting import find_unfit, without_doubles
from vrrp_operator.plan.observe import observed
from vrrp_operator.plan.other_versions import ended, kinds_know, lease_namespace, not_understood
from vrrp_operator.plan.ranking import (
    Ranked,
    rank_carried,
    ranker,
    remembered,
    without_address,
)
from vrrp_operator.plan.router_checks import weighed
from vrrp_operator.plan.routers import is_new, resolve_authentication, routers_of
from vrrp_operator.plan.validation import Problem, find_problems


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
    unplanned: tuple[str, ...] = ()
    """Nodes that have no entry in ``configs`` although they are there: theirs stay as they are."""
    caught: tuple[tuple[str, Exception], ...] = ()
    """What nobody expected, with what was done."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Why a node's configuration was not written the last time."""
    untouched: frozenset[str] = frozenset()
    """Elections that stay just as they are written."""
    barred: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """The nodes that a VirtualIP's election cannot come to, with who has its number there."""
    most_vrids: int = 0
    """Virtual router IDs in use on the node that has most."""


def plan(snapshot: ClusterSnapshot, default_key_ref: str | None = None) -> Plan:
    """Return the plan for a snapshot.

    A VirtualIP that is not accepted keeps what the current NodeConfigs run for it, so that bad
    input costs nothing that works; its members follow the cluster.

    Args:
        snapshot: the cluster.
        default_key_ref: the key of elections that say nothing of authentication; None: plain.
    """
    believed = believe(snapshot)
    snapshot = replace(snapshot, nodes=believed.nodes)
    problems = find_problems(snapshot)
    planned = _planned(snapshot, believed, problems, default_key_ref)
    unfit = find_unfit(planned.configs, snapshot)
    if unfit:
        planned = _planned(snapshot, believed, {**problems, **unfit}, default_key_ref)
    return planned


def _planned(
    snapshot: ClusterSnapshot,
    believed: Believed,
    problems: Mapping[str, Problem],
    default_key_ref: str | None,
) -> Plan:
    """Return the plan without those that have a problem; another one's fault costs nobody else."""
    accepted = [r for r in snapshot.virtual_ips if r.name not in problems and r.spec is not None]
    ranks, broken = ranker(accepted, snapshot)
    known = elections(snapshot, {*problems, *broken}, ranks.may_use())
    given = allocate(known, ranks.choose, snapshot.vrid_limits)
    board = _Board(snapshot, believed, given)
    found = {**given.problems, **problems, **{n: Problem.internal(e) for n, e in broken.items()}}
    caught = [("plan", error) for error in broken.values()]
    choices = _Choices()
    for record in accepted:
        name = record.name
        if name in found:
            continue
        try:
            ranked = ranks.rank(name, given.barred.get(name, ()))
            choices.take_in(ranked, snapshot)
            if record.suspended:
                board.withdraw(record)
                continue
            board.elect(ranked, given.numbers[name], default_key_ref)
        except Exception as failure:
            choices.forget(name)
            found[name] = Problem.internal(failure)
            caught.append(("plan", failure))
    records = {record.name: record for record in snapshot.virtual_ips}
    for name in found:
        try:
            if records[name].suspended:
                board.withdraw(records[name])
                continue
            board.carry_over(records[name])
        except Exception as failure:
            board.keep(name)
            caught.append(("plan", failure))
    configs, unplanned = board.configs()
    return Plan(
        configs=configs,
        vrids={n: number for n, number in given.numbers.items() if n in records},
        barred=given.barred,
        most_vrids=given.claims.most_on_a_node(),
        problems=found,
        candidates=choices.candidates,
        without_address=choices.addressless,
        priorities=choices.priorities,
        waits=board.waits,
        members=board.members,
        nodes=snapshot.nodes,
        unplanned=tuple(unplanned),
        caught=(*caught, *(("plan", error) for error in unplanned.values())),
        refused=snapshot.refused,
        untouched=frozenset(board.not_understood),
    )


class _Choices:
    """Who takes part in what, as ranked."""

    def __init__(self) -> None:
        self.candidates: dict[str, tuple[str, ...]] = {}
        self.priorities: dict[str, tuple[int, ...]] = {}
        self.addressless: dict[str, tuple[str, ...]] = {}

    def take_in(self, ranked: Ranked, snapshot: ClusterSnapshot) -> None:
        """Take in one VirtualIP."""
        name = ranked.record.name
        taking_part = [(n.name, p) for n, p in ranked.ranking if n.name not in ranked.absent]
        self.candidates[name] = tuple(node for node, _ in taking_part)
        self.priorities[name] = tuple(priority for _, priority in taking_part)
        missing = without_address(ranked.record, snapshot)
        if missing:
            self.addressless[name] = missing

    def forget(self, name: str) -> None:
        """Forget one that is not accepted after all."""
        for found in (self.candidates, self.priorities, self.addressless):
            found.pop(name, None)


class _Board:
    """What every node is to run, election by election."""

    def __init__(self, snapshot: ClusterSnapshot, seen: Believed, given: Allocation) -> None:
        self._snapshot, self._moving, self._given = snapshot, seen.moving, given
        self.not_understood = not_understood(snapshot)
        self._routers: dict[str, list[VirtualRouterConfig]] = {}
        self.waits: dict[str, tuple[Wait, ...]] = {}
        self.members: dict[str, tuple[str, ...]] = {}

    def elect(self, ranked: Ranked, vrid: int, default_key_ref: str | None) -> None:
        """Take in the next step of an accepted VirtualIP's election."""
        spec = ranked.record.spec
        assert spec is not None
        election = resolve_authentication(spec.election, default_key_ref)
        wanted = routers_of(ranked.record, vrid, election, ranked.ranking, self._snapshot)
        own_key = default_key_ref is not None and may_have_own_key(spec.election)
        own_key = own_key and kinds_know(ELECTION_KEYS, self._snapshot)
        # Those that ran it, and have reported nothing since, knew what they ran.
        knowing = frozenset(remembered(ranked.record, self._snapshot))
        name, new = ranked.record.name, is_new(ranked.record)
        self.step(name, spec.family, wanted, own_key=own_key, knowing=knowing, new=new)

    def step(
        self,
        name: str,
        family: int,
        wanted: Mapping[str, VirtualRouterConfig],
        *,
        own_key: bool = False,
        knowing: frozenset[str] = frozenset(),
        new: bool = False,
    ) -> None:
        """Take in the next step of one election; ``own_key``: it is to sign with a key of its own.

        It does once every speaker that takes part, or may, can; those in ``knowing`` can. ``new``:
        nobody was ever Active in it.
        """
        if name in self.not_understood:
            self.keep(name)
            return
        asked = bool(wanted)
        heard = heard_silent(name, self._snapshot)
        moving = frozenset(node for node, of_family in self._moving if of_family == family)
        facts = facts_of(name, family, self._snapshot, heard)
        self.members[name] = tuple(members(facts))
        wanted = self._with_number(name, wanted)
        if not wanted and self.members[name] and asked:
            self.keep(name)
            return
        taking_part = {*self.members[name], *wanted} - knowing
        if own_key and all(facts[node].knows_keys for node in taking_part):
            wanted = {
                n: replace(r, election=r.election.with_own_key("Require"))
                for n, r in wanted.items()
            }
        step = next_step(wanted, facts, moving, new=new)
        for node, router in step.routers.items():
            self._routers.setdefault(node, []).append(router)
        if step.waits:
            self.waits[name] = step.waits

    def _with_number(
        self, name: str, wanted: Mapping[str, VirtualRouterConfig]
    ) -> dict[str, VirtualRouterConfig]:
        """Return who is wanted without newcomers to nodes where another election has the number."""
        return {
            node: router
            for node, router in wanted.items()
            if node in self.members[name]
            or self._given.admits(name, router.virtual_router_id, node)
        }

    def carry_over(self, record: VirtualIPRecord) -> None:
        """Let what runs for a VirtualIP that is not accepted go on with its parameters.

        Who takes part, and from where, follows the cluster.
        """
        name, found = record.name, self._running(record.name)
        if not found:
            self.members[name] = ()
            return
        best = max(found.values(), key=lambda router: router.base_priority)
        asked = {node: router.base_priority for node, router in found.items()}
        existing = {node.name for node in self._snapshot.nodes}
        takes_part = [(node, priority) for node, priority in asked.items() if node in existing]
        if record.spec is not None:
            carried = replace(record, spec=replace(record.spec, addresses=best.addresses))
            stay = record.generation != best.virtual_ip_generation or name in self._given.stuck
            ranking = rank_carried(carried, asked, self._snapshot, stay=stay)
            takes_part = [(node.name, priority) for node, priority in ranking]
        takes_part.sort(key=lambda item: (-item[1], item[0]))
        wanted = {}
        for node, priority in takes_part:
            known = node in found and found[node].family == best.family
            router = found[node] if known else replace(best, take_over=None)
            used = weighed(router.health_checks, name, node, self._snapshot)
            wanted[node] = replace(router, base_priority=priority, peers=(), health_checks=used)
        self.step(name, best.family, wanted)

    def withdraw(self, record: VirtualIPRecord) -> None:
        """Have nobody run an election any more; who may yet is its member until it says it left."""
        assert record.spec is not None
        facts = facts_of(record.name, record.spec.family, self._snapshot, frozenset())
        self.members[record.name] = tuple(members(facts))

    def keep(self, name: str) -> None:
        """Leave an election just as it is."""
        found = self._running(name)
        self.members[name] = tuple(found)
        self.waits.update((n, (w,)) for n, w in self.not_understood.items() if n == name)
        for node, router in found.items():
            self._routers.setdefault(node, []).append(router)

    def _running(self, name: str) -> dict[str, VirtualRouterConfig]:
        """Return what nodes are asked to run of an election now."""
        return dict(self._snapshot.index.asked(name))

    def configs(self) -> tuple[dict[str, NodeConfig], dict[str, Exception]]:
        """Return the configuration of every node, and of those that left and report yet.

        Beside it, why a node has none: its present one stays.
        """
        nodes = {node.name: node for node in self._snapshot.nodes}
        for name, report in self._snapshot.reports.items():
            left = name not in nodes and report.fresh and report.status is not None
            if left and report.config is not None and _runs_something(report):
                nodes[name] = Node(name, {}, report.config.addresses)
        found: dict[str, NodeConfig] = {}
        failed: dict[str, Exception] = {}
        for name, node in nodes.items():
            try:
                routers = without_doubles(self._routers.get(name, ()), self._given.claims.on(name))
                found[name] = _config(node, routers, self._snapshot)
            except Exception as error:
                failed[name] = error
        return found, failed


def _runs_something(report: NodeReport) -> bool:
    asked = report.config is not None and report.config.virtual_routers
    return bool(asked or (report.status is not None and report.status.virtual_routers))


def _config(
    node: Node, routers: list[VirtualRouterConfig], snapshot: ClusterSnapshot
) -> NodeConfig:
    """Return a node's configuration with the checks its routers use."""
    used = {check.name for router in routers for check in router.health_checks}
    report, before = snapshot.reports.get(node.name), {}
    if report is not None and report.config is not None:
        before = {check.name: check for check in report.config.health_checks}
    # A check that was deleted under a router that is carried over stays as it was.
    known = {**before, **snapshot.checks}
    checks = [
        observed(replace(known[name], generation=0), node, snapshot, before.get(name))
        for name in sorted(used)
        if name in known
    ]
    config = NodeConfig(
        node=node.name,
        generation=0,
        addresses=node.addresses,
        virtual_routers=tuple(sorted(routers, key=lambda router: router.name)),
        health_checks=tuple(checks),
        lease_namespace=lease_namespace(report, snapshot),
    )
    return replace(config, ended=ended(report, config, snapshot))
