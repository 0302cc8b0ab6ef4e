"""The HTTP server among people who connect and say nothing, and on nodes of either family."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer

import pytest
import urllib3
from prometheus_client import CollectorRegistry
from tests.eventually import eventually

from vrrp_http import serve
from vrrp_http.server import _MOST_CONNECTIONS as MOST

Start = Callable[[str], ThreadingHTTPServer]


@pytest.fixture
def start() -> Iterator[Start]:
    servers = []

    def begin(address: str) -> ThreadingHTTPServer:
        server = serve(address, CollectorRegistry(), lambda: (True, "ok"), lambda: (True, "ok"))
        servers.append(server)
        return server

    yield begin
    for server in servers:
        server.shutdown()
        server.server_close()


def healthy(host: str, port: int) -> bool:
    return urllib3.request("GET", f"http://{host}:{port}/healthz", timeout=20).data == b"ok\n"


@pytest.mark.parametrize("address", ["[::]:0", ":0"])
def test_both_families_are_served(start: Start, address: str) -> None:
    server = start(address)
    assert healthy("127.0.0.1", server.server_port)
    assert healthy("[::1]", server.server_port)


@pytest.mark.parametrize("address", ["[::1]:0", "::1:0"])
def test_an_address_of_ipv6_is_served_alone(start: Start, address: str) -> None:
    server = start(address)
    assert healthy("[::1]", server.server_port)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.server_port), timeout=20)


def test_an_address_that_the_node_does_not_have_yet_is_no_error(start: Start) -> None:
    """As a node's own at boot, or one that just moved."""
    assert start("192.0.2.77:0").server_port


def test_silent_connections_keep_nobody_out_and_are_bounded(start: Start) -> None:
    server = start("127.0.0.1:0")
    before = threading.active_count()
    with contextlib.ExitStack() as stack:
        for _ in range(5 * MOST):
            address = ("127.0.0.1", server.server_port)
            stack.enter_context(socket.create_connection(address, timeout=10))
        eventually(lambda: healthy("127.0.0.1", server.server_port), within_s=20)
        assert threading.active_count() - before <= MOST + 1
        # Those that stay are ended for their silence.
        eventually(lambda: threading.active_count() <= before + 1, within_s=30)
    assert healthy("127.0.0.1", server.server_port)
