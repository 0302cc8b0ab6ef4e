"""The VRRPv3 ADVERTISEMENT over IPv4, bytes to value and back (RFC 9568 §5.2).

Addresses are packed bytes in network order, so comparing them is the RFC's comparison.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import StrEnum

from vrrp.constants import IP_PROTOCOL, TYPE_ADVERTISEMENT, VERSION, RejectReason

HEADER = struct.Struct("!BBBBHH")
_INTERVAL_MASK = 0x0FFF  # the upper four bits are reserved and ignored on receipt (§5.2.6)


class ChecksumForm(StrEnum):
    """Which bytes the checksum of a VRRPv3/IPv4 message covered."""

    MESSAGE_ONLY = "message_only"
    """RFC 9568 §5.2.8, Cisco, Juniper."""
    PSEUDO_HEADER = "pseudo_header"
    """RFC 5798 read literally, keepalived and FRR by default."""


@dataclass(frozen=True, slots=True)
class Advertisement:
    """One ADVERTISEMENT.

    ``max_advertise_interval_cs`` is 0 to 4095 centiseconds; ``addresses`` are 4 bytes each.
    """

    vrid: int
    priority: int
    max_advertise_interval_cs: int
    addresses: tuple[bytes, ...]


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
    """Return the IPv4 pseudo-header for a message of ``length`` bytes (RFC 793 §3.1)."""
    return source + destination + struct.pack("!BBH", 0, IP_PROTOCOL, length)


def encode_advertisement(advertisement: Advertisement) -> bytes:
    """Return the VRRP message, checksum over the message only (RFC 9568 §5.2.8)."""
    message = HEADER.pack(
        VERSION << 4 | TYPE_ADVERTISEMENT,
        advertisement.vrid,
        advertisement.priority,
        len(advertisement.addresses),
        advertisement.max_advertise_interval_cs & _INTERVAL_MASK,
        0,
    ) + b"".join(advertisement.addresses)
    checksum = internet_checksum(message)
    return message[:6] + checksum.to_bytes(2, "big") + message[8:]


def check_header(data: bytes) -> int:
    """Return the VRID of a message whose first checks hold: length, version, type.

    Raises:
        DecodeError: ladder steps 3 to 5 of ``validation``.
    """
    if len(data) < HEADER.size:
        raise DecodeError(RejectReason.TRUNCATED)
    if data[0] >> 4 != VERSION:
        raise DecodeError(RejectReason.VERSION)
    if data[0] & 0x0F != TYPE_ADVERTISEMENT:
        raise DecodeError(RejectReason.TYPE)
    return data[1]


def decode_advertisement(
    data: bytes, source: bytes, destination: bytes
) -> tuple[Advertisement, ChecksumForm]:
    """Parse one VRRPv3/IPv4 message of exactly 8 + 4·n bytes; both checksum forms are accepted.

    Raises:
        DecodeError: ``reason`` says which check failed (RFC 9568 §7.1, errata 8299 and 8301).
    """
    check_header(data)
    _, vrid, priority, count, interval, _ = HEADER.unpack_from(data)
    if len(data) != HEADER.size + 4 * count:
        raise DecodeError(RejectReason.LENGTH)
    form = _checksum_form(data, source, destination)
    if count == 0:
        raise DecodeError(RejectReason.ADDRESS_COUNT)
    if interval & _INTERVAL_MASK == 0:
        raise DecodeError(RejectReason.INTERVAL)
    addresses = tuple(data[i : i + 4] for i in range(HEADER.size, len(data), 4))
    return Advertisement(vrid, priority, interval & _INTERVAL_MASK, addresses), form


def _checksum_form(data: bytes, source: bytes, destination: bytes) -> ChecksumForm:
    if internet_checksum(data) == 0:
        return ChecksumForm.MESSAGE_ONLY
    if internet_checksum(pseudo_header(source, destination, len(data)) + data) == 0:
        return ChecksumForm.PSEUDO_HEADER
    raise DecodeError(RejectReason.CHECKSUM)
