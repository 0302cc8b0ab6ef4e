"""The few calls to the API server, against a server that answers as it does."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from vrrp_speaker.agent.api_client import (
    ApiClient,
    ApiError,
    Credentials,
    KubeconfigError,
    in_cluster_credentials,
    load_kubeconfig,
)


class ApiServer(ThreadingHTTPServer):
    """Remembers requests; answers what the test asks for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.status = 200
        self.chunks: list[bytes] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ApiServer

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests.append((self.command, self.path, dict(self.headers), body))
        self.send_response(self.server.status)
        if "watch=1" in self.path:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for chunk in [*self.server.chunks, b""]:
                self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            return
        answer = b'{"items": [], "metadata": {"resourceVersion": "7"}}'
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PATCH = _serve

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[ApiServer]:
    made = ApiServer()
    yield made
    made.shutdown()
    made.server_close()


def test_list_asks_for_one_name(server: ApiServer) -> None:
    listed = ApiClient(Credentials(server.url, token="t")).list_node_configs("node-1")
    assert listed["metadata"]["resourceVersion"] == "7"
    method, path, headers, _ = server.requests[0]
    assert (method, headers["Authorization"]) == ("GET", "Bearer t")
    assert path.endswith("/nodeconfigs?fieldSelector=metadata.name%3Dnode-1")


def test_watch_puts_lines_together_that_chunks_tear_apart(server: ApiServer) -> None:
    events: list[dict[str, Any]] = [
        {"type": "ADDED", "object": {"n": 1}},
        {"type": "BOOKMARK", "object": {"n": 2}},
    ]
    text = b"".join(json.dumps(event).encode() + b"\n" for event in events)
    server.chunks = [text[:5], text[5:40], text[40:]]
    client = ApiClient(Credentials(server.url))
    assert list(client.watch_node_config("node-1", "7")) == events
    assert "resourceVersion=7&allowWatchBookmarks=true" in server.requests[0][1]


def test_watch_of_garbage_is_an_error(server: ApiServer) -> None:
    server.chunks = [b"not json\n"]
    with pytest.raises(ApiError, match="watch"):
        list(ApiClient(Credentials(server.url)).watch_node_config("node-1", "7"))


def test_status_is_applied_server_side(server: ApiServer) -> None:
    ApiClient(Credentials(server.url)).apply_status("node-1", {"heartbeatTime": "now"})
    method, path, headers, body = server.requests[0]
    assert method == "PATCH"
    assert path.endswith("/nodeconfigs/node-1/status?fieldManager=kube-vrrp-speaker&force=true")
    assert headers["Content-Type"] == "application/apply-patch+yaml"
    assert json.loads(body)["status"] == {"heartbeatTime": "now"}


def test_rotated_token_is_used_at_once(server: ApiServer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    client = ApiClient(Credentials(server.url, token_path=token))
    for value in ("one", "two"):
        token.write_text(f"{value}\n")
        client.list_node_configs(None)
    sent = [headers["Authorization"] for _, _, headers, _ in server.requests]
    assert sent == ["Bearer one", "Bearer two"]


def test_refusal_carries_its_status(server: ApiServer) -> None:
    server.status = 403
    with pytest.raises(ApiError) as refused:
        ApiClient(Credentials(server.url)).list_node_configs(None)
    assert refused.value.status == 403


def test_unreachable_server_is_an_error_without_status(server: ApiServer) -> None:
    server.server_close()
    server.shutdown()
    with pytest.raises(ApiError) as unreachable:
        ApiClient(Credentials(server.url)).list_node_configs(None)
    assert unreachable.value.status == 0


def test_missing_token_file_is_an_api_error(server: ApiServer, tmp_path: Path) -> None:
    client = ApiClient(Credentials(server.url, token_path=tmp_path / "absent"))
    with pytest.raises(ApiError):
        client.list_node_configs(None)


KUBECONFIG = """
current-context: c
contexts: [{name: c, context: {cluster: k, user: u}}]
clusters: [{name: k, cluster: {server: "https://192.0.2.1:6443/", %s}}]
users: [{name: u, user: {token: secret}}]
"""


def test_kubeconfig_in_yaml_with_inline_certificate(tmp_path: Path) -> None:
    data = base64.b64encode(b"PEM").decode()
    path = tmp_path / "config"
    path.write_text(KUBECONFIG % f"certificate-authority-data: {data}")
    found = load_kubeconfig(str(path))
    assert (found.server, found.token) == ("https://192.0.2.1:6443", "secret")
    assert found.ca is not None
    assert Path(found.ca).read_bytes() == b"PEM"


@pytest.mark.parametrize("text", ["", "{", "[]", "a: b", KUBECONFIG.replace("name: k", "name: x")])
def test_unusable_kubeconfig_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(KubeconfigError, match=f"kubeconfig {path}"):
        load_kubeconfig(str(path))


def test_outside_a_pod_there_is_no_service_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(KubeconfigError, match="not in a pod"):
        in_cluster_credentials()


def test_ipv6_service_host_is_bracketed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    assert in_cluster_credentials().server == "https://[fd00::1]:443"
