"""What is to be said of how something was asked: conditions that users put right (pure)."""

from __future__ import annotations

from collections.abc import Iterator
from json import dumps

from vrrp_api.annotations import HANDOVER_TO
from vrrp_api.conditions import CheckConditionType, Condition, ConditionType, Reason
from vrrp_api.former import REFUSED, FormerForm
from vrrp_operator.model.snapshot import ClusterSnapshot, HealthCheckRecord, VirtualIPRecord
from vrrp_operator.plan.planner import Plan
from vrrp_operator.report.telling import fitted, listed

Record = VirtualIPRecord | HealthCheckRecord


def of_virtual_ip(
    record: VirtualIPRecord, snapshot: ClusterSnapshot, plan: Plan
) -> list[Condition]:
    """Return the conditions of a VirtualIP that are about its fields and annotations."""
    problem = plan.problems.get(record.name)
    reason, message = Reason.AS_EXPECTED, "accepted"
    if problem is not None and not _may_come(problem.reason, record, snapshot):
        reason, message = problem.reason, problem.message
    elif problem is not None:
        message = "refused until what it names is there; see the condition Accepted"
    return [
        _alarm(record, ConditionType.STALLED, reason, message),
        _handover_ignored(record, snapshot, plan),
        _deprecated(record, ConditionType.DEPRECATED_FIELDS),
    ]


def of_health_check(record: HealthCheckRecord) -> list[Condition]:
    """Return the conditions of a HealthCheck that are about its fields."""
    reason, message = Reason.AS_EXPECTED, "accepted"
    if record.error is not None:
        reason, message = Reason.INVALID_SPEC, str(record.error)
    return [
        _alarm(record, CheckConditionType.STALLED, reason, message),
        _deprecated(record, CheckConditionType.DEPRECATED_FIELDS),
    ]


def _may_come(reason: Reason, record: VirtualIPRecord, snapshot: ClusterSnapshot) -> bool:
    """Return whether what is lacking may be on its way, as objects of one commit are."""
    if reason is Reason.HEALTH_CHECK_NOT_FOUND:
        known = {check.name for check in snapshot.health_checks}
        named = record.spec.health_checks if record.spec is not None else ()
        return any(reference.name not in known for reference in named)
    return reason is Reason.ENDPOINTS_UNKNOWN


def _handover_ignored(record: VirtualIPRecord, snapshot: ClusterSnapshot, plan: Plan) -> Condition:
    kind = ConditionType.HANDOVER_IGNORED
    refused = _why_ignored(record, snapshot, plan)
    told = [refused] if refused else []
    told += [
        f"annotation {fitted(dumps(key), 100)} is not known (accepted: {HANDOVER_TO}: NODE)"
        for key in record.unknown_annotations
    ]
    if not told:
        return _alarm(record, kind, Reason.AS_EXPECTED, "no annotation is ignored")
    reason = Reason.NOT_A_CANDIDATE if refused else Reason.UNKNOWN_ANNOTATION
    return _alarm(record, kind, reason, "; ".join(told))


def _why_ignored(record: VirtualIPRecord, snapshot: ClusterSnapshot, plan: Plan) -> str:
    """Return why nothing comes of a hand-over that is asked for; empty where something does."""
    candidates = plan.candidates.get(record.name, ())
    if record.handover_to is None or record.handover_to in candidates:
        return ""
    asked = f"annotation {HANDOVER_TO}: {fitted(dumps(record.handover_to), 100)}"
    if record.name in plan.problems:
        return f"{asked} has to wait: the VirtualIP is not accepted, see the condition Accepted"
    known = any(node.name == record.handover_to for node in snapshot.nodes)
    what = "is not a candidate" if known else "is no node of the cluster"
    return f"{asked} {what} (accepted: {listed(candidates) or 'none, as there is no candidate'})"


def _deprecated(record: Record, kind: ConditionType | CheckConditionType) -> Condition:
    found = [str(form) for form in _to_be_told(record)]
    if not found:
        return _alarm(record, kind, Reason.AS_EXPECTED, "every field is in its present form")
    message = f"{listed(found, '; ')}; {REFUSED}"
    return _alarm(record, kind, Reason.DEPRECATED_FIELDS, message)


def _to_be_told(record: Record) -> Iterator[FormerForm]:
    """Yield former forms; what a default may have written is told once the object is edited.

    Until then it is as an earlier version accepted it, and nobody can be meant.
    """
    said = {
        c.type: c.status for c in record.conditions if c.observed_generation == record.generation
    }
    accepted = said.get(ConditionType.ACCEPTED) == "True"
    untouched = accepted and said.get(ConditionType.DEPRECATED_FIELDS) != "True"
    for form in record.former:
        if not (form.by_default and untouched):
            yield form


def _alarm(
    record: Record, kind: ConditionType | CheckConditionType, reason: Reason, message: str
) -> Condition:
    """Return a condition of which True is the bad news; the reason decides."""
    status = "False" if reason is Reason.AS_EXPECTED else "True"
    return Condition(kind, status, reason, fitted(message), record.generation)
