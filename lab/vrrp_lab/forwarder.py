"""Lets programs outside a namespace reach a TCP port inside it.

The listening socket was made outside and is inherited; this process lives inside and connects
there. A socket stays in the namespace it was made in, so nothing else is needed.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading


def _pump(source: socket.socket, destination: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            destination.sendall(data)
    for end in (source, destination):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def _serve(connection: socket.socket, port: int) -> None:
    with connection:
        try:
            inner = socket.create_connection(("127.0.0.1", port), timeout=5)
        except OSError:
            return  # the server is stopped: the caller sees the connection close
        with inner:
            inner.settimeout(None)
            back = threading.Thread(target=_pump, args=(inner, connection), daemon=True)
            back.start()
            _pump(connection, inner)
            back.join()


def main() -> None:
    """Forward ``argv[1]`` (a listening descriptor) to local port ``argv[2]`` until killed."""
    listener = socket.socket(fileno=int(sys.argv[1]))
    port = int(sys.argv[2])
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve, args=(connection, port), daemon=True).start()


if __name__ == "__main__":
    main()
