"""Netlink messages, their attributes, and dumps of them (netlink(7)): one home for who reads some.

Standard library only: the engine uses it, and the agent.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

HEADER = struct.Struct("=IHHII")
"""Length, kind, flags, sequence, port of a message (struct nlmsghdr)."""
F_REQUEST, F_ACK = 0x1, 0x4
ERROR = 2
_DONE = 3
_F_DUMP, _F_DUMP_INTERRUPTED = 0x300, 0x10
_ATTRIBUTE = struct.Struct("=HH")
_TYPE_MASK = 0x3FFF  # NLA_TYPE_MASK: without the bits that say how the value is laid out
_BUFFER = 1 << 16
_DUMP_ATTEMPTS = 5


class Message(NamedTuple):
    """One message without its header."""

    kind: int
    flags: int
    sequence: int
    body: bytes


def walk_messages(data: bytes) -> Iterator[Message]:
    """Yield the messages of one datagram; a damaged tail ends the walk."""
    offset = 0
    while offset + HEADER.size <= len(data):
        length, kind, flags, sequence, _ = HEADER.unpack_from(data, offset)
        if length < HEADER.size or offset + length > len(data):
            return
        yield Message(kind, flags, sequence, data[offset + HEADER.size : offset + length])
        offset += (length + 3) & ~3


def walk_attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the type and the value of each attribute; a damaged tail ends the walk."""
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size or offset + length > len(data):
            return
        yield kind & _TYPE_MASK, data[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3


def dump(kernel: socket.socket, kind: int, body: bytes, sequences: Iterator[int]) -> list[Message]:
    """Return what one dump says, without its end.

    One during which something came or went may lack what did neither, and of that there will be no
    news: it is asked for again, though not for ever where something always moves.

    Args:
        kernel: a netlink socket that waits for answers.
        kind: of the request.
        body: of the request.
        sequences: yields a number for each request that no other one of this socket has.

    Raises:
        OSError: the kernel refuses, or does not answer in the socket's time.
    """
    found: list[Message] = []
    for _ in range(_DUMP_ATTEMPTS):
        found, sequence = [], next(sequences)
        length = HEADER.size + len(body)
        kernel.send(HEADER.pack(length, kind, F_REQUEST | _F_DUMP, sequence, 0) + body)
        *found, end = _answers(kernel, sequence)
        if not any(message.flags & _F_DUMP_INTERRUPTED for message in (*found, end)):
            break
    return found


def _answers(kernel: socket.socket, asked: int) -> Iterator[Message]:
    """Yield each message that answers a dump, its end included."""
    while True:
        for message in walk_messages(kernel.recv(_BUFFER)):
            if message.sequence != asked:
                continue
            if message.kind == ERROR:
                raise OSError(errno.EIO, "the kernel refused a netlink dump")
            yield message
            if message.kind == _DONE:
                return
