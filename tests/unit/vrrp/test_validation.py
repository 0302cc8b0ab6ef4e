"""The validation ladder: each rung refuses for its own reason, membership first."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from vrrp.constants import RejectReason
from vrrp.packet import Advertisement, encode_advertisement
from vrrp.validation import Accepted, Election, validate_datagram

ME = socket.inet_aton("192.0.2.11")
PEER = socket.inet_aton("192.0.2.12")
OTHER_PEER = socket.inet_aton("192.0.2.13")
STRANGER = socket.inet_aton("192.0.2.99")
ELECTIONS = {51: Election(ME, frozenset({PEER})), 52: Election(ME, frozenset({OTHER_PEER}))}
PEERS = frozenset({PEER, OTHER_PEER})


def datagram(
    *,
    source: bytes = PEER,
    destination: bytes = ME,
    ttl: int = 255,
    vrid: int = 51,
    options: bytes = b"",
    change: Callable[[bytes], bytes] = lambda message: message,
) -> bytes:
    """Return an IPv4 datagram with an advertisement, valid unless told otherwise."""
    advertisement = Advertisement(vrid, 100, 20, (socket.inet_aton("192.0.2.50"),))
    message = change(encode_advertisement(advertisement))
    header = bytes([0x45 + len(options) // 4, 0xC0]) + bytes(6) + bytes([ttl, 112, 0, 0])
    return header + source + destination + options + message


def test_validate_advertisement_of_a_peer_is_accepted() -> None:
    result = validate_datagram(datagram(), ELECTIONS, PEERS)
    assert isinstance(result, Accepted)
    assert (result.source, result.advertisement.vrid) == (PEER, 51)


def test_validate_datagram_with_ip_options_is_accepted() -> None:
    assert isinstance(validate_datagram(datagram(options=bytes(8)), ELECTIONS, PEERS), Accepted)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (datagram()[:19], RejectReason.TRUNCATED),
        (datagram(source=STRANGER), RejectReason.UNKNOWN_SOURCE),
        (datagram(source=STRANGER, ttl=1, vrid=9), RejectReason.UNKNOWN_SOURCE),
        (datagram(source=OTHER_PEER), RejectReason.UNKNOWN_SOURCE),
        (datagram(ttl=254), RejectReason.TTL),
        (datagram(vrid=53), RejectReason.UNKNOWN_VRID),
        (datagram(destination=OTHER_PEER), RejectReason.NOT_FOR_US),
        (datagram(change=lambda m: m[:7]), RejectReason.TRUNCATED),
        (datagram(change=lambda m: b"\x21" + m[1:]), RejectReason.VERSION),
        (datagram(change=lambda m: b"\x32" + m[1:]), RejectReason.TYPE),
        (datagram(change=lambda m: m + b"\0"), RejectReason.LENGTH),
        (datagram(change=lambda m: m[:6] + b"\0\0" + m[8:]), RejectReason.CHECKSUM),
    ],
)
def test_validate_datagram_that_breaks_one_rule_names_it(data: bytes, reason: RejectReason) -> None:
    assert validate_datagram(data, ELECTIONS, PEERS) is reason
