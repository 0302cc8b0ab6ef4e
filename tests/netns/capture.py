"""``python -m tests.netns.capture``: print every frame of eth0 as "nanoseconds hex".

The time is when the kernel had it, on CLOCK_MONOTONIC: how long we waited for a turn is not the
sender's doing. A time alone says that every earlier frame was printed.
"""

from __future__ import annotations

import socket
import struct
import time

_ETH_P_ALL = 0x0003
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@qq")
_QUIET_S = 0.05
_SURE_NS = 50_000


def main() -> None:
    """Capture until killed."""
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    wire.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    wire.bind(("eth0", _ETH_P_ALL))
    wire.settimeout(_QUIET_S)
    print("ready", flush=True)
    while True:
        waits_since_ns = time.monotonic_ns()
        try:
            frame, ((_, _, stamp),), _, _ = wire.recvmsg(2048, 128)
        except TimeoutError:
            print(waits_since_ns, flush=True)
        else:
            print(_monotonic_ns(stamp), frame.hex(), flush=True)


def _monotonic_ns(stamp: bytes) -> int:
    """Return a time of the kernel's wall clock on the other clock."""
    seconds, nanoseconds = map(int, _TIMESPEC.unpack(stamp))
    while True:
        before_ns, wall_ns, after_ns = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        if after_ns - before_ns < _SURE_NS:  # else another process had its turn in between
            return seconds * 1_000_000_000 + nanoseconds - wall_ns + before_ns


if __name__ == "__main__":
    main()
