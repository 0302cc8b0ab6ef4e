"""/metrics, /healthz and /readyz, for a kubelet and a Prometheus among whoever else connects."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

Verdict = Callable[[], tuple[bool, str]]
"""Whether all is well, and what is not."""

_MOST_CONNECTIONS = 32
_IDLE_S = 5.0
_DAY_S = 86_400.0
_ROOM_S = 1.0
"""How long a newcomer waits for the end of the connection that makes room for it."""
_IP_FREEBIND = 15
"""An option of ip(7) that the socket module has no name for."""


class MetricsAddressError(Exception):
    """The metrics address cannot be used; the message is one line for the user."""


def serve(
    bind_address: str, registry: CollectorRegistry, healthy: Verdict, ready: Verdict
) -> ThreadingHTTPServer:
    """Serve in threads of its own, 32 connections at a time; return the server.

    Args:
        bind_address: ``ADDRESS:PORT``; ``[::]:PORT`` and ``:PORT`` are both families. An address
            that the node does not have yet is served once it has it.
        registry: what /metrics tells.
        healthy: asked by /healthz.
        ready: asked by /readyz.

    Raises:
        MetricsAddressError: not an address, or in use; nothing was started.
    """
    host, port = _parse(bind_address)

    class Handler(_Handler):
        def do_GET(self) -> None:
            match urlsplit(self.path).path:
                case "/metrics":
                    self.answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
                case "/healthz":
                    self.answer_verdict(healthy)
                case "/readyz":
                    self.answer_verdict(ready)
                case _:
                    self.answer(404, "text/plain", b"not found\n")

    try:
        server = _bound(host, port, Handler)
    except OSError as error:
        raise MetricsAddressError(
            f"metrics address {bind_address} cannot be used: {error.strerror}"
        ) from error
    # Who waits for connections has nothing to look for in between.
    threading.Thread(target=server.serve_forever, args=(_DAY_S,), name="http", daemon=True).start()
    return server


class _Handler(BaseHTTPRequestHandler):
    timeout = _IDLE_S

    def answer_verdict(self, verdict: Verdict) -> None:
        good, message = verdict()
        self.answer(200 if good else 503, "text/plain", f"{message}\n".encode())

    def answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Scrapes are not news."""


class _Server(ThreadingHTTPServer):
    """A thread for each connection and a bound on them: of too many the oldest has to go.

    Whoever connects and says nothing would otherwise keep out the kubelet, which then restarts the
    speaker.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, family: socket.AddressFamily, address: tuple[str, int], handler: Any):
        self.address_family = family
        self._room = threading.Semaphore(_MOST_CONNECTIONS)
        self._open: dict[socket.socket, None] = {}
        self._lock = threading.Lock()
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Bind, also to an address that comes later, as a node's own may at boot."""
        self.socket.setsockopt(socket.SOL_IP, _IP_FREEBIND, 1)
        if self.address_family is socket.AF_INET6:
            both = self.server_address[0] == "::"
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        TCPServer.server_bind(self)  # HTTPServer's asks the DNS for the host's name
        self.server_name, self.server_port = "", self.server_address[1]

    def shutdown(self) -> None:
        """Take no more connections; whoever waits for one is woken."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        super().shutdown()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve one connection in its own thread."""
        if not self._room.acquire(blocking=False):
            self._end_oldest()
            if not self._room.acquire(timeout=_ROOM_S):
                super().shutdown_request(request)
                return
        with self._lock:
            self._open[request] = None
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no more threads on this machine
            self._ended(request)
            super().shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve, and make room again."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._ended(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever hangs up before it is answered is no news."""

    def _ended(self, request: socket.socket) -> None:
        with self._lock:
            self._open.pop(request, None)
        self._room.release()

    def _end_oldest(self) -> None:
        with self._lock:
            oldest = next(iter(self._open), None)
            if oldest is not None:
                del self._open[oldest]
        if oldest is not None:
            with contextlib.suppress(OSError):
                oldest.shutdown(socket.SHUT_RDWR)


def _bound(host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> _Server:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return _Server(family, (host, port), handler)
    except OSError:
        if host != "::" or socket.has_dualstack_ipv6():
            raise
        return _Server(socket.AF_INET, ("0.0.0.0", port), handler)  # noqa: S104 - asked for


def _parse(bind_address: str) -> tuple[str, int]:
    host, _, port = bind_address.rpartition(":")
    try:
        address = str(ipaddress.ip_address(host.removeprefix("[").removesuffix("]") or "::"))
        if ":" in bind_address and port.isdecimal() and int(port) <= 65_535:
            return address, int(port)
    except ValueError:
        pass
    raise MetricsAddressError(
        f"metrics address {bind_address!r} is not an address and a port"
        " (accepted: 192.0.2.1:9105, [2001:db8::1]:9105, [::]:9105 for both families)"
    )
