"""What nodes, schemas and NodeConfigs of another version mean for what is asked of nodes (pure)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from vrrp_api.check_kinds import kind_object
from vrrp_api.conditions import Reason
from vrrp_api.features import ENDINGS, FIELDS, LEASES, needed
from vrrp_api.health_check import HealthCheck
from vrrp_api.node_config import NodeConfig
from vrrp_operator.membership.waiting import Wait
from vrrp_operator.model.snapshot import ClusterSnapshot, NodeReport


def not_understood(snapshot: ClusterSnapshot) -> dict[str, Wait]:
    """Return the elections of which nodes are asked what this version does not know, by name.

    An operator of a newer version wrote that. What it means for the others of the election nobody
    here can tell, so such an election is left just as it is until its VirtualIP goes.
    """
    found: dict[str, Wait] = {}
    names = {record.name for record in snapshot.virtual_ips}
    for node, report in sorted(snapshot.reports.items()):
        for name, what in report.unknown.items():
            text = (
                f"NodeConfig {node}: {what}; the election is left as an operator of another version"
                " made it: run that version, or delete the VirtualIP and create it again"
            )
            if name in names:
                found.setdefault(name, Wait(Reason.NOT_UNDERSTOOD, text, (node,)))
    return found


def as_written(
    obj: Mapping[str, Any], report: NodeReport | None, names: Collection[str]
) -> Mapping[str, Any]:
    """Return a NodeConfig with elections, and their checks, as they stand in the present one."""
    if report is None or not names:
        return obj
    spec = obj["spec"]
    routers = {r["name"]: r for r in spec["virtualRouters"]}
    routers |= {r["name"]: r for r in report.as_written[0] if r["name"] in names}
    used = {c["name"] for r in routers.values() for c in r.get("healthChecks") or ()}
    checks = {c["name"]: c for c in spec["healthChecks"]}
    checks |= {c["name"]: c for c in report.as_written[1] if c["name"] in used}
    return {
        **obj,
        "spec": {
            **spec,
            "virtualRouters": [routers[name] for name in sorted(routers)],
            "healthChecks": [checks[name] for name in sorted(checks)],
        },
    }


def kinds_know(feature: str, snapshot: ClusterSnapshot) -> bool:
    """Return whether the API server's NodeConfigs have the fields of a feature."""
    return not any(FIELDS.get(path) == feature for path in snapshot.undeclared)


def lease_namespace(report: NodeReport | None, snapshot: ClusterSnapshot) -> str | None:
    """Return where a node's speaker is to renew a Lease, if it said that it can."""
    if report is None or report.status is None or LEASES not in report.status.features:
        return None
    if not kinds_know(LEASES, snapshot):
        return None
    if snapshot.lease_namespace == "":
        return report.config.lease_namespace if report.config is not None else None
    return snapshot.lease_namespace


def ended(
    report: NodeReport | None, config: NodeConfig, snapshot: ClusterSnapshot
) -> tuple[str, ...]:
    """Return the elections whose end a node is to be told: it may have their addresses yet.

    What it was told stays as long as nothing else changes: to take it back is worth no write.
    """
    if report is None or report.config is None or report.status is None:
        return ()
    if ENDINGS not in report.status.features or not kinds_know(ENDINGS, snapshot):
        return ()
    before, status = report.config, report.status
    known = {record.name for record in snapshot.virtual_ips if not record.suspended}
    known |= {router.name for router in config.virtual_routers}
    running = {router.name for router in before.virtual_routers}
    if status.observed_generation != before.generation:
        running |= set(before.ended)
    ending = running - known
    told = set(before.ended) - known
    if ending <= told and replace(before, generation=0) == replace(config, ended=before.ended):
        return before.ended
    return tuple(sorted(ending))


def features_unknown(check: HealthCheck, node: str, snapshot: ClusterSnapshot) -> frozenset[str]:
    """Return what a check needs and a node's speaker, or NodeConfig, lacks; it goes without it.

    A speaker that has said nothing yet is taken for one of this version.
    """
    report = snapshot.reports.get(node)
    wanted = needed(kind_object(check.kind), "spec.healthChecks")
    said = report.status.features if report is not None and report.status is not None else wanted
    return frozenset(f for f in wanted if f not in said or not kinds_know(f, snapshot))
