"""The VRRP ADVERTISEMENT, bytes to value and back (RFC 9568 §5.2, RFC 3768 §5.3).

Addresses are packed bytes in network order, so comparing them is the RFC's comparison. What an
authentication trailer adds to a message is ``authentication``'s; here it is bytes that follow it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import StrEnum

from vrrp.constants import (
    AUTH_DATA_LENGTH,
    IP_PROTOCOL,
    TYPE_ADVERTISEMENT,
    VERSION_2,
    VERSION_3,
    Family,
    RejectReason,
)

HEADER = struct.Struct("!BBBBHH")
_INTERVAL_MASK = 0x0FFF  # the upper four bits are reserved and ignored on receipt (§5.2.6)
_NO_AUTH_DATA = bytes(AUTH_DATA_LENGTH)
_LINK_LOCAL_PREFIX = 0xFE80 >> 6


class ChecksumForm(StrEnum):
    """Which bytes the checksum of a message covered."""

    MESSAGE_ONLY = "message_only"
    """RFC 9568 §5.2.8 over IPv4, Cisco, Juniper; VRRPv2."""
    PSEUDO_HEADER = "pseudo_header"
    """IPv6; over IPv4 RFC 5798 read literally, keepalived and FRR by default."""
    GROUP_PSEUDO_HEADER = "group_pseudo_header"
    """As before with the multicast group as destination, whatever the real one: keepalived up to
    1.3.6 in unicast, and ``old_unicast_checksum``."""


@dataclass(frozen=True, slots=True)
class Advertisement:
    """One ADVERTISEMENT.

    ``interval_cs`` is 0 to 4095 centiseconds in version 3, whole seconds as centiseconds in version
    2. ``addresses`` are 4 or 16 bytes each. ``auth_type`` and ``auth_data`` (8 bytes) exist in
    version 2 only.
    """

    version: int
    vrid: int
    priority: int
    interval_cs: int
    addresses: tuple[bytes, ...]
    auth_type: int = 0
    auth_data: bytes = _NO_AUTH_DATA


class DecodeError(Exception):
    """The bytes are not a valid advertisement; ``reason`` says which check failed."""

    def __init__(self, reason: RejectReason) -> None:
        super().__init__(str(reason))
        self.reason = reason


def internet_checksum(data: bytes) -> int:
    """Return the one's complement checksum of ``data`` (RFC 1071); 0 over a valid message."""
    if len(data) % 2:
        data += b"\0"
    words: tuple[int, ...] = struct.unpack(f"!{len(data) // 2}H", data)
    total = sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def pseudo_header(source: bytes, destination: bytes, length: int) -> bytes:
    """Return the pseudo-header for a message of ``length`` bytes (RFC 793 §3.1, RFC 8200 §8.1)."""
    if len(source) == Family.IPV4.address_length:
        return source + destination + struct.pack("!BBH", 0, IP_PROTOCOL, length)
    return source + destination + struct.pack("!IHBB", length, 0, 0, IP_PROTOCOL)


def is_link_local(address: bytes) -> bool:
    """Return whether a packed IPv6 address lies in fe80::/10."""
    return len(address) == 16 and int.from_bytes(address[:2], "big") >> 6 == _LINK_LOCAL_PREFIX


# Bytes out ------------------------------------------------------------------------------


def encode_message(advertisement: Advertisement) -> bytes:
    """Return the VRRP message with its checksum left zero; ``seal_message`` fills it.

    IPv6 addresses are put in the order the RFC wants: a link-local one first, where there is one
    (RFC 9568 §5.2.9).
    """
    ordered = sorted(advertisement.addresses, key=lambda address: not is_link_local(address))
    if advertisement.version == VERSION_3:
        last_word = advertisement.interval_cs & _INTERVAL_MASK
    else:
        last_word = advertisement.auth_type << 8 | advertisement.interval_cs // 100
    message = HEADER.pack(
        advertisement.version << 4 | TYPE_ADVERTISEMENT,
        advertisement.vrid,
        advertisement.priority,
        len(ordered),
        last_word,
        0,
    ) + b"".join(ordered)
    return message + advertisement.auth_data if advertisement.version == VERSION_2 else message


def seal_message(message: bytes, covered: bytes, trailer: bytes = b"") -> bytes:
    """Return what goes on the wire: checksum filled in, trailer appended.

    Args:
        message: as from ``encode_message``.
        covered: what the checksum covers besides the message: nothing, or a pseudo-header, and
            over IPv6 the trailer as well.
        trailer: the authentication trailer, or nothing.
    """
    checksum = internet_checksum(covered + message)
    return b"".join((message[:6], checksum.to_bytes(2, "big"), message[8:], trailer))


def checksum_cover(
    form: ChecksumForm, source: bytes, destination: bytes, message_length: int, trailer: bytes
) -> bytes:
    """Return what a checksum of this form covers besides the message.

    Over IPv6 the length and the sum include the trailer, because the kernel of a keepalived peer
    computes it so; over IPv4 neither does (reference ``hmac-wire`` §5).
    """
    if len(source) == Family.IPV6.address_length:
        return pseudo_header(source, destination, message_length + len(trailer)) + trailer
    if form is ChecksumForm.MESSAGE_ONLY:
        return b""
    if form is ChecksumForm.GROUP_PSEUDO_HEADER:
        destination = Family.IPV4.group
    return pseudo_header(source, destination, message_length)


# Bytes in -------------------------------------------------------------------------------


def check_header(data: bytes) -> tuple[int, int]:
    """Return version and VRID of a message whose first checks hold: length, version, type.

    Raises:
        DecodeError: ladder steps 3 to 5 of ``validation``.
    """
    if len(data) < HEADER.size:
        raise DecodeError(RejectReason.TRUNCATED)
    version = data[0] >> 4
    if version not in (VERSION_2, VERSION_3):
        raise DecodeError(RejectReason.VERSION)
    if data[0] & 0x0F != TYPE_ADVERTISEMENT:
        raise DecodeError(RejectReason.TYPE)
    return version, data[1]


def message_length(data: bytes, family: Family) -> int:
    """Return how long the message is that this header begins: what follows is a trailer."""
    tail = AUTH_DATA_LENGTH if data[0] >> 4 == VERSION_2 else 0
    return HEADER.size + family.address_length * data[3] + tail


def decode_message(message: bytes, family: Family) -> Advertisement:
    """Return the fields of a message that has exactly its length; nothing else is checked."""
    version_type, vrid, priority, count, last_word, _ = HEADER.unpack_from(message)
    size = family.address_length
    end = HEADER.size + size * count
    addresses = tuple(message[i : i + size] for i in range(HEADER.size, end, size))
    version = version_type >> 4
    if version == VERSION_3:
        return Advertisement(version, vrid, priority, last_word & _INTERVAL_MASK, addresses)
    return Advertisement(
        version,
        vrid,
        priority,
        (last_word & 0xFF) * 100,
        addresses,
        auth_type=last_word >> 8,
        auth_data=message[end:],
    )


def checksum_form(
    message: bytes, source: bytes, destination: bytes, trailer: bytes = b""
) -> ChecksumForm:
    """Return which bytes the checksum covered.

    Raises:
        DecodeError: it fits no form that is valid for the version and family.
    """
    for form in _forms(message[0] >> 4, source):
        cover = checksum_cover(form, source, destination, len(message), trailer)
        if internet_checksum(cover + message) == 0:
            return form
    raise DecodeError(RejectReason.CHECKSUM)


def _forms(version: int, source: bytes) -> tuple[ChecksumForm, ...]:
    if version == VERSION_2:
        return (ChecksumForm.MESSAGE_ONLY,)
    if len(source) == Family.IPV6.address_length:
        return (ChecksumForm.PSEUDO_HEADER,)
    return tuple(ChecksumForm)
