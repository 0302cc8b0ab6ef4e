"""Every object of one reconcile as frozen values; whatever is decided is decided from this."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from vrrp_api.accepted import accepted_before
from vrrp_api.annotations import (
    HANDOVER_TO,
    MAINTENANCE,
    OUT_OF_SERVICE_TAINTS,
    unknown_annotations,
)
from vrrp_api.conditions import Condition, parse_conditions
from vrrp_api.errors import FieldError
from vrrp_api.former import FormerForm, former_forms
from vrrp_api.health_check import HealthCheck, parse_health_check
from vrrp_api.node_config import NodeConfig
from vrrp_api.node_config_reading import Memory, entries_of, read_node_config, unknown_by_router
from vrrp_api.node_status import NodeConfigStatus
from vrrp_api.virtual_ip import VirtualIP, asked_addresses, parse_virtual_ip
from vrrp_operator.model.index import Index
from vrrp_operator.model.vrid_limits import Limits

Object = Mapping[str, Any]
_MOST_ADDRESSES = 16
"""What a NodeConfig takes."""
_TOLD = 64


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the cluster; ``addresses`` are its InternalIPs, ``has_speaker`` once one reported.

    ``gone`` means silent for so long that another candidate takes its place, unless it is heard;
    ``out_of_service`` that somebody took it out: for maintenance, or by a taint that says that it
    is ``off``. ``conditions`` are type to status. ``refused`` says which addresses of the Node
    object cannot be believed; ``kept`` are those that it had before and does not name any more.
    """

    name: str
    labels: Mapping[str, str]
    addresses: tuple[str, ...]
    has_speaker: bool = True
    gone: bool = False
    out_of_service: bool = False
    conditions: Mapping[str, str] = field(default_factory=dict)
    off: bool = False
    refused: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    def address(self, family: int) -> str | None:
        """Return the address that elections of a family, 4 or 6, run over; None without one."""
        of_family = (a for a in self.addresses if (":" in a) == (family == 6))
        return next(of_family, None)


@dataclass(frozen=True, slots=True)
class VirtualIPRecord:
    """A VirtualIP object: parsed, or the reason why not; and what its status says.

    ``handover_to`` is the node that an annotation asks for. ``asked_addresses`` are those of an
    object that could not be parsed, as written. ``former`` are its fields in a former form.
    """

    name: str
    uid: str
    generation: int
    creation_timestamp: str
    spec: VirtualIP | None
    error: FieldError | None
    virtual_router_id: int | None
    status: Object
    conditions: tuple[Condition, ...]
    handover_to: str | None = None
    asked_addresses: tuple[str, ...] = ()
    unknown_annotations: tuple[str, ...] = ()
    former: tuple[FormerForm, ...] = ()

    @property
    def suspended(self) -> bool:
        """Whether nobody is to hold its addresses."""
        return self.spec is not None and self.spec.suspend

    @property
    def age_key(self) -> tuple[str, str]:
        """Order by age: the older object wins a conflict."""
        return self.creation_timestamp, self.name


@dataclass(frozen=True, slots=True)
class HealthCheckRecord:
    """A HealthCheck object: parsed, or the reason why not."""

    name: str
    generation: int
    spec: HealthCheck | None
    error: FieldError | None
    status: Object
    conditions: tuple[Condition, ...]
    uid: str = ""
    former: tuple[FormerForm, ...] = ()


AsWritten = tuple[Sequence[Object], Sequence[Object]]
"""Entries of ``virtualRouters`` and of ``healthChecks``."""


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What a node's NodeConfig asks now, and what its speaker reported.

    Times are seconds of the operator's own monotonic clock, so that the nodes' clocks do not
    matter. ``fresh``: the heartbeat moved within the last 30 s. ``heard_s``: when it last moved.
    ``active_seen_s``: when each router that is Active was first seen so. ``alive``: the heartbeat
    moved at least once while this operator looked. ``beat``: the node's own time at the last
    heartbeat, RFC 3339. ``unknown``: elections of which it asks what this version does not know, by
    name, and the first of that; ``as_written``: these and their checks as they stand there.
    """

    config: NodeConfig | None
    status: NodeConfigStatus | None
    fresh: bool
    heard_s: float = 0.0
    active_seen_s: Mapping[str, float] = field(default_factory=dict)
    alive: bool = True
    beat: str = ""
    unknown: Mapping[str, str] = field(default_factory=dict)
    as_written: AsWritten = ((), ())


@dataclass(frozen=True, slots=True)
class Panic:
    """A check that a VirtualIP ignores: the candidates that fail it, of how many, from what share.

    ``threshold`` is in percent. ``nodes`` are those that are told to ignore it now: one after the
    other where all at once would move the address.
    """

    failing: tuple[str, ...]
    candidates: int
    threshold: int
    nodes: frozenset[str]


PanicKey = tuple[str, str]
"""(VirtualIP, HealthCheck)."""


@dataclass(frozen=True, eq=False)
class ClusterSnapshot:
    """The cluster at one moment; tuples are sorted by name.

    ``services``: ready endpoints by node of each Service that was looked up, None for one that does
    not exist; as a whole None where nobody can be asked. ``panics``: the checks that do not count.
    """

    virtual_ips: tuple[VirtualIPRecord, ...] = ()
    health_checks: tuple[HealthCheckRecord, ...] = ()
    nodes: tuple[Node, ...] = ()
    reports: Mapping[str, NodeReport] = field(default_factory=dict)
    services: Mapping[str, Mapping[str, int] | None] | None = None
    panics: Mapping[PanicKey, Panic] = field(default_factory=dict)
    lease_namespace: str | None = None
    """Where speakers may renew Leases: the operator reads them there. None: it does not. Empty:
    that is not known, and what was asked before stays."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Why a node's NodeConfig was not written the last time, by node."""
    undeclared: frozenset[str] = frozenset()
    """Fields that the API server's NodeConfigs lack, by path without indices."""
    vrid_limits: Limits = field(default_factory=Limits)
    unreadable: tuple[Exception, ...] = ()
    """What went wrong with objects that could not be read."""

    @cached_property
    def index(self) -> Index:
        """What nodes are asked and say, by election and check."""
        return Index((node, of.config, of.status) for node, of in self.reports.items())

    @cached_property
    def checks(self) -> Mapping[str, HealthCheck]:
        """The valid HealthChecks by name."""
        return {check.name: check.spec for check in self.health_checks if check.spec is not None}

    @cached_property
    def owners(self) -> Mapping[str, str]:
        """The nodes by their addresses."""
        return {address: node.name for node in self.nodes for address in node.addresses}

    @cached_property
    def users(self) -> Mapping[str, tuple[str, ...]]:
        """The VirtualIPs that name a check, by its name."""
        found: dict[str, dict[str, None]] = {}
        for record in self.virtual_ips:
            for reference in record.spec.health_checks if record.spec is not None else ():
                found.setdefault(reference.name, {})[record.name] = None
        return {check: tuple(users) for check, users in found.items()}


def virtual_ip_record(
    obj: Object, before: tuple[Object, VirtualIPRecord] | None = None
) -> VirtualIPRecord:
    """Read a VirtualIP object; a wrong one is a record with an error.

    ``before`` is the object as it was, and its record: what is asked for is the same value then.
    """
    metadata, status = obj["metadata"], obj.get("status") or {}
    spec, error = None, None
    if before is not None and _read_from(before[0]) == _read_from(obj):
        spec, error = before[1].spec, before[1].error
    else:
        try:
            spec = parse_virtual_ip(obj)
        except FieldError as caught:
            error = caught
        except Exception as caught:
            error = _unreadable("VirtualIP", metadata, caught)
    return VirtualIPRecord(
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        generation=metadata.get("generation", 0),
        creation_timestamp=metadata.get("creationTimestamp") or "",
        spec=spec,
        error=error,
        virtual_router_id=status.get("virtualRouterID"),
        status=status,
        conditions=parse_conditions(status.get("conditions") or ()),
        handover_to=handover_to(obj),
        asked_addresses=asked_addresses(obj) if spec is None else (),
        unknown_annotations=unknown_annotations(obj),
        former=former_forms(obj),
    )


def _read_from(obj: Object) -> tuple[object, ...]:
    """Return all that the parsers look at: whatever else changes, they say the same."""
    metadata = obj["metadata"]
    identity = (metadata.get(key) for key in ("name", "uid", "generation", "creationTimestamp"))
    kind = obj.get("apiVersion"), obj.get("kind")
    return (*kind, *identity, accepted_before(obj), obj.get("spec"))


def _unreadable(kind: str, metadata: Object, error: Exception) -> FieldError:
    """Return the error of an object for which the parser has no word."""
    return FieldError(f"{kind} {metadata['name']}", "spec", None, f"cannot be read: {error!r}")


def handover_to(obj: Object) -> str | None:
    """Return the node that a VirtualIP object is to be handed to, as its annotation says."""
    return (obj["metadata"].get("annotations") or {}).get(HANDOVER_TO) or None


def is_out_of_service(obj: Object) -> bool:
    """Return whether a Node object is under maintenance or tainted as being off."""
    annotations = obj["metadata"].get("annotations") or {}
    return annotations.get(MAINTENANCE) == "true" or is_off(obj)


def is_off(obj: Object) -> bool:
    """Return whether a taint of a Node object says that the machine is off."""
    taints = (obj.get("spec") or {}).get("taints") or ()
    return any(taint.get("key") in OUT_OF_SERVICE_TAINTS for taint in taints)


def health_check_record(
    obj: Object, before: tuple[Object, HealthCheckRecord] | None = None
) -> HealthCheckRecord:
    """Read a HealthCheck object; a wrong one is a record with an error.

    ``before`` is the object as it was, and its record.
    """
    metadata, status = obj["metadata"], obj.get("status") or {}
    spec, error = None, None
    if before is not None and _read_from(before[0]) == _read_from(obj):
        spec, error = before[1].spec, before[1].error
    else:
        try:
            spec = parse_health_check(obj)
        except FieldError as caught:
            error = caught
        except Exception as caught:
            error = _unreadable("HealthCheck", metadata, caught)
    return HealthCheckRecord(
        name=metadata["name"],
        generation=metadata.get("generation", 0),
        spec=spec,
        error=error,
        status=status,
        conditions=parse_conditions(status.get("conditions") or ()),
        uid=metadata.get("uid", ""),
        former=former_forms(obj),
    )


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


@dataclass(frozen=True, slots=True)
class Asked:
    """What a NodeConfig asks, as ``NodeReport`` has it."""

    config: NodeConfig | None = None
    unknown: Mapping[str, str] = field(default_factory=dict)
    as_written: AsWritten = ((), ())


def asked_of(obj: Object, memory: Memory | None = None) -> Asked:
    """Read what a NodeConfig object asks, which another version may have written.

    One of which nothing can be read counts as not there. ``memory`` is of the readings before.
    """
    try:
        reading = read_node_config(obj, memory)
    except FieldError:
        return Asked()
    unknown = unknown_by_router(obj, reading)
    return Asked(reading.config, unknown, entries_of(obj, unknown) if unknown else ((), ()))


def take_snapshot(
    virtual_ips: Iterable[Object],
    health_checks: Iterable[Object],
    nodes: Iterable[Node],
    reports: Mapping[str, NodeReport],
) -> ClusterSnapshot:
    """Return the snapshot of these objects; objects that are being deleted are left out."""
    return ClusterSnapshot(
        virtual_ips=tuple(virtual_ip_record(obj) for obj in not_deleted(virtual_ips)),
        health_checks=tuple(health_check_record(obj) for obj in not_deleted(health_checks)),
        nodes=tuple(sorted(nodes, key=lambda node: node.name)),
        reports=dict(reports),
    )


def not_deleted(objects: Iterable[Object]) -> list[Object]:
    """Return the objects that are not being deleted, by name."""
    alive = [obj for obj in objects if not obj["metadata"].get("deletionTimestamp")]
    return sorted(alive, key=lambda obj: str(obj["metadata"]["name"]))
