"""An API server that answers as a test wants, over real sockets."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from typing import Any

EMPTY_LIST = b'{"items": [], "metadata": {"resourceVersion": "7"}}'
BROKEN = b"broken"
"""In a watch: the connection ends here, in the middle."""
SILENT = b"silent"
"""In a watch: nothing comes any more, until the server is stopped."""


class ApiServer(ThreadingHTTPServer):
    """Remembers requests; what it answers may be changed at any time."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int = 0, tls: tuple[Path, Path] | None = None) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.scheme = "http"
        if tls is not None:
            self.scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.port: int = self.server_address[1]
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.status = 200
        self.watch_status = 200
        self.answer: bytes | Callable[[str], bytes] = EMPTY_LIST
        self.token: str | None = None
        self.stopped = threading.Event()
        self._watches: SimpleQueue[tuple[bytes, ...]] = SimpleQueue()
        self._connections: list[socket.socket] = []
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def watch(self, *chunks: bytes) -> None:
        """Answer one watch with these chunks; a watch waits until there is something for it."""
        self._watches.put(chunks)

    def next_watch(self) -> tuple[bytes, ...]:
        return self._watches.get()

    def paths(self, part: str) -> list[str]:
        """Return the paths asked for that contain this."""
        return [path for _, path, _, _ in list(self.requests) if part in path]

    def stop(self) -> None:
        """End, connections and all; a server at the same port may follow."""
        self.stopped.set()
        self.shutdown()
        self.server_close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._connections.append(connection)
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ApiServer

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server = self.server
        server.requests.append((self.command, self.path, dict(self.headers), body))
        if server.token and self.headers.get("Authorization") != f"Bearer {server.token}":
            self._answer(401, b"Unauthorized")
        elif "watch=1" in self.path and server.watch_status == server.status == 200:
            self._watch(server.next_watch())
        elif "watch=1" in self.path:
            self._answer(max(server.watch_status, server.status), b"refused")
        else:
            answer = server.answer
            text = answer if isinstance(answer, bytes) else answer(self.path)
            self._answer(server.status, text)

    def _answer(self, status: int, answer: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _watch(self, chunks: tuple[bytes, ...]) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in (*chunks, b""):
            if chunk == BROKEN:
                self.close_connection = True
                return
            if chunk == SILENT:
                self.server.stopped.wait()
                self.close_connection = True
                return
            self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")

    do_GET = do_PATCH = _serve

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""
