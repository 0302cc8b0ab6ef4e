"""``python -m tests.bench.check_target FIRST COUNT``: what health checks ask, noting when.

Listens on COUNT TCP ports from FIRST on and answers every connection with an HTTP 200 once it has
said something. A line on standard input is answered with one JSON line: the arrival times
(CLOCK_MONOTONIC nanoseconds) of each port since the last one.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import sys
import time

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class Target:
    """The ports and who came."""

    def __init__(self, first: int, count: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._arrivals: dict[int, list[int]] = {}
        for port in range(first, first + count):
            listener = socket.create_server(("127.0.0.1", port), backlog=64)
            listener.setblocking(False)
            self._selector.register(listener, selectors.EVENT_READ, port)
        self._selector.register(sys.stdin, selectors.EVENT_READ, sys.stdin)

    def run(self) -> None:
        """Serve until standard input ends."""
        print("ready", flush=True)
        while True:
            for key, _ in self._selector.select():
                if key.data is sys.stdin:
                    if not sys.stdin.readline():
                        return
                    print(json.dumps(self._arrivals), flush=True)
                    self._arrivals = {}
                    continue
                assert isinstance(key.fileobj, socket.socket)
                if key.data is not None:
                    self._accept(key.fileobj, key.data)
                else:
                    self._answer(key.fileobj)

    def _accept(self, listener: socket.socket, port: int) -> None:
        with contextlib.suppress(BlockingIOError):
            connection, _ = listener.accept()
            self._arrivals.setdefault(port, []).append(time.monotonic_ns())
            connection.setblocking(False)
            self._selector.register(connection, selectors.EVENT_READ, None)

    def _answer(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if connection.recv(4096):
                connection.sendall(_ANSWER)
        self._selector.unregister(connection)
        connection.close()


if __name__ == "__main__":
    Target(int(sys.argv[1]), int(sys.argv[2])).run()
