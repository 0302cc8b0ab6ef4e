"""Requests for addresses, as pyroute2 is told to build them, by netlink(7)."""

from __future__ import annotations

import struct

from vrrp_api.virtual_ip import VipAddress
from vrrp_speaker.compiler.netlink import add_request, delete_request
from vrrp_speaker.links.table import Link, LinkAddress

ETH0 = Link(2, "eth0", bytes.fromhex("02005e005311"), (LinkAddress("192.0.2.11", 24, 0),))
_NLMSG_HEADER = struct.Struct("=IHHII")
_IFADDRMSG = struct.Struct("=BBBBI")
_IFA_CACHEINFO, _IFA_FLAGS, _IFA_PROTO, _IFA_LABEL = 6, 8, 11, 3
_NOPREFIXROUTE, _NODAD = 0x200, 0x02


def attributes(request: bytes) -> dict[int, bytes]:
    """Read the attributes of an address request, by netlink(7)."""
    position, found = _NLMSG_HEADER.size + _IFADDRMSG.size, {}
    while position < len(request):
        length, kind = struct.unpack_from("=HH", request, position)
        found[kind] = request[position + 4 : position + length]
        position += (length + 3) & ~3
    return found


def test_address_is_a_lease_that_nothing_on_the_node_adopts() -> None:
    for text, flags in (("192.0.2.50", _NOPREFIXROUTE), ("2001:db8::50", _NOPREFIXROUTE | _NODAD)):
        found = attributes(add_request(VipAddress(text, 32), ETH0, 7))
        preferred, valid = struct.unpack_from("=II", found[_IFA_CACHEINFO])
        assert (preferred, valid) == (0, 7)
        assert struct.unpack("=I", found[_IFA_FLAGS])[0] == flags
        assert found[_IFA_PROTO][0] == 112
    assert attributes(add_request(VipAddress("192.0.2.50", 32), ETH0, 7))[_IFA_LABEL] == (
        b"eth0:vrrp\0"
    )


def test_label_gives_way_to_a_long_interface_name() -> None:
    long = Link(3, "enp0s31f6np12", ETH0.mac, ())
    label = attributes(add_request(VipAddress("192.0.2.50", 32), long, 7))[_IFA_LABEL]
    assert label == b"enp0s31f6np12\0"


def test_requests_ask_for_an_answer_and_name_the_link() -> None:
    for request, kind in (
        (add_request(VipAddress("192.0.2.50", 24), ETH0, 7), 20),
        (delete_request(VipAddress("192.0.2.50", 24), ETH0), 21),
    ):
        length, message_type, flags, _, _ = _NLMSG_HEADER.unpack_from(request)
        family, prefix, _, _, index = _IFADDRMSG.unpack_from(request, _NLMSG_HEADER.size)
        assert (length, message_type, flags & 0x05) == (len(request), kind, 0x05)
        assert (family, prefix, index) == (2, 32, 2)
