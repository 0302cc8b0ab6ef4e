"""VRRP messages composed from the text of the RFCs and of the trailer's format, field by field.

Nothing here calls the product's codec: what it returns is the other opinion the tests compare with.
"""

from __future__ import annotations

import hashlib
import json
import socket
from pathlib import Path
from typing import Any

Row = dict[str, Any]

GROUP4 = socket.inet_aton("224.0.0.18")
GROUP6 = socket.inet_pton(socket.AF_INET6, "ff02::12")
KEY = bytes(range(32))
"""The key 00 01 … 1f of the recorded vectors."""

_VECTORS = Path(__file__).resolve().parents[2] / "vectors"


def rows(name: str) -> list[Row]:
    """Return the recorded facts of one file."""
    return [json.loads(line) for line in (_VECTORS / name).read_text().splitlines()]


def packed(address: str) -> bytes:
    """Return an address of either family in network order."""
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def compose(
    *,
    version: int = 3,
    kind: int = 1,
    vrid: int = 51,
    priority: int = 100,
    word: int | None = None,
    addresses: tuple[bytes, ...] = (bytes((192, 0, 2, 50)),),
    count: int | None = None,
    tail: bytes | None = None,
) -> bytes:
    """Return a message whose checksum is zero (RFC 9568 §5.2, RFC 3768 §5.3).

    Args:
        word: bytes 4 and 5. Version 3: four reserved bits and the interval in centiseconds, by
            default 100. Version 2: authentication type and the interval in seconds, by default 1.
        count: what the header says, by default the number of addresses.
        tail: what follows the addresses, by default the 8 zero bytes of version 2.
    """
    if word is None:
        word = 1 if version == 2 else 100
    if tail is None:
        tail = bytes(8) if version == 2 else b""
    stated = len(addresses) if count is None else count
    head = bytes((version << 4 | kind, vrid, priority, stated, word >> 8, word & 0xFF, 0, 0))
    return head + b"".join(addresses) + tail


def slow_checksum(data: bytes) -> int:
    """Return the one's complement of the one's complement sum, a word at a time (RFC 1071)."""
    total = 0
    for index in range(0, len(data), 2):
        total += int.from_bytes(data[index : index + 2].ljust(2, b"\0"), "big")
        if total > 0xFFFF:
            total -= 0xFFFF  # the carry out of the top is added at the bottom
    return 0xFFFF - total


def with_checksum(message: bytes, cover: bytes = b"") -> bytes:
    """Return the message with the checksum over ``cover`` and itself."""
    blank = message[:6] + b"\0\0" + message[8:]
    return message[:6] + slow_checksum(cover + blank).to_bytes(2, "big") + message[8:]


def cover4(source: bytes, destination: bytes, length: int) -> bytes:
    """Return IPv4's pseudo-header: addresses, zero, protocol, length (RFC 793 §3.1)."""
    return source + destination + bytes((0, 112)) + length.to_bytes(2, "big")


def cover6(source: bytes, destination: bytes, length: int) -> bytes:
    """Return IPv6's pseudo-header: addresses, length, zero, next header (RFC 8200 §8.1)."""
    return source + destination + length.to_bytes(4, "big") + bytes((0, 0, 0, 112))


def sealed(message: bytes, source: bytes, destination: bytes, trailer: bytes = b"") -> bytes:
    """Return what keepalived would send: its checksum for this version and family, its trailer.

    IPv6: pseudo-header with the length of message and trailer, and both. IPv4 version 3:
    pseudo-header and message. Version 2: the message alone.
    """
    if len(source) == 16:
        length = len(message) + len(trailer)
        return with_checksum(message, cover6(source, destination, length) + trailer) + trailer
    if message[0] >> 4 == 3:
        return with_checksum(message, cover4(source, destination, len(message))) + trailer
    return with_checksum(message) + trailer


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    """Return the HMAC of RFC 2104, from the hash alone; keys of at most one block."""
    block = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + data).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in block) + inner).digest()


def trailer(
    message: bytes,
    source: bytes,
    sequence: int,
    *,
    key: bytes = KEY,
    key_id: int = 1,
    scheme: int = 1,
    reserved: int = 0,
) -> bytes:
    """Return the 28 bytes that sign a message: scheme, key id, zero, sequence, tag."""
    head = bytes((scheme, key_id)) + reserved.to_bytes(2, "big") + sequence.to_bytes(8, "big")
    digit = 4 if len(source) == 4 else 6
    pseudo = bytes((digit, message[0] >> 4, message[1], 0)) + source + bytes(16 - len(source))
    unsummed = message[:6] + bytes(2) + message[8:]
    return head + hmac_sha256(key, pseudo + unsummed + head + bytes(16))[:16]


def stamp(seconds: int, subseconds: int = 0, counter: int = 0) -> int:
    """Return a sequence: seconds since 1970, 65536ths of a second, counter."""
    return seconds << 32 | subseconds << 16 | counter
