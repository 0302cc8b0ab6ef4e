"""NodeConfig: what the operator asks of one node; ``node_status`` is what that node reports."""

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

MOST_ROUTERS = 255
MOST_CHECKS = 255 * 16
"""What as many elections as there are VRIDs can name."""


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
    lease_namespace: str | None = None
    """Where the speaker renews a Lease as its heartbeat; None: its status is written instead."""
    ended: tuple[str, ...] = ()
    """Elections that ended, by name: nobody is to have their addresses, so none is waited for."""

    def to_object(self) -> dict[str, Any]:
        """Return the API object, spec only, in a stable order."""
        spec: dict[str, Any] = {
            "node": self.node,
            "addresses": list(self.addresses),
            "virtualRouters": [router_object(router) for router in self.virtual_routers],
            "healthChecks": [check_spec(check) for check in self.health_checks],
        }
        if self.lease_namespace is not None:
            spec["leaseNamespace"] = self.lease_namespace
        if self.ended:
            spec["ended"] = list(self.ended)
        return {
            "apiVersion": API_VERSION,
            "kind": "NodeConfig",
            "metadata": {"name": self.node},
            "spec": spec,
        }


def parse_node_config(obj: Mapping[str, Any]) -> NodeConfig:
    """Parse a standalone file, or what was written by this version: unknown fields are refused.

    Raises:
        FieldError: the first wrong field.
    """
    spec, metadata = object_fields(obj, "NodeConfig")
    checks = [parse_resolved_check(item) for item in spec.children("healthChecks", 0, MOST_CHECKS)]
    routers = tuple(parse_router(item) for item in spec.children("virtualRouters", 0, MOST_ROUTERS))
    return assemble(spec, metadata, routers, tuple(checks))


def assemble(
    spec: Fields,
    metadata: Mapping[str, Any],
    routers: tuple[VirtualRouterConfig, ...],
    checks: tuple[HealthCheck, ...],
) -> NodeConfig:
    """Return the NodeConfig of these parts and the rest of its spec.

    Raises:
        FieldError: the rest is wrong, or the parts do not go together.
    """
    config = NodeConfig(
        node=spec.text("node"),
        generation=metadata.get("generation", 0),
        addresses=spec.texts("addresses", 0, 16),
        virtual_routers=routers,
        health_checks=checks,
        lease_namespace=spec.optional_text("leaseNamespace"),
        ended=tuple(spec.texts("ended", 0, MOST_ROUTERS)),
    )
    _check_references(spec, config)
    spec.done()
    return config


def parse_router(fields: Fields) -> VirtualRouterConfig:
    """Parse an entry of ``virtualRouters``.

    Raises:
        FieldError: the first wrong field.
    """
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
        election=parse_election(fields, addresses[0].family, resolved=True),
        peers=tuple(peers),
        health_checks=tuple(checks),
        announcements=parse_announcements(fields, lenient=True),
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


def router_object(router: VirtualRouterConfig) -> dict[str, Any]:
    """Return an entry of ``virtualRouters``."""
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
