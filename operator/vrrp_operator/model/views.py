"""The part of the cluster that one election depends on, as a snapshot of its own (pure).

Whoever decides about an election, or tells of it, gets its view and so can look at nothing else. A
view is the same object in every cycle for as long as nothing of it changes; then nothing that was
made from it can have changed either, and is not made again. What moves with every heartbeat is not
in it, as far as nothing follows from it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from vrrp_api.node_config import NodeConfig, VirtualRouterConfig
from vrrp_api.node_status import NodeConfigStatus, RouterStatus
from vrrp_operator.model.memo import Memo
from vrrp_operator.model.snapshot import (
    ClusterSnapshot,
    HealthCheckRecord,
    Node,
    NodeReport,
    VirtualIPRecord,
)

FAMILIES = (4, 6)


@dataclass(frozen=True, slots=True)
class _Said:
    """What one node is asked and says of one election; ``heard_s`` only tells before from after."""

    node: str
    of_node: NodeReport | None
    asked: VirtualRouterConfig | None = None
    told: RouterStatus | None = None
    active_seen_s: float | None = None
    heard_s: float = 0.0

    def report(self, election: str) -> NodeReport | None:
        """Return it as a report of the node that has nothing else to say."""
        of_node = self.of_node
        if of_node is None:
            return None
        config, status = of_node.config, of_node.status
        return replace(
            of_node,
            config=config and replace(config, virtual_routers=_present(self.asked)),
            status=status and replace(status, virtual_routers=_present(self.told)),
            heard_s=self.heard_s,
            active_seen_s={election: self.active_seen_s} if self.active_seen_s is not None else {},
        )


class Views:
    """Views of one cluster, snapshot after snapshot."""

    def __init__(self) -> None:
        self._memo = Memo()
        self._of_nodes: dict[str, NodeReport] = {}
        self._said: dict[str, tuple[_Said, ...]] = {}
        self._choices: dict[str, ClusterSnapshot] = {}
        self._checks: dict[str, HealthCheckRecord] = {}
        self._nodes: dict[str, Node] = {}
        self._first: dict[int, str] = {}
        """The first node that has an address of a family."""
        self._whole = ClusterSnapshot()

    def begin(self, snapshot: ClusterSnapshot) -> None:
        """Look at another snapshot from now on."""
        self._memo.begin()
        self._said, self._choices = {}, {}
        nodes = tuple(self._bare(node) for node in snapshot.nodes)
        nodes = self._memo.same("nodes", nodes)
        self._whole = snapshot.but(nodes=nodes)
        self._nodes = {node.name: node for node in nodes}
        self._first = {
            family: next((n.name for n in nodes if n.address(family) is not None), "")
            for family in FAMILIES
        }
        self._checks = {check.name: check for check in snapshot.health_checks}
        self._of_nodes = {
            name: self._memo.same(("report", name), _of_node(report))
            for name, report in snapshot.reports.items()
        }

    def of(self, record: VirtualIPRecord) -> ClusterSnapshot:
        """Return what the choice of a VirtualIP's nodes depends on: all nodes, and its members."""
        known = self._choices.get(record.name)
        if known is not None:
            return known
        said, nodes = self._of(record.name), self._whole.nodes
        view = self._choices[record.name] = self._memo(
            ("choice", record.name),
            (record, nodes, said),
            lambda: ClusterSnapshot(
                virtual_ips=(record,),
                nodes=nodes,
                reports=_reports(record.name, said),
            ),
        )
        return view

    def among(self, record: VirtualIPRecord, others: Collection[str]) -> ClusterSnapshot:
        """Return what an election depends on once it is known who may come to it.

        Args:
            record: its VirtualIP.
            others: the nodes that may, those included that are in it.
        """
        whole, name = self._whole, record.name
        said = self._of(name)
        known = {item.node for item in said}
        coming = (_Said(n, self._of_nodes.get(n)) for n in sorted({*others} - known))
        said = (*said, *coming)
        # Of the node that it is to be handed to it is told whether there is one.
        nodes = self._concerned({item.node for item in said} | {record.handover_to or ""})
        checks = self._used(record, said)
        panics = {key: panic for key, panic in whole.panics.items() if key[0] == name}
        refused = {i.node: whole.refused[i.node] for i in said if i.node in whole.refused}
        inputs = (record, said, nodes, checks, panics, refused, whole.undeclared, whole.owners)
        return self._memo(
            ("election", name),
            inputs,
            lambda: ClusterSnapshot(
                virtual_ips=(record,),
                health_checks=checks,
                nodes=nodes,
                reports=_reports(name, said),
                panics=panics,
                refused=refused,
                undeclared=whole.undeclared,
                known_owners=whole.owners,
            ),
        )

    def _bare(self, node: Node) -> Node:
        """Return a node without its conditions: no election depends on them."""
        return self._memo(("node", node.name), node, lambda: replace(node, conditions={}))

    def _of(self, name: str) -> tuple[_Said, ...]:
        """Return what is asked and said of an election by all that it concerns, by node."""
        if name not in self._said:
            self._said[name] = self._memo.same(("said", name), self._look(name))
        return self._said[name]

    def _look(self, name: str) -> tuple[_Said, ...]:
        index, reports = self._whole.index, self._whole.reports
        asked, told = index.asked(name), index.told(name)
        concerned = {*asked, *told}
        for router in asked.values():
            concerned.update(peer.node for peer in router.peers)
        seen = {n: reports[n].active_seen_s[name] for n in told if name in reports[n].active_seen_s}
        limits = max(seen.values(), default=0.0), _latest_of_fresh(seen, reports)
        return tuple(
            _Said(
                node,
                self._of_nodes.get(node),
                asked.get(node),
                told.get(node),
                seen.get(node),
                _among(reports[node].heard_s, *limits) if node in told else 0.0,
            )
            for node in sorted(concerned)
        )

    def _concerned(self, names: Collection[str]) -> tuple[Node, ...]:
        """Return these nodes, and of each family one that has an address of it, if any does."""
        found = {name for name in names if name in self._nodes}
        for family in FAMILIES:
            first = self._first[family]
            if first and not any(self._nodes[name].address(family) for name in found):
                found.add(first)
        return tuple(self._nodes[name] for name in sorted(found))

    def _used(
        self, record: VirtualIPRecord, said: Iterable[_Said]
    ) -> tuple[HealthCheckRecord, ...]:
        names = {check.name for check in record.spec.health_checks} if record.spec else set()
        for item in said:
            if item.asked is not None:
                names.update(check.name for check in item.asked.health_checks)
        return tuple(self._checks[name] for name in sorted(names) if name in self._checks)


def _of_node(report: NodeReport) -> NodeReport:
    """Return what a report says of its node for any election; numbers only say whether it is done.

    Times of heartbeats are left out.
    """
    config, status = report.config, report.status
    generation = config.generation if config is not None else 0
    return NodeReport(
        config=config and NodeConfig(config.node, 1, config.addresses, (), ()),
        status=status
        and NodeConfigStatus(
            observed_generation=int(status.observed_generation == generation),
            heartbeat_time="",
            version="",
            engine_restarts=0,
            config_source="",
            virtual_routers=(),
            checks=(),
            features=status.features,
        ),
        fresh=report.fresh,
        alive=report.alive,
    )


def _present(entry: VirtualRouterConfig | RouterStatus | None) -> tuple[Any, ...]:
    return () if entry is None else (entry,)


def _latest_of_fresh(seen: Mapping[str, float], reports: Mapping[str, NodeReport]) -> float:
    return max((at_s for node, at_s in seen.items() if reports[node].fresh), default=0.0)


def _among(heard_s: float, latest_s: float, latest_of_fresh_s: float) -> float:
    """Return a time that lies where ``heard_s`` does, before, between or after two others.

    Nothing else of it counts: whether a node was heard since another one became Active.
    """
    if heard_s > latest_s:
        return latest_s + 1
    if heard_s in (latest_s, latest_of_fresh_s):
        return heard_s
    if heard_s > latest_of_fresh_s:
        return (latest_s + latest_of_fresh_s) / 2
    return latest_of_fresh_s - 1


def _reports(election: str, said: Iterable[_Said]) -> dict[str, NodeReport]:
    found = {item.node: item.report(election) for item in said}
    return {node: report for node, report in found.items() if report is not None}
