"""VirtualIP: what the user asks for."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vrrp_api.accepted import accepted_before
from vrrp_api.election import (
    Announcements,
    ElectionSpec,
    parse_announcements,
    parse_election,
    parse_split_brain_policy,
)
from vrrp_api.fields import Fields, object_fields
from vrrp_api.former import conflict_policy, failure_weight
from vrrp_api.labels import LabelSelector, parse_label_selector

DEFAULT_CANDIDATES = 5


@dataclass(frozen=True, slots=True)
class VipAddress:
    """One address; ``address`` is canonical text without prefix."""

    address: str
    prefix_length: int
    interface: str | None = None

    @property
    def family(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.address else 4

    def __str__(self) -> str:
        return f"{self.address}/{self.prefix_length}"


@dataclass(frozen=True, slots=True)
class CheckReference:
    """A HealthCheck the VirtualIP depends on; None means the check's own, weight 0 a Fault."""

    name: str
    weight: int | None = None
    reverse: bool | None = None


@dataclass(frozen=True, slots=True)
class VirtualIP:
    """One VirtualIP, defaults filled in."""

    name: str
    uid: str
    generation: int
    creation_timestamp: str
    addresses: tuple[VipAddress, ...]
    interface: str | None
    node_selector: LabelSelector | None
    node_priorities: Mapping[str, int]
    virtual_router_id: int | None
    candidates: int
    election: ElectionSpec
    announcements: Announcements
    require_majority: bool
    detect_conflicts: bool
    health_checks: tuple[CheckReference, ...]
    preferred_nodes: tuple[str, ...] = ()
    """Who is to hold the addresses, best first."""
    suspend: bool = False
    """Whether nobody is to hold the addresses."""

    @property
    def family(self) -> int:
        """The family the election runs over, 4 or 6: that of the first address."""
        return self.addresses[0].family


_EVERYWHERE = (
    "must not have prefix length 0: the node would look for everybody on its link"
    " (accepted: the network's own, as 192.0.2.10/24, or none)"
)


def parse_virtual_ip(obj: Mapping[str, Any]) -> VirtualIP:
    """Parse an API object; the rules are those of the CRD's schema.

    What was accepted before keeps a ``nodeSelector`` that selects every node and a prefix of length
    0, and is refreshed as often as can be where it asks for more.

    Raises:
        FieldError: the first wrong field.
    """
    spec, metadata = object_fields(obj, "VirtualIP")
    before = accepted_before(obj)
    addresses = tuple(_address(item, lenient=before) for item in spec.children("addresses", 1, 64))
    _check_addresses(spec, addresses)
    parsed = VirtualIP(
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        generation=metadata.get("generation", 0),
        creation_timestamp=metadata.get("creationTimestamp") or "",
        addresses=addresses,
        interface=spec.interface(),
        node_selector=_node_selector(spec, may_be_empty=before),
        node_priorities=_node_priorities(spec),
        virtual_router_id=spec.optional_integer("virtualRouterID", 1, 255),
        candidates=spec.integer("candidates", 1, 64, DEFAULT_CANDIDATES),
        election=parse_election(spec, addresses[0].family),
        announcements=parse_announcements(spec, lenient=before),
        require_majority=parse_split_brain_policy(spec),
        detect_conflicts=conflict_policy(spec),
        health_checks=_health_checks(spec),
        preferred_nodes=_preferred_nodes(spec),
        suspend=spec.boolean("suspend", False),
    )
    spec.done()
    return parsed


def asked_addresses(obj: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the addresses of an API object as they are written, if it can be parsed or not."""
    spec = obj.get("spec")
    items = spec.get("addresses") if isinstance(spec, Mapping) else None
    texts = [
        item.get("address")
        for item in (items if isinstance(items, list) else ())
        if isinstance(item, Mapping)
    ]
    return tuple(text for text in texts if isinstance(text, str))


def _address(fields: Fields, *, lenient: bool) -> VipAddress:
    address, prefix_length = fields.ip_interface("address")
    parsed = ipaddress.ip_address(address)
    broadcast = address == "255.255.255.255"
    if parsed.is_multicast or parsed.is_unspecified or parsed.is_loopback or broadcast:
        raise fields.error("address", "must be a unicast address that is not loopback")
    if prefix_length == 0 and not lenient:
        raise fields.error("address", _EVERYWHERE)
    result = VipAddress(address, prefix_length, fields.interface())
    fields.done()
    return result


def _check_addresses(spec: Fields, addresses: tuple[VipAddress, ...]) -> None:
    if len({a.address for a in addresses}) < len(addresses):
        raise spec.error("addresses", "must name each address once")


def _node_selector(spec: Fields, *, may_be_empty: bool) -> LabelSelector | None:
    fields = spec.child("nodeSelector")
    if fields is None:
        return None
    selector = parse_label_selector(fields)
    if selector == LabelSelector() and not may_be_empty:
        # The API server drops what it does not know: labels written as in a Pod leave this behind.
        message = (
            "must hold matchLabels or matchExpressions: empty it would select every node"
            " (accepted: {matchLabels: {KEY: VALUE}}; for every node leave nodeSelector out)"
        )
        raise spec.error("nodeSelector", message)
    return selector


def _node_priorities(spec: Fields) -> Mapping[str, int]:
    priorities: dict[str, int] = {}
    for item in spec.children("nodePriorities", 0, 64):
        node = item.text("node")
        if node in priorities:
            raise item.error("node", "is listed twice")
        priority = item.integer("priority", 1, 254)
        if priority in priorities.values():
            raise item.error("priority", "is given to two nodes; equal priorities do not rank")
        priorities[node] = priority
        item.done()
    return priorities


def _preferred_nodes(spec: Fields) -> tuple[str, ...]:
    nodes = spec.texts("preferredNodes", 0, 64)
    if len(set(nodes)) < len(nodes):
        raise spec.error("preferredNodes", "must name each node once")
    if nodes and spec.has("nodePriorities"):
        raise spec.error("preferredNodes", "must be absent beside nodePriorities, which rank nodes")
    return nodes


def _health_checks(spec: Fields) -> tuple[CheckReference, ...]:
    references: list[CheckReference] = []
    for item in spec.children("healthChecks", 0, 16):
        name = item.text("name")
        if any(reference.name == name for reference in references):
            raise item.error("name", "is listed twice")
        weight = failure_weight(item)
        reverse = item.boolean("reverse", False) if item.has("reverse") else None
        references.append(CheckReference(name, weight, reverse))
        item.done()
    return tuple(references)
