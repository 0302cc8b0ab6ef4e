"""The Lease by which a node's speaker says that it is there; its names are known to both sides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vrrp_api import API_VERSION

LABEL = "kube-vrrp.io/heartbeat"
"""Whose value is ``node`` on the Leases of speakers; others of the namespace are not ours."""
SELECTOR = f"{LABEL}=node"
DURATION_S = 30
"""How long a node is believed to be there after its last heartbeat."""
_PREFIX = "node."
_LONGEST = 253


def lease_name(node: str) -> str | None:
    """Return the name of a node's Lease; None where the node's own is too long for one."""
    name = _PREFIX + node
    return name if len(name) <= _LONGEST else None


def renewal(node: str, time: str) -> dict[str, Any]:
    """Return what a renewal changes; ``time`` is the node's, RFC 3339 with microseconds.

    The label too: the operator would not see a Lease that somebody took it from.
    """
    spec = {"holderIdentity": node, "leaseDurationSeconds": DURATION_S, "renewTime": time}
    return {"metadata": {"labels": {LABEL: "node"}}, "spec": spec}


def new_lease(node: str, time: str, node_config_uid: str) -> dict[str, Any]:
    """Return a Lease that goes with its node's NodeConfig."""
    owner = {
        "apiVersion": API_VERSION,
        "kind": "NodeConfig",
        "name": node,
        "uid": node_config_uid,
    }
    renewed = renewal(node, time)
    metadata = {**renewed["metadata"], "name": lease_name(node), "ownerReferences": [owner]}
    kind = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
    return {**kind, **renewed, "metadata": metadata}


def heartbeat_of(lease: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return (node, renewTime) of a speaker's Lease; None for any other, or one that is damaged."""
    spec = lease.get("spec") or {}
    node, time = spec.get("holderIdentity"), spec.get("renewTime")
    if not (isinstance(node, str) and isinstance(time, str) and time):
        return None
    if not node or lease["metadata"]["name"] != lease_name(node):
        return None
    return node, time
