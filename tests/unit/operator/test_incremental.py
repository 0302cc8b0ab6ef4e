"""What is planned and told of what changed is what is planned and told of everything.

A cluster lives at random; after each look, plan and statuses are compared with those that a planner
makes which has seen nothing before, from the same snapshot and nothing else.
"""

from __future__ import annotations

import random
from datetime import datetime
from typing import Any

import pytest
from tests.bench.simulated_cluster import SimulatedCluster
from tests.unit.operator.cluster import nodes, snapshot, virtual_ip

from vrrp_operator.model.snapshot import ClusterSnapshot
from vrrp_operator.model.vrid_limits import Limits
from vrrp_operator.plan.planner import Plan, Planner, plan
from vrrp_operator.report.status import health_check_status, virtual_ip_status
from vrrp_operator.write.statuses import Status

VIPS, NODES, CHECKS, STEPS = 8, 5, 3, 40
SEEDS = range(3)
LATER = "2026-02-01T00:00:00Z"


class Life:
    """A small cluster to which things happen; each cycle of its operator is compared."""

    def __init__(self, seed: int, now_s: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
        self.rng = random.Random(seed)
        self.now_s = now_s
        self.cluster = SimulatedCluster(VIPS, NODES, CHECKS)
        self.made = VIPS
        self.differences: list[str] = []
        reconciler = self.cluster.reconciler
        self._plan, self._fold = reconciler._planner.plan, reconciler._statuses.fold
        monkeypatch.setattr(reconciler._planner, "plan", self._planned)
        monkeypatch.setattr(reconciler._statuses, "fold", self._folded)

    def _planned(self, snapshot: ClusterSnapshot) -> Plan:
        found, anew = self._plan(snapshot), plan(snapshot, "cluster")
        if found != anew:
            names = [f for f in Plan.__slots__ if getattr(found, f) != getattr(anew, f)]
            self.differences += [n for n in names if n != "views"]
        return found

    def _folded(self, snapshot: ClusterSnapshot, planned: Plan, wall: datetime) -> list[Status]:
        found = self._fold(snapshot, planned, wall)
        now = wall.strftime("%Y-%m-%dT%H:%M:%SZ")
        # Nodes have the addresses that they are believed to have, wherever one is told by its own.
        snapshot = snapshot.but(nodes=planned.nodes)
        anew = [
            *(virtual_ip_status(record, snapshot, planned, now) for record in snapshot.virtual_ips),
            *(health_check_status(record, snapshot, now) for record in snapshot.health_checks),
        ]
        for status, said in zip(found, anew, strict=True):
            if _timeless(status.said) != _timeless(said):
                told = [(a, b) for a, b in zip(_parts(status.said), _parts(said), strict=False)]
                told = [(a, b) for a, b in told if a != b]
                self.differences.append(f"{status.record.name}: {told}")
        return found

    def live(self) -> None:
        """Let one thing happen, or several at once, and the operator look."""
        for _ in range(self.rng.choice((1, 1, 2, 3))):
            self.rng.choice(THINGS)(self)
        self.now_s[0] += self.rng.choice((0.1, 1.0, 4.0, 12.0, 45.0))
        self.cluster.reconciler.run_cycle()

    # What may happen -------------------------------------------------------------------------

    def edit(self) -> None:
        change: dict[str, Any] = self.rng.choice(
            (
                {"downAdvertisements": self.rng.randint(3, 9)},
                {"candidates": self.rng.randint(1, 5)},
                {"nodeSelector": {"matchLabels": {"zone": self.rng.choice("ab")}}},
                {"nodeSelector": {"matchExpressions": [{"key": "zone", "operator": "Exists"}]}},
                {"addresses": [{"address": f"10.1.0.{self.rng.randint(1, 12)}/24"}]},
                {"healthChecks": [{"name": self.check(), "weight": self.rng.choice((0, -30))}]},
                {"healthChecks": []},
                {"interface": self.rng.choice(("eth0", "eth1"))},
                {"nodePriorities": {self.node(): self.rng.randint(1, 254)}},
                {"virtualRouterID": self.rng.randint(1, 12)},
                {"suspend": self.rng.random() < 0.7},
                {"preferredNodes": [self.node()], "nodePriorities": {}},
            )
        )
        self.cluster.edit(self.vip(), **change)

    def make(self) -> None:
        self.made += 1
        self.cluster.make(self.made)

    def delete(self) -> None:
        self.cluster.delete("virtualips", self.vip())
        self.make()

    def hand_over(self) -> None:
        obj = self.cluster.get("virtualips", self.vip())
        to = self.rng.choice((self.node(), "nobody", ""))
        obj["metadata"]["annotations"] = {"kube-vrrp.io/handover-to": to}
        self.cluster.put("virtualips", obj)

    def change_node(self) -> None:
        obj = self.cluster.get("nodes", self.node())
        obj["metadata"]["labels"] = {"zone": self.rng.choice("ab")}
        away = self.rng.random() < 0.3
        obj["metadata"]["annotations"] = {"kube-vrrp.io/maintenance": "true"} if away else {}
        obj["status"]["conditions"] = [
            {"type": "Ready", "status": self.rng.choice(("True", "False"))}
        ]
        if self.rng.random() < 0.3:
            address = f"172.16.0.{self.rng.randint(1, 9)}"
            obj["status"]["addresses"] = [{"type": "InternalIP", "address": address}]
        self.cluster.put("nodes", obj)

    def lose_node(self) -> None:
        name = self.node()
        obj = self.cluster.get("nodes", name)
        self.cluster.delete("nodes", name)
        self.cluster.reconciler.run_cycle()
        self.cluster.put("nodes", obj)

    def report_all(self) -> None:
        self.cluster.report()

    def report_some(self) -> None:
        names = [name for name in self.names("nodes") if self.rng.random() < 0.5]
        self.cluster.report(names, without=self.node())

    def say_something_odd(self) -> None:
        names = self.names("nodeconfigs")
        if not names:
            return
        obj = self.cluster.get("nodeconfigs", self.rng.choice(names))
        status = obj.get("status") or {}
        for router in status.get("virtualRouters", ()):
            router["state"] = self.rng.choice(("Active", "Backup", "Backup", "Fault"))
            router["faults"] = ["InterfaceDown: eth0"] if router["state"] == "Fault" else []
            if self.rng.random() < 0.3:
                peer = {"address": "172.16.0.1", "heard": True, "since": "2026-01-01T00:00:00Z"}
                router["peersHeard"] = [peer]
            if self.rng.random() < 0.2:
                time = str(status["heartbeatTime"])
                router["foreign"] = {"source": "10.9.9.9", "priority": 100, "time": time}
        for check in status.get("checks", ()):
            check["passing"] = self.rng.random() < 0.5
        if status and self.rng.random() < 0.2:
            status["speaker"]["features"] = []
        self.cluster.put("nodeconfigs", obj)

    def lose_node_config(self) -> None:
        names = self.names("nodeconfigs")
        if names:
            self.cluster.delete("nodeconfigs", self.rng.choice(names))

    def change_check(self) -> None:
        obj = self.cluster.get("healthchecks", self.check())
        obj["metadata"]["generation"] += 1
        obj["spec"]["panicThreshold"] = self.rng.choice((50, 100))
        self.cluster.put("healthchecks", obj)

    def change_endpoints(self) -> None:
        self.cluster.set_endpoints(self.rng.choice((0, 1, 4, 5)))

    def nothing(self) -> None:
        """Only time passes."""

    def vip(self) -> str:
        return self.rng.choice(self.names("virtualips"))

    def node(self) -> str:
        return self.rng.choice(self.names("nodes"))

    def check(self) -> str:
        return self.rng.choice(self.names("healthchecks"))

    def names(self, kind: str) -> list[str]:
        return sorted(self.cluster._objects[kind])


THINGS = (
    Life.edit, Life.edit, Life.edit, Life.make, Life.delete, Life.hand_over, Life.change_node,
    Life.change_node, Life.lose_node, Life.report_all, Life.report_all, Life.report_all,
    Life.report_some, Life.report_some, Life.say_something_odd, Life.say_something_odd,
    Life.lose_node_config, Life.change_check, Life.change_endpoints, Life.nothing,
)  # fmt: skip


def _timeless(status: Any) -> Any:
    """Return a status without when conditions flipped: who sees it later says so later."""
    conditions = [
        {key: value for key, value in condition.items() if key != "lastTransitionTime"}
        for condition in status["conditions"]
    ]
    return {**status, "conditions": conditions}


def _parts(status: Any) -> list[Any]:
    """Return the parts of a status, each condition by itself."""
    timeless = _timeless(status)
    return [*timeless.pop("conditions"), *sorted(timeless.items())]


@pytest.mark.parametrize("seed", SEEDS)
def test_what_changed_comes_to_what_everything_does(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now_s[0])
    life = Life(seed, now_s, monkeypatch)
    for step in range(STEPS):
        life.live()
        assert not life.differences, f"step {step}: " + "\n".join(life.differences)
    unexpected = life.cluster.reconciler._metrics.exceptions
    found = {task: unexpected.labels(task)._value.get() for task in ("reconcile", "plan", "fold")}
    assert set(found.values()) == {0.0}, found


def test_numbers_are_given_anew_where_nodes_come_in_another_order() -> None:
    """Who has 7 on a node follows from which one the older VirtualIP prefers."""
    planner, found = Planner(), []
    for preferred in ("node-1", "node-2"):
        older = virtual_ip("a", vrid=7, candidates=1, preferredNodes=[preferred])
        newer = virtual_ip("b", "192.0.2.51", virtualRouterID=7, candidates=1, created=LATER)
        now = snapshot([older, newer], nodes(2))
        found.append(planner.plan(now).candidates)
        assert found[-1] == plan(now).candidates
    assert [of["a"] for of in found] == [("node-1",), ("node-2",)]
    assert [of["b"] for of in found] == [("node-2",), ("node-1",)]


def test_numbers_are_given_anew_where_another_one_is_asked_for() -> None:
    planner = Planner()
    assert planner.plan(snapshot([virtual_ip("a")], nodes(2))).vrids == {"a": 1}
    asking = virtual_ip("a", virtualRouterID=9)
    assert planner.plan(snapshot([asking], nodes(2))).vrids == {"a": 9}


def test_numbers_are_given_anew_where_others_may_not_be_given() -> None:
    planner, now = Planner(), snapshot([virtual_ip("a")], nodes(2))
    assert planner.plan(now).vrids == {"a": 1}
    assert planner.plan(now.but(vrid_limits=Limits(reserved=frozenset({1})))).vrids == {"a": 2}
