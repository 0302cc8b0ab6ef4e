"""What happened to VirtualIPs and HealthChecks, as Kubernetes Events (pure).

Facts of one cycle are compared with those of the cycle before; what is new becomes an occurrence.
An occurrence has a name that follows from the object and from what happened, never from who saw
it: an operator that starts anew finds it posted already. In its first cycle, without facts to
compare with, everything that is dated later than ``since`` counts as new.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from vrrp_api import API_VERSION
from vrrp_api.conditions import ConditionType
from vrrp_api.node_status import CheckStatus, RouterStatus, Transition
from vrrp_operator.model.snapshot import ClusterSnapshot, HealthCheckRecord, VirtualIPRecord
from vrrp_operator.plan.planner import Plan
from vrrp_operator.report.history import past_of

NAMESPACE = "default"
"""Where Kubernetes keeps the Events of objects that have no namespace."""
CONTROLLER = "kube-vrrp.io/operator"
_MAX_NOTE = 1024
_LONGEST_NAME = 253 - 17
_ACTIVE = "Active"


class EventReason(StrEnum):
    """Stable reasons; ``docs/events.md`` explains each."""

    BECAME_ACTIVE = "BecameActive"
    RESIGNED = "Resigned"
    HANDOVER_STARTED = "HandoverStarted"
    SPLIT_BRAIN_DETECTED = "SplitBrainDetected"
    SPLIT_BRAIN_RESOLVED = "SplitBrainResolved"
    ADDRESS_CONFLICT = "AddressConflict"
    ADDRESS_HELD_BY_MEMBER = "AddressHeldByMember"
    VRID_ALLOCATED = "VRIDAllocated"
    CHECK_FAILED = "CheckFailed"
    CHECK_RECOVERED = "CheckRecovered"


_ACTIONS = {
    EventReason.BECAME_ACTIVE: "TakeOver",
    EventReason.RESIGNED: "Resign",
    EventReason.HANDOVER_STARTED: "HandOver",
    EventReason.VRID_ALLOCATED: "Allocate",
    EventReason.CHECK_FAILED: "Check",
    EventReason.CHECK_RECOVERED: "Check",
}
_WARNINGS = {
    EventReason.SPLIT_BRAIN_DETECTED,
    EventReason.ADDRESS_CONFLICT,
    EventReason.ADDRESS_HELD_BY_MEMBER,
    EventReason.CHECK_FAILED,
}


@dataclass(frozen=True, slots=True)
class Regarding:
    """The object an Event is about."""

    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One thing that happened; ``key`` tells it from every other one of its object and reason.

    ``time`` is RFC 3339, empty when only the operator's own clock can tell.
    """

    regarding: Regarding
    reason: EventReason
    key: str
    note: str
    time: str = ""

    @property
    def name(self) -> str:
        """The Event's name."""
        told = "|".join((self.regarding.uid, self.reason, self.key))
        # What the objects' names have room for, Events' names have not: they end with the hash.
        hashed = hashlib.sha256(told.encode()).hexdigest()[:16]
        return f"{self.regarding.name[:_LONGEST_NAME].rstrip('.-')}.{hashed}"

    def to_object(self, now: str, instance: str) -> dict[str, Any]:
        """Return the API object.

        Args:
            now: RFC 3339 with microseconds, for what has no time of its own.
            instance: which operator tells it.
        """
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": self.name, "namespace": NAMESPACE},
            "eventTime": micro_time(self.time) or now,
            "reportingController": CONTROLLER,
            "reportingInstance": instance,
            "action": _ACTIONS.get(self.reason, "Observe"),
            "reason": str(self.reason),
            "type": "Warning" if self.reason in _WARNINGS else "Normal",
            "note": self.note[:_MAX_NOTE],
            "regarding": {
                "apiVersion": API_VERSION,
                "kind": self.regarding.kind,
                "name": self.regarding.name,
                "uid": self.regarding.uid,
            },
        }


def micro_time(text: str) -> str:
    """Return a time in the one form that an Event's time may have; empty for anything else."""
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return ""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# VirtualIPs ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VirtualIPFacts:
    """What Events of a VirtualIP are made from.

    ``alarms`` are conditions by type: (status, since when, message). ``handovers`` are moves that
    were asked for and have not ended, by who was asked: what to say of it.
    """

    regarding: Regarding
    virtual_router_id: int | None
    pasts: Mapping[str, tuple[Transition, ...]]
    states: Mapping[str, str]
    faults: Mapping[str, tuple[str, ...]]
    alarms: Mapping[str, tuple[str, str, str]]
    handovers: Mapping[str, str]


def virtual_ip_facts(
    record: VirtualIPRecord, snapshot: ClusterSnapshot, plan: Plan, status: Mapping[str, Any]
) -> VirtualIPFacts:
    """Return the facts of one VirtualIP; ``status`` is the one that was written of it."""
    told = snapshot.index.told(record.name)
    return VirtualIPFacts(
        regarding=Regarding("VirtualIP", record.name, record.uid),
        virtual_router_id=status.get("virtualRouterID"),
        pasts={node: past_of(router) for node, router in told.items()},
        states={node: router.state for node, router in told.items()},
        faults={node: router.faults for node, router in told.items()},
        alarms={
            c["type"]: (c["status"], c["lastTransitionTime"], c["message"])
            for c in status["conditions"]
        },
        handovers=dict(_handovers(record, snapshot, plan, told)),
    )


def _handovers(
    record: VirtualIPRecord,
    snapshot: ClusterSnapshot,
    plan: Plan,
    told: Mapping[str, RouterStatus],
) -> Iterator[tuple[str, str]]:
    candidates = plan.candidates.get(record.name, ())
    holding = [
        node
        for node, router in told.items()
        if router.state == _ACTIVE and snapshot.reports[node].fresh
    ]
    to = record.handover_to
    if to in candidates and holding and holding != [to]:
        yield f"to {to}", f"from {', '.join(holding)} to {to}, as its annotation asks"
    away = {n.name for n in snapshot.nodes if n.out_of_service}
    for node in holding:
        if node in away and candidates and node not in candidates:
            yield f"from {node}", f"away from {node}, which is out of service"


def virtual_ip_events(
    old: VirtualIPFacts | None, new: VirtualIPFacts, since: str, *, first_vrid: bool
) -> list[Occurrence]:
    """Return what happened between two looks, in order where there is one.

    Args:
        old: the facts before; None when there are none, as after a start.
        new: the facts now.
        since: RFC 3339; what is older than this and was not watched is no news.
        first_vrid: whether the VRID was allocated just now.
    """
    found = []
    if new.virtual_router_id is not None and first_vrid:
        note = f"virtual router ID {new.virtual_router_id}"
        key = str(new.virtual_router_id)
        found.append(Occurrence(new.regarding, EventReason.VRID_ALLOCATED, key, note))
    for key, note in new.handovers.items():
        if old is None or key not in old.handovers:
            told = f"{key}|{_newest(new)}"
            found.append(Occurrence(new.regarding, EventReason.HANDOVER_STARTED, told, note))
    moves = [*_moves(old, new, since), *_removals(old, new)]
    found += sorted(moves, key=lambda occurrence: occurrence.time or "~")
    found += _alarms(old, new, since)
    found += _held_by_members(old, new)
    return found


def _newest(facts: VirtualIPFacts) -> str:
    """Return when the VirtualIP moved last; it tells one hand-over to a node from the next."""
    return max((past.time for pasts in facts.pasts.values() for past in pasts), default="")


def _moves(old: VirtualIPFacts | None, new: VirtualIPFacts, since: str) -> Iterator[Occurrence]:
    for node, pasts in new.pasts.items():
        seen = old.pasts.get(node, ()) if old is not None else ()
        known = {(past.sequence, past.time) for past in seen}
        last = max((past.sequence for past in seen), default=0)
        for past in pasts:
            # A sequence begins anew with the node; then its clock has to tell.
            watched = bool(known) and past.sequence > last
            if (past.sequence, past.time) not in known and (watched or past.time > since):
                yield from _move(new, node, past)


def _move(facts: VirtualIPFacts, node: str, past: Transition) -> Iterator[Occurrence]:
    key = f"{node}|{past.sequence}|{past.time}"
    if past.after == _ACTIVE:
        note = f"{node} became Active: {past.reason}"
        yield Occurrence(facts.regarding, EventReason.BECAME_ACTIVE, key, note, past.time)
    elif past.before == _ACTIVE:
        faults = facts.faults[node] if past.reason == "Fault" else ()
        reason = ", ".join((past.reason, *faults))
        note = f"{node} resigned: {reason}"
        yield Occurrence(facts.regarding, EventReason.RESIGNED, key, note, past.time)


def _removals(old: VirtualIPFacts | None, new: VirtualIPFacts) -> Iterator[Occurrence]:
    """Yield nodes that were Active and do not run it any more: their past went with it."""
    for node, state in old.states.items() if old is not None else ():
        if state == _ACTIVE and node not in new.states:
            past = old.pasts.get(node, ()) if old is not None else ()
            key = f"{node}|{past[-1].sequence if past else 0}|removed"
            note = f"{node} resigned: Removed"
            yield Occurrence(new.regarding, EventReason.RESIGNED, key, note)


def _alarms(old: VirtualIPFacts | None, new: VirtualIPFacts, since: str) -> Iterator[Occurrence]:
    raised = (
        (ConditionType.SPLIT_BRAIN, EventReason.SPLIT_BRAIN_DETECTED),
        (ConditionType.ADDRESS_CONFLICT, EventReason.ADDRESS_CONFLICT),
    )
    for kind, reason in raised:
        if _raised(new, kind) and not _raised(old, kind):
            _, at, message = new.alarms[kind]
            if old is not None or at > since:
                yield Occurrence(new.regarding, reason, at, message)
    kind = ConditionType.SPLIT_BRAIN
    if _raised(old, kind) and not _raised(new, kind):
        _, at, message = new.alarms[kind]
        yield Occurrence(new.regarding, EventReason.SPLIT_BRAIN_RESOLVED, at, message)


def _held_by_members(old: VirtualIPFacts | None, new: VirtualIPFacts) -> Iterator[Occurrence]:
    """Yield addresses of which a node says now that a member has them: when, it does not say."""
    reason = EventReason.ADDRESS_HELD_BY_MEMBER
    for node, faults in new.faults.items() if old is not None else ():
        before = old.faults.get(node, ()) if old is not None else ()
        for fault in faults:
            name, _, what = fault.partition(": ")
            if name == reason and fault not in before:
                note = f"{node}: {what or 'an address'}, not bound"
                yield Occurrence(new.regarding, reason, f"{node}|{what}", note)


def _raised(facts: VirtualIPFacts | None, kind: ConditionType) -> bool:
    return facts is not None and facts.alarms.get(kind, ("", "", ""))[0] == "True"


# HealthChecks ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HealthCheckFacts:
    """What Events of a HealthCheck are made from: its result on every node that tells one."""

    regarding: Regarding
    results: Mapping[str, CheckStatus]


def health_check_facts(record: HealthCheckRecord, snapshot: ClusterSnapshot) -> HealthCheckFacts:
    """Return the facts of one HealthCheck."""
    regarding = Regarding("HealthCheck", record.name, record.uid)
    return HealthCheckFacts(regarding, snapshot.index.results(record.name))


def health_check_events(
    old: HealthCheckFacts | None, new: HealthCheckFacts, since: str
) -> list[Occurrence]:
    """Return the nodes on which the check failed or recovered; a first success is no recovery."""
    found = []
    for node, result in new.results.items():
        before = old.results.get(node) if old is not None else None
        if before is not None and before.passing == result.passing:
            continue
        if before is None and (result.passing or result.since <= since):
            continue
        reason = EventReason.CHECK_RECOVERED if result.passing else EventReason.CHECK_FAILED
        said = f": {result.message}" if result.message else ""
        note = f"passes on {node}" if result.passing else f"fails on {node}{said}"
        key = f"{node}|{result.since}"
        found.append(Occurrence(new.regarding, reason, key, note, result.since))
    return found


def newest_first(occurrences: Iterable[Occurrence]) -> list[Occurrence]:
    """Return occurrences of many objects, the newest first: where not all fit, old ones miss."""
    return sorted(occurrences, key=lambda occurrence: occurrence.time or "~", reverse=True)
