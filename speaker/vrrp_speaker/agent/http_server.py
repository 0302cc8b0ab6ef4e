"""/metrics, /healthz and /readyz."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from urllib.parse import urlsplit

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

Verdict = Callable[[], tuple[bool, str]]


class MetricsAddressError(Exception):
    """The metrics address cannot be used; the message is one line for the user."""


def serve(
    bind_address: str, registry: CollectorRegistry, healthy: Verdict, ready: Verdict
) -> HTTPServer:
    """Serve in threads of its own; return the server.

    Raises:
        MetricsAddressError: not an address, or in use; nothing was started.
    """
    host, port = _parse(bind_address)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            match urlsplit(self.path).path:
                case "/metrics":
                    self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
                case "/healthz":
                    self._verdict(healthy)
                case "/readyz":
                    self._verdict(ready)
                case _:
                    self._answer(404, "text/plain", b"not found\n")

        def _verdict(self, verdict: Verdict) -> None:
            good, message = verdict()
            self._answer(200 if good else 503, "text/plain", f"{message}\n".encode())

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Scrapes are not news."""

    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except OSError as error:
        raise MetricsAddressError(
            f"metrics address {bind_address} cannot be used: {error.strerror}"
        ) from error
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
    return server


def _parse(bind_address: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{bind_address}")
        host, port = parts.hostname or "0.0.0.0", parts.port  # noqa: S104 - scraped from outside
    except ValueError:
        port = None
    if port is None:
        raise MetricsAddressError(
            f"metrics address {bind_address!r} is not an address (accepted: 0.0.0.0:9105)"
        )
    return host, port
