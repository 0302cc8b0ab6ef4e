"""The kernel's process connector: told of every process that begins or changes its name.

It speaks in the initial network namespace only (cn_proc.h), to those with CAP_NET_ADMIN.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

_CONNECTOR = 11  # NETLINK_CONNECTOR
_GROUP = 1  # CN_IDX_PROC
_LISTEN = 1
_HEADER = struct.Struct("=IHHII")
_MESSAGE = struct.Struct("=IIIIHH")  # cn_msg: idx, val, seq, ack, length, flags
_EVENT = struct.Struct("=IIQ")  # proc_event: what, cpu, time; then who
_ACKNOWLEDGED, _FORK, _EXEC, _COMM = 0x0, 0x1, 0x2, 0x200
_BODY = _HEADER.size + _MESSAGE.size
_WHO = _BODY + _EVENT.size
_DONE = 3  # NLMSG_DONE: what the connector's messages are
_RECEIVE_BUFFER = 1 << 20
_PATIENCE_S = 0.5

# The filter is classic BPF: code, jump if true, jump if false, constant.
_LOAD, _INDEX, _EQUAL, _EQUAL_INDEX, _RETURN = 0x20, 0x07, 0x15, 0x1D, 0x06


@dataclass(frozen=True, slots=True)
class Began:
    """A process may match now; ``parent`` is whose copy it is, None when it has its own name."""

    pid: int
    parent: int | None


class ProcessEvents:
    """A subscription; threads and exits are filtered out in the kernel."""

    def __init__(self) -> None:
        """Subscribe.

        Raises:
            OSError: the kernel does not tell us: another network or PID namespace, or no right.
        """
        self._kernel = socket.socket(
            socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, _CONNECTOR
        )
        try:
            self._kernel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            self._kernel.bind((0, _GROUP))
            _attach_filter(self._kernel)
            self._kernel.send(_request(_LISTEN))
            self._await_acknowledgement()
            self._kernel.setblocking(False)
        except OSError:
            self._kernel.close()
            raise

    def _await_acknowledgement(self) -> None:
        self._kernel.settimeout(_PATIENCE_S)
        while True:
            data = self._kernel.recv(4096)
            what, _, _ = _EVENT.unpack_from(data, _BODY)
            if what == _ACKNOWLEDGED:
                number = struct.unpack_from("=I", data, _WHO)[0]
                if number:
                    raise OSError(number, os.strerror(number))
                return

    def fileno(self) -> int:
        """Return the socket."""
        return self._kernel.fileno()

    def close(self) -> None:
        """End the subscription."""
        self._kernel.close()

    def read(self) -> Iterator[Began]:
        """Yield what has come; does not wait.

        Raises:
            OSError: some of it was lost (ENOBUFS).
        """
        while True:
            try:
                data = self._kernel.recv(4096)
            except BlockingIOError:
                return
            what, _, _ = _EVENT.unpack_from(data, _BODY)
            if what == _FORK:
                _, parent, _, child = struct.unpack_from("=iiii", data, _WHO)
                yield Began(child, parent)
            elif what in (_EXEC, _COMM):
                pid, group = struct.unpack_from("=ii", data, _WHO)
                if pid == group:
                    yield Began(pid, None)


def _request(operation: int) -> bytes:
    body = struct.pack("=I", operation)
    message = _MESSAGE.pack(_GROUP, 1, 0, 0, len(body), 0) + body
    return _HEADER.pack(_HEADER.size + len(message), _DONE, 0, 0, os.getpid()) + message


def _attach_filter(kernel: socket.socket) -> None:
    """Take acknowledgements, programs, names, and forks that are no threads."""
    instructions = [
        (_LOAD, 0, 0, _BODY),
        (_EQUAL, 8, 0, socket.ntohl(_ACKNOWLEDGED)),
        (_EQUAL, 7, 0, socket.ntohl(_EXEC)),
        (_EQUAL, 6, 0, socket.ntohl(_COMM)),
        (_EQUAL, 0, 4, socket.ntohl(_FORK)),
        (_LOAD, 0, 0, _WHO + 8),  # the child's thread
        (_INDEX, 0, 0, 0),
        (_LOAD, 0, 0, _WHO + 12),  # the child's process
        (_EQUAL_INDEX, 1, 0, 0),
        (_RETURN, 0, 0, 0),
        (_RETURN, 0, 0, 0xFFFFFFFF),
    ]
    packed = b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
    memory = ctypes.create_string_buffer(packed)
    program = struct.pack("@HP", len(instructions), ctypes.addressof(memory))
    kernel.setsockopt(socket.SOL_SOCKET, 26, program)  # SO_ATTACH_FILTER
