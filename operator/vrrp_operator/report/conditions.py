"""What plan and reports say of a VirtualIP, as conditions (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from vrrp_api.conditions import Condition, ConditionType, Reason
from vrrp_api.node_status import RouterStatus
from vrrp_operator.membership.hearing import heard_silent
from vrrp_operator.model.snapshot import ClusterSnapshot, VirtualIPRecord
from vrrp_operator.plan.planner import Plan
from vrrp_operator.report import asking
from vrrp_operator.report.check_conditions import ignored_and_ineffective
from vrrp_operator.report.clocks import Clocks
from vrrp_operator.report.programmed import no_candidates, programmed
from vrrp_operator.report.telling import LIST_ROOM, fitted, listed

FLAPPING_TAKEOVERS = 5
FLAPPING_WITHIN = timedelta(minutes=5)
"""More takeovers than that within that time are too many; the history must keep so many."""

STRANGER_REMEMBERED = timedelta(minutes=1)
"""How long after a stranger was last seen, with an address or the VRID, that is still told.

Longer than version 3's longest interval, so that whoever goes on is told all the time."""

NodeRouter = tuple[str, RouterStatus, bool]
"""(node, what it reports of the router, whether that can still be believed)."""
_TOLD = 3
"""How many of many nodes a message names."""

UNKNOWN = "Unknown"
"""Stands for the state of a node whose report cannot be believed any more."""

_HALF = LIST_ROOM // 2
"""What each of two lists within a message may take."""

_TRUE_REASONS = (Reason.ACTIVE, Reason.ACCEPTED, Reason.PROGRAMMED)


def virtual_ip_conditions(
    record: VirtualIPRecord,
    snapshot: ClusterSnapshot,
    plan: Plan,
    reported: list[NodeRouter],
    *,
    takeovers: Sequence[Mapping[str, str]],
    clocks: Clocks,
) -> list[Condition]:
    """Return the conditions of a VirtualIP, without their transition times.

    Args:
        record: the VirtualIP.
        snapshot: the cluster.
        plan: what was planned for it.
        reported: what its nodes say.
        takeovers: its history, those that are too old to be kept included.
        clocks: of the nodes.
    """
    active = active_routers(reported)
    return [
        _ready(record, snapshot, plan, reported, active),
        _accepted(record, snapshot, plan),
        _programmed(record, plan, reported),
        _no_standby(record, plan, reported),
        _split_brain(record, snapshot, plan, active),
        _flapping(record, takeovers, clocks),
        _address_conflict(record, reported, clocks),
        _foreign_vrrp(record, plan, reported, clocks),
        *ignored_and_ineffective(record, snapshot, plan),
        *asking.of_virtual_ip(record, snapshot, plan),
    ]


def active_routers(reported: list[NodeRouter]) -> list[NodeRouter]:
    """Return those that are Active and can be believed."""
    return [item for item in reported if item[1].state == "Active" and item[2]]


def condition(generation: int, kind: ConditionType, reason: Reason, message: str) -> Condition:
    """Return a condition of which True is the good news; the reason decides."""
    status = "True" if reason in _TRUE_REASONS else "False"
    return Condition(kind, status, reason, fitted(message), generation)


def _alarm(generation: int, kind: ConditionType, reason: Reason, message: str) -> Condition:
    """Return a condition of which True is the bad news; the reason decides."""
    status = {Reason.AS_EXPECTED: "False", Reason.PENDING: "Unknown"}.get(reason, "True")
    return Condition(kind, status, reason, fitted(message), generation)


# Accepted ---------------------------------------------------------------------------------


def _accepted(record: VirtualIPRecord, snapshot: ClusterSnapshot, plan: Plan) -> Condition:
    problem = plan.problems.get(record.name)
    if problem is not None:
        return condition(record.generation, ConditionType.ACCEPTED, problem.reason, problem.message)
    candidates = plan.candidates.get(record.name, ())
    message = f"valid; virtual router ID {plan.vrids[record.name]}"
    message += _number_elsewhere(record, plan)
    staying = [n.name for n in snapshot.nodes if n.out_of_service and n.name in candidates]
    if staying:
        message += f"; {listed(staying)} kept although out of service: no other can take part"
    return condition(record.generation, ConditionType.ACCEPTED, Reason.ACCEPTED, message)


def _number_elsewhere(record: VirtualIPRecord, plan: Plan) -> str:
    """Return which nodes are no candidates for another election's sake, where they are missed."""
    barred = plan.barred.get(record.name, {})
    few = record.spec is not None and len(plan.candidates[record.name]) < record.spec.candidates
    if not barred or not (few or record.handover_to in barred):
        return ""
    told = [f"{node} ({other})" for node, other in barred.items()]
    named = record.handover_to if record.handover_to in barred else None
    told.sort(key=lambda text: not text.startswith(f"{named} "))
    more = f" and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    return (
        "; no candidates, as another VirtualIP has its virtual router ID there:"
        f" {', '.join(told[:_TOLD])}{more}"
    )


# Ready -----------------------------------------------------------------------------------


def _ready(
    record: VirtualIPRecord,
    snapshot: ClusterSnapshot,
    plan: Plan,
    reported: list[NodeRouter],
    active: list[NodeRouter],
) -> Condition:
    def ready(reason: Reason, message: str) -> Condition:
        return condition(record.generation, ConditionType.READY, reason, message)

    if record.suspended:
        return ready(Reason.SUSPENDED, _suspended(record, snapshot, active))
    if record.name in plan.problems:
        running = f"; {active[0][0]} goes on with what was accepted before" if active else ""
        return ready(Reason.NOT_ACCEPTED, plan.problems[record.name].message + running)
    if not plan.candidates.get(record.name):
        return ready(Reason.NO_CANDIDATES, no_candidates(record, plan))
    heard = heard_silent(record.name, snapshot)
    if len(active) > 1 or (active and heard):
        return ready(Reason.SPLIT_BRAIN, _several(active, heard))
    if not active:
        stale = [node for node, router, fresh in reported if router.state == "Active" and not fresh]
        if heard:
            text = f"{listed(sorted(heard), ' or ')} is Active, as others hear, and reports no more"
            return ready(Reason.HEARTBEAT_STALE, text)
        if stale:
            return ready(Reason.HEARTBEAT_STALE, f"{stale[0]} was Active and reports no more")
        return ready(Reason.NO_ACTIVE, _no_active(record))
    node, router, _ = active[0]
    if router.virtual_ip_generation != record.generation:
        return ready(
            Reason.PROGRESSING, f"{node} still runs generation {router.virtual_ip_generation}"
        )
    leaving = "" if node in plan.candidates[record.name] else ", and is to leave the election"
    return ready(Reason.ACTIVE, f"{node} is Active{leaving}")


def _suspended(record: VirtualIPRecord, snapshot: ClusterSnapshot, active: list[NodeRouter]) -> str:
    """Return that nobody is to hold the addresses, and who does yet."""
    yet = sorted({*(node for node, _, _ in active), *heard_silent(record.name, snapshot)})
    if yet:
        return f"suspended; {', '.join(yet)} has not let go of the addresses yet"
    return "suspended: no node holds the addresses"


def _several(active: list[NodeRouter], heard: frozenset[str]) -> str:
    """Return who has the addresses at once."""
    names = listed((node for node, _, _ in active), room=_HALF)
    if not heard:
        return f"{names} are Active at once"
    silent = listed(sorted(heard), room=_HALF)
    return f"{names} and {silent}, which is heard and reports no more, are Active"


def _programmed(record: VirtualIPRecord, plan: Plan, reported: list[NodeRouter]) -> Condition:
    reason, message = programmed(record, plan, {node: router for node, router, _ in reported})
    mute = [node for node, _, known in reported if not known]
    if reason is Reason.PROGRAMMED and mute:
        message += f"; reporting no more: {listed(mute, room=_HALF)}"
    return condition(record.generation, ConditionType.PROGRAMMED, reason, message)


def _no_active(record: VirtualIPRecord) -> str:
    """Return what is known of an address that no candidate holds."""
    text = "no candidate reports that it is Active"
    transport = record.spec.election.transport if record.spec is not None else None
    if transport is not None and (transport.multicast or transport.external_peers):
        return text + "; a router outside the cluster may be"
    return text


# What is wrong ------------------------------------------------------------------------


def _no_standby(record: VirtualIPRecord, plan: Plan, reported: list[NodeRouter]) -> Condition:
    def no_standby(reason: Reason, message: str) -> Condition:
        return _alarm(record.generation, ConditionType.NO_STANDBY, reason, message)

    if record.suspended:
        return no_standby(Reason.AS_EXPECTED, "suspended: nobody is to stand by")
    states = {node: router.state if known else UNKNOWN for node, router, known in reported}
    candidates = plan.candidates.get(record.name) or tuple(states)
    if len(candidates) < 2:
        return no_standby(Reason.AS_EXPECTED, "fewer than two candidates: nobody could stand by")
    standbys = [node for node in candidates if states.get(node) == "Backup"]
    if standbys:
        return no_standby(Reason.AS_EXPECTED, f"{listed(standbys)} in Backup")
    if not states:
        return no_standby(Reason.PENDING, "no candidate has reported yet")
    told = listed(f"{node} {states.get(node, 'without a report')}" for node in candidates)
    return no_standby(Reason.NO_STANDBY, f"no candidate is in Backup: {told}")


def _split_brain(
    record: VirtualIPRecord, snapshot: ClusterSnapshot, plan: Plan, active: list[NodeRouter]
) -> Condition:
    heard = heard_silent(record.name, snapshot)
    candidates = plan.candidates.get(record.name, ())
    if len(active) > 1 or (active and heard):
        strangers = [n for n in (*(a[0] for a in active), *sorted(heard)) if n not in candidates]
        told = f"; {listed(strangers, room=_HALF)} no candidate" if strangers and candidates else ""
        reason, message = Reason.SPLIT_BRAIN, _several(active, heard) + told
    else:
        reason, message = Reason.AS_EXPECTED, "not more than one node is Active"
    return _alarm(record.generation, ConditionType.SPLIT_BRAIN, reason, message)


def _flapping(
    record: VirtualIPRecord, takeovers: Sequence[Mapping[str, str]], clocks: Clocks
) -> Condition:
    """Return whether there were too many takeovers lately.

    One more than the history keeps makes it so; it stays so while all that are kept are recent.
    That rests on the nodes' clocks, as the history itself does.
    """
    recent = [
        entry
        for entry in takeovers
        if clocks.is_recent(entry.get("to", ""), entry.get("time", ""), FLAPPING_WITHIN)
    ]
    known = any(c.type == ConditionType.FLAPPING and c.status == "True" for c in record.conditions)
    minutes = FLAPPING_WITHIN // timedelta(minutes=1)
    limit = f"{FLAPPING_TAKEOVERS} takeovers within {minutes} minutes"
    if len(recent) + known > FLAPPING_TAKEOVERS:
        last = f"the last by {recent[-1].get('to')} ({recent[-1].get('reason')})"
        reason, message = Reason.FLAPPING, f"more than {limit}, {last}"
    else:
        reason, message = Reason.AS_EXPECTED, f"not more than {limit}"
    return _alarm(record.generation, ConditionType.FLAPPING, reason, message)


def _address_conflict(
    record: VirtualIPRecord, reported: list[NodeRouter], clocks: Clocks
) -> Condition:
    """Return whether a host outside the election has an address, as nodes saw it lately."""
    found = []
    for node, router, known in reported:
        prefix, conflict = f"{Reason.ADDRESS_CONFLICT}: ", router.conflict
        faults = [f.removeprefix(prefix) for f in router.faults if f.startswith(prefix)]
        if known and faults:
            found.append(f"{node}: {faults[0]}, not bound")
        elif known and conflict and clocks.is_recent(node, conflict.time, STRANGER_REMEMBERED):
            found.append(f"{node}: {conflict.address} at {conflict.mac}")
    if found:
        reason, message = Reason.ADDRESS_CONFLICT, listed(found, "; ")
    else:
        reason, message = Reason.AS_EXPECTED, "no host outside the election has an address"
    return _alarm(record.generation, ConditionType.ADDRESS_CONFLICT, reason, message)


def _foreign_vrrp(
    record: VirtualIPRecord, plan: Plan, reported: list[NodeRouter], clocks: Clocks
) -> Condition:
    """Return whether a router outside the election uses its VRID, as nodes heard it lately."""
    found: dict[tuple[str, int], list[str]] = {}
    for node, router, known in reported:
        seen = router.foreign
        if seen is None or _is_of_another_election(seen.source, record, plan):
            continue
        if known and clocks.is_recent(node, seen.time, STRANGER_REMEMBERED):
            found.setdefault((seen.source, seen.priority), []).append(node)
    reason, message = Reason.AS_EXPECTED, "no router outside the election uses its VRID"
    if found:
        told = (
            f"{listed(nodes, room=_HALF)}: {source} with priority {priority}"
            for (source, priority), nodes in found.items()
        )
        reason = Reason.FOREIGN_VRRP
        vrid = plan.vrids.get(record.name, record.virtual_router_id)
        others = listed(told, "; ")
        message = f"virtual router ID {vrid} used by others, {others}; {_remedy(record)}"
    return _alarm(record.generation, ConditionType.FOREIGN_VRRP, reason, message)


def _is_of_another_election(source: str, record: VirtualIPRecord, plan: Plan) -> bool:
    """Return whether a node of the cluster runs another VirtualIP with this one's number.

    It may send to a node that left that election and came to this one, until it knows of it.
    """
    number = plan.vrids.get(record.name)
    return any(
        router.virtual_router_id == number and router.name != record.name
        for node in plan.nodes
        if source in node.addresses and node.name in plan.configs
        for router in plan.configs[node.name].virtual_routers
    )


def _remedy(record: VirtualIPRecord) -> str:
    """Return what ends the use of one VRID by two elections."""
    multicast = record.spec is not None and record.spec.election.transport.multicast
    how = "same version, authentication and interval" if multicast else "transport.externalPeers"
    return (
        "give that router another ID, or make this VirtualIP anew with another virtualRouterID,"
        f" or let that router take part ({how})"
    )
