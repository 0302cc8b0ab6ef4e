"""``python -m tests.netns.addresses``: others that add and delete addresses, fast.

``flood ENGINE KEPT TAKEN`` adds and deletes addresses of eth0 while the process ENGINE is stopped,
for less time than it may be silent. It takes KEPT away before that and gives it back at the end,
when it deletes TAKEN (addresses with their lengths), and prints how many news the kernel dropped.
``take SECONDS ADDRESS …`` deletes addresses of eth0 every 100 ms and prints, for each deletion,
the address and how long the host was without it, in milliseconds.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import signal
import socket
import struct
import sys
import time
from pathlib import Path

_NEW, _DELETE = 20, 21  # RTM_NEWADDR, RTM_DELADDR
_REQUEST, _REPLACE_OR_CREATE = 0x1, 0x500
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_EVERY_S = 0.1
_PATIENCE_S = 10.0
_COUNT, _BURSTS = 250, 12
"""6000 changes take the kernel less than 0.1 s."""


def request(kind: int, interface: str, address: str) -> bytes:
    """Return a netlink request (rtnetlink(7)) that asks for no acknowledgement."""
    own = ipaddress.ip_interface(address)
    family = socket.AF_INET6 if own.version == 6 else socket.AF_INET
    index = socket.if_nametoindex(interface)
    body = struct.pack("=BBBBi", family, own.network.prefixlen, 0, 0, index)
    for attribute in (_IFA_LOCAL, _IFA_ADDRESS):
        body += struct.pack("=HH", 4 + len(own.packed), attribute) + own.packed
    flags = _REQUEST | (_REPLACE_OR_CREATE if kind == _NEW else 0)
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 0, 0) + body


def flood(engine: int, kept: str, taken: str) -> int:
    """Make more news than the engine's socket can hold; return how many were dropped."""
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    listed = [f"10.77.0.{number}/32" for number in range(1, _COUNT + 1)]
    burst = b"".join(request(kind, "eth0", a) for kind in (_NEW, _DELETE) for a in listed)
    before = _dropped()
    with contextlib.suppress(PermissionError):  # as the engine does, for a machine that is busy
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    os.kill(engine, signal.SIGSTOP)
    try:
        kernel.send(request(_DELETE, "eth0", kept))
        for _ in range(_BURSTS):
            kernel.send(burst)
        kernel.send(request(_NEW, "eth0", kept))
        kernel.send(request(_DELETE, "eth0", taken))
        return _dropped() - before
    finally:
        os.kill(engine, signal.SIGCONT)


def _dropped() -> int:
    """Return how many news of links and addresses readers in this namespace were not given."""
    rows = [row.split() for row in Path("/proc/net/netlink").read_text().splitlines()[1:]]
    return sum(int(row[8]) for row in rows if row[1] == "0" and row[3] == "00000111")


def take(seconds: float, taken: list[str]) -> None:
    """Delete, wait until it is back, keep the pace."""
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    due_s = time.monotonic()
    end_s = due_s + seconds
    while due_s < end_s:
        for address in taken:
            gone_s = time.monotonic()
            kernel.send(request(_DELETE, "eth0", address))
            print(address, f"{_back_after_s(address, gone_s) * 1000:.2f}", flush=True)
        due_s = max(due_s + _EVERY_S, time.monotonic())
        time.sleep(max(0.0, due_s - time.monotonic()))


def _back_after_s(address: str, gone_s: float) -> float:
    """Wait until a socket can be bound to the address: then the host has it."""
    own = ipaddress.ip_interface(address)
    family = socket.AF_INET6 if own.version == 6 else socket.AF_INET
    while time.monotonic() < gone_s + _PATIENCE_S:
        with socket.socket(family, socket.SOCK_DGRAM) as tried, contextlib.suppress(OSError):
            tried.bind((str(own.ip), 0))
            return time.monotonic() - gone_s
        time.sleep(0.0002)
    raise SystemExit(f"{address} did not come back")


if __name__ == "__main__":
    if sys.argv[1] == "flood":
        print(flood(int(sys.argv[2]), *sys.argv[3:]))
    else:
        take(float(sys.argv[2]), sys.argv[3:])
