"""Whether every node runs what it is to run in the end, and if not, why (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vrrp_api.conditions import Reason
from vrrp_api.node_status import RouterStatus
from vrrp_operator.membership.waiting import Wait
from vrrp_operator.model.snapshot import VirtualIPRecord
from vrrp_operator.plan.planner import Plan
from vrrp_operator.report.telling import MESSAGE_ROOM, listed

_WAITS = (
    Reason.NOT_UNDERSTOOD,
    Reason.ELECTION_RESTARTS,
    Reason.NODE_UNREACHABLE,
    Reason.WAITING_FOR_SUCCESSOR,
)
"""What steps wait for that may not come by itself; said before what is under way."""
_MOST_NODES = 5
"""How many nodes a message names that have the same fault."""
_FAULT_REASONS = {str(reason) for reason in Reason}


def programmed(
    record: VirtualIPRecord, plan: Plan, reported: Mapping[str, RouterStatus]
) -> tuple[Reason, str]:
    """Return the reason and the message of the condition Programmed.

    Args:
        record: the VirtualIP.
        plan: what was planned for it.
        reported: what each node says of its router.
    """
    if record.name in plan.problems:
        return Reason.NOT_ACCEPTED, "not accepted, see the condition Accepted"
    if record.suspended:
        left = plan.members.get(record.name, ())
        if left:
            return Reason.PENDING, f"suspended; {_some(left)} to leave the election yet"
        return Reason.PROGRAMMED, "suspended: no node takes part"
    candidates = plan.candidates.get(record.name, ())
    missing = plan.without_address.get(record.name)
    if not candidates and not missing:
        return Reason.NO_CANDIDATES, no_candidates(record, plan)
    return (
        _fault(candidates, reported)
        or _refused(record, plan)
        or _missing(record, plan)
        or _waiting(plan.waits.get(record.name, ()))
        or _pending(record, plan, reported)
        or _doubted(record, plan)
        or (Reason.PROGRAMMED, f"applied by {listed(candidates)}")
    )


def _refused(record: VirtualIPRecord, plan: Plan) -> tuple[Reason, str] | None:
    """Return which nodes are not told because their configuration could not be written."""
    nodes = [
        node
        for node, config in plan.configs.items()
        if node in plan.refused and any(r.name == record.name for r in config.virtual_routers)
    ]
    if not nodes:
        return None
    text = f"{_some(nodes)}: the NodeConfig was not written: {plan.refused[nodes[0]]}"
    return Reason.NODE_CONFIG_REFUSED, text


def no_candidates(record: VirtualIPRecord, plan: Plan) -> str:
    """Return why nobody takes part."""
    found = _missing(record, plan)
    return found[1] if found else "no node with a speaker matches the nodeSelector"


def _fault(
    candidates: tuple[str, ...], reported: Mapping[str, RouterStatus]
) -> tuple[Reason, str] | None:
    """Return the first fault that configuration could mend, and all who have one like it."""
    faults = {node: _placement_fault(reported.get(node)) for node in candidates}
    first = next((fault for fault in faults.values() if fault is not None), None)
    if first is None:
        return None
    alike = {node: fault[1] for node, fault in faults.items() if fault and fault[0] is first[0]}
    nodes = sorted(alike)
    return first[0], f"{_some(nodes)}: {alike[nodes[0]]}"


def _placement_fault(router: RouterStatus | None) -> tuple[Reason, str] | None:
    """Return the first fault that configuration could mend; failing checks are not among them."""
    for fault in router.faults if router is not None else ():
        name = fault.partition(":")[0]
        if name.startswith("Check"):
            continue
        # A speaker of a newer version may have reasons that are not known here.
        return Reason(name) if name in _FAULT_REASONS else Reason.PENDING, fault
    return None


def _some(nodes: Sequence[str]) -> str:
    """Return the names of nodes, of many the first ones and how many more there are."""
    return listed(nodes, most=_MOST_NODES)


def _missing(record: VirtualIPRecord, plan: Plan) -> tuple[Reason, str] | None:
    """Return which nodes take no part, and what they lack."""
    names = plan.without_address.get(record.name)
    if not names:
        return None
    assert record.spec is not None
    text = (
        f"{listed(names)}: no IPv{record.spec.family} InternalIP in the node's status, which the"
        f" election over {record.spec.addresses[0].address} needs"
    )
    refused = [
        f"{n.name}: {'; '.join(n.refused)}" for n in plan.nodes if n.name in names if n.refused
    ]
    return Reason.NODE_WITHOUT_ADDRESS, "; ".join([text, *refused])


def _waiting(waits: tuple[Wait, ...]) -> tuple[Reason, str] | None:
    """Return what may not come by itself, and beside it what that in turn may wait for."""
    under_way = [wait.message for wait in waits if wait.reason is Reason.PENDING]
    for reason in _WAITS:
        told = [wait.message for wait in waits if wait.reason is reason]
        if told:
            return reason, listed([*told, *under_way], "; ", MESSAGE_ROOM)
    return None


def _pending(
    record: VirtualIPRecord, plan: Plan, reported: Mapping[str, RouterStatus]
) -> tuple[Reason, str] | None:
    late = [
        node
        for node in plan.candidates.get(record.name, ())
        if node not in reported or reported[node].virtual_ip_generation != record.generation
    ]
    told = [wait.message for wait in plan.waits.get(record.name, ())]
    if late:
        told.insert(0, f"{listed(late)} did not apply generation {record.generation} yet")
    return (Reason.PENDING, listed(told, "; ", MESSAGE_ROOM)) if told else None


def _doubted(record: VirtualIPRecord, plan: Plan) -> tuple[Reason, str] | None:
    """Return what Node objects say of candidates' addresses and is not believed."""
    assert record.spec is not None
    candidates = plan.candidates.get(record.name, ())
    for node in plan.nodes:
        address = node.address(record.spec.family)
        kept = address is not None and address in node.kept
        if node.name not in candidates:
            continue
        if node.refused:
            goes_on = f"; it goes on with {address}" if kept else ""
            return Reason.NODE_ADDRESS_REFUSED, f"{node.name}: {'; '.join(node.refused)}{goes_on}"
        if kept:
            text = f"{node.name}: no InternalIP in the node's status any more, {address} is kept"
            return Reason.NODE_ADDRESS_KEPT, text
    return None
