"""What the nodes report, folded into the status of VirtualIPs and HealthChecks (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vrrp_api.bounds import HEALTH_CHECK_STATUS, VIRTUAL_IP_STATUS, bounded
from vrrp_api.check_kinds import kind_name
from vrrp_api.conditions import (
    CheckConditionType,
    Condition,
    ConditionType,
    Reason,
    merge_conditions,
    parse_conditions,
)
from vrrp_api.node_status import RouterStatus
from vrrp_api.times import is_date_time
from vrrp_operator.membership.hearing import heard_silent
from vrrp_operator.model.snapshot import (
    ClusterSnapshot,
    HealthCheckRecord,
    VirtualIPRecord,
)
from vrrp_operator.plan.planner import Plan
from vrrp_operator.report.check_conditions import check_conditions
from vrrp_operator.report.clocks import Clocks
from vrrp_operator.report.conditions import (
    UNKNOWN,
    NodeRouter,
    active_routers,
    virtual_ip_conditions,
)
from vrrp_operator.report.history import newly_told, takeovers
from vrrp_operator.report.telling import fitted

MAX_HISTORY = 5
_ACCEPTED = ConditionType.ACCEPTED
_LONGEST_FAULT = 512
_TOLD = 256
"""Characters of what one of many nodes says of a check."""


def virtual_ip_status(
    record: VirtualIPRecord,
    snapshot: ClusterSnapshot,
    plan: Plan,
    now: str,
    clocks: Clocks | None = None,
) -> dict[str, Any]:
    """Return the whole status of a VirtualIP.

    Equal reports give equal statuses, so that nothing is written while nothing happens.

    Args:
        record: the VirtualIP.
        snapshot: the cluster, or its view of it.
        plan: what was planned.
        now: RFC 3339, used where something flips.
        clocks: of the nodes; None: as the snapshot says.
    """
    clocks = clocks or Clocks(snapshot.heartbeats, now)
    reported = _reported(record, snapshot, plan)
    members = plan.members.get(record.name, ())
    known = record.status.get("history") or []
    held = takeovers(known, [(node, router) for node, router, _ in reported])
    seen = record, snapshot, plan, reported
    conditions = virtual_ip_conditions(*seen, takeovers=held, clocks=clocks)
    addresses = [str(a) for a in record.spec.addresses] if record.spec else []
    status: dict[str, Any] = {
        "observedGeneration": record.generation,
        "addresses": addresses,
        "addressSummary": ",".join(addresses or record.asked_addresses),
        "transitions": _transitions(record, held),
        "standbys": sum(1 for _, router, fresh in reported if fresh and router.state == "Backup"),
        "nodes": [
            _node_entry(node, router, known)
            for node, router, known in reported
            if known or node in (*plan.candidates.get(record.name, (node,)), *members)
        ]
        or _not_yet(record, plan),
        "history": held[-MAX_HISTORY:],
        "conditions": [c.to_object() for c in merge_conditions(record.conditions, conditions, now)],
    }
    vrid = plan.vrids.get(record.name)
    if vrid is not None:
        status["virtualRouterID"] = vrid
    active = active_routers(reported)
    if not active:
        # One that cannot report has them as long as others hear it.
        heard = heard_silent(record.name, snapshot)
        active = [item for item in reported if item[0] in heard and item[1].state == "Active"]
    if active:
        # A speaker may say anything: those that are no candidates are believed last.
        wanted = plan.candidates.get(record.name, ())
        node, router, _ = max(active, key=lambda i: (i[0] in wanted, i[1].effective_priority))
        status["activeNode"] = node
        if is_date_time(router.since):
            status["since"] = router.since
        status["effectivePriority"] = router.effective_priority
        if router.interface:
            status["interface"] = router.interface
    return _bounded(VIRTUAL_IP_STATUS, status)


def _transitions(record: VirtualIPRecord, held: Sequence[Mapping[str, str]]) -> int:
    """Return how many takeovers there were so far: never fewer than were counted before."""
    known, counted = record.status.get("history") or [], record.status.get("transitions") or 0
    if counted and not known:
        return int(counted)  # what is told may be among them
    return int(counted) + newly_told(known, held, MAX_HISTORY)


def health_check_status(
    record: HealthCheckRecord, snapshot: ClusterSnapshot, now: str
) -> dict[str, Any]:
    """Return the whole status of a HealthCheck: its result on every node that runs it."""
    results = [
        {
            "node": node,
            "passing": check.passing,
            **({"since": check.since} if is_date_time(check.since) else {}),
            "message": fitted(check.message, _TOLD),
        }
        for node, check in snapshot.index.results(record.name).items()
    ]
    kind: dict[str, str] = {}
    if record.spec is not None:
        kind = {"type": kind_name(record.spec.kind), "target": record.spec.kind.target}
    conditions = check_conditions(record, snapshot, results)
    status = {
        "observedGeneration": record.generation,
        **kind,
        "passing": sum(1 for result in results if result["passing"]),
        "failing": sum(1 for result in results if not result["passing"]),
        "nodes": results,
        "conditions": [c.to_object() for c in merge_conditions(record.conditions, conditions, now)],
    }
    return _bounded(HEALTH_CHECK_STATUS, status)


def status_with(
    record: VirtualIPRecord | HealthCheckRecord,
    reason: Reason,
    why: str,
    now: str,
    *,
    instead_of: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the status of an object that nothing can be said of but why.

    What it said before stays; of a status that was refused as a whole, ``instead_of``, very little.
    """
    of_virtual_ip = isinstance(record, VirtualIPRecord)
    kind = ConditionType.READY if of_virtual_ip else CheckConditionType.PASSING
    said = Condition(kind, "Unknown", reason, fitted(why), record.generation)
    if instead_of is None:
        known, others = record.status, [c for c in record.conditions if c.type != kind]
    else:
        # What was accepted stays so when a later version has a rule against it.
        known, others = (
            {},
            [c for c in parse_conditions(instead_of["conditions"]) if c.type == _ACCEPTED],
        )
    status = {
        **known,
        "observedGeneration": record.generation,
        "conditions": [
            c.to_object() for c in merge_conditions(record.conditions, [*others, said], now)
        ],
    }
    for key in ("virtualRouterID", "transitions"):
        if instead_of is not None and key in instead_of:
            status[key] = instead_of[key]
    return _bounded(VIRTUAL_IP_STATUS if of_virtual_ip else HEALTH_CHECK_STATUS, status)


def _bounded(part: str, status: Mapping[str, Any]) -> dict[str, Any]:
    fitting: dict[str, Any] = bounded(part, status)
    return fitting


def _reported(record: VirtualIPRecord, snapshot: ClusterSnapshot, plan: Plan) -> list[NodeRouter]:
    """Return what the nodes say of a VirtualIP, and whether it can be believed.

    Only of those that run the election, or may. An operator that starts anew has seen no heartbeat
    move: until then it goes on not to believe whom it did not believe before.
    """
    superseded = _superseded(record.name, snapshot)
    unknown = {
        entry["node"] for entry in record.status.get("nodes") or () if entry.get("state") == UNKNOWN
    }
    return [
        (
            node,
            router,
            report.fresh and node not in superseded and (report.alive or node not in unknown),
        )
        for node, router in snapshot.index.told(record.name).items()
        for report in (snapshot.reports[node],)
        if report.fresh or node in plan.members[record.name]
    ]


def _superseded(name: str, snapshot: ClusterSnapshot) -> set[str]:
    """Return nodes that said they were Active and were not heard since another one became it.

    A node that died said so until the end; one that lives and is Active too will say it again.
    """
    seen = {
        node: (report.active_seen_s[name], router.since, node)
        for node, router in snapshot.index.told(name).items()
        for report in (snapshot.reports[node],)
        if name in report.active_seen_s
    }
    if len(seen) < 2:
        return set()
    latest = max(seen.values())
    return {
        node for node in seen if node != latest[2] and snapshot.reports[node].heard_s <= latest[0]
    }


def _not_yet(record: VirtualIPRecord, plan: Plan) -> list[dict[str, Any]]:
    """Return who takes part of those that took part before, while none of them has reported."""
    candidates = () if record.suspended else plan.candidates.get(record.name, ())
    before = [e for e in record.status.get("nodes") or () if e.get("node") in candidates]
    return [{**entry, "state": UNKNOWN} for entry in before]


def _node_entry(node: str, router: RouterStatus, known: bool) -> dict[str, Any]:
    failing = [f.partition(": ")[2] for f in router.faults if f.startswith("CheckFailed: ")]
    return {
        "node": node,
        "state": router.state if known else UNKNOWN,
        "effectivePriority": router.effective_priority,
        "faults": [fitted(fault, _LONGEST_FAULT) for fault in router.faults],
        "failingChecks": failing,
    }


def condition_counts(statuses: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return how many VirtualIPs have each condition True, for ``virtual_ips{condition}``."""
    counts = {str(kind): 0 for kind in ConditionType}
    for status in statuses:
        for item in status["conditions"]:
            if item["status"] == "True" and item["type"] in counts:
                counts[item["type"]] += 1
    return counts


def condition_truths(
    statuses: Mapping[str, Mapping[str, Any]],
) -> dict[str, dict[str, bool]]:
    """Return which conditions are True and which False, by name of the VirtualIP.

    Of one that is suspended nothing is wrong when it is not ready: nothing is said of that.
    """
    return {
        name: {c["type"]: c["status"] == "True" for c in status["conditions"] if _is_known(c)}
        for name, status in statuses.items()
    }


def _is_known(condition: Mapping[str, Any]) -> bool:
    suspended = (
        condition["type"] == ConditionType.READY and condition.get("reason") == Reason.SUSPENDED
    )
    return condition["status"] in ("True", "False") and not suspended


def speakers_reporting(snapshot: ClusterSnapshot) -> dict[str, bool]:
    """Return whether its speaker reports, for each node of the cluster that ever had one."""
    return {
        node.name: snapshot.reports[node.name].fresh
        for node in snapshot.nodes
        if node.has_speaker and node.name in snapshot.reports
    }
