"""NodeConfig: what the operator asks of one node, and what that node reports back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vrrp_api import API_VERSION
from vrrp_api.election import (
    DEFAULT_ANNOUNCEMENTS,
    REQUIRE_MAJORITY,
    Announcements,
    ElectionSpec,
    parse_announcements,
    parse_election,
    parse_split_brain_policy,
)
from vrrp_api.fields import Fields, object_fields
from vrrp_api.health_check import HealthCheck, check_spec, parse_resolved_check
from vrrp_api.virtual_ip import VipAddress


@dataclass(frozen=True, slots=True)
class Peer:
    """Another node of the same election."""

    node: str
    address: str
    priority: int


@dataclass(frozen=True, slots=True)
class RouterCheck:
    """A check that a Virtual Router depends on, weight and reverse resolved.

    ``ignored``: so many of its candidates fail the check that it does not count here.
    """

    name: str
    weight: int
    reverse: bool = False
    ignored: bool = False


@dataclass(frozen=True, slots=True)
class VirtualRouterConfig:
    """One election as this node takes part in it; ``name`` is the VirtualIP's."""

    name: str
    virtual_ip_generation: int
    virtual_router_id: int
    interface: str | None
    addresses: tuple[VipAddress, ...]
    base_priority: int
    election: ElectionSpec
    peers: tuple[Peer, ...]
    health_checks: tuple[RouterCheck, ...]
    announcements: Announcements = DEFAULT_ANNOUNCEMENTS
    take_over: str | None = None
    """Asks this node to become Active without waiting, once for each new value."""
    require_majority: bool = False
    detect_conflicts: bool = True

    @property
    def family(self) -> int:
        """The family the election runs over, 4 or 6: that of the first address."""
        return self.addresses[0].family


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """One node's configuration; ``addresses`` are its own.

    The first of an election's family is where its unicast advertisements come from.
    """

    node: str
    generation: int
    addresses: tuple[str, ...]
    virtual_routers: tuple[VirtualRouterConfig, ...]
    health_checks: tuple[HealthCheck, ...]

    def to_object(self) -> dict[str, Any]:
        """Return the API object, spec only, in a stable order."""
        return {
            "apiVersion": API_VERSION,
            "kind": "NodeConfig",
            "metadata": {"name": self.node},
            "spec": {
                "node": self.node,
                "addresses": list(self.addresses),
                "virtualRouters": [_router_object(router) for router in self.virtual_routers],
                "healthChecks": [check_spec(check) for check in self.health_checks],
            },
        }


@dataclass(frozen=True, slots=True)
class Transition:
    """One state change: RFC 3339 time, from, to, reason.

    ``sequence`` counts the changes of all routers of the node since its boot, from 1; 0 where a
    speaker does not say.
    """

    time: str
    before: str
    after: str
    reason: str
    sequence: int = 0

    def to_object(self) -> dict[str, Any]:
        """Return the API form."""
        said = {"time": self.time, "from": self.before, "to": self.after, "reason": self.reason}
        return {"sequence": self.sequence, **said} if self.sequence else said


@dataclass(frozen=True, slots=True)
class Conflict:
    """The host outside the election that was last seen with an address of it; RFC 3339 time."""

    address: str
    mac: str
    time: str

    def to_object(self) -> dict[str, Any]:
        """Return the API form."""
        return {"address": self.address, "mac": self.mac, "time": self.time}


@dataclass(frozen=True, slots=True)
class ForeignRouter:
    """The router outside the election that last used its virtual router ID; RFC 3339 time."""

    source: str
    priority: int
    time: str

    def to_object(self) -> dict[str, Any]:
        """Return the API form."""
        return {"source": self.source, "priority": self.priority, "time": self.time}


@dataclass(frozen=True, slots=True)
class RouterStatus:
    """One Virtual Router as its node reports it."""

    name: str
    virtual_ip_generation: int
    state: str
    since: str
    effective_priority: int
    interface: str | None
    faults: tuple[str, ...]
    transitions: int
    last_transition: Transition | None
    conflict: Conflict | None = None
    foreign: ForeignRouter | None = None
    history: tuple[Transition, ...] = ()
    """The newest transitions by sequence, those into and out of Active above all."""


@dataclass(frozen=True, slots=True)
class CheckStatus:
    """One check's result on a node."""

    name: str
    passing: bool
    since: str
    message: str


@dataclass(frozen=True, slots=True)
class NodeConfigStatus:
    """What a speaker reports; ``config_source`` is API, Cache or File."""

    observed_generation: int
    heartbeat_time: str
    version: str
    engine_restarts: int
    config_source: str
    virtual_routers: tuple[RouterStatus, ...]
    checks: tuple[CheckStatus, ...]

    def to_object(self) -> dict[str, Any]:
        """Return the API form of the status."""
        return {
            "observedGeneration": self.observed_generation,
            "heartbeatTime": self.heartbeat_time,
            "speaker": {
                "version": self.version,
                "engineRestarts": self.engine_restarts,
                "configSource": self.config_source,
            },
            "virtualRouters": [_router_status_object(router) for router in self.virtual_routers],
            "checks": [
                {
                    "name": check.name,
                    "passing": check.passing,
                    "since": check.since,
                    "message": check.message,
                }
                for check in self.checks
            ],
        }


def parse_node_config(obj: Mapping[str, Any]) -> NodeConfig:
    """Parse an API object, a cached copy of one, or a standalone file.

    Raises:
        FieldError: the first wrong field.
    """
    spec, metadata = object_fields(obj, "NodeConfig")
    checks = [parse_resolved_check(item) for item in spec.children("healthChecks", 0, 256)]
    routers = tuple(_router(item) for item in spec.children("virtualRouters", 0, 255))
    config = NodeConfig(
        node=spec.text("node"),
        generation=metadata.get("generation", 0),
        addresses=spec.texts("addresses", 0, 16),
        virtual_routers=routers,
        health_checks=tuple(checks),
    )
    _check_references(spec, config)
    spec.done()
    return config


def _router(fields: Fields) -> VirtualRouterConfig:
    addresses = []
    for item in fields.children("addresses", 1, 64):
        address, prefix_length = item.ip_interface("address")
        addresses.append(VipAddress(address, prefix_length, item.interface()))
        item.done()
    peers = []
    for item in fields.children("peers", 0, 63):
        address = item.ip_address("address")
        peers.append(Peer(item.text("node"), address, item.integer("priority", 1, 254)))
        item.done()
    checks = []
    for item in fields.children("healthChecks", 0, 16):
        checks.append(_router_check(item))
    router = VirtualRouterConfig(
        name=fields.text("name"),
        virtual_ip_generation=fields.integer("virtualIPGeneration", 0, 2**63 - 1),
        virtual_router_id=fields.integer("virtualRouterID", 1, 255),
        interface=fields.interface(),
        addresses=tuple(addresses),
        base_priority=fields.integer("basePriority", 1, 254),
        election=parse_election(fields, addresses[0].family),
        peers=tuple(peers),
        health_checks=tuple(checks),
        announcements=parse_announcements(fields),
        take_over=fields.optional_text("takeOver"),
        require_majority=parse_split_brain_policy(fields),
        detect_conflicts=fields.boolean("conflictDetection", True),
    )
    _check_peers(fields, router)
    fields.done()
    return router


def _router_check(fields: Fields) -> RouterCheck:
    check = RouterCheck(
        name=fields.text("name"),
        weight=fields.integer("weight", -254, 254),
        reverse=fields.boolean("reverse", False),
        ignored=fields.boolean("ignored", False),
    )
    fields.done()
    return check


def _check_peers(fields: Fields, router: VirtualRouterConfig) -> None:
    for peer in router.peers:
        if (":" in peer.address) != (router.family == 6):
            message = f"must all be IPv{router.family} as the first address; {peer.node} is not"
            raise fields.error("peers", message)


def _check_references(spec: Fields, config: NodeConfig) -> None:
    names = [router.name for router in config.virtual_routers]
    if len(set(names)) < len(names):
        raise spec.error("virtualRouters", "must name each virtual router once")
    known = {check.name for check in config.health_checks}
    for router in config.virtual_routers:
        for check in router.health_checks:
            if check.name not in known:
                message = f"must hold {check.name!r}, which virtualRouters {router.name!r} uses"
                raise spec.error("healthChecks", message)


def _router_object(router: VirtualRouterConfig) -> dict[str, Any]:
    item: dict[str, Any] = {
        "name": router.name,
        "virtualIPGeneration": router.virtual_ip_generation,
        "virtualRouterID": router.virtual_router_id,
        "addresses": [_address_object(address) for address in router.addresses],
        "basePriority": router.base_priority,
        **router.election.to_object(),
        "announcements": router.announcements.to_object(),
        "peers": [
            {"node": peer.node, "address": peer.address, "priority": peer.priority}
            for peer in router.peers
        ],
        "healthChecks": [_router_check_object(check) for check in router.health_checks],
    }
    if router.interface is not None:
        item["interface"] = router.interface
    if router.require_majority:
        item["splitBrainPolicy"] = REQUIRE_MAJORITY
    if not router.detect_conflicts:
        item["conflictDetection"] = False
    if router.take_over is not None:
        item["takeOver"] = router.take_over
    return item


def _router_check_object(check: RouterCheck) -> dict[str, Any]:
    item = {"name": check.name, "weight": check.weight, "reverse": check.reverse}
    return {**item, "ignored": True} if check.ignored else item


def _address_object(address: VipAddress) -> dict[str, Any]:
    item = {"address": str(address)}
    if address.interface is not None:
        item["interface"] = address.interface
    return item


def _router_status_object(router: RouterStatus) -> dict[str, Any]:
    item: dict[str, Any] = {
        "name": router.name,
        "virtualIPGeneration": router.virtual_ip_generation,
        "state": router.state,
        "since": router.since,
        "effectivePriority": router.effective_priority,
        "faults": list(router.faults),
        "transitions": router.transitions,
    }
    if router.interface is not None:
        item["interface"] = router.interface
    if router.last_transition is not None:
        item["lastTransition"] = router.last_transition.to_object()
    if router.history:
        item["history"] = [transition.to_object() for transition in router.history]
    if router.conflict is not None:
        item["conflict"] = router.conflict.to_object()
    if router.foreign is not None:
        item["foreign"] = router.foreign.to_object()
    return item


def parse_node_config_status(obj: Mapping[str, Any]) -> NodeConfigStatus | None:
    """Read a NodeConfig's status; None while no speaker has reported.

    Lenient: a speaker of another version may say less or more, and the API server has checked the
    types against the schema.
    """
    status = obj.get("status") or {}
    if not status.get("heartbeatTime"):
        return None
    speaker = status.get("speaker") or {}
    return NodeConfigStatus(
        observed_generation=status.get("observedGeneration", 0),
        heartbeat_time=status["heartbeatTime"],
        version=speaker.get("version", ""),
        engine_restarts=speaker.get("engineRestarts", 0),
        config_source=speaker.get("configSource", ""),
        virtual_routers=tuple(_router_status(item) for item in status.get("virtualRouters") or ()),
        checks=tuple(
            CheckStatus(
                name=item["name"],
                passing=item.get("passing", False),
                since=item.get("since", ""),
                message=item.get("message", ""),
            )
            for item in status.get("checks") or ()
        ),
    )


def _router_status(item: Mapping[str, Any]) -> RouterStatus:
    last, conflict, foreign = (
        item.get(field) for field in ("lastTransition", "conflict", "foreign")
    )
    return RouterStatus(
        name=item["name"],
        virtual_ip_generation=item.get("virtualIPGeneration", 0),
        state=item.get("state", ""),
        since=item.get("since", ""),
        effective_priority=item.get("effectivePriority", 0),
        interface=item.get("interface"),
        faults=tuple(item.get("faults") or ()),
        transitions=item.get("transitions", 0),
        last_transition=_transition(last) if last else None,
        conflict=Conflict(conflict.get("address", ""), conflict["mac"], conflict["time"])
        if conflict
        else None,
        foreign=ForeignRouter(foreign["source"], foreign.get("priority", 0), foreign["time"])
        if foreign
        else None,
        history=tuple(_transition(past) for past in item.get("history") or ()),
    )


def _transition(item: Mapping[str, Any]) -> Transition:
    return Transition(
        item["time"], item["from"], item["to"], item["reason"], item.get("sequence", 0)
    )
