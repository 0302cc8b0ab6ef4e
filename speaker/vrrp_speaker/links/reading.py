"""Reads the links of a network namespace as the kernel has them (rtnetlink(7)).

Standard library only, and in milliseconds: it is done at each change that may concern a program.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator

from vrrp_speaker.links.table import Link, LinkAddress, LinkTable

_ERROR, _DONE = 2, 3
_NEW_LINK, _GET_LINK, _NEW_ADDRESS, _GET_ADDRESS = 16, 18, 20, 22
_REQUEST, _DUMP, _INTERRUPTED = 0x1, 0x300, 0x10
_HEADER = struct.Struct("=IHHII")
_IFINFO = struct.Struct("=BxHiII")
_IFADDR = struct.Struct("=BBBBi")
_ATTRIBUTE = struct.Struct("=HH")
_NUMBER = struct.Struct("=I")
_TYPE_MASK = 0x3FFF  # NLA_TYPE_MASK
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_AF_SPEC, _IFLA_EXT_MASK = 1, 3, 26, 29
_SKIP_STATS = 1 << 3  # RTEXT_FILTER_SKIP_STATS
_IFLA_INET6_CONF = 2
_IFA_ADDRESS, _IFA_LOCAL, _IFA_PROTO = 1, 2, 11
_MAC_LENGTH = 6
_BUFFER = 1 << 16
_ATTEMPTS = 5
_PATIENCE_S = 5.0


def read_links() -> LinkTable:
    """Return the links and addresses of the current network namespace.

    Raises:
        OSError: the kernel does not answer, or refuses.
    """
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
    ) as kernel:
        kernel.settimeout(_PATIENCE_S)
        addresses: dict[int, list[LinkAddress]] = {}
        for body in _dump(kernel, _GET_ADDRESS, _NEW_ADDRESS, _IFADDR.pack(0, 0, 0, 0, 0)):
            index, found = _address(body)
            if found is not None:
                addresses.setdefault(index, []).append(found)
        asked = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        asked += _ATTRIBUTE.pack(8, _IFLA_EXT_MASK) + _NUMBER.pack(_SKIP_STATS)
        return LinkTable(
            tuple(_link(body, addresses) for body in _dump(kernel, _GET_LINK, _NEW_LINK, asked))
        )


def _link(body: bytes, addresses: dict[int, list[LinkAddress]]) -> Link:
    index = _IFINFO.unpack_from(body)[2]
    attributes = _attributes(body[_IFINFO.size :])
    mac = attributes.get(_IFLA_ADDRESS, b"")
    return Link(
        index=index,
        name=attributes[_IFLA_IFNAME].rstrip(b"\0").decode(errors="backslashreplace"),
        mac=mac if len(mac) == _MAC_LENGTH else b"",
        addresses=tuple(addresses.get(index, ())),
        forwarding=_forwards(attributes.get(_IFLA_AF_SPEC, b"")),
    )


def _forwards(of_families: bytes) -> bool:
    """Return whether the kernel routes IPv6 there (the first of ip-sysctl's conf/*)."""
    ipv6 = _attributes(of_families).get(socket.AF_INET6, b"")  # none: no IPv6 here
    settings = _attributes(ipv6).get(_IFLA_INET6_CONF, b"")
    return len(settings) >= _NUMBER.size and _NUMBER.unpack_from(settings)[0] != 0


def _address(body: bytes) -> tuple[int, LinkAddress | None]:
    family, prefix_length, _, _, index = _IFADDR.unpack_from(body)
    attributes = _attributes(body[_IFADDR.size :])
    # IFA_LOCAL is the address itself; IFA_ADDRESS may be that of a point-to-point peer.
    packed = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS)
    if packed is None or family not in (socket.AF_INET, socket.AF_INET6):
        return index, None
    protocol = attributes.get(_IFA_PROTO, b"\0")[0]
    return index, LinkAddress(socket.inet_ntop(family, packed), prefix_length, protocol)


def _dump(kernel: socket.socket, asked: int, told: int, body: bytes) -> list[bytes]:
    """Return what one dump says.

    One during which something came or went may lack what did neither, so it is asked for again,
    though not for ever where something always moves.
    """
    found: list[bytes] = []
    for sequence in range(1, _ATTEMPTS + 1):
        found, whole = [], True
        header = _HEADER.pack(_HEADER.size + len(body), asked, _REQUEST | _DUMP, sequence, 0)
        kernel.send(header + body)
        for kind, flags, answer in _answers(kernel, sequence):
            whole &= not flags & _INTERRUPTED
            if kind == told:
                found.append(answer)
        if whole:
            break
    return found


def _answers(kernel: socket.socket, asked: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield the kind, flags and body of each message that answers a dump, its end included."""
    while True:
        data, offset = kernel.recv(_BUFFER), 0
        while offset + _HEADER.size <= len(data):
            length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
            if length < _HEADER.size:
                break
            if sequence == asked:
                if kind == _ERROR:
                    raise OSError(errno.EIO, "the kernel refused a netlink dump")
                yield kind, flags, data[offset + _HEADER.size : offset + length]
                if kind == _DONE:
                    return
            offset += (length + 3) & ~3


def _attributes(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size or offset + length > len(data):
            break
        found[kind & _TYPE_MASK] = data[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3
    return found
