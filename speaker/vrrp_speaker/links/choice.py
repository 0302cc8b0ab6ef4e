"""Which interface a Virtual Router and its addresses belong on, and what it sends from. Pure.

Decided on a look at the node's links; never a guess.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable

from vrrp_api.node_config import VirtualRouterConfig
from vrrp_api.virtual_ip import VipAddress
from vrrp_speaker.links.table import (
    ADDRESS_PROTOCOL,
    Link,
    LinkTable,
    Network,
    PlacementError,
)

_MOST_LIKELY = 16


def node_address(addresses: Iterable[str], family: int) -> str:
    """Return the node's first address of the family: where unicast advertisements come from.

    Raises:
        PlacementError: the node has none.
    """
    for address in addresses:
        if (":" in address) == (family == 6):
            return address
    raise PlacementError(f"SourceAddressMissing: no IPv{family} address of the node")


def group_source(link: Link, addresses: Collection[str], family: int) -> str:
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
    wanted = [address for address in own if address in addresses] + own
    if not wanted:
        kind = "IPv4" if family == 4 else "link-local IPv6"
        raise PlacementError(f"SourceAddressMissing: {link.name} has no {kind} address")
    return wanted[0]


def router_link(
    router: VirtualRouterConfig, node: str | None, table: LinkTable, running: int = 0
) -> Link:
    """Return the interface of a Virtual Router: named, or by the network of its first address.

    Args:
        router: what is asked for.
        node: the node's address of the election's family, if it has one.
        table: the node's links.
        running: the index of the interface on which the router has this address in the program
            that runs, 0 for none. It stays there, whatever other networks appear.

    Raises:
        PlacementError: not found, ambiguous, or not on this node; never a guess.
    """
    if router.interface is not None:
        return table.by_name(router.interface, "interface")
    first = router.addresses[0]
    for on_subnet in (table.in_subnet_of(first.address), table.inside(_network(first))):
        found = [link for link in on_subnet if link.index == running]
        found = found or [link for link in on_subnet if _can_be_meant(link, node, table)]
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(sorted(link.name for link in found))
            raise PlacementError(f"InterfaceAmbiguous: {names}")
    here, held = table.holding(node) if node is not None else (), table.holding(first.address)
    for link in (*here, *held):
        if link.index == running:
            return link
    if not here:
        raise PlacementError(f"SourceAddressMissing: {node or first.address}")
    raise PlacementError(
        f"NotInSubnet: {_text(first)}: the node has no interface in its network"
        f" (interface; accepted: {table.names()})"
    )


def _can_be_meant(link: Link, node: str | None, table: LinkTable) -> bool:
    """Return whether a link in the subnet is one to choose; where the node's address is, always."""
    return table.can_be_meant(link) or any(own.address == node for own in link.addresses)


def _network(address: VipAddress) -> Network:
    return ipaddress.ip_network(_text(address), strict=False)


def _text(address: VipAddress) -> str:
    return f"{address.address}/{address.prefix_length}"


def address_link(address: VipAddress, router_default: Link, table: LinkTable) -> Link:
    """Return the interface one address goes on.

    Raises:
        PlacementError: the interface does not exist, has the address as its own, or cannot have it.
    """
    link = router_default
    if address.interface is not None:
        link = table.by_name(address.interface, f"interface of {address.address}")
    holder = table.foreign_holder(address.address)
    if holder is not None:
        _refuse_answered(address, link, holder)
    if address.family == 6 and not link.nature.has_ipv6:
        raise PlacementError(
            f"IPv6Disabled: {address.address}: {link.name} takes no IPv6 addresses"
            f" (net.ipv6.conf.{link.name}.disable_ipv6; accepted: 0, and a kernel with IPv6)"
        )
    return link


def _refuse_answered(address: VipAddress, link: Link, holder: Link) -> None:
    """Refuse an address that the node answers for whether it is Active or not.

    What is on a link without neighbours (kube-ipvs0, lo) is not answered for on others where those
    are told so; for IPv6 that is always so.

    Raises:
        PlacementError: the node answers for it.
    """
    text = f"AddressInUse: {address.address} on {holder.name}"
    if holder is link or holder.nature.resolves:
        raise PlacementError(text)
    if address.family == 4 and not link.nature.quiet:
        hint = f"net.ipv4.conf.{link.name}.arp_ignore; accepted: 1 or 2, as kube-proxy's strictARP"
        raise PlacementError(f"{text}, and {link.name} answers for it ({hint})")


def likely_links(table: LinkTable) -> list[Link]:
    """Return the links that a configuration may come to be about: those in a subnet, with a MAC."""
    return [
        link
        for link in table.links
        if link.mac.strip(b"\0")
        and table.can_be_meant(link)
        and any(
            own.protocol != ADDRESS_PROTOCOL and not ipaddress.ip_address(own.address).is_link_local
            for own in link.addresses
        )
    ][:_MOST_LIKELY]
