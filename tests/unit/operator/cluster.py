"""Builders for snapshots: what tests of the planner and the status start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vrrp_api.node_config import NodeConfig
from vrrp_api.node_status import NodeConfigStatus, RouterStatus, Transition
from vrrp_operator.model.snapshot import ClusterSnapshot, Node, NodeReport, take_snapshot
from vrrp_operator.plan.planner import Plan


def virtual_ip(
    name: str,
    *addresses: str,
    vrid: int | None = None,
    created: str = "2026-01-01T00:00:00Z",
    status: Mapping[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """Return a VirtualIP object; ``vrid`` is the one its status remembers."""
    remembered = {"virtualRouterID": vrid} if vrid is not None else {}
    return {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "VirtualIP",
        "metadata": {"name": name, "uid": name, "generation": 1, "creationTimestamp": created},
        "spec": {"addresses": [{"address": a} for a in addresses or ("192.0.2.50",)], **spec},
        "status": {**remembered, **(status or {})},
    }


def tcp_check(name: str, **spec: Any) -> dict[str, Any]:
    """Return a HealthCheck object."""
    return {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "HealthCheck",
        "metadata": {"name": name, "generation": 1},
        "spec": {"tcp": {"address": "127.0.0.1:80"}, **spec},
    }


def nodes(count: int) -> list[Node]:
    """Return nodes node-1 … node-N with speakers and one address each."""
    return [Node(f"node-{n}", {}, (f"192.0.2.{10 + n}",)) for n in range(1, count + 1)]


def snapshot(
    virtual_ips: Sequence[Mapping[str, Any]] = (),
    of_nodes: Sequence[Node] = (),
    checks: Sequence[Mapping[str, Any]] = (),
    reports: Mapping[str, NodeReport] | None = None,
) -> ClusterSnapshot:
    """Return the snapshot of these objects."""
    return take_snapshot(virtual_ips, checks, of_nodes, reports or {})


def applied(plan: Plan) -> dict[str, NodeReport]:
    """Return the reports of a cluster that runs a plan and has said nothing yet."""
    return {name: NodeReport(config, None, True) for name, config in plan.configs.items()}


def router_status(
    name: str,
    state: str,
    *,
    generation: int = 1,
    priority: int = 200,
    faults: tuple[str, ...] = (),
    since: str = "2026-01-01T00:00:00Z",
    last: Transition | None = None,
) -> RouterStatus:
    """Return what a node says of one router."""
    return RouterStatus(name, generation, state, since, priority, "eth0", faults, 1, last)


def report(
    config: NodeConfig | None,
    *routers: RouterStatus,
    fresh: bool = True,
    at: str = "2026-01-01T00:00:00Z",
) -> NodeReport:
    """Return the report of a node that runs its configuration."""
    generation = config.generation if config is not None else 1
    status = NodeConfigStatus(generation, at, "0", 0, "API", routers, ())
    return NodeReport(config, status, fresh)
