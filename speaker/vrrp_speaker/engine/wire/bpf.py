"""Classic BPF socket filters, as much of them as the engine uses (linux/filter.h).

Offsets count from where a socket's data begins; jumps count instructions after the next one.
"""

from __future__ import annotations

import socket
import struct
from array import array
from collections.abc import Iterable

LOAD_WORD, LOAD_HALF, LOAD_BYTE = 0x20, 0x28, 0x30
LOAD_WORD_INDEXED, LOAD_HALF_INDEXED, LOAD_BYTE_INDEXED = 0x40, 0x48, 0x50
"""At the index register plus an offset."""
LOAD_CONSTANT, LOAD_INDEX = 0x00, 0x01
"""Into the accumulator, and into the index register."""
INDEX_BY_ACCUMULATOR = 0x07
AND = 0x54
"""The accumulator with the operand."""
LOAD_HEADER_LENGTH = 0xB1
"""Into the index register: the length of the IPv4 header at an offset."""
JUMP, JUMP_IF_EQUAL, RETURN = 0x05, 0x15, 0x06
PACKET_TYPE = 0xFFFFF004
"""The offset that stands for sll_pkttype of packet(7)."""
ATTRIBUTE, NESTED_ATTRIBUTE = 0xFFFFF00C, 0xFFFFF010
"""Offsets that stand for where a netlink attribute is, 0 for nowhere: its type is in the index
register, and where the first of its kin begins, or their parent, in the accumulator."""
ALL = 0xFFFF
"""Returned: the whole packet passes; 0: none of it."""
PACKET_MULTICAST, PACKET_OTHERHOST = 2, 3

_SO_ATTACH_FILTER = 26
_INSTRUCTION = struct.Struct("=HBBI")

Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, operand."""


def assemble(instructions: Iterable[Instruction]) -> bytes:
    """Return a program as the kernel takes it."""
    return b"".join(_INSTRUCTION.pack(*instruction) for instruction in instructions)


def attach(open_socket: socket.socket, program: bytes) -> None:
    """Put a filter in the place of the socket's present one.

    Raises:
        OSError: the kernel does not take it; the old one stays.
    """
    code = array("B", program)
    address, _ = code.buffer_info()
    count = len(program) // _INSTRUCTION.size
    # struct sock_fprog, with the compiler's padding; the kernel copies what it points to.
    option = struct.pack("@HP", count, address)
    open_socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, option)
