"""``python -m tests.bench.watcher``: note when this host gains and loses addresses.

Runs in the host's namespace and listens to the kernel (rtnetlink), so nothing is missed between two
looks. With ``--advertisements`` it notes every VRRP advertisement that arrives over IPv4 as well.
Every line on standard input is answered with one JSON line: what came since the last one.
"""

from __future__ import annotations

import argparse
import json
import socket
import struct
import sys
import time
from collections.abc import Iterator
from select import select

_GROUPS = 0x10 | 0x100
"""RTMGRP_IPV4_IFADDR and RTMGRP_IPV6_IFADDR."""
_DONE, _NEW, _DEL, _GET = 3, 20, 21, 22
_REQUEST_DUMP = 0x1 | 0x300
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_HEADER, _ADDRESS = struct.Struct("=IHHII"), struct.Struct("=BBBBI")
_VRRP = 112
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@qq")


class Watcher:
    """The addresses of one host, and what came."""

    def __init__(self, *, advertisements: bool) -> None:
        self._held: set[str] = set()
        self._changes: list[tuple[int, str, bool]] = []
        self._advertisements: list[tuple[int, str, int, int]] = []
        self._kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._kernel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._kernel.bind((0, _GROUPS))
        self._kernel.send(
            _HEADER.pack(_HEADER.size + _ADDRESS.size, _GET, _REQUEST_DUMP, 1, 0)
            + _ADDRESS.pack(0, 0, 0, 0, 0)
        )
        self._wire: socket.socket | None = None
        if advertisements:
            self._wire = socket.socket(socket.AF_INET, socket.SOCK_RAW, _VRRP)
            self._wire.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)

    def run(self) -> None:
        """Watch until standard input ends."""
        while not self._read_kernel():
            pass
        print("ready", flush=True)
        sources = [source for source in (self._kernel, self._wire, sys.stdin) if source is not None]
        while True:
            ready, _, _ = select(sources, [], [])
            if self._kernel in ready:
                self._read_kernel()
            if self._wire in ready:
                self._read_wire()
            if sys.stdin in ready:
                if not sys.stdin.readline():
                    return
                self._answer()

    def _answer(self) -> None:
        # What the kernel said before the question belongs into the answer.
        while select([self._kernel], [], [], 0)[0]:
            self._read_kernel()
        answer = {"changes": self._changes, "advertisements": self._advertisements}
        print(json.dumps(answer), flush=True)
        self._changes, self._advertisements = [], []

    def _read_kernel(self) -> bool:
        """Take in what is there; return whether it ends the dump."""
        data = self._kernel.recv(1 << 18)
        now_ns = time.monotonic_ns()
        for kind, body in _messages(data):
            if kind == _DONE:
                return True
            if kind not in (_NEW, _DEL):
                continue
            address, held = _address(body), kind == _NEW
            if held != (address in self._held):
                (self._held.add if held else self._held.discard)(address)
                self._changes.append((now_ns, address, held))
        return False

    def _read_wire(self) -> None:
        assert self._wire is not None
        data, ancillary, _, (source, _) = self._wire.recvmsg(2048, 128)
        # When the kernel had it: how long we waited for a turn is not the sender's doing.
        (_, _, arrived), *_ = ancillary
        seconds, nanoseconds = _TIMESPEC.unpack(arrived)
        age_ns = time.time_ns() - (seconds * 1_000_000_000 + nanoseconds)
        now_ns = time.monotonic_ns() - age_ns
        header = (data[0] & 0x0F) * 4
        if len(data) >= header + 8:
            self._advertisements.append((now_ns, source, data[header + 1], data[header + 2]))


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, _, _, _ = _HEADER.unpack_from(data, offset)
        yield kind, data[offset + _HEADER.size : offset + length]
        offset += max(_HEADER.size, (length + 3) & ~3)


def _address(body: bytes) -> str:
    """Return the address of an ``ifaddrmsg`` with its attributes."""
    family = _ADDRESS.unpack_from(body)[0]
    found: dict[int, bytes] = {}
    offset = _ADDRESS.size
    while offset + 4 <= len(body):
        length, kind = struct.unpack_from("=HH", body, offset)
        found[kind] = body[offset + 4 : offset + length]
        offset += max(4, (length + 3) & ~3)
    return socket.inet_ntop(family, found.get(_IFA_LOCAL) or found[_IFA_ADDRESS])


def main() -> None:
    """Watch until the parent closes standard input."""
    parser = argparse.ArgumentParser(prog="tests.bench.watcher", description=__doc__)
    parser.add_argument("--advertisements", action="store_true")
    Watcher(advertisements=parser.parse_args().advertisements).run()


if __name__ == "__main__":
    main()
