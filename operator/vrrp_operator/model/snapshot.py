"""Every object of one reconcile as frozen values; whatever is decided is decided from this."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

from vrrp_api.accepted import accepted_before
from vrrp_api.annotations import (
    HANDOVER_TO,
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
_Spec = TypeVar("_Spec")


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
    known_owners: Mapping[str, str] | None = None
    """The nodes by their addresses, where this is a part of a cluster; None: those in ``nodes``."""

    @cached_property
    def index(self) -> Index:
        """What nodes are asked and say, by election and check."""
        return Index((node, of.config, of.status) for node, of in self.reports.items())

    @cached_property
    def checks(self) -> Mapping[str, HealthCheck]:
        """The valid HealthChecks by name."""
        return {check.name: check.spec for check in self.health_checks if check.spec is not None}

    @cached_property
    def heartbeats(self) -> Mapping[str, str]:
        """The time of each node that reports, by its own clock and last heartbeat, RFC 3339."""
        return {
            node: max(report.beat, report.status.heartbeat_time)
            for node, report in self.reports.items()
            if report.fresh and report.status is not None
        }

    def but(self, **changes: Any) -> ClusterSnapshot:
        """Return it with other fields; the index of its reports is kept where these stay."""
        other = replace(self, **changes)
        if other.reports is self.reports:
            vars(other)["index"] = self.index
        return other

    @cached_property
    def owners(self) -> Mapping[str, str]:
        """The nodes by their addresses."""
        if self.known_owners is not None:
            return self.known_owners
        return {address: node.name for node in self.nodes for address in node.addresses}

    @cached_property
    def users(self) -> Mapping[str, tuple[str, ...]]:
        """The VirtualIPs that name a check, by its name."""
        found: dict[str, dict[str, None]] = {}
        for record in self.virtual_ips:
            for reference in record.spec.health_checks if record.spec is not None else ():
                found.setdefault(reference.name, {})[record.name] = None
        return {check: tuple(users) for check, users in found.items()}


def _read(
    obj: Object, kind: str, parse: Callable[[Object], _Spec]
) -> tuple[_Spec | None, FieldError | None]:
    """Return what an object asks for, or what is wrong with it."""
    try:
        return parse(obj), None
    except FieldError as caught:
        return None, caught
    except Exception as caught:
        return None, _unreadable(kind, obj["metadata"], caught)


def virtual_ip_record(
    obj: Object, before: tuple[Object, VirtualIPRecord] | None = None
) -> VirtualIPRecord:
    """Read a VirtualIP object; a wrong one is a record with an error.

    ``before`` is the object as it was, and its record: what is asked for is the same value then.
    """
    metadata, status = obj["metadata"], obj.get("status") or {}
    if before is not None and _read_from(before[0]) == _read_from(obj):
        spec, error = before[1].spec, before[1].error
    else:
        spec, error = _read(obj, "VirtualIP", parse_virtual_ip)
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


def health_check_record(
    obj: Object, before: tuple[Object, HealthCheckRecord] | None = None
) -> HealthCheckRecord:
    """Read a HealthCheck object; a wrong one is a record with an error.

    ``before`` is the object as it was, and its record.
    """
    metadata, status = obj["metadata"], obj.get("status") or {}
    if before is not None and _read_from(before[0]) == _read_from(obj):
        spec, error = before[1].spec, before[1].error
    else:
        spec, error = _read(obj, "HealthCheck", parse_health_check)
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
