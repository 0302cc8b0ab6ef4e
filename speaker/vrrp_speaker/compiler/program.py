"""NodeConfig and links in, engine program out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vrrp.authentication import election_key
from vrrp.timers import lease_seconds
from vrrp_api.election import Authentication
from vrrp_api.node_config import NodeConfig, VirtualRouterConfig
from vrrp_api.virtual_ip import VipAddress
from vrrp_speaker.compiler.netlink import add_request, delete_request, host_prefix
from vrrp_speaker.links.choice import address_link, group_source, node_address, router_link
from vrrp_speaker.links.subnet_route import (
    add_route_request,
    delete_route_request,
    wants_route,
)
from vrrp_speaker.links.table import Link, LinkTable, PlacementError
from vrrp_speaker.program_file import FORMAT, OWN_KEYS_FORMAT
from vrrp_speaker.shared_state.layout import SLOTS


def compile_program(
    config: NodeConfig,
    previous_slots: Mapping[str, int],
    table: LinkTable,
    keys: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the program document for one node.

    A router that cannot be placed is compiled with its fault and without addresses, so that one
    bad interface name costs one VirtualIP and no other.

    Args:
        config: what the operator asks for.
        previous_slots: router name to slot of the program that runs; names that stay keep theirs.
        table: links and addresses of the node now.
        keys: by ref, what the agent's key folder holds (``agent.keys``).
    """
    slots = assign_slots([router.name for router in config.virtual_routers], previous_slots)
    routers = [
        _router(router, slots[router.name], config, table, keys)
        for router in config.virtual_routers
    ]
    stages = {router["authentication"].get("electionKey") for router in routers}
    return {
        "format": OWN_KEYS_FORMAT if stages & {"Sign", "Require"} else FORMAT,
        "node": config.node,
        "generation": config.generation,
        "routers": routers,
    }


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


def _router(
    router: VirtualRouterConfig,
    slot: int,
    config: NodeConfig,
    table: LinkTable,
    keys: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    compiled = _unplaced(router, slot)
    try:
        link, source = _place(router, config, table)
        placed = [(address, address_link(address, link, table)) for address in router.addresses]
        compiled["authentication"] = authentication(
            router.election.authentication, keys, router.name
        )
    except PlacementError as error:
        compiled["faults"] = [str(error)]
        return compiled
    lease_s = lease_seconds(
        router.election.version,
        router.base_priority,
        router.election.advertisement_interval_ns,
        router.election.down_advertisements,
    )
    compiled["source"] = source
    compiled["interface"], compiled["ifindex"] = link.name, link.index
    compiled["addresses"] = [_address(address, on, lease_s, table) for address, on in placed]
    compiled["announcements"] = [
        frame for address, on in placed for frame in _announcements(address.address, on)
    ]
    if router.detect_conflicts:
        compiled["probes"] = [p for a, on in placed for p in _probes(a.address, on)]
    if any(own.address == source for own in link.addresses):
        compiled["sourceAnnouncements"] = _announcements(source, link)
    return compiled


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
        "announcements": [],
        "announcementPlan": {
            "burst": router.announcements.burst,
            "repeatAfterNs": router.announcements.repeat_after_ns,
            "refreshNs": router.announcements.refresh_ns,
        },
        "sourceAnnouncements": [],
        "probes": [],
        "faults": [],
    }


def _place(router: VirtualRouterConfig, config: NodeConfig, table: LinkTable) -> tuple[Link, str]:
    """Return the interface and the source of the router's advertisements."""
    family = router.family
    if not router.election.transport.multicast:
        source = node_address(config, family)
        return router_link(router, source, table), source
    node = next((a for a in config.addresses if (":" in a) == (family == 6)), None)
    link = router_link(router, node, table)
    return link, group_source(link, config, family)


def authentication(
    wanted: Authentication | None, keys: Mapping[str, Mapping[str, Any]], election: str
) -> dict[str, Any]:
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


def _address(address: VipAddress, link: Link, lease_s: int, table: LinkTable) -> dict[str, Any]:
    add, delete = add_request(address, link, lease_s), delete_request(address, link)
    if wants_route(address, link, table):
        add += add_route_request(address, link.index, lease_s)
        delete += delete_route_request(address, link.index)
    return {
        "address": address.address,
        "prefixLength": host_prefix(address),
        "family": address.family,
        "interface": link.name,
        "ifindex": link.index,
        "add": add.hex(),
        "delete": delete.hex(),
    }


def _announcements(address: str, link: Link) -> list[dict[str, Any]]:
    if not link.mac:
        return []  # a link without hardware addresses has no neighbours to tell
    # scapy takes half of the compiler's time to import; a program without addresses has no use
    # for it, and taking a VirtualIP away should be quick.
    from vrrp_speaker.compiler.frames import (  # noqa: PLC0415 - scapy is slow to load
        gratuitous_arp,
        unsolicited_na,
    )

    if ":" in address:
        frames = [("UnsolicitedNA", unsolicited_na(address, link.mac, router=link.forwarding))]
    else:
        frames = [
            ("GratuitousARPRequest", gratuitous_arp(address, link.mac, reply=False)),
            ("GratuitousARPReply", gratuitous_arp(address, link.mac, reply=True)),
        ]
    return [_frame(address, link, kind, data) for kind, data in frames]


def _probes(address: str, link: Link) -> list[dict[str, Any]]:
    if not link.mac:
        return []
    from vrrp_speaker.compiler.frames import (  # noqa: PLC0415 - scapy is slow to load
        arp_probe,
        neighbor_probe,
    )

    if ":" in address:
        return [_frame(address, link, "NeighborProbe", neighbor_probe(address, link.mac))]
    return [_frame(address, link, "ARPProbe", arp_probe(address, link.mac))]


def _frame(address: str, link: Link, kind: str, data: bytes) -> dict[str, Any]:
    return {"address": address, "ifindex": link.index, "kind": kind, "frame": data.hex()}
