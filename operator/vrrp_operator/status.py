"""What the nodes report, folded into the status of VirtualIPs and HealthChecks (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vrrp_api.conditions import Condition, ConditionType, Reason, merge_conditions
from vrrp_api.health_check import kind_name, target
from vrrp_api.node_config import RouterStatus
from vrrp_operator.planner import Plan
from vrrp_operator.snapshot import ClusterSnapshot, HealthCheckRecord, NodeReport, VirtualIPRecord

MAX_HISTORY = 5
_FAULT_REASONS = {str(reason) for reason in Reason}

NodeRouter = tuple[str, RouterStatus, bool]
"""(node, what it reports of the router, whether that can still be believed)."""
UNKNOWN = "Unknown"
"""Stands for the state of a node whose report cannot be believed any more."""


def virtual_ip_status(
    record: VirtualIPRecord, snapshot: ClusterSnapshot, plan: Plan, now: str
) -> dict[str, Any]:
    """Return the whole status of a VirtualIP; ``now`` is RFC 3339 and used where something flips.

    Equal reports give equal statuses, so that nothing is written while nothing happens.
    """
    reported = _reported(record.name, snapshot)
    active = [item for item in reported if item[1].state == "Active" and item[2]]
    conditions = _conditions(record, snapshot, plan, reported, active)
    status: dict[str, Any] = {
        "observedGeneration": record.generation,
        "addresses": [str(a) for a in record.spec.addresses] if record.spec else [],
        "transitions": sum(router.transitions for _, router, _ in reported),
        "standbys": sum(1 for _, router, fresh in reported if fresh and router.state == "Backup"),
        "nodes": [_node_entry(node, router, known) for node, router, known in reported],
        "history": _history(record, reported),
        "conditions": [c.to_object() for c in merge_conditions(record.conditions, conditions, now)],
    }
    vrid = plan.vrids.get(record.name)
    if vrid is not None:
        status["virtualRouterID"] = vrid
    if active:
        node, router, _ = max(active, key=lambda item: item[1].effective_priority)
        status["activeNode"] = node
        status["since"] = router.since
        status["effectivePriority"] = router.effective_priority
        if router.interface:
            status["interface"] = router.interface
    return status


def health_check_status(
    record: HealthCheckRecord, snapshot: ClusterSnapshot, now: str
) -> dict[str, Any]:
    """Return the whole status of a HealthCheck: its result on every node that runs it."""
    results = [
        {"node": node, "passing": check.passing, "since": check.since, "message": check.message}
        for node, report in sorted(snapshot.reports.items())
        if report.status is not None
        for check in report.status.checks
        if check.name == record.name
    ]
    kind: dict[str, str] = {}
    if record.spec is None:
        accepted = _condition(
            record.generation, ConditionType.ACCEPTED, Reason.INVALID_SPEC, str(record.error)
        )
    else:
        kind = {"type": kind_name(record.spec.kind), "target": target(record.spec.kind)}
        message = "valid"
        accepted = _condition(record.generation, ConditionType.ACCEPTED, Reason.ACCEPTED, message)
    return {
        "observedGeneration": record.generation,
        **kind,
        "passing": sum(1 for result in results if result["passing"]),
        "failing": sum(1 for result in results if not result["passing"]),
        "nodes": results,
        "conditions": [c.to_object() for c in merge_conditions(record.conditions, [accepted], now)],
    }


def _reported(name: str, snapshot: ClusterSnapshot) -> list[NodeRouter]:
    superseded = _superseded(name, snapshot)
    return [
        (node, router, report.fresh and node not in superseded)
        for node, report in sorted(snapshot.reports.items())
        if report.status is not None
        for router in report.status.virtual_routers
        if router.name == name
    ]


def _superseded(name: str, snapshot: ClusterSnapshot) -> set[str]:
    """Return nodes that said they were Active and were not heard since another one became it.

    A node that died said so until the end; one that lives and is Active too will say it again.
    """
    seen = {
        node: (report.active_seen_s[name], _since(name, report), node)
        for node, report in snapshot.reports.items()
        if name in report.active_seen_s
    }
    if len(seen) < 2:
        return set()
    latest = max(seen.values())
    return {
        node for node in seen if node != latest[2] and snapshot.reports[node].heard_s <= latest[0]
    }


def _since(name: str, report: NodeReport) -> str:
    routers = report.status.virtual_routers if report.status is not None else ()
    return next((router.since for router in routers if router.name == name), "")


def _node_entry(node: str, router: RouterStatus, known: bool) -> dict[str, Any]:
    failing = [f.partition(": ")[2] for f in router.faults if f.startswith("CheckFailed: ")]
    return {
        "node": node,
        "state": router.state if known else UNKNOWN,
        "effectivePriority": router.effective_priority,
        "faults": list(router.faults),
        "failingChecks": failing,
    }


def _history(record: VirtualIPRecord, reported: Iterable[NodeRouter]) -> list[dict[str, str]]:
    """Return the last takeovers: {time, from, to, reason}, oldest first.

    A takeover is a node's transition to Active that the history does not hold yet.
    """
    history: list[dict[str, str]] = list(record.status.get("history") or [])
    known = {(entry["time"], entry["to"]) for entry in history}
    takeovers = []
    for node, router, _ in reported:
        last = router.last_transition
        if last is not None and last.after == "Active" and (last.time, node) not in known:
            takeovers.append({"time": last.time, "to": node, "reason": last.reason})
    for takeover in sorted(takeovers, key=lambda entry: entry["time"]):
        before = history[-1]["to"] if history else ""
        if history and takeover["time"] < history[-1]["time"]:
            continue  # older than what is known: it fell out of the history already
        history.append({**takeover, "from": before})
    return history[-MAX_HISTORY:]


# Conditions ----------------------------------------------------------------------------


def _conditions(
    record: VirtualIPRecord,
    snapshot: ClusterSnapshot,
    plan: Plan,
    reported: list[NodeRouter],
    active: list[NodeRouter],
) -> list[Condition]:
    problem = plan.problems.get(record.name)
    if problem is not None:
        accepted = _condition(
            record.generation, ConditionType.ACCEPTED, problem.reason, problem.message
        )
    else:
        vrid = plan.vrids[record.name]
        accepted = _condition(
            record.generation,
            ConditionType.ACCEPTED,
            Reason.ACCEPTED,
            f"valid; virtual router ID {vrid}",
        )
    return [
        _ready(record, plan, reported, active),
        accepted,
        _programmed(record, snapshot, plan, reported),
    ]


def _ready(
    record: VirtualIPRecord, plan: Plan, reported: list[NodeRouter], active: list[NodeRouter]
) -> Condition:
    def ready(reason: Reason, message: str) -> Condition:
        return _condition(record.generation, ConditionType.READY, reason, message)

    if record.name in plan.problems:
        running = f"; {active[0][0]} goes on with what was accepted before" if active else ""
        return ready(Reason.NOT_ACCEPTED, plan.problems[record.name].message + running)
    if not plan.candidates.get(record.name):
        return ready(Reason.NO_CANDIDATES, _no_candidates(record, plan))
    if len(active) > 1:
        names = ", ".join(node for node, _, _ in active)
        return ready(Reason.SPLIT_BRAIN, f"{names} are Active at once")
    if not active:
        stale = [node for node, router, fresh in reported if router.state == "Active" and not fresh]
        if stale:
            return ready(Reason.HEARTBEAT_STALE, f"{stale[0]} was Active and reports no more")
        return ready(Reason.NO_ACTIVE, _no_active(record))
    node, router, _ = active[0]
    if router.virtual_ip_generation != record.generation:
        return ready(
            Reason.PROGRESSING, f"{node} still runs generation {router.virtual_ip_generation}"
        )
    return ready(Reason.ACTIVE, f"{node} is Active")


def _programmed(
    record: VirtualIPRecord, snapshot: ClusterSnapshot, plan: Plan, reported: list[NodeRouter]
) -> Condition:
    def programmed(reason: Reason, message: str) -> Condition:
        return _condition(record.generation, ConditionType.PROGRAMMED, reason, message)

    if record.name in plan.problems:
        return programmed(Reason.NOT_ACCEPTED, "not accepted, see the condition Accepted")
    candidates = plan.candidates.get(record.name, ())
    missing = plan.without_address.get(record.name)
    if not candidates and not missing:
        return programmed(Reason.NO_CANDIDATES, _no_candidates(record, plan))
    by_node = {node: router for node, router, _ in reported}
    for node in candidates:
        fault = _placement_fault(by_node.get(node))
        if fault is not None:
            reason, text = fault
            return programmed(reason, f"{node}: {text}")
    if missing:
        return programmed(Reason.NODE_WITHOUT_ADDRESS, _without_address(record, missing))
    pending = [node for node in candidates if not _is_current(record, by_node.get(node))]
    if pending:
        message = f"{', '.join(pending)} did not apply generation {record.generation} yet"
        return programmed(Reason.PENDING, message)
    return programmed(Reason.PROGRAMMED, f"applied by {', '.join(candidates)}")


def _without_address(record: VirtualIPRecord, nodes: tuple[str, ...]) -> str:
    """Return which nodes take no part, and what they lack."""
    assert record.spec is not None
    return (
        f"{', '.join(nodes)}: no IPv{record.spec.family} InternalIP in the node's status, which the"
        f" election over {record.spec.addresses[0].address} needs"
    )


def _no_candidates(record: VirtualIPRecord, plan: Plan) -> str:
    missing = plan.without_address.get(record.name)
    if missing:
        return _without_address(record, missing)
    return "no node with a speaker matches the nodeSelector"


def _no_active(record: VirtualIPRecord) -> str:
    """Return what is known of an address that no candidate holds."""
    text = "no candidate reports that it is Active"
    transport = record.spec.election.transport if record.spec is not None else None
    if transport is not None and (transport.multicast or transport.external_peers):
        return text + "; a router outside the cluster may be"
    return text


def _is_current(record: VirtualIPRecord, router: RouterStatus | None) -> bool:
    return router is not None and router.virtual_ip_generation == record.generation


def _placement_fault(router: RouterStatus | None) -> tuple[Reason, str] | None:
    """Return the first fault that configuration could mend; failing checks are not among them."""
    for fault in router.faults if router is not None else ():
        name = fault.partition(":")[0]
        if name in _FAULT_REASONS and not name.startswith("Check"):
            return Reason(name), fault
    return None


_TRUE_REASONS = (Reason.ACTIVE, Reason.ACCEPTED, Reason.PROGRAMMED)


def _condition(generation: int, kind: ConditionType, reason: Reason, message: str) -> Condition:
    status = "True" if reason in _TRUE_REASONS else "False"
    return Condition(kind, status, reason, message[:1024], generation)


def condition_counts(statuses: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return how many VirtualIPs have each condition True, for ``virtual_ips{condition}``."""
    counts = {str(kind): 0 for kind in ConditionType}
    for status in statuses:
        for condition in status["conditions"]:
            if condition["status"] == "True":
                counts[condition["type"]] += 1
    return counts
