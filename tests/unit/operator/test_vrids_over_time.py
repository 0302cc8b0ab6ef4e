"""VRIDs while VirtualIPs and nodes come, go and change: no two on a node, none changed, each rests.

Random steps, of which each node learns at its own time. The rules are read off what nodes are asked
and what they run, without the allocator.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.unit.operator.cluster import nodes, router_status, snapshot, virtual_ip

from vrrp_api.node_config import NodeConfig, VirtualRouterConfig
from vrrp_api.node_status import NodeConfigStatus
from vrrp_operator.model.snapshot import Node, NodeReport
from vrrp_operator.plan.planner import Plan, plan
from vrrp_operator.plan.vrid_memory import REST_S, VridMemory

NODES, RACKS, FEW = 6, ("a", "b", "c"), 5
"""So few numbers that nodes run out of them."""


@dataclass
class Cluster:
    """A cluster in which all that happens is chosen by a seed."""

    random: random.Random
    nodes: list[Node] = field(default_factory=list)
    virtual_ips: dict[str, dict[str, Any]] = field(default_factory=dict)
    written: dict[str, NodeConfig] = field(default_factory=dict)
    applied: dict[str, NodeConfig] = field(default_factory=dict)
    now_s: float = 1000.0
    made: int = 0
    freed_s: dict[tuple[str, int], tuple[str, float]] = field(default_factory=dict)
    """When a number was last used on a node, and by which election."""

    def __post_init__(self) -> None:
        self.memory = VridMemory(range(FEW + 1, 256))
        self.nodes = [
            replace(node, labels={"rack": RACKS[n % len(RACKS)]})
            for n, node in enumerate(nodes(NODES))
        ]

    # What happens -------------------------------------------------------------------------

    def create(self) -> None:
        """Make a VirtualIP, some with a number of their own choice, some heard by others."""
        self.made += 1
        name = f"v{self.made:03}"
        spec: dict[str, Any] = {"candidates": self.random.randint(1, 3), **self.selector()}
        if self.random.random() < 0.3:
            spec["virtualRouterID"] = self.random.randint(1, FEW + 1)
        if self.random.random() < 0.1:
            spec["transport"] = {"mode": "Multicast"}
        created = f"2026-01-01T00:00:{self.made % 60:02}Z"
        made = virtual_ip(name, f"10.0.{self.made}.1", created=created, **spec)
        self.virtual_ips[name] = made

    def selector(self) -> dict[str, Any]:
        """Return a selector of some racks, or none."""
        racks = self.random.sample(RACKS, self.random.randint(1, len(RACKS)))
        expression = {"key": "rack", "operator": "In", "values": racks}
        every = self.random.random() < 0.3
        return {} if every else {"nodeSelector": {"matchExpressions": [expression]}}

    def delete(self) -> None:
        """Delete a VirtualIP."""
        if self.virtual_ips:
            self.virtual_ips.pop(self.random.choice(sorted(self.virtual_ips)))

    def select(self) -> None:
        """Let a VirtualIP select other nodes."""
        if self.virtual_ips:
            obj = self.virtual_ips[self.random.choice(sorted(self.virtual_ips))]
            obj["spec"].pop("nodeSelector", None)
            obj["spec"].update(self.selector())
            obj["metadata"]["generation"] += 1

    def relabel(self) -> None:
        """Put a node into another rack."""
        number = self.random.randrange(NODES)
        rack = {"rack": self.random.choice(RACKS)}
        self.nodes[number] = replace(self.nodes[number], labels=rack)

    def lose(self) -> None:
        """Let a node be gone, or come back."""
        number = self.random.randrange(NODES)
        self.nodes[number] = replace(self.nodes[number], gone=not self.nodes[number].gone)

    def take_in(self) -> None:
        """Let some nodes take in what is written."""
        gone = {node.name for node in self.nodes if node.gone}
        for node in sorted(self.written):
            if node not in gone and self.random.random() < 0.5:
                self.applied[node] = self.written[node]

    def wait(self) -> None:
        """Let time pass."""
        self.now_s += self.random.choice([1.0, 30.0, REST_S + 1])

    # What the operator does -----------------------------------------------------------------

    def cycle(self) -> Plan:
        """Plan, record the numbers, and write."""
        seen = snapshot(list(self.virtual_ips.values()), self.nodes, reports=self.reports())
        seen = replace(seen, vrid_limits=self.memory.look(seen, self.now_s))
        found = plan(seen)
        for name, obj in self.virtual_ips.items():
            if name in found.vrids:
                obj["status"]["virtualRouterID"] = found.vrids[name]
        for node, config in found.configs.items():
            before = self.written.get(node)
            generation = before.generation if before is not None else 0
            if before is None or before != replace(config, generation=generation):
                self.written[node] = replace(config, generation=generation + 1)
        return found

    def reports(self) -> dict[str, NodeReport]:
        """Return what nodes report: the best of those that run an election is Active."""
        best: dict[str, tuple[int, str]] = {}
        for node, router in self.running():
            best[router.name] = max(best.get(router.name, (0, "")), (router.base_priority, node))
        gone = {node.name for node in self.nodes if node.gone}
        return {
            node: NodeReport(config, self._says(node, best), node not in gone)
            for node, config in self.written.items()
        }

    def _says(self, node: str, best: dict[str, tuple[int, str]]) -> NodeConfigStatus:
        config = self.applied.get(node)
        routers = tuple(
            router_status(
                router.name,
                "Active" if best[router.name][1] == node else "Backup",
                priority=router.base_priority,
            )
            for router in (config.virtual_routers if config is not None else ())
        )
        generation = config.generation if config is not None else 0
        return NodeConfigStatus(generation, "2026-01-01T00:00:00Z", "0", 0, "API", routers, ())

    # What must hold -------------------------------------------------------------------------

    def running(self) -> list[tuple[str, VirtualRouterConfig]]:
        """Return every router that a node runs."""
        return [(n, r) for n, config in self.applied.items() for r in config.virtual_routers]

    def uses(self) -> set[tuple[str, int, str]]:
        """Return which election uses, or may use, which number on which node."""
        asked = [(n, r) for n, config in self.written.items() for r in config.virtual_routers]
        return {(n, r.virtual_router_id, r.name) for n, r in (*asked, *self.running())}

    def check(self, before: set[tuple[str, int, str]], found: Plan) -> None:
        """Raise where a rule is broken by what was just written."""
        now = self.uses()
        owners: dict[tuple[str, int], set[str]] = {}
        for node, number, name in now:
            owners.setdefault((node, number), set()).add(name)
        assert not [key for key, names in owners.items() if len(names) > 1]
        for name in self.virtual_ips:
            had = {number for _, number, other in before if other == name}
            has = {number for _, number, other in now if other == name}
            assert not had or has == had or not has, f"{name}: {had} became {has}"
        for node, number, name in now - before:
            had_by, freed_s = self.freed_s.get((node, number), (name, 0.0))
            pinned = self.virtual_ips[name]["spec"].get("virtualRouterID") == number
            assert pinned or had_by == name or self.now_s - freed_s >= REST_S
        for node, number, name in before | now:
            self.freed_s[node, number] = name, self.now_s
        self._check_heard(found)

    def _check_heard(self, found: Plan) -> None:
        """Raise where one that others hear shares its number with anybody."""
        for name, obj in self.virtual_ips.items():
            if "transport" in obj["spec"] and name in found.candidates:
                number = found.vrids[name]
                others = {other for _, used, other in self.uses() if used == number}
                assert others <= {name}


@pytest.mark.parametrize("seed", range(30))
def test_no_two_on_a_node_none_changed_and_each_rests(seed: int) -> None:
    cluster = Cluster(random.Random(seed))
    steps = [
        *[cluster.create] * 5,
        *[cluster.take_in] * 8,
        *[cluster.wait] * 2,
        *[cluster.delete] * 3,
        *[cluster.select] * 2,
        cluster.relabel,
        cluster.lose,
    ]
    for _ in range(60):
        cluster.random.choice(steps)()
        before = cluster.uses()
        found = cluster.cycle()
        cluster.check(before, found)


def test_a_quiet_cluster_comes_to_rest_and_uses_what_there_is() -> None:
    """Each of two nodes can run as many elections as there are numbers; no more are accepted."""
    cluster = Cluster(random.Random(1))
    cluster.nodes = [replace(n, labels={}) for n in cluster.nodes[:2]]
    for number in range(2 * FEW + 2):
        name = f"v{number:02}"
        cluster.virtual_ips[name] = virtual_ip(name, f"10.0.{number}.1", candidates=1)
    for _ in range(5):
        found = cluster.cycle()
        cluster.applied = dict(cluster.written)
    assert len(found.candidates) == 2 * FEW
    assert len(found.problems) == 2
    assert all(len(nodes) == 1 for nodes in found.candidates.values())
