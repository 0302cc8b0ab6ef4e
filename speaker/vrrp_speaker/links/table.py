"""Links and addresses of a node as values."""

from __future__ import annotations

import ipaddress
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from vrrp_speaker.links.nature import OF_CONTAINERS, OF_THIS_NODE, ORDINARY, Nature

ADDRESS_PROTOCOL = 112
"""Our mark on addresses (IFA_PROTO); the same number as in ``engine.netlink``."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

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
    nature: Nature = ORDINARY

    @property
    def bare(self) -> Link:
        """The link without what templates of it do not depend on."""
        return replace(self, addresses=(), nature=ORDINARY)


@dataclass(frozen=True)
class LinkTable:
    """Every interface of the node's network namespace; what is asked of it is looked up."""

    links: tuple[Link, ...]

    def by_name(self, name: str, field: str) -> Link:
        """Return the link of this name, or alternative name, which a field of the VirtualIP names.

        Raises:
            PlacementError: there is none.
        """
        link = self._by_name.get(name)
        if link is None:
            raise PlacementError(
                f"InterfaceNotFound: {name}: the node has no such interface"
                f" ({field}; accepted: {self.names()})"
            )
        return link

    def names(self) -> str:
        """Return the names of the links, the likely ones first, and not hundreds."""

        def unlikely(link: Link) -> tuple[bool, bool, int]:
            return not link.addresses, not link.mac.strip(b"\0"), link.index

        names = [link.name for link in sorted(self.links, key=unlikely)]
        more = len(names) - _MOST_NAMES
        return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")

    def in_subnet_of(self, address: str) -> tuple[Link, ...]:
        """Return the links that have an own address whose subnet holds ``address``."""
        wanted = ipaddress.ip_address(address)
        number, found = int(wanted), dict[int, Link]()
        for (version, host_bits), networks in self._subnets.items():
            if version == wanted.version:
                found.update(networks.get(number >> host_bits, {}))
        return tuple(found[index] for index in sorted(found))

    def inside(self, network: Network) -> tuple[Link, ...]:
        """Return the links that have an own address in a network."""
        numbers = self._own[network.version]
        first, last = int(network.network_address), int(network.broadcast_address)
        held = numbers[bisect_left(numbers, (first, -1)) : bisect_left(numbers, (last + 1, -1))]
        return tuple(self._by_index[index] for index in sorted({index for _, index in held}))

    def can_be_meant(self, link: Link) -> bool:
        """Return whether whoever names no interface may mean this one: one that leads to a LAN.

        A bridge does if a port of it does; those of containers alone do not.
        """
        if not link.nature.resolves or link.nature.kind in OF_THIS_NODE:
            return False
        if link.nature.kind != "bridge":
            return True
        return any(port.nature.kind not in OF_CONTAINERS for port in self._ports[link.index])

    def by_index(self, index: int) -> Link | None:
        """Return the link with this index, or None."""
        return self._by_index.get(index)

    def holding(self, address: str) -> tuple[Link, ...]:
        """Return the links that have exactly this address, ours or not."""
        return tuple({link.index: link for link, _ in self._holders.get(address, ())}.values())

    def foreign_holder(self, address: str) -> Link | None:
        """Return a link that has ``address`` not through us, or None."""
        for link, own in self._holders.get(address, ()):
            if own.protocol != ADDRESS_PROTOCOL:
                return link
        return None

    @cached_property
    def _by_name(self) -> dict[str, Link]:
        found = {name: link for link in self.links for name in link.nature.other_names}
        found.update({link.name: link for link in reversed(self.links)})
        return found

    @cached_property
    def _by_index(self) -> dict[int, Link]:
        return {link.index: link for link in self.links}

    @cached_property
    def _ports(self) -> dict[int, list[Link]]:
        """By the index of what they are ports of."""
        found: defaultdict[int, list[Link]] = defaultdict(list)
        for link in self.links:
            if link.nature.master:
                found[link.nature.master].append(link)
        return found

    @cached_property
    def _own(self) -> dict[int, list[tuple[int, int]]]:
        """By family, the numbers of own addresses and the index of the link, in order."""
        found: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
        for link in self.links:
            for own in link.addresses:
                if own.protocol != ADDRESS_PROTOCOL:
                    address = ipaddress.ip_address(own.address)
                    found[address.version].append((int(address), link.index))
        return {version: sorted(numbers) for version, numbers in found.items()}

    @cached_property
    def _holders(self) -> dict[str, list[tuple[Link, LinkAddress]]]:
        found: dict[str, list[tuple[Link, LinkAddress]]] = {}
        for link in self.links:
            for own in link.addresses:
                found.setdefault(own.address, []).append((link, own))
        return found

    @cached_property
    def _subnets(self) -> dict[tuple[int, int], dict[int, dict[int, Link]]]:
        """Links by index, by the number of their subnet, by family and bits of a host."""
        found: dict[tuple[int, int], dict[int, dict[int, Link]]] = {}
        for link in self.links:
            for own in link.addresses:
                if own.protocol != ADDRESS_PROTOCOL:
                    address = ipaddress.ip_address(own.address)
                    host_bits = address.max_prefixlen - own.prefix_length
                    networks = found.setdefault((address.version, host_bits), {})
                    networks.setdefault(int(address) >> host_bits, {})[link.index] = link
        return found


def bare_object(link: Link) -> dict[str, Any]:
    """Return a link without its addresses as JSON holds it."""
    return {
        "index": link.index,
        "name": link.name,
        "mac": link.mac.hex(),
        "forwarding": link.forwarding,
    }


def parse_bare(obj: Mapping[str, Any]) -> Link:
    """Return a link that was made an object, without addresses.

    Raises:
        KeyError, ValueError, TypeError: it is none.
    """
    mac = bytes.fromhex(obj["mac"])
    return Link(int(obj["index"]), str(obj["name"]), mac, (), bool(obj["forwarding"]))
