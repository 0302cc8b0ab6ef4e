"""/metrics, /healthz and /readyz, and addresses that cannot be served."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
import urllib3
from prometheus_client import CollectorRegistry, Gauge

from vrrp_http import MetricsAddressError, serve


@pytest.fixture
def url() -> Iterator[str]:
    registry = CollectorRegistry()
    Gauge("answer", "Forty-two.", registry=registry).set(42)
    server = serve(
        "127.0.0.1:0", registry, lambda: (True, "ok"), lambda: (False, "configuration: none yet")
    )
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/metrics", 200, "answer 42.0"),
        ("/healthz", 200, "ok"),
        ("/readyz", 503, "configuration: none yet"),
        ("/other", 404, "not found"),
    ],
)
def test_paths(url: str, path: str, status: int, body: str) -> None:
    answer = urllib3.request("GET", url + path)
    assert answer.status == status
    assert body in answer.data.decode()


@pytest.mark.parametrize(
    "address", ["", "9105", "localhost", "127.0.0.1:x", "127.0.0.1:99999", "192.0.2.1", "::1"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(MetricsAddressError, match="accepted: "):
        serve(address, CollectorRegistry(), lambda: (True, ""), lambda: (True, ""))


def test_port_in_use_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(MetricsAddressError) as refused:
            serve(address, CollectorRegistry(), lambda: (True, ""), lambda: (True, ""))
    assert str(refused.value) == (
        f"metrics address {address} cannot be used: Address already in use"
    )
