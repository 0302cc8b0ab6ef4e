"""Links and addresses of a node as values, and which interface a Virtual Router belongs on."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from vrrp_api.node_config import NodeConfig, VirtualRouterConfig
from vrrp_api.virtual_ip import VipAddress

ADDRESS_PROTOCOL = 112
"""Our mark on addresses (IFA_PROTO); the same number as in ``engine.netlink``."""

_MOST_NAMES = 8


class PlacementError(Exception):
    """A Virtual Router cannot be placed; the message is a fault as in NodeConfig status."""


@dataclass(frozen=True, slots=True)
class LinkAddress:
    """One address on a link; ``protocol`` is IFA_PROTO, 0 where the kernel says nothing."""

    address: str
    prefix_length: int
    protocol: int


@dataclass(frozen=True, slots=True)
class Link:
    """One network interface; ``mac`` has six bytes, or none where the link has no such address.

    ``forwarding``: whether the node routes IPv6 on it.
    """

    index: int
    name: str
    mac: bytes
    addresses: tuple[LinkAddress, ...]
    forwarding: bool = False


@dataclass(frozen=True, slots=True)
class LinkTable:
    """Every interface of the node's network namespace."""

    links: tuple[Link, ...]

    def by_name(self, name: str, field: str) -> Link:
        """Return the link of this name, which a field of the VirtualIP asks for.

        Raises:
            PlacementError: there is none.
        """
        for link in self.links:
            if link.name == name:
                return link
        raise PlacementError(
            f"InterfaceNotFound: {name}: the node has no such interface"
            f" ({field}; accepted: {self._names()})"
        )

    def _names(self) -> str:
        """Return the names of the links, the likely ones first, and not hundreds."""

        def unlikely(link: Link) -> tuple[bool, bool, int]:
            return not link.addresses, not link.mac.strip(b"\0"), link.index

        names = [link.name for link in sorted(self.links, key=unlikely)]
        more = len(names) - _MOST_NAMES
        return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")

    def in_subnet_of(self, address: str) -> tuple[Link, ...]:
        """Return the links that have an own address whose subnet holds ``address``."""
        wanted = ipaddress.ip_address(address)
        return tuple(
            link
            for link in self.links
            if any(
                wanted in ipaddress.ip_network(f"{own.address}/{own.prefix_length}", strict=False)
                for own in link.addresses
                if own.protocol != ADDRESS_PROTOCOL and ("." in own.address) == ("." in address)
            )
        )

    def holding(self, address: str) -> tuple[Link, ...]:
        """Return the links that have exactly this address, ours or not."""
        return tuple(
            link for link in self.links if any(own.address == address for own in link.addresses)
        )

    def foreign_holder(self, address: str) -> str | None:
        """Return the name of a link that has ``address`` not through us, or None."""
        for link in self.links:
            for own in link.addresses:
                if own.address == address and own.protocol != ADDRESS_PROTOCOL:
                    return link.name
        return None


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
