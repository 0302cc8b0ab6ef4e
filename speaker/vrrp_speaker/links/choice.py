"""Which interface a Virtual Router and its addresses belong on, and what it sends from. Pure.

Decided on a look at the node's links; never a guess.
"""

from __future__ import annotations

import ipaddress

from vrrp_api.node_config import NodeConfig, VirtualRouterConfig
from vrrp_api.virtual_ip import VipAddress
from vrrp_speaker.links.table import ADDRESS_PROTOCOL, Link, LinkTable, PlacementError

_MOST_LIKELY = 16


def node_address(config: NodeConfig, family: int) -> str:
    """Return the node's first address of the family: where unicast advertisements come from.

    Raises:
        PlacementError: the node has none.
    """
    for address in config.addresses:
        if (":" in address) == (family == 6):
            return address
    raise PlacementError(f"SourceAddressMissing: no IPv{family} address of the node")


def group_source(link: Link, config: NodeConfig, family: int) -> str:
    """Return where multicast advertisements come from on a link (RFC 9568 §7.2).

    IPv6: the link-local address. IPv4: the node's address if it is on this link, else the link's
    first own one.

    Raises:
        PlacementError: the link has no such address.
    """
    own = [
        found.address
        for found in link.addresses
        if found.protocol != ADDRESS_PROTOCOL and (":" in found.address) == (family == 6)
    ]
    if family == 6:
        own = [address for address in own if ipaddress.ip_address(address).is_link_local]
    wanted = [address for address in own if address in config.addresses] + own
    if not wanted:
        kind = "IPv4" if family == 4 else "link-local IPv6"
        raise PlacementError(f"SourceAddressMissing: {link.name} has no {kind} address")
    return wanted[0]


def router_link(router: VirtualRouterConfig, node: str | None, table: LinkTable) -> Link:
    """Return the interface of a Virtual Router: named, by subnet, or by the node's address.

    Raises:
        PlacementError: not found or ambiguous; never a guess.
    """
    if router.interface is not None:
        return table.by_name(router.interface, "interface")
    for candidates in (
        table.in_subnet_of(router.addresses[0].address),
        table.holding(node) if node is not None else (),
    ):
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            names = ", ".join(sorted(link.name for link in candidates))
            raise PlacementError(f"InterfaceAmbiguous: {names}")
    raise PlacementError(f"SourceAddressMissing: {node or router.addresses[0].address}")


def address_link(address: VipAddress, router_default: Link, table: LinkTable) -> Link:
    """Return the interface one address goes on.

    Raises:
        PlacementError: the interface does not exist, or has the address as its own.
    """
    holder = table.foreign_holder(address.address)
    if holder is not None:
        raise PlacementError(f"AddressInUse: {address.address} on {holder}")
    if address.interface is None:
        return router_default
    return table.by_name(address.interface, f"interface of {address.address}")


def likely_links(table: LinkTable) -> list[Link]:
    """Return the links that a configuration may come to be about: those in a subnet, with a MAC."""
    return [
        link
        for link in table.links
        if link.mac.strip(b"\0")
        and any(
            own.protocol != ADDRESS_PROTOCOL and not ipaddress.ip_address(own.address).is_link_local
            for own in link.addresses
        )
    ][:_MOST_LIKELY]
