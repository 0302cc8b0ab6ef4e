"""What Node objects say (pure)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from vrrp_api.annotations import MAINTENANCE, OUT_OF_SERVICE_TAINTS
from vrrp_operator.model.snapshot import Node

Object = Mapping[str, Any]
_MOST_ADDRESSES = 16
"""What a NodeConfig takes."""
_TOLD = 64


def is_out_of_service(obj: Object) -> bool:
    """Return whether a Node object is under maintenance or tainted as being off."""
    annotations = obj["metadata"].get("annotations") or {}
    return annotations.get(MAINTENANCE) == "true" or is_off(obj)


def is_off(obj: Object) -> bool:
    """Return whether a taint of a Node object says that the machine is off."""
    taints = (obj.get("spec") or {}).get("taints") or ()
    return any(taint.get("key") in OUT_OF_SERVICE_TAINTS for taint in taints)


def node_value(obj: Object, *, has_speaker: bool = True, gone: bool = False) -> Node:
    """Read a Node object."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    addresses, refused = _internal_addresses(status)
    return Node(
        name=metadata["name"],
        labels=dict(metadata.get("labels") or {}),
        addresses=addresses,
        has_speaker=has_speaker,
        gone=gone,
        out_of_service=is_out_of_service(obj),
        conditions=node_conditions(obj),
        off=is_off(obj),
        refused=refused,
    )


def _internal_addresses(status: Object) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the InternalIPs of a Node's status, and why others of them cannot be addresses."""
    found: dict[str, None] = {}
    refused: dict[str, None] = {}
    for item in status.get("addresses") or ():
        if item.get("type") != "InternalIP":
            continue
        text = str(item.get("address"))
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            refused[f"{text[:_TOLD]!r} is no IP address"] = None
            continue
        if _is_of_a_host(address):
            found[str(address)] = None
        else:
            refused[f"{address} is no unicast address of a host"] = None
    return most_addresses(found), tuple(refused)[:_MOST_ADDRESSES]


def most_addresses(addresses: Iterable[str]) -> tuple[str, ...]:
    """Return as many addresses as a NodeConfig takes, in their order: the first of each family."""
    every = list(addresses)
    firsts = [next((a for a in every if (":" in a) == six), None) for six in (False, True)]
    kept = set([a for a in dict.fromkeys((*firsts, *every)) if a is not None][:_MOST_ADDRESSES])
    return tuple(address for address in every if address in kept)


def _is_of_a_host(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return not (
        address.is_multicast
        or address.is_unspecified
        or address.is_loopback
        or "%" in str(address)
        or str(address) == "255.255.255.255"
    )


def node_conditions(obj: Object) -> dict[str, str]:
    """Return the conditions of a Node object, type to status."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return {c["type"]: c["status"] for c in conditions if "type" in c and "status" in c}
