"""The few calls to the API server, against a server that answers as it does."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.agent.api_server import BROKEN, SILENT, ApiServer

from vrrp_speaker.agent import api_client
from vrrp_speaker.agent.api_client import (
    ApiClient,
    ApiError,
    Credentials,
    KubeconfigError,
    in_cluster_credentials,
    load_kubeconfig,
)


@pytest.fixture
def server() -> Iterator[ApiServer]:
    made = ApiServer()
    yield made
    made.stop()


def test_list_asks_for_one_name(server: ApiServer) -> None:
    client = ApiClient(Credentials(server.url, token="t"))
    assert client.list_node_configs("node-1") == ([], "7")
    method, path, headers, _ = server.requests[0]
    assert (method, headers["Authorization"]) == ("GET", "Bearer t")
    assert path.endswith("/nodeconfigs?fieldSelector=metadata.name%3Dnode-1")


def test_watch_puts_lines_together_that_chunks_tear_apart(server: ApiServer) -> None:
    events: list[dict[str, Any]] = [
        {"type": "ADDED", "object": {"n": 1}},
        {"type": "BOOKMARK", "object": {"n": 2}},
    ]
    text = b"".join(json.dumps(event).encode() + b"\n" for event in events)
    server.watch(text[:5], text[5:40], text[40:])
    client = ApiClient(Credentials(server.url))
    assert list(client.watch_node_config("node-1", "7")) == events
    assert "resourceVersion=7&" in server.requests[0][1]


def test_status_is_written_as_far_as_the_kind_knows_it(server: ApiServer) -> None:
    """Kinds that were rolled back under a speaker must not silence it."""
    client = ApiClient(Credentials(server.url))
    refusal = ".status.speaker.features: field not declared in schema"

    def answer(_path: str) -> bytes:
        sent = json.loads(server.requests[-1][3])
        server.status = 500 if "features" in sent["status"]["speaker"] else 200
        return json.dumps({"message": refusal}).encode()

    server.answer = answer
    for _ in range(2):
        client.apply_status("node-1", {"speaker": {"version": "1", "features": ["A"]}})
    sent = [json.loads(body)["status"]["speaker"] for _, _, _, body in server.requests]
    assert sent == [{"version": "1", "features": ["A"]}, {"version": "1"}, {"version": "1"}]


@pytest.mark.parametrize("line", [b"not json\n", b"7\n", b"[[]]\n", b"\xff\n"])
def test_watch_of_garbage_is_an_error(server: ApiServer, line: bytes) -> None:
    server.watch(line)
    with pytest.raises(ApiError, match="watch"):
        list(ApiClient(Credentials(server.url)).watch_node_config("node-1", "7"))


def test_watch_that_breaks_off_is_an_error(server: ApiServer) -> None:
    server.watch(b'{"type": "BOOKMARK"}\n', BROKEN)
    events = ApiClient(Credentials(server.url)).watch_node_config("node-1", "7")
    assert next(events) == {"type": "BOOKMARK"}
    with pytest.raises(ApiError, match="watch"):
        next(events)


def test_watch_that_went_silent_is_an_error(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_client, "_WATCH_S", 0)
    monkeypatch.setattr(api_client, "_SILENCE_S", 0.1)
    server.watch(SILENT)
    with pytest.raises(ApiError, match="timed out"):
        list(ApiClient(Credentials(server.url)).watch_node_config("node-1", "7"))


def test_line_without_an_end_is_an_error(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_client, "_LONGEST_LINE", 1000)
    server.watch(*[b"x" * 600] * 2, SILENT)
    with pytest.raises(ApiError, match="more than 1000 bytes"):
        list(ApiClient(Credentials(server.url)).watch_node_config("node-1", "7"))


def test_kernel_asks_whether_the_server_is_still_there(server: ApiServer) -> None:
    """A watch whose server moved away with its address would wait for its time to be over."""
    server.watch(b'{"type": "BOOKMARK"}\n', SILENT)
    events = ApiClient(Credentials(server.url)).watch_node_config("node-1", "7")
    next(events)
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    timers = [row[5] for row in rows if row[2].endswith(f":{server.port:04X}") and row[3] == "01"]
    assert [timer[:2] for timer in timers] == ["02"]  # proc(5): the timer of keepalive runs
    assert int(timers[0][3:], 16) <= 500  # hundredths of a second


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b"{}", b'{"status": 7}'])
def test_status_is_written_whatever_the_answer_says(server: ApiServer, answer: bytes) -> None:
    server.answer = answer
    assert ApiClient(Credentials(server.url)).apply_status("node-1", {}) == {}


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b"{}", b'{"items": [7], "metadata": {}}'])
def test_answer_that_is_no_list_is_an_error(server: ApiServer, answer: bytes) -> None:
    server.answer = answer
    with pytest.raises(ApiError, match="no list in the answer"):
        ApiClient(Credentials(server.url)).list_node_configs(None)


def test_status_is_applied_server_side(server: ApiServer) -> None:
    server.answer = b'{"metadata": {}, "status": {"heartbeatTime": "now", "more": 1}}'
    there = ApiClient(Credentials(server.url)).apply_status("node-1", {"heartbeatTime": "now"})
    assert there == {"heartbeatTime": "now", "more": 1}
    method, path, headers, body = server.requests[0]
    assert method == "PATCH"
    assert path.endswith("/nodeconfigs/node-1/status?fieldManager=kube-vrrp-speaker&force=true")
    assert headers["Content-Type"] == "application/apply-patch+yaml"
    assert json.loads(body)["status"] == {"heartbeatTime": "now"}


def test_lease_is_renewed_by_one_request(server: ApiServer) -> None:
    ApiClient(Credentials(server.url)).renew_lease("ours", "node-1", "now")
    ((method, path, headers, body),) = server.requests
    assert (method, headers["Content-Type"]) == ("PATCH", "application/merge-patch+json")
    assert path == (
        "/apis/coordination.k8s.io/v1/namespaces/ours/leases/node.node-1"
        "?fieldManager=kube-vrrp-speaker"
    )
    assert json.loads(body)["spec"]["renewTime"] == "now"
    assert json.loads(body)["metadata"] == {"labels": {"kube-vrrp.io/heartbeat": "node"}}


def test_rotated_token_is_used_at_once(server: ApiServer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    client = ApiClient(Credentials(server.url, token_path=token))
    for value in ("one", "two"):
        token.write_text(f"{value}\n")
        client.list_node_configs(None)
    sent = [headers["Authorization"] for _, _, headers, _ in server.requests]
    assert sent == ["Bearer one", "Bearer two"]


def test_token_that_is_refused_is_tried_until_it_is_renewed(
    server: ApiServer, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    client = ApiClient(Credentials(server.url, token_path=token))
    server.token = "new"
    with pytest.raises(ApiError) as refused:
        client.list_node_configs(None)
    assert refused.value.status == 401
    token.write_text("new")
    client.list_node_configs(None)


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Return a new self-signed certificate for 127.0.0.1 and its key."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext"),
            *("subjectAltName=IP:127.0.0.1", "-out", str(certificate), "-keyout", str(key)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


def test_authority_that_is_replaced_in_its_file_is_used(tmp_path: Path) -> None:
    trusted = tmp_path / "ca.crt"
    client, port = None, 0
    for name in ("first", "second"):
        certificate, key = make_certificate(tmp_path, name)
        server = ApiServer(port, tls=(certificate, key))
        port = server.port
        client = client or ApiClient(Credentials(server.url, ca=str(trusted)))
        if name == "second":
            with pytest.raises(ApiError, match="certificate"):
                client.list_node_configs(None)
        trusted.write_bytes(certificate.read_bytes())
        client.list_node_configs(None)
        server.stop()


def kubeconfig(url: str) -> str:
    return KUBECONFIG.replace("https://192.0.2.1:6443/", url) % ""


def test_kubeconfig_that_is_replaced_is_used_once_the_old_one_fails(
    server: ApiServer, tmp_path: Path
) -> None:
    path, other = tmp_path / "config", ApiServer()
    path.write_text(kubeconfig(other.url))
    client = ApiClient(load_kubeconfig(str(path)), path)
    path.write_text(kubeconfig(server.url))
    client.list_node_configs(None)
    assert len(other.requests) == 1
    other.stop()
    with pytest.raises(ApiError):
        client.list_node_configs(None)
    client.list_node_configs(None)
    assert len(server.requests) == 1


def test_kubeconfig_that_is_damaged_or_gone_changes_nothing(
    server: ApiServer, tmp_path: Path
) -> None:
    path = tmp_path / "config"
    path.write_text(kubeconfig(server.url))
    client = ApiClient(load_kubeconfig(str(path)), path)
    server.status = 401
    path.write_text("{ torn")
    for _ in range(2):
        with pytest.raises(ApiError):
            client.list_node_configs(None)
        path.unlink(missing_ok=True)
    server.status = 200
    client.list_node_configs(None)


def test_refusal_carries_its_status(server: ApiServer) -> None:
    server.status = 403
    with pytest.raises(ApiError) as refused:
        ApiClient(Credentials(server.url)).list_node_configs(None)
    assert refused.value.status == 403


def test_unreachable_server_is_an_error_without_status(server: ApiServer) -> None:
    server.stop()
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
    assert found.ca.startswith("/proc/self/fd/"), "keys lie on a disk"
    assert load_kubeconfig(str(path)).ca == found.ca


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


@pytest.mark.parametrize(
    ("user", "cluster", "named"),
    [
        ({"exec": {"command": "token"}}, {}, r"users\[\].user.exec is not supported"),
        ({"auth-provider": {"name": "oidc"}}, {}, r"users\[\].user.auth-provider is not"),
        ({"username": "a", "password": "b"}, {}, r"users\[\].user.username is not supported"),
        ({"as": "admin"}, {}, r"users\[\].user.as is not supported \(accepted: token, "),
        ({}, {"insecure-skip-tls-verify": True}, r"insecure-skip-tls-verify is not supported"),
    ],
)
def test_kubeconfig_field_that_is_not_honoured_is_refused_by_name(
    tmp_path: Path, user: dict[str, Any], cluster: dict[str, Any], named: str
) -> None:
    with pytest.raises(KubeconfigError, match=named):
        load_kubeconfig(written(tmp_path, user, cluster))


def written(folder: Path, user: dict[str, Any], cluster: dict[str, Any]) -> str:
    server = {"server": "https://192.0.2.1:6443", **cluster}
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": server}],
        "users": [{"name": "u", "user": user}],
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    return str(path)


def test_kubeconfig_names_a_proxy_and_it_is_asked(tmp_path: Path, server: ApiServer) -> None:
    """The server's own name means nothing here: only a proxy could know it."""
    cluster = {"server": "http://api.invalid", "proxy-url": server.url}
    client = ApiClient(load_kubeconfig(written(tmp_path, {"token": "t"}, cluster)))
    assert client.list_node_configs("node-1") == ([], "7")
    assert server.requests[0][1].startswith("http://api.invalid/apis/")


def test_kubeconfig_names_whom_the_certificate_is_for(tmp_path: Path) -> None:
    found = load_kubeconfig(written(tmp_path, {"token": "t"}, {"tls-server-name": "kubernetes"}))
    assert found.server_name == "kubernetes"
