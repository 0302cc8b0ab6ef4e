"""Who on the LAN says that it has one of our addresses: ARP, and Neighbor Advertisements.

The kernel filters: ARP only from senders that use an address of ours, ICMPv6 only the one type. So
a busy LAN does not wake the engine. Source: RFC 826, RFC 4861 §4.4; packet(7), icmp6.h, bpf.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vrrp_speaker.engine.wire import bpf

_ETH_P_ARP = 0x0806
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_ETHERNET_IPV4 = (1, 0x0800, 6, 4)
"""ARP's hardware type, protocol type and lengths."""
_ADVERTISEMENT = struct.Struct("!BBHI16s")
_NEIGHBOR_ADVERTISEMENT = 136
_TARGET_LINK_LAYER_ADDRESS = 2
_HOP_LIMIT = 255
_PKTINFO6 = struct.Struct("=16si")
_INT = struct.Struct("=i")
_PACKET_OUTGOING = 4
_ICMP6_FILTER = 1
_RECEIVE_BUFFER = 1 << 16
"""Small on purpose: what a storm does not fit into it costs the engine nothing."""
_BATCH = 16
_MAX_FILTERED = 500
"""Beyond so many addresses the engine compares, so that the filter stays small."""
_TRANSIENT = frozenset({errno.EAGAIN, errno.ENETDOWN, errno.ENOBUFS, errno.ENETUNREACH})


@dataclass(frozen=True, slots=True)
class Sighting:
    """Somebody with this hardware address uses an IP address (packed) on a link of ours."""

    ifindex: int
    address: bytes
    mac: bytes


def parse_arp(data: bytes) -> tuple[bytes, bytes] | None:
    """Return the sender's (IP address, hardware address) of an ARP packet, request or reply.

    None where it claims nothing: a probe, or no ARP for IPv4 over Ethernet.
    """
    if len(data) < _ARP.size:
        return None
    *kind, _, mac, address, _, _ = _ARP.unpack_from(data)
    if tuple(kind) != _ETHERNET_IPV4 or address == bytes(4) or not _is_station(mac):
        return None
    return address, mac


def parse_neighbor_advertisement(data: bytes) -> tuple[bytes, bytes] | None:
    """Return the (target, hardware address) of an ICMPv6 Neighbor Advertisement.

    None for anything else, and for one that does not tell its sender's hardware address.
    """
    if len(data) < _ADVERTISEMENT.size:
        return None
    kind, code, _, _, target = _ADVERTISEMENT.unpack_from(data)
    if (kind, code) != (_NEIGHBOR_ADVERTISEMENT, 0):
        return None
    offset = _ADVERTISEMENT.size
    while offset + 2 <= len(data):
        option, length = data[offset], data[offset + 1] * 8
        if not length or offset + length > len(data):
            return None
        if option == _TARGET_LINK_LAYER_ADDRESS and length == 8:
            mac = data[offset + 2 : offset + 8]
            return (target, mac) if _is_station(mac) else None
        offset += length
    return None


def arp_filter(addresses: Iterable[bytes]) -> bytes:
    """Return the BPF program that lets pass what ``parse_arp`` understands from these senders.

    Without addresses nothing passes, and nothing that is for others: the kernel marks so what has
    the tag of a VLAN that the node has no interface for, and takes the tag away.
    """
    hardware, protocol, length, protocol_length = _ETHERNET_IPV4
    senders = set(addresses)
    program = [
        (bpf.LOAD_WORD, 0, 0, bpf.PACKET_TYPE),
        (bpf.JUMP_IF_EQUAL, 0, 1, bpf.PACKET_OTHERHOST),
        (bpf.RETURN, 0, 0, 0),
        (bpf.LOAD_WORD, 0, 0, 0),
        (bpf.JUMP_IF_EQUAL, 1, 0, hardware << 16 | protocol),
        (bpf.RETURN, 0, 0, 0),
        (bpf.LOAD_HALF, 0, 0, 4),
        (bpf.JUMP_IF_EQUAL, 1, 0, length << 8 | protocol_length),
        (bpf.RETURN, 0, 0, 0),
        (bpf.LOAD_WORD, 0, 0, 14),
    ]
    if len(senders) > _MAX_FILTERED:
        program.append((bpf.RETURN, 0, 0, bpf.ALL))
        senders = set()
    for address in sorted(senders):
        program += [(bpf.JUMP_IF_EQUAL, 0, 1, int.from_bytes(address)), (bpf.RETURN, 0, 0, bpf.ALL)]
    program.append((bpf.RETURN, 0, 0, 0))
    return bpf.assemble(program)


class Neighbours:
    """The sockets; they let nothing pass until addresses are watched.

    Raises:
        PermissionError: the process may not open raw sockets (CAP_NET_RAW).
    """

    def __init__(self) -> None:
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
        self._arp = socket.socket(socket.AF_PACKET, kind, socket.htons(_ETH_P_ARP))
        self._arp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        self._icmpv6 = _icmpv6_socket()
        self.watch(())

    def filenos(self) -> tuple[int, ...]:
        """Return the descriptors to wait on."""
        return tuple(s.fileno() for s in (self._arp, self._icmpv6) if s is not None)

    def watch(self, addresses: Iterable[bytes]) -> None:
        """Look out for these packed addresses from now on, and for no others."""
        senders, six = set[bytes](), False
        for address in addresses:
            if len(address) == 16:
                six = True
            elif len(senders) <= _MAX_FILTERED:  # more of them change nothing
                senders.add(address)
        bpf.attach(self._arp, arp_filter(senders))
        if self._icmpv6 is not None:
            blocked = [0xFFFFFFFF] * 8
            if six:
                blocked[_NEIGHBOR_ADVERTISEMENT // 32] &= ~(1 << _NEIGHBOR_ADVERTISEMENT % 32)
            passes = struct.pack("=8I", *blocked)
            self._icmpv6.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, passes)

    def receive(self, descriptor: int) -> Iterator[Sighting]:
        """Yield a bounded batch of what waits on a descriptor."""
        read = self._read_arp if descriptor == self._arp.fileno() else self._read_icmpv6
        for _ in range(_BATCH):
            try:
                sighting = read()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _TRANSIENT:
                    return
                raise
            if sighting is not None:
                yield sighting

    def close(self) -> None:
        """Close the sockets."""
        self._arp.close()
        if self._icmpv6 is not None:
            self._icmpv6.close()

    def _read_arp(self) -> Sighting | None:
        data, (interface, _, kind, *_) = self._arp.recvfrom(64)
        claim = parse_arp(data)
        if claim is None or kind == _PACKET_OUTGOING:
            return None
        try:
            ifindex = socket.if_nametoindex(interface)
        except OSError:
            return None  # the link went just now
        return Sighting(ifindex, *claim)

    def _read_icmpv6(self) -> Sighting | None:
        assert self._icmpv6 is not None
        data, ancillary, _, _ = self._icmpv6.recvmsg(256, 128)
        ifindex, hop_limit = 0, 0
        for level, kind, value in ancillary:
            if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
                ifindex = _PKTINFO6.unpack_from(value)[1]
            elif (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT):
                hop_limit = _INT.unpack_from(value)[0]
        claim = parse_neighbor_advertisement(data)
        if claim is None or hop_limit != _HOP_LIMIT:
            return None
        return Sighting(ifindex, *claim)


def _is_station(mac: bytes) -> bool:
    """Return whether a hardware address can be a sender's: not a group's, not all zero."""
    return not mac[0] & 1 and mac != bytes(6)


def _icmpv6_socket() -> socket.socket | None:
    """Return the socket, or None where the kernel has no IPv6."""
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK
    try:
        raw = socket.socket(socket.AF_INET6, kind, socket.IPPROTO_ICMPV6)
    except OSError as error:
        if error.errno == errno.EAFNOSUPPORT:
            return None
        raise
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
    return raw
