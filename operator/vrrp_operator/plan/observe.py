"""What the operator knows of a node and the node does not, written into its checks (pure)."""

from __future__ import annotations

from dataclasses import replace

from vrrp_api.check_kinds import NodeConditionCheck, ServiceCheck
from vrrp_api.health_check import HealthCheck
from vrrp_operator.model.snapshot import ClusterSnapshot, Node

_LONGEST_STATUS = 16


def observed(
    check: HealthCheck, node: Node, snapshot: ClusterSnapshot, before: HealthCheck | None
) -> HealthCheck:
    """Return a check as a node is to run it: with its condition, or whether it has ready endpoints.

    How many is not said: it changes nothing, and a rolling update would be a write for each Pod. A
    Service that nothing is known of keeps what ``before``, the node's present check, says.
    """
    kind = check.kind
    match kind:
        case NodeConditionCheck():
            # Whoever writes it may write anything; the check compares it with True, False, Unknown.
            status = node.conditions.get(kind.type, "")[:_LONGEST_STATUS]
            return replace(check, kind=replace(kind, observed=status or None))
        case ServiceCheck():
            return replace(
                check, kind=replace(kind, ready_endpoints=_ready(kind, node, snapshot, before))
            )
        case _:
            return check


def services_of(snapshot: ClusterSnapshot) -> frozenset[str]:
    """Return the Services that checks name, as namespace/name."""
    kinds = [check.kind for check in snapshot.checks.values()]
    return frozenset(kind.target for kind in kinds if isinstance(kind, ServiceCheck))


def _ready(
    kind: ServiceCheck, node: Node, snapshot: ClusterSnapshot, before: HealthCheck | None
) -> int | None:
    if snapshot.services is not None and kind.target in snapshot.services:
        ready = snapshot.services[kind.target]
        return None if ready is None else min(1, ready.get(node.name, 0))
    known = before.kind if before is not None else None
    same = isinstance(known, ServiceCheck) and known.target == kind.target
    return known.ready_endpoints if same and isinstance(known, ServiceCheck) else None
