"""A cluster whose nodes apply and report what they are asked, or do not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from tests.unit.operator.cluster import nodes, snapshot, virtual_ip

from vrrp_api.conditions import Reason
from vrrp_api.node_config import NodeConfig, VirtualRouterConfig
from vrrp_api.node_status import NodeConfigStatus, RouterStatus, Transition
from vrrp_operator.model.snapshot import Node, NodeReport
from vrrp_operator.plan.planner import Plan, plan

ACTIVE, BACKUP, FAULT = "Active", "Backup", "Fault"


@dataclass
class Cluster:
    """Nodes that take in what is written when a test says so, and what they report.

    ``states`` overrides what a node reports of its router; by default the one of highest priority
    is Active. ``mute`` nodes neither read nor report; of ``unheard`` ones the operator, which has
    just begun, knows a report of before; ``ignorant`` ones have speakers of an
    earlier version, which take in nothing that has a key of an election's own; ``yielded`` ones say
    that they were Active before.
    """

    nodes: list[Node]
    vip: dict[str, Any]
    default_key_ref: str | None = None
    written: dict[str, NodeConfig] = field(default_factory=dict)
    applied: dict[str, NodeConfig] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    mute: set[str] = field(default_factory=set)
    unheard: set[str] = field(default_factory=set)
    ignorant: set[str] = field(default_factory=set)
    yielded: set[str] = field(default_factory=set)
    _told: dict[str, NodeConfigStatus] = field(default_factory=dict)

    def cycle(self) -> Plan:
        """Let the operator decide and write; nobody takes anything in."""
        found = plan(snapshot([self.vip], self.nodes, reports=self.reports()), self.default_key_ref)
        for name, config in found.configs.items():
            before = self.written.get(name)
            generation = before.generation if before is not None else 0
            if before is None or before != replace(config, generation=generation):
                self.written[name] = replace(config, generation=generation + 1)
        for name in self.written.keys() - found.configs.keys():
            self.written.pop(name)
            self.applied.pop(name, None)
        return found

    def apply(self, *names: str) -> None:
        """Let these nodes take in what is written, all without a name."""
        for name in names or tuple(self.written):
            if name not in self.mute and not (name in self.ignorant and self._is_new(name)):
                self.applied[name] = self.written[name]

    def _is_new(self, name: str) -> bool:
        said = [r.election.authentication for r in self.written[name].virtual_routers]
        return any(a is not None and a.election_key is not None for a in said)

    def settle(self) -> Plan:
        """Go on until nothing is written any more."""
        for _ in range(30):
            before = dict(self.written), dict(self.applied)
            found = self.cycle()
            self.apply()
            if (self.written, self.applied) == before:
                return found
        raise AssertionError("no end")

    def reports(self) -> dict[str, NodeReport]:
        """Return what is known of each node."""
        found = {}
        for name, config in self.written.items():
            if name not in self.mute:
                self._told[name] = self._says(name)
            status = self._told.get(name)
            fresh = name not in self.mute or name in self.unheard
            found[name] = NodeReport(config, status, fresh, alive=name not in self.unheard)
        return found

    def _says(self, name: str) -> NodeConfigStatus:
        mine = self.applied.get(name)
        routers = tuple(self._router(name, r) for r in mine.virtual_routers) if mine else ()
        generation = mine.generation if mine else 0
        features = () if name in self.ignorant else ("ElectionKeys",)
        return NodeConfigStatus(
            generation, "2026-01-01T00:00:00Z", "0", 0, "API", routers, (), features
        )

    def _router(self, name: str, router: VirtualRouterConfig) -> RouterStatus:
        running = {
            n: r.base_priority
            for n, config in self.applied.items()
            for r in config.virtual_routers
            if self.states.get(n, "") != FAULT
        }
        best = max(running, key=lambda n: (running[n], n), default="")
        state = self.states.get(name) or (ACTIVE if name == best else BACKUP)
        since = "2026-01-01T00:00:00Z"
        last = Transition(since, ACTIVE, BACKUP, "") if name in self.yielded else None
        return RouterStatus(router.name, 1, state, since, router.base_priority, "eth0", (), 1, last)

    def router(self, node: str) -> VirtualRouterConfig | None:
        """Return what a node is asked to run."""
        routers = self.written[node].virtual_routers
        return routers[0] if routers else None

    def peers(self, node: str) -> set[str]:
        """Return whom a node is asked to list."""
        router = self.router(node)
        return {peer.node for peer in router.peers} if router is not None else set()

    def priorities(self) -> dict[str, int]:
        """Return the base priority of each node that is asked to run the election."""
        routers = {name: self.router(name) for name in self.written}
        return {name: r.base_priority for name, r in routers.items() if r is not None}

    def change(self, name: str, **changes: Any) -> None:
        """Change one Node."""
        self.nodes = [replace(n, **changes) if n.name == name else n for n in self.nodes]

    def taking_part(self) -> list[str]:
        """Return who is asked to run the election, best first."""
        found = self.priorities()
        return sorted(found, key=lambda name: -found[name])


def cluster(count: int = 3, *, spare: int = 0, **spec: Any) -> Cluster:
    """Return a settled cluster of so many candidates, and further nodes without a speaker."""
    of_nodes = nodes(count + spare)
    apart = [replace(n, has_speaker=i < count) for i, n in enumerate(of_nodes)]
    made = Cluster(apart, virtual_ip("a", vrid=1, **spec))
    made.settle()
    return made


def reasons(found: Plan) -> list[Reason]:
    return [wait.reason for wait in found.waits.get("a", ())]


def messages(found: Plan) -> str:
    return "; ".join(wait.message for wait in found.waits.get("a", ()))
