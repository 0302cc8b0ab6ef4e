"""What each node should run: one NodeConfig per node (pure).

Equal snapshots give equal plans in any input order, so a restart of the operator cannot move an
address. Who takes part, and with what priority, is ``ranking``'s; in which steps is
``membership``'s, so a plan is what nodes are to run next, and may not be what is wanted in the end.

An election runs over the family of the VirtualIP's first address, so its candidates are nodes with
an address of that family. How it is authenticated is decided here too, and written out for nodes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from vrrp_api.node_config import NodeConfig, VirtualRouterConfig
from vrrp_operator.membership.addresses import Believed, believe
from vrrp_operator.membership.waiting import Wait
from vrrp_operator.model.memo import Memo
from vrrp_operator.model.snapshot import ClusterSnapshot, Node, NodeReport, VirtualIPRecord
from vrrp_operator.model.views import Views
from vrrp_operator.plan.allocator import Admissions, Allocation, allocate
from vrrp_operator.plan.electing import (
    Choice,
    Outcome,
    Wish,
    carried_of,
    choice_of,
    outcome_of,
    wish_of,
    wish_to_go_on,
    withdrawn,
)
from vrrp_operator.plan.elections import elections
from vrrp_operator.plan.fitting import Fitting, without_doubles
from vrrp_operator.plan.observe import observed
from vrrp_operator.plan.other_versions import ended, lease_namespace, not_understood
from vrrp_operator.plan.ranking import Ranked, ranker
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
    views: Mapping[str, ClusterSnapshot] = field(default_factory=dict, compare=False)
    """What each VirtualIP was planned from; the same object while nothing of it changes."""
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)

    def view(self, name: str, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        """Return what a VirtualIP was planned from; the whole snapshot where it was not planned."""
        return self.views.get(name, snapshot)

    def of(self, name: str) -> tuple[object, ...]:
        """Return all that was planned for one VirtualIP, to see whether it changed."""
        by_name = (
            self.outcomes, self.vrids, self.problems, self.candidates, self.priorities,
            self.without_address, self.waits, self.members, self.barred,
        )  # fmt: skip
        return tuple(found.get(name) for found in by_name)


def plan(snapshot: ClusterSnapshot, default_key_ref: str | None = None) -> Plan:
    """Return the plan for a snapshot, worked out from nothing else."""
    return Planner(default_key_ref).plan(snapshot)


class Planner:
    """Plans snapshot after snapshot; what did not change since the last one is not planned again.

    So a change costs what it concerns: elections whose view of the cluster is another one, and
    nodes that run other elections by that. What is planned is what ``plan`` says.
    """

    def __init__(self, default_key_ref: str | None = None) -> None:
        """Plan for a cluster.

        ``default_key_ref``: the key of elections that say nothing of authentication; None: plain.
        """
        self._default_key_ref = default_key_ref
        self._views = Views()
        self._memo = Memo()
        self._fitting = Fitting(self._memo)

    def plan(self, snapshot: ClusterSnapshot) -> Plan:
        """Return the plan for a snapshot.

        A VirtualIP that is not accepted keeps what the current NodeConfigs run for it, so that bad
        input costs nothing that works; its members follow the cluster.
        """
        self._memo.begin()
        believed = believe(snapshot)
        nodes = tuple(self._memo.same(("node", node.name), node) for node in believed.nodes)
        snapshot = snapshot.but(nodes=nodes)
        self._views.begin(snapshot)
        problems = find_problems(snapshot)
        planned = self._planned(snapshot, believed, problems)
        unfit = self._fitting.find_unfit(planned.configs, snapshot)
        if unfit:
            planned = self._planned(snapshot, believed, {**problems, **unfit})
        return planned

    def _planned(
        self, snapshot: ClusterSnapshot, believed: Believed, problems: Mapping[str, Problem]
    ) -> Plan:
        """Return the plan without those that have a problem; it costs nobody else anything."""
        accepted = [
            r for r in snapshot.virtual_ips if r.name not in problems and r.spec is not None
        ]
        ranks, broken = ranker(accepted, self._views, self._memo)
        refused = {*problems, *broken}
        known, odd = elections(snapshot, refused, ranks.may_use(), self._views, self._memo)
        broken = {**broken, **odd}
        depends_on = known, ranks.orders(), snapshot.vrid_limits
        give = partial(allocate, known, ranks.choose, snapshot.vrid_limits)
        given = self._memo("numbers", depends_on, give)
        board = _Board(snapshot, believed, given, self._views, self._memo)
        found = {**given.problems, **problems}
        found |= {name: Problem.internal(error) for name, error in broken.items()}
        caught = [("plan", error) for error in broken.values()]
        for record in accepted:
            if record.name in found:
                continue
            try:
                ranked = ranks.rank(record.name, given.barred.get(record.name, ()))
                board.elect(ranked, given.numbers[record.name], self._default_key_ref)
            except Exception as failure:
                board.forget(record.name)
                found[record.name] = Problem.internal(failure)
                caught.append(("plan", failure))
        records = {record.name: record for record in snapshot.virtual_ips}
        for name in found:
            try:
                board.carry_over(records[name])
            except Exception as failure:
                board.keep(records[name])
                caught.append(("plan", failure))
        configs, unplanned = board.configs()
        return Plan(
            configs=configs,
            vrids={n: number for n, number in given.numbers.items() if n in records},
            barred=given.barred,
            most_vrids=board.admissions.claims.most_on_a_node(),
            problems=found,
            candidates={name: choice.candidates for name, choice in board.choices.items()},
            without_address={
                n: choice.without_address
                for n, choice in board.choices.items()
                if choice.without_address
            },
            priorities={name: choice.priorities for name, choice in board.choices.items()},
            waits={name: o.waits for name, o in board.outcomes.items() if o.waits},
            members={name: outcome.members for name, outcome in board.outcomes.items()},
            nodes=snapshot.nodes,
            unplanned=tuple(unplanned),
            caught=(*caught, *(("plan", error) for error in unplanned.values())),
            refused=snapshot.refused,
            untouched=frozenset(board.not_understood),
            views=board.views,
            outcomes=board.outcomes,
        )


class _Board:
    """What every node is to run, election by election."""

    def __init__(
        self,
        snapshot: ClusterSnapshot,
        seen: Believed,
        given: Allocation,
        views: Views,
        memo: Memo,
    ) -> None:
        self._snapshot, self._moving, self._stuck = snapshot, seen.moving, given.stuck
        self.admissions = Admissions(given)
        self._views, self._memo = views, memo
        self.not_understood = not_understood(snapshot)
        self.choices: dict[str, Choice] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.views: dict[str, ClusterSnapshot] = {}

    def elect(self, ranked: Ranked, vrid: int, default_key_ref: str | None) -> None:
        """Take in the next step of an accepted VirtualIP's election."""
        record = ranked.record
        name, wide = record.name, self._views.of(record)
        choice = self._memo(("choice", name), (ranked, wide), partial(choice_of, ranked, wide))
        self.choices[name] = choice
        if record.suspended:
            self.withdraw(record, choice.concerned)
            return
        view = self._look(record, choice.concerned)
        if name in self.not_understood:
            self.keep(record)
            return
        make = partial(wish_of, choice, vrid, default_key_ref, view)
        wish = self._memo(("wish", name), (choice, vrid, default_key_ref, view), make)
        self._step(record, wish)

    def forget(self, name: str) -> None:
        """Forget the choice for one that is not accepted after all."""
        self.choices.pop(name, None)

    def carry_over(self, record: VirtualIPRecord) -> None:
        """Let what runs for a VirtualIP that is not accepted go on."""
        if record.suspended:
            self.withdraw(record)
            return
        name, wide = record.name, self._views.of(record)
        stuck = name in self._stuck
        make = partial(carried_of, record, wide, stuck=stuck)
        carried = self._memo(("carried", name), (wide, stuck), make)
        if carried is None:
            self._look(record, ())
            self.outcomes[name] = Outcome()
            return
        view = self._look(record, [node for node, _ in carried.takes_part])
        if name in self.not_understood:
            self.keep(record)
            return
        go_on = partial(wish_to_go_on, name, carried, view)
        self._step(record, self._memo(("wish", name), (carried, view), go_on))

    def withdraw(self, record: VirtualIPRecord, concerned: Collection[str] = ()) -> None:
        """Have nobody run an election any more; who may yet is its member until it says it left."""
        view = self._look(record, concerned)
        make = partial(withdrawn, record, view)
        self.outcomes[record.name] = self._memo(("withdrawn", record.name), view, make)

    def keep(self, record: VirtualIPRecord) -> None:
        """Leave an election just as it is."""
        name, found = record.name, self._snapshot.index.asked(record.name)
        wait = self.not_understood.get(name)
        self.outcomes[name] = Outcome(dict(found), tuple(found), (wait,) if wait else ())

    def _look(self, record: VirtualIPRecord, concerned: Collection[str]) -> ClusterSnapshot:
        view = self.views[record.name] = self._views.among(record, concerned)
        return view

    def _step(self, record: VirtualIPRecord, wish: Wish) -> None:
        """Take in the next step; nobody comes to a node where another one has the number."""
        name = record.name
        admitted = tuple(
            node
            for node, router in wish.routers.items()
            if node not in wish.members
            and self.admissions.admits(name, router.virtual_router_id, node)
        )
        moving = frozenset(n for n, family in self._moving if family == wish.family)
        moving &= wish.facts.keys()
        make = partial(outcome_of, wish, admitted, moving)
        outcome = self._memo(("outcome", name), (wish, admitted, moving), make)
        if outcome is None:
            self.keep(record)
        else:
            self.outcomes[name] = outcome

    def configs(self) -> tuple[dict[str, NodeConfig], dict[str, Exception]]:
        """Return the configuration of every node, and of those that left and report yet.

        Beside it, why a node has none: its present one stays.
        """
        nodes = {node.name: node for node in self._snapshot.nodes}
        for name, report in self._snapshot.reports.items():
            left = name not in nodes and report.fresh and report.status is not None
            if left and report.config is not None and _runs_something(report):
                nodes[name] = Node(name, {}, report.config.addresses)
        planned: dict[str, list[VirtualRouterConfig]] = {}
        for outcome in self.outcomes.values():
            for name, router in outcome.routers.items():
                planned.setdefault(name, []).append(router)
        found: dict[str, NodeConfig] = {}
        failed: dict[str, Exception] = {}
        of_all, owners = self._of_all(), self.admissions.claims.by_node()
        for name, node in nodes.items():
            try:
                routers = without_doubles(planned.get(name, ()), owners[name])
                found[name] = self._config_of(node, routers, of_all)
            except Exception as error:
                failed[name] = error
        return found, failed

    def _of_all(self) -> tuple[object, ...]:
        """Return what every node's configuration depends on, the same object while it is equal."""
        snapshot = self._snapshot
        checks = [check.spec for check in snapshot.health_checks]
        suspended = [(record.name, record.suspended) for record in snapshot.virtual_ips]
        found = checks, snapshot.services, suspended, snapshot.lease_namespace, snapshot.undeclared
        return self._memo.same("of all nodes", found)

    def _config_of(
        self, node: Node, routers: list[VirtualRouterConfig], of_all: tuple[object, ...]
    ) -> NodeConfig:
        """Return a node's configuration, made anew only if anything of it changed."""
        snapshot, report = self._snapshot, self._snapshot.reports.get(node.name)
        status = report.status if report is not None else None
        inputs = (
            node,
            routers,
            report.config if report is not None else None,
            (status.observed_generation, status.features) if status is not None else None,
            of_all,
        )
        make = partial(_config, node, routers, snapshot)
        return self._memo(("config", node.name), inputs, make)


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
