"""NodeConfig and links in, engine program out: places routers, and knows which templates they need.

Pure, and by difference: a router for which nothing changed keeps its document.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vrrp.authentication import election_key
from vrrp_api.election import Authentication
from vrrp_api.node_config import NodeConfig, VirtualRouterConfig
from vrrp_api.virtual_ip import VipAddress
from vrrp_speaker.lease import lease_seconds
from vrrp_speaker.links.choice import address_link, group_source, node_address, router_link
from vrrp_speaker.links.concerns import Concerns
from vrrp_speaker.links.subnet_route import (
    add_route_request,
    delete_route_request,
    host_prefix,
    wants_route,
)
from vrrp_speaker.links.table import Link, LinkTable, PlacementError
from vrrp_speaker.program_file import FORMAT
from vrrp_speaker.shared_state.layout import SLOTS

Keys = Mapping[str, Mapping[str, Any]]
"""By ref, what the key folder holds (``agent.config.keys``)."""
LinkObjects = Mapping[Link, Mapping[str, Any]]
"""The templates of links, as the compiler has made them, by ``Link.bare``."""


@dataclass(frozen=True, slots=True)
class PlacedRouter:
    """A router's document, and the links over which something of it is sent (``Link.bare``)."""

    document: Mapping[str, Any]
    links: frozenset[Link]


@dataclass(frozen=True, slots=True)
class Placed:
    """The routers of one configuration in their places."""

    node: str
    generation: int
    concerns: Mapping[str, Any]
    """What of the node it names."""
    routers: tuple[PlacedRouter, ...]

    @property
    def links(self) -> frozenset[Link]:
        """The links whose templates the program needs."""
        return frozenset().union(*{router.links for router in self.routers})

    def program(self, templates: LinkObjects) -> dict[str, Any]:
        """Return the program document; ``templates`` has those of all links."""
        links = sorted(self.links, key=lambda link: link.index)
        return {
            "format": FORMAT,
            "node": self.node,
            "generation": self.generation,
            "concerns": self.concerns,
            "links": [{"ifindex": link.index, "templates": templates[link]} for link in links],
            "routers": [router.document for router in self.routers],
        }


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """What besides its own configuration a router's document depends on."""

    addresses: tuple[str, ...]
    table: LinkTable
    keys: Keys


class Placing:
    """Places the routers of one configuration after the other."""

    def __init__(self) -> None:
        self._surroundings: _Surroundings | None = None
        self._known: dict[str, tuple[VirtualRouterConfig, int, PlacedRouter]] = {}
        self._concerns = Concerns()
        self._running: dict[str, tuple[str, int]] = {}
        """By name, the first address and the index of the interface it was last placed on."""

    def go_on_from(self, documents: Iterable[Mapping[str, Any]]) -> None:
        """Leave routers where these documents have them, as long as that can be."""
        for document in documents:
            if document["addresses"]:
                first = document["addresses"][0]["address"]
                self._running[document["name"]] = first, document["ifindex"]

    def place(
        self, config: NodeConfig, previous_slots: Mapping[str, int], table: LinkTable, keys: Keys
    ) -> Placed:
        """Return every router in its place.

        One that cannot be placed has its fault and no addresses, so that one bad interface name
        costs one VirtualIP and no other.

        Args:
            config: what the operator asks for.
            previous_slots: router name to slot of the program that runs; names that stay keep
                theirs.
            table: links and addresses of the node now.
            keys: what signs.
        """
        slots = assign_slots([router.name for router in config.virtual_routers], previous_slots)
        surroundings = _Surroundings(config.addresses, table, keys)
        same = surroundings == self._surroundings
        known, self._known = self._known, {}
        for router in config.virtual_routers:
            before, slot = known.get(router.name), slots[router.name]
            if not same or before is None or before[:2] != (router, slot):
                before = router, slot, _placed(router, slot, self._stays(router), surroundings)
            self._known[router.name] = before
        self._surroundings = surroundings
        self._running = {name: at for name, at in self._running.items() if name in slots}
        self.go_on_from(placed.document for _, _, placed in self._known.values())
        routers = tuple(placed for _, _, placed in self._known.values())
        return Placed(config.node, config.generation, self._concerns.of(config), routers)

    def _stays(self, router: VirtualRouterConfig) -> int:
        """Return the index of the interface that the router has its address on; 0 without one."""
        address, ifindex = self._running.get(router.name, ("", 0))
        return ifindex if address == router.addresses[0].address else 0


def assign_slots(names: list[str], previous: Mapping[str, int]) -> dict[str, int]:
    """Return a slot of the shared state for each name; known names keep theirs."""
    kept = {name: previous[name] for name in names if previous.get(name, SLOTS) < SLOTS}
    # A slot freed just now is taken last: a reader of metrics may still be looking at it.
    recent = set(previous.values()) - set(kept.values())
    taken = set(kept.values())
    free = sorted(
        (slot for slot in range(SLOTS) if slot not in taken), key=lambda s: (s in recent, s)
    )
    for name in names:
        if name not in kept:
            kept[name] = free.pop(0)
    return kept


def _placed(
    router: VirtualRouterConfig, slot: int, running: int, around: _Surroundings
) -> PlacedRouter:
    document, table = _unplaced(router, slot), around.table
    try:
        link, source = _place(router, running, around)
        placed = [(address, address_link(address, link, table)) for address in router.addresses]
        document["authentication"] = authentication(
            router.election.authentication, around.keys, router.name
        )
    except PlacementError as error:
        document["faults"] = [str(error)]
        return PlacedRouter(document, frozenset())
    document["source"] = source
    document["interface"], document["ifindex"] = link.name, link.index
    lease_s = lease_seconds(
        router.election.version,
        router.base_priority,
        router.election.advertisement_interval_ns,
        router.election.down_advertisements,
    )
    document["addresses"] = [_address(address, on, lease_s, table) for address, on in placed]
    document["announceSource"] = any(own.address == source for own in link.addresses)
    return PlacedRouter(document, frozenset({link.bare, *(on.bare for _, on in placed)}))


def _address(address: VipAddress, link: Link, lease_s: int, table: LinkTable) -> dict[str, Any]:
    document = {
        "address": address.address,
        "prefixLength": host_prefix(address),
        "family": address.family,
        "interface": link.name,
        "ifindex": link.index,
    }
    if wants_route(address, link, table):
        document["addRoute"] = add_route_request(address, link.index, lease_s).hex()
        document["deleteRoute"] = delete_route_request(address, link.index).hex()
    return document


def _unplaced(router: VirtualRouterConfig, slot: int) -> dict[str, Any]:
    """Return what does not depend on the node's links and keys."""
    election, transport = router.election, router.election.transport
    return {
        "name": router.name,
        "slot": slot,
        "virtualIPGeneration": router.virtual_ip_generation,
        "vrid": router.virtual_router_id,
        "version": election.version,
        "family": router.family,
        "interface": router.interface or "",
        "ifindex": 0,
        "source": "",
        "basePriority": router.base_priority,
        "advertisementIntervalNs": election.advertisement_interval_ns,
        "downAdvertisements": election.down_advertisements,
        "preempt": election.preemption.preempt,
        "preemptDelayNs": election.preemption.delay_ns,
        "requireMajority": router.require_majority,
        "takeOver": router.take_over or "",
        "multicast": transport.multicast,
        "ttlSend": transport.ttl_send,
        "ttlMinimum": transport.ttl_accept_minimum,
        "checksum": transport.checksum,
        "authentication": {"type": "None"},
        "peers": [
            *({"node": p.node, "address": p.address, "external": False} for p in router.peers),
            *({"node": p, "address": p, "external": True} for p in transport.external_peers),
        ],
        "checks": [{"name": check.name, "weight": check.weight} for check in router.health_checks],
        "addresses": [],
        "detectConflicts": router.detect_conflicts,
        "announceSource": False,
        "announcementPlan": {
            "burst": router.announcements.burst,
            "repeatAfterNs": router.announcements.repeat_after_ns,
            "refreshNs": router.announcements.refresh_ns,
        },
        "faults": [],
    }


def _place(router: VirtualRouterConfig, running: int, around: _Surroundings) -> tuple[Link, str]:
    """Return the interface and the source of the router's advertisements."""
    family = router.family
    if not router.election.transport.multicast:
        source = node_address(around.addresses, family)
        return router_link(router, source, around.table, running), source
    node = next((a for a in around.addresses if (":" in a) == (family == 6)), None)
    link = router_link(router, node, around.table, running)
    return link, group_source(link, around.addresses, family)


def authentication(wanted: Authentication | None, keys: Keys, election: str) -> dict[str, Any]:
    """Return the authentication with its secrets, those derived for this election too.

    Raises:
        PlacementError: a key is missing or wrong. Running plain instead would be silent.
    """
    if wanted is None or wanted.key_ref is None:
        return {"type": "None"}
    material = keys.get(wanted.key_ref)
    part = "password" if wanted.type == "Simple" else "keys"
    if material is None or (not material.get(part) and "error" not in material):
        missing = _missing_key(wanted.key_ref, part)
        raise PlacementError(f"AuthenticationKeyMissing: {missing}")
    if "error" in material:
        raise PlacementError(f"AuthenticationKeyInvalid: {material['error']}")
    named = {"type": wanted.type, "keyRef": wanted.key_ref}
    if wanted.type == "Simple":
        return {**named, "password": material["password"]}
    secrets = material["keys"]
    compiled = {
        **named,
        "mode": wanted.mode,
        "active": material["active"],
        "keys": [{"id": int(key_id), "secret": secret} for key_id, secret in secrets.items()],
    }
    if wanted.election_key is not None:
        compiled["electionKey"] = wanted.election_key
        compiled["electionKeys"] = [
            {"id": int(key_id), "secret": election_key(bytes.fromhex(secret), election).hex()}
            for key_id, secret in secrets.items()
        ]
    return compiled


def _missing_key(key_ref: str, part: str) -> str:
    """Return what is not there, and what would be accepted."""
    files = f"{key_ref}.1 to {key_ref}.255" if part == "keys" else f"{key_ref}.pass"
    return f"{key_ref}: no such key on the node (accepted: {files} in its key folder)"
