"""Templates of what is sent over one link, made of what pyroute2 and scapy build for examples.

Where an example's values stand in all that is built of it are the holes. No template is given out
before it was filled with values that it was not made of, compared with what the libraries build of
these, and decoded by them.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vrrp_api.virtual_ip import VipAddress
from vrrp_speaker.compiler.frames import (
    arp_probe,
    decoded_addresses,
    gratuitous_arp,
    neighbor_probe,
    unsolicited_na,
)
from vrrp_speaker.compiler.netlink import add_request, decoded_request, delete_request
from vrrp_speaker.links.subnet_route import host_prefix
from vrrp_speaker.links.table import Link
from vrrp_speaker.links.templates import ICMPV6_START, Hole, Kind, Template, Templates

_CHECKSUM_START = ICMPV6_START + 2
_ETHERTYPE_IPV6 = b"\x86\xdd"


class TemplateError(Exception):
    """What the libraries build of a link's examples is no template's; none is given out."""


@dataclass(frozen=True, slots=True)
class Example:
    """Values that a template is made of, or tried with."""

    address: str
    prefix_length: int
    lifetime_s: int

    @property
    def packed(self) -> bytes:
        """The address as it stands in frames and requests."""
        return ipaddress.ip_address(self.address).packed

    @property
    def vip(self) -> VipAddress:
        """The address as the libraries are given it."""
        return VipAddress(self.address, self.prefix_length)


Build = Callable[[Example], bytes]
_MADE_OF = {
    4: (Example("172.29.113.201", 19, 0x5A6B7C8D), Example("83.142.197.54", 30, 0x21436587)),
    6: (
        Example("2001:db8:a1b2:c3d4:e5f6:1728:394a:5b6c", 77, 0x5A6B7C8D),
        Example("fd92:8374:6558:4a3c:2e1f:90b1:d2c3:e4f5", 121, 0x21436587),
    ),
}
_TRIED_WITH = {
    4: (Example("192.0.2.50", 24, 3), Example("10.0.0.1", 32, 1), Example("1.255.0.254", 8, 3600)),
    6: (
        Example("2001:db8::50", 64, 3),
        Example("fe80::1", 128, 1),
        Example("2001:db8:ffff:ffff:ffff:ffff:ffff:fffe", 1, 3600),
    ),
}


def link_templates(link: Link) -> Templates:
    """Return the templates of one link.

    Raises:
        TemplateError: one does not give what the libraries build.
    """
    return {kind: _template(kind, build) for kind, build in builders(link)}


def builders(link: Link) -> Iterator[tuple[Kind, Build]]:
    """Yield for each kind what builds it for this link; nothing is told to neighbours without."""

    def add(example: Example) -> bytes:
        return add_request(example.vip, link, example.lifetime_s)

    def delete(example: Example) -> bytes:
        return delete_request(example.vip, link)

    yield from ((Kind.ADD_IPV4, add), (Kind.DELETE_IPV4, delete))
    yield from ((Kind.ADD_IPV6, add), (Kind.DELETE_IPV6, delete))
    if not link.mac:
        return  # a link without hardware addresses has no neighbours to tell
    mac = link.mac
    yield Kind.ARP_REQUEST, lambda example: gratuitous_arp(example.address, mac, reply=False)
    yield Kind.ARP_REPLY, lambda example: gratuitous_arp(example.address, mac, reply=True)
    yield Kind.ARP_PROBE, lambda example: arp_probe(example.address, mac)
    yield Kind.NA, lambda example: unsolicited_na(example.address, mac, router=link.forwarding)
    yield Kind.NEIGHBOR_PROBE, lambda example: neighbor_probe(example.address, mac)


def _template(kind: Kind, build: Build) -> Template:
    family = 6 if kind in (Kind.ADD_IPV6, Kind.DELETE_IPV6, Kind.NA, Kind.NEIGHBOR_PROBE) else 4
    template = _made(kind, build, _MADE_OF[family])
    for example in (*_MADE_OF[family], *_TRIED_WITH[family]):
        filled = template.fill(example.packed, example.lifetime_s)
        if filled != build(example) or not _says(kind, filled, example):
            raise TemplateError(f"{kind}: the template does not give what is built for {example}")
    return template


def _made(kind: Kind, build: Build, examples: tuple[Example, Example]) -> Template:
    """Return the template whose holes are where both examples' values stand."""
    built = [build(example) for example in examples]
    values: dict[Hole, Callable[[Example], bytes]] = {Hole.ADDRESS: lambda e: e.packed}
    if kind is Kind.NEIGHBOR_PROBE:
        values[Hole.GROUP] = lambda e: e.packed[-3:]
    if kind in (Kind.ADD_IPV4, Kind.ADD_IPV6):
        values[Hole.LIFETIME] = lambda e: struct.pack("=I", e.lifetime_s)
    taken: set[int] = set()
    holes: list[tuple[Hole, int]] = []
    for hole, value in values.items():
        places = (
            _places(data, value(example)) for data, example in zip(built, examples, strict=True)
        )
        for start in sorted(set.intersection(*places) - taken):
            holes.append((hole, start))
            taken.update(range(start, start + len(value(examples[0]))))
    if built[0][12:14] == _ETHERTYPE_IPV6 and kind not in _REQUESTS:
        holes.append((Hole.CHECKSUM, _CHECKSUM_START))
    return Template(built[0], tuple(holes))


_REQUESTS = (Kind.ADD_IPV4, Kind.ADD_IPV6, Kind.DELETE_IPV4, Kind.DELETE_IPV6)


def _places(data: bytes, value: bytes) -> set[int]:
    """Return where a value begins."""
    return {at for at in range(len(data)) if data.startswith(value, at)}


def _says(kind: Kind, filled: bytes, example: Example) -> bool:
    """Return whether the library reads out of it what was filled in."""
    if kind not in _REQUESTS:
        return decoded_addresses(filled) == {example.address}
    lifetime_s = example.lifetime_s if kind in (Kind.ADD_IPV4, Kind.ADD_IPV6) else None
    return decoded_request(filled) == (example.address, host_prefix(example.vip), lifetime_s)
