"""``kubectl vrrp handover`` and ``maintenance``: write an annotation, wait for what comes of it.

The operator plans and the nodes hand over; here is only asking and looking. Whoever runs the
commands needs the rights for it: get and patch on VirtualIPs, patch on Nodes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from vrrp_api.annotations import HANDOVER_TO, MAINTENANCE
from vrrp_cli.cluster import Cluster, Object, find_condition

_POLL_S = 0.1


class NotMovedError(Exception):
    """What was asked for did not come about in time; the message says what is there instead."""


def hand_over(cluster: Cluster, name: str, node: str, timeout_s: float) -> str:
    """Ask for a hand-over of a VirtualIP to a node; return what happened.

    Raises:
        NotMovedError: the node does not hold it in time. The annotation stays.
        ClusterError: the API server cannot be asked, or refuses.
    """
    before = cluster.virtual_ip(name)
    asked_before = (before["metadata"].get("annotations") or {}).get(HANDOVER_TO) == node
    cluster.annotate_virtual_ip(name, HANDOVER_TO, node)
    if _holder(before) == node:
        return f"{name}: {node} holds it already, and keeps it until --undo"
    begun_s = time.monotonic()
    old = _holder(before)

    def is_there() -> bool:
        now = cluster.virtual_ip(name)
        return _holder(now) == node and _said_of(now, old) != "Active"

    if not _wait(is_there, timeout_s):
        message = _not_moved(cluster.virtual_ip(name), node, timeout_s)
        if asked_before:
            message += "; it was asked for before: --undo first, then ask again"
        raise NotMovedError(message)
    elapsed_s = time.monotonic() - begun_s
    said = f"{name}: {old or 'nobody'} → {node} in {elapsed_s:.1f} s"
    return said + _mute(old, [cluster.virtual_ip(name)] if old else [])


def undo_hand_over(cluster: Cluster, name: str) -> str:
    """Remove what asks for a hand-over; return what that means.

    Raises:
        ClusterError: the API server cannot be asked, or refuses.
    """
    before = cluster.virtual_ip(name)
    asked = (before["metadata"].get("annotations") or {}).get(HANDOVER_TO)
    if asked is None:
        return f"{name}: no hand-over was asked for"
    cluster.annotate_virtual_ip(name, HANDOVER_TO, None)
    never = (before["spec"].get("preemption") or {}).get("mode") == "Never"
    then = "it stays where it is (preemption Never)" if never else "its best node takes it"
    return f"{name}: no longer handed to {asked}; {then}"


def maintain(cluster: Cluster, node: str, timeout_s: float) -> str:
    """Take a node out of elections; return what happened, as the node itself says.

    Raises:
        NotMovedError: the node still holds VirtualIPs after that time. The annotation stays.
        ClusterError: the API server cannot be asked, or refuses.
    """
    held = _held_by(cluster, node)
    cluster.annotate_node(node, MAINTENANCE, "true")
    begun_s = time.monotonic()

    def is_rid() -> bool:
        now = cluster.virtual_ips()
        return not any(_holder(v) == node or _said_of(v, node) == "Active" for v in now)

    if not _wait(is_rid, timeout_s):
        raise NotMovedError(_staying(cluster.virtual_ips(), node, timeout_s))
    moved = f"{', '.join(held)} moved away in {time.monotonic() - begun_s:.1f} s"
    said = f"{node}: in maintenance; {moved if held else 'it held nothing'}"
    return said + _mute(node, cluster.virtual_ips())


def end_maintenance(cluster: Cluster, node: str) -> str:
    """Let a node take part again; return what that means.

    Raises:
        ClusterError: the API server cannot be asked, or refuses.
    """
    cluster.annotate_node(node, MAINTENANCE, None)
    return f"{node}: takes part in elections again"


def _holder(virtual_ip: Object) -> str:
    return str((virtual_ip.get("status") or {}).get("activeNode") or "")


def _said_of(virtual_ip: Object, node: str) -> str:
    """Return what a node says that it is: Unknown where it cannot say, empty where nothing."""
    entries = (virtual_ip.get("status") or {}).get("nodes") or ()
    return next((str(item.get("state")) for item in entries if item["node"] == node), "")


def _mute(node: str, virtual_ips: Iterable[Object]) -> str:
    """Return what is to be said of a node that cannot be told, and moved all the same."""
    names = [v["metadata"]["name"] for v in virtual_ips if _said_of(v, node) == "Unknown"]
    if not names:
        return ""
    return (
        f"; {node} does not report and cannot be told: it gives way to a higher priority by the"
        f" protocol, and stays a member of {', '.join(names)} until it reaches the API server"
    )


def _staying(virtual_ips: Iterable[Object], node: str, timeout_s: float) -> str:
    """Return what a node still holds, and what the operator says to that."""
    staying = [
        vip for vip in virtual_ips if _holder(vip) == node or _said_of(vip, node) == "Active"
    ]
    names = ", ".join(vip["metadata"]["name"] for vip in staying)
    told = [
        f"{vip['metadata']['name']}: {condition.get('message', 'no operator has seen it')}"
        for vip in staying
        if (condition := find_condition(vip, "Programmed")).get("status") != "True"
    ]
    return "; ".join([f"{node}: still holds {names} after {timeout_s:g} s", *told])


def _held_by(cluster: Cluster, node: str) -> list[str]:
    return [vip["metadata"]["name"] for vip in cluster.virtual_ips() if _holder(vip) == node]


def _wait(check: Callable[[], bool], timeout_s: float) -> bool:
    deadline_s = time.monotonic() + timeout_s
    while not check():
        if time.monotonic() >= deadline_s:
            return False
        time.sleep(_POLL_S)
    return True


def _not_moved(virtual_ip: Object, node: str, timeout_s: float) -> str:
    """Return what is known of a VirtualIP that a node did not take over."""
    entries = (virtual_ip.get("status") or {}).get("nodes") or ()
    entry = next((item for item in entries if item["node"] == node), None)
    state = "no candidate" if entry is None else entry.get("state", "")
    faults = "".join(f" ({fault})" for fault in (entry or {}).get("faults", ()))
    accepted = find_condition(virtual_ip, "Accepted").get("message", "no operator has seen it")
    ignored = find_condition(virtual_ip, "HandoverIgnored")
    why = f"; {ignored.get('message')}" if ignored.get("status") == "True" else ""
    return (
        f"{virtual_ip['metadata']['name']}: not on {node} after {timeout_s:g} s but on"
        f" {_holder(virtual_ip) or 'nobody'}; {node} is {state}{faults}; Accepted says: {accepted}"
        f"{why}"
    )
