"""How the operator finds the API server."""

from __future__ import annotations

import kopf
import pytest

from vrrp_operator.api.handlers import login_of_pod


@pytest.mark.parametrize(
    ("host", "server"),
    [("10.96.0.1", "https://10.96.0.1:6443"), ("fd00::1", "https://[fd00::1]:6443")],
)
def test_pod_finds_the_api_server_without_a_name_service(
    monkeypatch: pytest.MonkeyPatch, host: str, server: str
) -> None:
    by_name = kopf.ConnectionInfo(server="https://kubernetes.default.svc", token="t")
    monkeypatch.setattr(kopf, "login_with_service_account", lambda **_: by_name)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    login = login_of_pod({})
    assert login is not None
    assert (login.server, login.token) == (server, "t")


def test_outside_a_pod_there_is_no_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kopf, "login_with_service_account", lambda **_: None)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    assert login_of_pod({}) is None
