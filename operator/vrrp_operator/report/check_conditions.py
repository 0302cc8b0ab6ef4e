"""What HealthChecks come to, as conditions of theirs and of the VirtualIPs that use them (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vrrp_api.check_kinds import ServiceCheck
from vrrp_api.conditions import CheckConditionType, Condition, ConditionType, Reason
from vrrp_operator.model.snapshot import ClusterSnapshot, HealthCheckRecord, Panic, VirtualIPRecord
from vrrp_operator.plan.other_versions import features_unknown
from vrrp_operator.plan.planner import Plan
from vrrp_operator.plan.router_checks import resolved
from vrrp_operator.report import asking
from vrrp_operator.report.telling import MESSAGE_ROOM, fitted, listed
from vrrp_operator.report.weights import ineffective_weights

_TOLD = 5
"""How many nodes a message tells of; the status has all of them."""
_REFUSED = f"{Reason.TARGET_NOT_ALLOWED}: "
"""With what a speaker begins its message of a check that it may not run."""
_SLOWED = f"{Reason.CHECK_SLOWED}: "
"""With what it begins that of one which passes, and runs less often than it is to."""


def check_conditions(
    record: HealthCheckRecord, snapshot: ClusterSnapshot, results: Sequence[Mapping[str, object]]
) -> list[Condition]:
    """Return the conditions of a HealthCheck, without their transition times.

    Args:
        record: the HealthCheck.
        snapshot: the cluster.
        results: what its status says of each node.
    """
    users = snapshot.users.get(record.name, ())
    return [
        _accepted(record, users),
        _passing(record, snapshot, users, results),
        _panic(record, snapshot),
        *asking.of_health_check(record),
    ]


def ignored_and_ineffective(
    record: VirtualIPRecord, snapshot: ClusterSnapshot, plan: Plan
) -> list[Condition]:
    """Return what a VirtualIP's conditions say of its checks."""
    return [_checks_ignored(record, snapshot), _weight_ineffective(record, snapshot, plan)]


def weight_warnings(
    record: VirtualIPRecord,
    snapshot: ClusterSnapshot,
    priorities: Sequence[int],
    names: Sequence[str] = (),
) -> list[str]:
    """Return what is to be said of weights that never move a valid VirtualIP."""
    checks = snapshot.checks
    if record.spec is None or any(r.name not in checks for r in record.spec.health_checks):
        return []
    references = [resolved(reference, checks) for reference in record.spec.health_checks]
    return ineffective_weights(record.spec, references, checks, priorities, names)


# HealthCheck ------------------------------------------------------------------------------


def _accepted(record: HealthCheckRecord, users: Sequence[str]) -> Condition:
    kind = CheckConditionType.ACCEPTED
    if record.error is not None:
        return _condition(record, kind, "False", Reason.INVALID_SPEC, str(record.error))
    used = f"used by VirtualIP {listed(users)}" if users else "no VirtualIP names it"
    return _condition(record, kind, "True", Reason.ACCEPTED, f"valid; {used}")


def _passing(
    record: HealthCheckRecord,
    snapshot: ClusterSnapshot,
    users: Sequence[str],
    results: Sequence[Mapping[str, object]],
) -> Condition:
    def passing(status: str, reason: Reason, message: str) -> Condition:
        return _condition(record, CheckConditionType.PASSING, status, reason, message)

    kind = record.spec.kind if record.spec is not None else None
    if isinstance(kind, ServiceCheck) and snapshot.services is not None:
        if kind.target not in snapshot.services:
            message = f"the endpoints of Service {kind.target} are not known yet"
            return passing("Unknown", Reason.ENDPOINTS_UNKNOWN, message)
        if snapshot.services[kind.target] is None:
            message = (
                f"Service {kind.target} does not exist or has no EndpointSlice"
                " (accepted: namespace and name of a Service)"
            )
            return passing("False", Reason.SERVICE_NOT_FOUND, message)
    without = nodes_without(record, snapshot)
    failing = [r for r in results if not r["passing"]]
    if failing:
        told = [f"{r['node']}: {r['message']}" for r in failing[:_TOLD]]
        more = f" and {len(failing) - _TOLD} more" if len(failing) > _TOLD else ""
        refused = any(str(r["message"]).startswith(_REFUSED) for r in failing)
        reason = Reason.TARGET_NOT_ALLOWED if refused else Reason.CHECK_FAILED
        return passing("False", reason, "; ".join(told) + more)
    if without:
        return passing("True" if results else "Unknown", Reason.NOT_UNDERSTOOD, without)
    if results:
        message = f"passes on {len(results)} nodes"
        slow = [r for r in results if str(r["message"]).startswith(_SLOWED)]
        if slow:
            message += f"; {slow[0]['node']}: {slow[0]['message']}"
            return passing("True", Reason.CHECK_SLOWED, message)
        return passing("True", Reason.PASSING, message)
    if not users:
        return passing("Unknown", Reason.NOT_USED, "no VirtualIP names it, so no node runs it")
    return passing("Unknown", Reason.CHECK_PENDING, "no node has a result yet")


def nodes_without(record: HealthCheckRecord, snapshot: ClusterSnapshot) -> str:
    """Return which nodes go without a check because their speakers do not know what it says."""
    if record.spec is None:
        return ""
    users = snapshot.users.get(record.name, ())
    found = [
        f"{node} goes without: its speaker does not know {', '.join(sorted(unknown))}; upgrade it"
        for node, report in sorted(snapshot.reports.items())
        if report.status is not None
        and (unknown := features_unknown(record.spec, node, snapshot))
        and any(router.name in users for router in report.status.virtual_routers)
    ]
    return "; ".join(found[:_TOLD]) + (f" and {len(found) - _TOLD} more" if found[_TOLD:] else "")


def _panic(record: HealthCheckRecord, snapshot: ClusterSnapshot) -> Condition:
    found = {
        f"VirtualIP {virtual_ip}": panic
        for (virtual_ip, check), panic in sorted(snapshot.panics.items())
        if check == record.name
    }
    kind = CheckConditionType.PANIC
    return _ignoring(record, kind, found, "no VirtualIP ignores the check")


def _ignoring(
    record: HealthCheckRecord | VirtualIPRecord,
    kind: CheckConditionType | ConditionType,
    found: Mapping[str, Panic],
    otherwise: str,
) -> Condition:
    """Return a condition that tells of each panic by the name of what it is about."""
    if not found:
        return _condition(record, kind, "False", Reason.AS_EXPECTED, otherwise)
    told = listed([f"{name}: {_told(panic)}" for name, panic in found.items()], "; ")
    return _condition(record, kind, "True", Reason.PANIC_THRESHOLD_REACHED, told)


def _told(panic: Panic) -> str:
    if len(panic.failing) * 100 >= panic.threshold * panic.candidates:
        names = ", ".join(panic.failing[:_TOLD])
        more = ", …" if len(panic.failing) > _TOLD else ""
        return (
            f"ignored, for {len(panic.failing)} of {panic.candidates} candidates fail"
            f" ({names}{more}; panicThreshold {panic.threshold}%)"
        )
    return (
        f"ignored a moment longer, although only {len(panic.failing)} of {panic.candidates}"
        f" candidates fail (panicThreshold {panic.threshold}%)"
    )


# VirtualIP --------------------------------------------------------------------------------


def _checks_ignored(record: VirtualIPRecord, snapshot: ClusterSnapshot) -> Condition:
    found = {
        f"HealthCheck {check}": panic
        for (virtual_ip, check), panic in sorted(snapshot.panics.items())
        if virtual_ip == record.name
    }
    return _ignoring(record, ConditionType.CHECKS_IGNORED, found, "every check counts")


def _weight_ineffective(
    record: VirtualIPRecord, snapshot: ClusterSnapshot, plan: Plan
) -> Condition:
    kind = ConditionType.WEIGHT_INEFFECTIVE
    priorities = plan.priorities.get(record.name, ())
    names = plan.candidates.get(record.name, ())
    found = weight_warnings(record, snapshot, priorities, names)
    if found:
        return _condition(
            record, kind, "True", Reason.WEIGHT_INEFFECTIVE, listed(found, "; ", MESSAGE_ROOM)
        )
    message = "every weight can move the addresses"
    if len(priorities) < 2:
        message = "fewer than two candidates: nothing could move"
    return _condition(record, kind, "False", Reason.AS_EXPECTED, message)


def _condition(
    record: HealthCheckRecord | VirtualIPRecord,
    kind: CheckConditionType | ConditionType,
    status: str,
    reason: Reason,
    message: str,
) -> Condition:
    return Condition(kind, status, reason, fitted(message), record.generation)
