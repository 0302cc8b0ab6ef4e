"""The attributes of a netlink message (netlink(7), struct nlattr): one home for who reads some."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_ATTRIBUTE = struct.Struct("=HH")
_TYPE_MASK = 0x3FFF  # NLA_TYPE_MASK: without the bits that say how the value is laid out


def walk_attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the type and the value of each attribute; a damaged tail ends the walk."""
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size or offset + length > len(data):
            return
        yield kind & _TYPE_MASK, data[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3
