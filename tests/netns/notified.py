"""``python -m tests.netns.notified ADDRESS``: be a service manager, print what it is told."""

from __future__ import annotations

import socket
import sys


def main() -> None:
    """Listen until killed; an address with a leading @ is an abstract one, of this namespace."""
    address = sys.argv[1]
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind("\0" + address[1:] if address.startswith("@") else address)
    print("listening", flush=True)
    while True:
        print(manager.recv(256).decode(), flush=True)


if __name__ == "__main__":
    main()
