"""``python -m tests.interop.capture PORT…``: print what comes in as "port nanoseconds hex".

Run in the switch's namespace, with the ports of the hosts: the port says who sent a frame, which
its hardware address does not: FRR's routers share one. Only VRRP, ARP and ICMPv6 are printed.
"""

from __future__ import annotations

import socket
import sys
import time

_ETH_P_ALL = 0x0003
_VRRP, _ICMPV6 = 112, 58


def main() -> None:
    """Capture until killed."""
    ports = frozenset(sys.argv[1:])
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    print("ready", flush=True)
    while True:
        frame, (port, _, kind, *_) = wire.recvfrom(2048)
        if port in ports and kind != socket.PACKET_OUTGOING and _is_wanted(frame):
            print(port, time.time_ns(), frame.hex(), flush=True)


def _is_wanted(frame: bytes) -> bool:
    match frame[12:14]:
        case b"\x08\x06":
            return True
        case b"\x08\x00":
            return frame[23] == _VRRP
        case b"\x86\xdd":
            return frame[20] in (_VRRP, _ICMPV6)
    return False


if __name__ == "__main__":
    main()
