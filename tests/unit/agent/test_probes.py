"""Probes against real servers on the loopback interface."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from vrrp_api.check_kinds import HttpCheck, TcpCheck
from vrrp_api.health_check import HealthCheck
from vrrp_speaker.agent.checks.probes import run_probe


class _Handler(BaseHTTPRequestHandler):
    seen: ClassVar[dict[str, str]] = {}

    def do_GET(self) -> None:
        _Handler.seen = dict(self.headers)
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/200")
        elif self.path == "/slow":
            threading.Event().wait(2)
            self.send_response(200)
        else:
            self.send_response(int(self.path[1:]))
        self.end_headers()
        self.wfile.write(b"status: green")

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_address[1]}"
    made.shutdown()


def http(
    url: str,
    statuses: tuple[tuple[int, int], ...] = ((200, 399),),
    body: str | None = None,
    headers: tuple[tuple[str, str], ...] = (),
    timeout_ms: int = 1000,
) -> tuple[bool, str]:
    kind = HttpCheck(url, "GET", headers, statuses, body, False)
    return run_probe(HealthCheck("c", 1, kind, 10**9, timeout_ms * 10**6, 1, 1, 0))


def tcp(address: str) -> tuple[bool, str]:
    return run_probe(HealthCheck("c", 1, TcpCheck(address), 10**9, 10**9, 1, 1, 0))


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def test_status_is_compared_with_the_ranges(server: str) -> None:
    assert http(f"{server}/200") == (True, "")
    assert http(f"{server}/503") == (False, "status 503")
    assert http(f"{server}/503", statuses=((200, 299), (503, 503))) == (True, "")


def test_redirect_is_an_answer_and_not_followed(server: str) -> None:
    assert http(f"{server}/moved") == (True, "")
    assert http(f"{server}/moved", statuses=((200, 200),)) == (False, "status 302")


def test_body_must_hold_the_text(server: str) -> None:
    assert http(f"{server}/200", body="green") == (True, "")
    assert http(f"{server}/200", body="red") == (False, "body does not contain 'red'")


def test_headers_are_sent(server: str) -> None:
    http(f"{server}/200", headers=(("X-Probe", "vrrp"),))
    assert _Handler.seen["X-Probe"] == "vrrp"


def test_slow_server_times_out(server: str) -> None:
    assert http(f"{server}/slow", timeout_ms=100) == (False, "timed out")


def test_nobody_listening_is_refused() -> None:
    port = unused_port()
    assert http(f"http://127.0.0.1:{port}/") == (False, "Connection refused")
    assert tcp(f"127.0.0.1:{port}") == (False, "Connection refused")


def test_tcp_passes_when_accepted(server: str) -> None:
    assert tcp(server.removeprefix("http://")) == (True, "")


def test_unknown_host_is_a_failure_and_no_crash() -> None:
    passed, message = tcp("host.invalid:80")
    assert not passed
    assert message
