"""What is sent over a link for any address: frames and netlink requests with holes.

The compiler makes them once for a link, with scapy and pyroute2. Whoever has them needs neither.
Standard library only: the engine fills them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

ICMPV6_START = 54
"""Where ICMPv6 begins in a frame of these: after Ethernet and IPv6 without extensions."""
_IPV6_ADDRESSES = 22
_ICMPV6 = 58
_LIFETIME = struct.Struct("=I")
_CHECKSUM = struct.Struct("!H")


class Hole(StrEnum):
    """What belongs into a hole."""

    ADDRESS = "address"
    """The packed address."""
    GROUP = "group"
    """Its last three bytes, which make its solicited-node group (RFC 4291 §2.7.1)."""
    LIFETIME = "lifetime"
    """Seconds, 32 bits in the machine's order."""
    CHECKSUM = "checksum"
    """That of ICMPv6, 16 bits; of everything else, so it comes last."""


class Kind(StrEnum):
    """What the engine sends: four requests, and frames as ``FrameKind`` names them."""

    ADD_IPV4 = "add4"
    ADD_IPV6 = "add6"
    DELETE_IPV4 = "delete4"
    DELETE_IPV6 = "delete6"
    ARP_REQUEST = "GratuitousARPRequest"
    ARP_REPLY = "GratuitousARPReply"
    NA = "UnsolicitedNA"
    ARP_PROBE = "ARPProbe"
    NEIGHBOR_PROBE = "NeighborProbe"


_LEAST = {Hole.ADDRESS: 4, Hole.GROUP: 3, Hole.LIFETIME: 4, Hole.CHECKSUM: 2}
"""The bytes that one takes at least."""


@dataclass(frozen=True, slots=True)
class Template:
    """Bytes with holes: of each what belongs there, and where it begins."""

    data: bytes
    holes: tuple[tuple[Hole, int], ...]

    def fill(self, address: bytes, lifetime_s: int = 0) -> bytes:
        """Return the bytes for one packed address."""
        filled = bytearray(self.data)
        for hole, start in self.holes:
            if hole is Hole.ADDRESS:
                filled[start : start + len(address)] = address
            elif hole is Hole.GROUP:
                filled[start : start + 3] = address[-3:]
            elif hole is Hole.LIFETIME:
                _LIFETIME.pack_into(filled, start, lifetime_s)
            else:
                _CHECKSUM.pack_into(filled, start, icmpv6_checksum(filled, start))
        return bytes(filled)

    def to_object(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {"data": self.data.hex(), "holes": [[str(hole), at] for hole, at in self.holes]}


Templates = Mapping[Kind, Template]
"""Those of one link; without a hardware address it has requests only."""


def icmpv6_checksum(frame: bytes | bytearray, start: int) -> int:
    """Return the ICMPv6 checksum of a frame, whatever stands in its place (RFC 4443 §2.3)."""
    length = len(frame) - ICMPV6_START
    summed = frame[_IPV6_ADDRESSES:start] + b"\0\0" + frame[start + _CHECKSUM.size :]
    if length % 2:
        summed += b"\0"
    total: int = sum(struct.unpack(f"!{len(summed) // 2}H", summed)) + length + _ICMPV6
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def parse_template(obj: Any) -> Template:
    """Return a template that was made an object.

    Raises:
        ValueError, TypeError, KeyError: it is none, or a hole is not within its bytes.
    """
    data = bytes.fromhex(obj["data"])
    holes = tuple((Hole(hole), int(start)) for hole, start in obj["holes"])
    if not all(0 <= start <= len(data) - _LEAST[hole] for hole, start in holes):
        raise ValueError(f"holes: not within {len(data)} bytes")
    return Template(data, holes)


def parse_templates(obj: Any) -> Templates:
    """Return the templates of one link that were made an object.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: they are none.
    """
    return {Kind(kind): parse_template(template) for kind, template in obj.items()}
