"""Raw VRRP over IPv4 and IPv6: one socket a family for every Virtual Router of the node."""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
import termios
from collections.abc import Iterable
from dataclasses import dataclass, field

from vrrp.constants import IP_PROTOCOL, TTL, Family
from vrrp.validation import Datagram, ipv4_datagram
from vrrp_speaker.engine.programs.fields import ADDRESS_FAMILIES
from vrrp_speaker.engine.wire import bpf
from vrrp_speaker.engine.wire.joined_groups import Group, JoinedGroups

_DSCP_CS6 = 0xC0
"""Internetwork control, so that switches with queues prefer advertisements."""
_RECEIVE_BUFFER = 1 << 20
_SEND_BUFFER = 32 << 20
_SO_SNDBUFFORCE = 32
_MAX_DATAGRAM = 2048
_ANCILLARY = 128
_INT = struct.Struct("=i")
_PKTINFO4 = struct.Struct("=i4s4s")
_PKTINFO6 = struct.Struct("=16si")
# Linux; named in the socket module from Python 3.13 on, or not at all.
_IP_PKTINFO, _IP_MULTICAST_ALL = 8, 49

_EVERYTHING = bpf.assemble([(bpf.RETURN, 0, 0, bpf.ALL)])
_NO_MULTICAST = bpf.assemble(
    [
        (bpf.LOAD_WORD, 0, 0, bpf.PACKET_TYPE),
        (bpf.JUMP_IF_EQUAL, 0, 1, bpf.PACKET_MULTICAST),
        (bpf.RETURN, 0, 0, 0),
        (bpf.RETURN, 0, 0, bpf.ALL),
    ]
)

# Nothing to do about these but try again later: the link is down, the peer does not resolve, the
# queue is full, a firewall or a route refuses, the address is the subnet's broadcast address.
TRANSIENT = frozenset(
    {
        errno.EAGAIN,
        errno.ENOBUFS,
        errno.ENETUNREACH,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.EPERM,
        errno.EACCES,
        errno.EINVAL,
        errno.EADDRNOTAVAIL,
        errno.ENODEV,
        errno.ENXIO,
    }
)


@dataclass(frozen=True, slots=True)
class Route:
    """How one Virtual Router's advertisements leave.

    ``ifindex`` is named for the multicast group only: unicast follows the routing table.
    """

    family: Family
    source: bytes
    ifindex: int
    ttl: int
    control: list[tuple[int, int, bytes]] = field(init=False, compare=False)
    """What the socket is told with each packet."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "control", _control(self))


class Transport:
    """Sends and receives VRRP messages.

    Raises:
        PermissionError: the process may not open raw sockets (CAP_NET_RAW).
    """

    def __init__(self) -> None:
        self._sockets = open_sockets()
        self._by_descriptor = {s.fileno(): (s, family) for family, s in self._sockets.items()}
        self._groups = JoinedGroups(self._sockets)
        self._hear_ipv6_groups(False)

    def filenos(self) -> tuple[int, ...]:
        """Return the descriptors to wait on."""
        return tuple(self._by_descriptor)

    def join_groups(self, wanted: Iterable[Group]) -> set[Group]:
        """Take part in the VRRP group of each (family, interface), and in no other.

        Returns those that could not be joined; they are tried again at the next call.
        """
        wanted = set(wanted)
        missing = self._groups.join(wanted)
        self._hear_ipv6_groups(any(family is Family.IPV6 for family, _ in wanted))
        return missing

    def forget_groups(self, ifindex: int) -> None:
        """An interface went, and its memberships with it."""
        self._groups.forget(ifindex)

    def _hear_ipv6_groups(self, wanted: bool) -> None:
        """Let multicast pass or not: a raw IPv6 socket hears every group that its host is in."""
        if Family.IPV6 in self._sockets:
            bpf.attach(self._sockets[Family.IPV6], _EVERYTHING if wanted else _NO_MULTICAST)

    def send(self, route: Route, copies: Iterable[tuple[str, bytes]]) -> int:
        """Send each (destination, message); return how many could not be sent.

        Whatever the kernel has against one of them, the others and other elections go on.
        """
        out = self._sockets.get(route.family)
        control, ifindex = route.control, route.ifindex
        failures = 0
        for destination, message in copies:
            address: tuple[str, int] | tuple[str, int, int, int] = (destination, 0)
            if route.family is Family.IPV6:
                address = (destination, 0, 0, ifindex)
            try:
                if out is None:
                    raise OSError(errno.ENETUNREACH, "no IPv6 here")
                out.sendmsg([message], control, socket.MSG_DONTWAIT, address)
            except OSError:
                failures += 1
        return failures

    def receive(self, descriptor: int) -> Datagram | None:
        """Return one datagram, or None when there is none left.

        One that is too short to be IP is passed over by the kernel already.
        """
        return receive_datagram(*self._by_descriptor[descriptor])

    def holds_back(self) -> bool:
        """Return whether some of what was sent has not left."""
        return any(map(holds_back, self._sockets.values()))

    def close(self) -> None:
        """Close the sockets."""
        for open_socket in self._sockets.values():
            open_socket.close()


def open_sockets() -> dict[Family, socket.socket]:
    """Return a raw socket for each family that the kernel has; none of them is in a group yet.

    Raises:
        PermissionError: the process may not open raw sockets (CAP_NET_RAW).
    """
    sockets = {Family.IPV4: _ipv4_socket()}
    ipv6 = _ipv6_socket()
    if ipv6 is not None:
        sockets[Family.IPV6] = ipv6
    return sockets


def enlarge_send_buffer(raw: socket.socket) -> None:
    """Let living peers be reached whatever is held back for dead ones.

    A kernel that looks for a peer's hardware address keeps up to 256 small packets for it
    (``unres_qlen_bytes``), which count as the socket's until it gives up after 3 s. Two such peers
    used up the default buffer, and packets to all others were refused meanwhile.
    """
    try:
        raw.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _SEND_BUFFER)
    except PermissionError:
        # Without CAP_NET_ADMIN (no address could be bound either): as much as the node allows.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)


def holds_back(raw: socket.socket) -> bool:
    """Return whether the kernel still has packets of this socket (SIOCOUTQ, raw(7)).

    It keeps them while it looks for a peer's hardware address; else they leave at once.
    """
    try:
        return fcntl.ioctl(raw, termios.TIOCOUTQ, bytes(_INT.size)) != bytes(_INT.size)
    except OSError:
        return False


def receive_datagram(raw: socket.socket, family: Family) -> Datagram | None:
    """Return one datagram of such a socket, or None when there is none left."""
    try:
        data, ancillary, _, sender = raw.recvmsg(_MAX_DATAGRAM, _ANCILLARY)
    except (BlockingIOError, InterruptedError):
        return None
    except OSError as error:
        if error.errno in TRANSIENT:
            return None
        raise
    if family is Family.IPV6:
        return _ipv6_datagram(data, ancillary, sender[0])
    ifindex = 0
    for level, kind, value in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
            ifindex = _PKTINFO4.unpack_from(value)[0]
    return ipv4_datagram(data, ifindex)


def _raw_socket(family: Family) -> socket.socket:
    raw = socket.socket(
        ADDRESS_FAMILIES[family], socket.SOCK_RAW | socket.SOCK_NONBLOCK, IP_PROTOCOL
    )
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 6)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    enlarge_send_buffer(raw)
    return raw


def _ipv4_socket() -> socket.socket:
    raw = _raw_socket(Family.IPV4)
    for option, value in (
        (socket.IP_TTL, TTL),
        (socket.IP_MULTICAST_TTL, TTL),
        (socket.IP_MULTICAST_LOOP, 0),
        (_IP_MULTICAST_ALL, 0),
        (socket.IP_TOS, _DSCP_CS6),
        (_IP_PKTINFO, 1),
    ):
        raw.setsockopt(socket.IPPROTO_IP, option, value)
    return raw


def _ipv6_socket() -> socket.socket | None:
    """Return the socket, or None where the kernel has no IPv6."""
    try:
        raw = _raw_socket(Family.IPV6)
    except OSError as error:
        if error.errno == errno.EAFNOSUPPORT:
            return None
        raise
    for option, value in (
        (socket.IPV6_UNICAST_HOPS, TTL),
        (socket.IPV6_MULTICAST_HOPS, TTL),
        (socket.IPV6_MULTICAST_LOOP, 0),
        (socket.IPV6_TCLASS, _DSCP_CS6),
        (socket.IPV6_RECVPKTINFO, 1),
        (socket.IPV6_RECVHOPLIMIT, 1),
    ):
        raw.setsockopt(socket.IPPROTO_IPV6, option, value)
    return raw


def _control(route: Route) -> list[tuple[int, int, bytes]]:
    """Return the source, named for each packet: a node may have several addresses, and its VIPs."""
    if route.family is Family.IPV4:
        info = _PKTINFO4.pack(route.ifindex, route.source, bytes(4))
        control = [(socket.IPPROTO_IP, _IP_PKTINFO, info)]
        if route.ttl != TTL:
            control.append((socket.IPPROTO_IP, socket.IP_TTL, _INT.pack(route.ttl)))
        return control
    info = _PKTINFO6.pack(route.source, route.ifindex)
    control = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, info)]
    if route.ttl != TTL:
        control.append((socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT, _INT.pack(route.ttl)))
    return control


def _ipv6_datagram(
    data: bytes, ancillary: list[tuple[int, int, bytes]], sender: str
) -> Datagram | None:
    """Return what a raw IPv6 socket delivered; addresses and hop limit come beside the message."""
    destination, ifindex, hop_limit = b"", 0, 0
    for level, kind, value in ancillary:
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            destination, ifindex = _PKTINFO6.unpack_from(value)
        elif (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT):
            hop_limit = _INT.unpack_from(value)[0]
    source = socket.inet_pton(socket.AF_INET6, sender.partition("%")[0])
    return Datagram(Family.IPV6, source, destination, hop_limit, ifindex, data)
