"""The little of rtnetlink that the engine needs at run time, parsed without dependencies.

Requests are ready bytes from the compiler; here they are sent and acknowledged. News of links and
addresses is parsed into values. Source: rtnetlink(7), include/uapi/linux/{netlink,rtnetlink,
if_addr,if_link}.h. ``tests/netns`` checks the parser against pyroute2.
"""

from __future__ import annotations

import errno
import itertools
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from vrrp_speaker.netlink_messages import (
    ERROR,
    F_ACK,
    F_REQUEST,
    HEADER,
    Message,
    dump,
    walk_attributes,
    walk_messages,
)

ADDRESS_PROTOCOL = 112
"""Our mark on every address we bind (IFA_PROTO), so that a later start recognises it."""

_NETLINK_ROUTE = 0
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_GETROUTE = 24, 26
RTM_NEWNEIGH, RTM_GETNEIGH = 28, 30
NUD_INCOMPLETE = 0x01
"""A neighbour's hardware address is looked for; packets to it wait (rtnetlink(7), ndm_state)."""
_IFA_ADDRESS, _IFA_LOCAL, _IFA_PROTO = 1, 2, 11
_IFA_F_TENTATIVE = 0x40
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_PROP_LIST, _IFLA_ALT_IFNAME = 1, 3, 52, 53
_RTA_DST, _RTA_OIF = 1, 4
_RTN_LOCAL = 2
_NDA_DST = 1
_NO_INTERFACE = 0x7FFFFFFF
_IFF_UP, _IFF_RUNNING = 0x1, 0x40
_BUFFER = 1 << 16
_ANSWER = 1 << 12
"""One message: an acknowledgement, a route, a neighbour."""

_IFINFO = struct.Struct("=BxHiII")
_IFADDR = struct.Struct("=BBBBi")
_NEIGHBOUR = struct.Struct("=BxxxiHBB")
_ROUTE = struct.Struct("=BBBBBBBBI")
_ATTRIBUTE = struct.Struct("=HH")
_INDEX = struct.Struct("=i")
_SEQUENCE = struct.Struct("=I")
_MAX_U32 = 0xFFFFFFFF
_PATIENCE = struct.pack("@ll", 1, 0)
"""A second, as struct timeval: rtnetlink answers before ``send`` returns."""


@dataclass(frozen=True, slots=True)
class LinkNews:
    """A link exists with this state, or is gone (``running`` False, ``present`` False)."""

    ifindex: int
    name: str
    running: bool
    present: bool
    mac: bytes = b""
    alternatives: tuple[str, ...] = ()
    """Other names of it (``ip link property add``)."""


@dataclass(frozen=True, slots=True)
class AddressNews:
    """An address is there, or is gone; ``address`` is packed, 4 or 16 bytes."""

    ifindex: int
    address: bytes
    prefix_length: int
    protocol: int
    present: bool


News = LinkNews | AddressNews


class RequestSocket:
    """Sends one request at a time; rtnetlink answers before ``send`` returns."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_ROUTE)
        # Not ``settimeout``, which asks the kernel before each call whether it could be made.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _PATIENCE)
        self._socket.bind((0, 0))
        self._sequences = (number & _MAX_U32 for number in itertools.count(1))

    @property
    def port(self) -> int:
        """The netlink port by which the kernel tells whose request it was."""
        port: int = self._socket.getsockname()[0]
        return port

    def request(self, message: bytes) -> int:
        """Send one request that asks for an acknowledgement; return 0 or the errno."""
        try:
            kind, body = self._ask(message)
        except BlockingIOError:
            return errno.ETIMEDOUT
        except OSError as error:
            return error.errno or errno.EIO
        return _error(body) if kind == ERROR else errno.EPROTO

    def request_all(self, messages: Sequence[bytes]) -> list[int]:
        """Send requests that ask for acknowledgements at once; return 0 or the errno of each.

        The kernel handles them in order, each on its own.
        """
        errors = [errno.ETIMEDOUT] * len(messages)
        places: dict[int, int] = {}
        pieces = []
        for place, message in enumerate(messages):
            sequence = next(self._sequences)
            places[sequence] = place
            pieces.append(message[:8] + _SEQUENCE.pack(sequence) + message[12:])
            pieces.append(bytes(-len(message) % 4))
        left = len(messages)
        try:
            if left:
                self._socket.send(b"".join(pieces))
            while left:
                for kind, _, sequence, body in walk_messages(self._socket.recv(_BUFFER)):
                    if kind == ERROR and sequence in places:
                        errors[places[sequence]], left = _error(body), left - 1
        except BlockingIOError:
            pass
        except OSError as error:
            code = error.errno or errno.EIO
            errors = [code if known == errno.ETIMEDOUT else known for known in errors]
        return errors

    def delivers(self, ifindex: int, address: bytes) -> bool:
        """Return whether the kernel would take packets to this address as its own.

        For an IPv6 address that becomes true some time after it was bound. What cannot be asked
        counts as no.
        """
        try:
            kind, body = self._ask(_route_request(ifindex, address))
        except OSError:
            return False
        return kind == RTM_NEWROUTE and len(body) >= _ROUTE.size and body[7] == _RTN_LOCAL

    def neighbour_state(self, ifindex: int, address: bytes) -> int:
        """Return the NUD_ state of a neighbour; 0 where there is none, or nothing can be asked."""
        try:
            kind, body = self._ask(_neighbour_request(ifindex, address))
        except OSError:
            return 0
        if kind != RTM_NEWNEIGH or len(body) < _NEIGHBOUR.size:
            return 0
        state: int = _NEIGHBOUR.unpack_from(body)[2]
        return state

    def _ask(self, message: bytes) -> tuple[int, bytes]:
        """Send a request and return the kind and body of the first message that answers it."""
        asked = next(self._sequences)
        self._socket.send(message[:8] + _SEQUENCE.pack(asked) + message[12:])
        while True:
            for kind, _, sequence, body in walk_messages(self._socket.recv(_ANSWER)):
                if sequence == asked:
                    return kind, body

    def dump(self) -> list[News]:
        """Return every link and address of the namespace."""
        links = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        addresses = _IFADDR.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        return [
            news
            for kind, body in ((RTM_GETLINK, links), (RTM_GETADDR, addresses))
            for news in _news(dump(self._socket, kind, body, self._sequences))
        ]

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def delete_address_request(news: AddressNews) -> bytes:
    """Return the request that removes an address found by ``dump`` (start-up clean-up only)."""
    family = socket.AF_INET if len(news.address) == 4 else socket.AF_INET6
    attribute = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(news.address), _IFA_LOCAL) + news.address
    body = _IFADDR.pack(family, news.prefix_length, 0, 0, news.ifindex) + attribute
    flags = F_REQUEST | F_ACK
    return HEADER.pack(HEADER.size + len(body), RTM_DELADDR, flags, 0, 0) + body


def damaged_mark_request() -> bytes:
    """Return a request for an address with a mark of no bytes, on an interface that cannot be."""
    local = _ATTRIBUTE.pack(_ATTRIBUTE.size + 4, _IFA_LOCAL) + bytes([127, 0, 0, 1])
    mark = _ATTRIBUTE.pack(_ATTRIBUTE.size, _IFA_PROTO)
    body = _IFADDR.pack(socket.AF_INET, 32, 0, 0, _NO_INTERFACE) + local + mark
    return HEADER.pack(HEADER.size + len(body), RTM_NEWADDR, F_REQUEST | F_ACK, 0, 0) + body


def _route_request(ifindex: int, address: bytes) -> bytes:
    """Return the question how packets to an address would go (rtnetlink(7), RTM_GETROUTE)."""
    family = socket.AF_INET if len(address) == 4 else socket.AF_INET6
    body = _ROUTE.pack(family, 8 * len(address), 0, 0, 0, 0, 0, 0, 0)
    body += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(address), _RTA_DST) + address
    body += _ATTRIBUTE.pack(_ATTRIBUTE.size + _INDEX.size, _RTA_OIF) + _INDEX.pack(ifindex)
    return HEADER.pack(HEADER.size + len(body), RTM_GETROUTE, F_REQUEST, 0, 0) + body


def _neighbour_request(ifindex: int, address: bytes) -> bytes:
    """Return the question what is known of one neighbour (rtnetlink(7), RTM_GETNEIGH)."""
    family = socket.AF_INET if len(address) == 4 else socket.AF_INET6
    body = _NEIGHBOUR.pack(family, ifindex, 0, 0, 0)
    body += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(address), _NDA_DST) + address
    return HEADER.pack(HEADER.size + len(body), RTM_GETNEIGH, F_REQUEST, 0, 0) + body


def _error(body: bytes) -> int:
    code: int = _INDEX.unpack_from(body)[0]
    return -code


def parse_news(data: bytes) -> Iterator[News]:
    """Return the link and address messages of one netlink datagram; others are passed over."""
    return _news(walk_messages(data))


def _news(messages: Iterable[Message]) -> Iterator[News]:
    for kind, _, _, body in messages:
        if kind in (RTM_NEWLINK, RTM_DELLINK) and len(body) >= _IFINFO.size:
            yield _link_news(kind, body)
        elif kind in (RTM_NEWADDR, RTM_DELADDR) and len(body) >= _IFADDR.size:
            news = _address_news(kind, body)
            if news is not None:
                yield news


def _link_news(kind: int, body: bytes) -> LinkNews:
    family, _, ifindex, flags, _ = _IFINFO.unpack_from(body)
    attributes = dict(walk_attributes(body[_IFINFO.size :]))
    name = attributes.get(_IFLA_IFNAME, b"\0")
    # A bridge reports that a port left it as DELLINK of family AF_BRIDGE: the link is still there.
    present = kind == RTM_NEWLINK or family != socket.AF_UNSPEC
    running = present and flags & _IFF_UP != 0 and flags & _IFF_RUNNING != 0
    mac = attributes.get(_IFLA_ADDRESS, b"")
    others = _alternatives(attributes.get(_IFLA_PROP_LIST, b""))
    return LinkNews(ifindex, _name(name), running, present, mac, others)


def _name(value: bytes) -> str:
    return os.fsdecode(value.rstrip(b"\0"))


def _alternatives(data: bytes) -> tuple[str, ...]:
    return tuple(_name(value) for kind, value in walk_attributes(data) if kind == _IFLA_ALT_IFNAME)


def _address_news(kind: int, body: bytes) -> AddressNews | None:
    _, prefix_length, flags, _, ifindex = _IFADDR.unpack_from(body)
    if kind == RTM_NEWADDR and flags & _IFA_F_TENTATIVE:
        return None  # not usable before duplicate address detection ends, which is news again
    attributes = dict(walk_attributes(body[_IFADDR.size :]))
    # IFA_LOCAL is the address itself on IPv4 (IFA_ADDRESS may be a point-to-point peer).
    address = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS)
    if address is None:
        return None
    protocol = attributes.get(_IFA_PROTO, b"\0")[0]
    return AddressNews(ifindex, address, prefix_length, protocol, kind == RTM_NEWADDR)
