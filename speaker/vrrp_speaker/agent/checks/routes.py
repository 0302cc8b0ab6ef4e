"""How far away an address is, as the kernel's routes have it (rtnetlink(7), RTM_GETROUTE)."""

from __future__ import annotations

import ipaddress
import socket
import struct
from enum import Enum, auto

from vrrp_speaker.netlink_messages import walk_attributes

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_ERROR, _GET_ROUTE, _REQUEST = 2, 26, 0x1
_HEADER = struct.Struct("=IHHII")
_ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg
_ATTRIBUTE = struct.Struct("=HH")
_FIB_MATCH = 0x2000
"""RTM_F_FIB_MATCH: the answer is the entry of the table, with its prefix length and gateway."""
_UNICAST, _LOCAL = 1, 2
_OUR_PROTOCOL = 112
"""The mark of routes that come with our addresses; the same number as in ``subnet_route``."""
_DST, _GATEWAY, _MULTIPATH, _VIA, _NEXT_HOP = 1, 5, 9, 18, 30
_LEADS_ON = {_GATEWAY, _MULTIPATH, _VIA, _NEXT_HOP}
_BUFFER = 1 << 14
_PATIENCE_S = 1.0


class Distance(Enum):
    """Where an address is, seen from the node."""

    NODE = auto()
    SUBNET = auto()
    """In a network that an interface is in: no gateway is between."""
    BEYOND = auto()


def distance(address: Address) -> Distance:
    """Return where an address is, seen from the current network namespace.

    Raises:
        OSError: the kernel does not answer.
    """
    packed = address.packed
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    body = _ROUTE.pack(family, 8 * len(packed), 0, 0, 0, 0, 0, 0, _FIB_MATCH)
    body += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(packed), _DST) + packed
    header = _HEADER.pack(_HEADER.size + len(body), _GET_ROUTE, _REQUEST, 1, 0)
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
    with socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE) as kernel:
        kernel.settimeout(_PATIENCE_S)
        kernel.send(header + body)
        return _read(kernel.recv(_BUFFER))


def _read(answer: bytes) -> Distance:
    length, kind, _, _, _ = _HEADER.unpack_from(answer)
    if kind == _ERROR:
        return Distance.BEYOND  # no route, or one that prohibits
    _, prefix_length, _, _, _, protocol, _, of_type, _ = _ROUTE.unpack_from(answer, _HEADER.size)
    if of_type == _LOCAL:
        return Distance.NODE
    found = {kind for kind, _ in walk_attributes(answer[_HEADER.size + _ROUTE.size : length])}
    # A default route without a gateway (a tunnel, PPP) leads to the whole world.
    # A VirtualIP may bring a route to its subnet; whoever writes one opens no network by it.
    ours = protocol == _OUR_PROTOCOL
    if of_type != _UNICAST or prefix_length == 0 or found & _LEADS_ON or ours:
        return Distance.BEYOND
    return Distance.SUBNET
