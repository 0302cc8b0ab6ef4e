"""``python -m tests.netns.capture``: print every frame of eth0 as "nanoseconds hex"."""

from __future__ import annotations

import socket
import time

_ETH_P_ALL = 0x0003


def main() -> None:
    """Capture until killed."""
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    wire.bind(("eth0", _ETH_P_ALL))
    print("ready", flush=True)
    while True:
        frame = wire.recv(2048)
        print(time.monotonic_ns(), frame.hex(), flush=True)


if __name__ == "__main__":
    main()
