"""An election's checks on a node: what a VirtualIP asks for, and what the node can run (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from vrrp_api.health_check import HealthCheck
from vrrp_api.node_config import RouterCheck
from vrrp_api.virtual_ip import CheckReference
from vrrp_operator.model.snapshot import ClusterSnapshot
from vrrp_operator.plan.other_versions import features_unknown


def weighed(
    references: Iterable[RouterCheck], virtual_ip: str, node: str, snapshot: ClusterSnapshot
) -> tuple[RouterCheck, ...]:
    """Return the checks that a node can run for a router, with whether each counts there now."""
    checks = snapshot.checks

    def ignored(name: str) -> bool:
        panic = snapshot.panics.get((virtual_ip, name))
        return panic is not None and node in panic.nodes

    return tuple(
        replace(reference, ignored=ignored(reference.name))
        for reference in references
        if reference.name not in checks
        or not features_unknown(checks[reference.name], node, snapshot)
    )


def resolved(reference: CheckReference, checks: Mapping[str, HealthCheck]) -> RouterCheck:
    """Return what a VirtualIP says of a check, and where it is silent what the check says."""
    check = checks[reference.name]
    return RouterCheck(
        reference.name,
        check.weight if reference.weight is None else reference.weight,
        check.reverse if reference.reverse is None else reference.reverse,
    )
