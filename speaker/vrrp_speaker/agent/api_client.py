"""The few calls a speaker makes to the API server, over urllib3.

The official client costs 43 MB of memory to import; a speaker reads one object and patches its
status.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection

from vrrp_api import API_VERSION
from vrrp_api.lease import lease_name, new_lease, renewal
from vrrp_api.undeclared import Undeclared
from vrrp_speaker.agent.repeated_json import RepeatedJson

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_COLLECTION = f"/apis/{API_VERSION}/nodeconfigs"
_ROUTERS = "spec", "virtualRouters"
_FIELD_MANAGER = "kube-vrrp-speaker"
_REQUEST_TIMEOUT = urllib3.Timeout(connect=3, read=10)
_WATCH_S = 60
"""How long a watch may last."""
_SILENCE_S = 15
"""How much longer we wait for a server that should have ended it."""
_KEEPALIVE = [
    *HTTPConnection.default_socket_options,
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
]
"""A watch only receives. Whoever moved away with the address, or lost its power, says nothing: the
kernel must ask, or a minute goes by without news."""
_LONGEST_LINE = 8 << 20
"""etcd stores no object of more than some megabytes."""
_ANSWER_READ = 1000
_UNAUTHORIZED = 401
_NOT_FOUND = 404
_log = logging.getLogger(__name__)


class ApiError(Exception):
    """The API server cannot be reached, or refuses; ``status`` is 0 or the HTTP status."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class KubeconfigError(Exception):
    """The kubeconfig cannot be used; the message names file and field."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to reach the API server; ``token_path`` is read again for every request."""

    server: str
    ca: str | None = None
    token: str | None = None
    token_path: Path | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    server_name: str | None = None
    """Whom the server's certificate names; None: the host of ``server``."""
    proxy: str | None = None

    def headers(self) -> dict[str, str]:
        """Return the Authorization header; projected tokens rotate on disk."""
        token = self.token_path.read_text().strip() if self.token_path else self.token
        return {"Authorization": f"Bearer {token}"} if token else {}


def in_cluster_credentials() -> Credentials:
    """Return the pod's service account.

    Raises:
        KubeconfigError: this process is not in a pod.
    """
    host = os.environ.get("KUBERNETES_SERVICE_HOST")
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise KubeconfigError("neither --kubeconfig nor --config given, and not in a pod")
    if ":" in host:
        host = f"[{host}]"
    return Credentials(
        server=f"https://{host}:{port}",
        ca=str(_SERVICE_ACCOUNT / "ca.crt"),
        token_path=_SERVICE_ACCOUNT / "token",
    )


def load_kubeconfig(path: str) -> Credentials:
    """Return the credentials of the current context of a kubeconfig, JSON or YAML.

    Raises:
        KubeconfigError: unreadable, or without what is needed.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        config = _parse(text)
        context = _named(config["contexts"], config["current-context"])["context"]
        cluster = _named(config["clusters"], context["cluster"])["cluster"]
        user = _named(config["users"], context["user"])["user"]
        _refuse_unknown(cluster, user)
        return Credentials(
            server=cluster["server"].rstrip("/"),
            ca=_file(cluster, "certificate-authority"),
            token=user.get("token"),
            token_path=Path(user["tokenFile"]) if user.get("tokenFile") else None,
            client_certificate=_file(user, "client-certificate"),
            client_key=_file(user, "client-key"),
            server_name=cluster.get("tls-server-name"),
            proxy=cluster.get("proxy-url"),
        )
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        said = str(error) if isinstance(error, ValueError) else repr(error)
        raise KubeconfigError(f"kubeconfig {path}: {said}") from error


def _refuse_unknown(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> None:
    """Raise a ValueError for what other clients honour and this one does not."""
    accepted = {
        "users[].user": "token, tokenFile, client-certificate and client-key",
        "clusters[].cluster": "server, certificate-authority, tls-server-name and proxy-url",
    }
    unknown = {
        "users[].user": (
            user,
            ("exec", "auth-provider", "username", "password", "as", "as-groups", "as-uid"),
        ),
        "clusters[].cluster": (cluster, ("insecure-skip-tls-verify",)),
    }
    for place, (section, names) in unknown.items():
        for name in names:
            if section.get(name):
                raise ValueError(f"{place}.{name} is not supported (accepted: {accepted[place]})")


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        import yaml  # noqa: PLC0415 - 2 MB that a pod's service account does not need

        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(str(error)) from error


def _named(items: list[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    return next(item for item in items if item["name"] == name)


def _file(section: Mapping[str, Any], key: str) -> str | None:
    """Return the path of a certificate or key."""
    if section.get(key):
        return str(section[key])
    data = section.get(f"{key}-data")
    if not data:
        return None
    return _in_memory(base64.b64decode(data))


@cache
def _in_memory(data: bytes) -> str:
    """Return a path of this process's own under which data is read; no disk ever has it.

    TLS libraries want files. The same data has the same path, so reading a kubeconfig again and
    again opens no more of them.
    """
    descriptor = os.memfd_create("kubeconfig")
    os.write(descriptor, data)
    return f"/proc/self/fd/{descriptor}"


class ApiClient:
    """Reads NodeConfigs and patches the status of one.

    Tokens, certificates and authorities are read anew from their files; a ``kubeconfig`` that was
    replaced is used as soon as the server of the old one is not reached or refuses us.
    """

    def __init__(self, credentials: Credentials, kubeconfig: Path | None = None) -> None:
        self._credentials = credentials
        self._pool = _pool(credentials)
        self._kubeconfig = kubeconfig
        self._kubeconfig_text = kubeconfig.read_bytes() if kubeconfig is not None else b""
        self._undeclared = Undeclared(_tell_undeclared)
        self._json = RepeatedJson()

    def list_node_configs(self, node: str | None) -> tuple[list[Mapping[str, Any]], str]:
        """Return the NodeConfigs, of one node or a few of all, and the list's resourceVersion.

        Raises:
            ApiError: not reached, refused, or not answered with a list.
        """
        query = f"?fieldSelector=metadata.name%3D{node}" if node else "?limit=2"
        response = self._request("GET", _COLLECTION + query)
        try:
            body = self._json.loads(response.data, "items", 0, *_ROUTERS)
            return [dict(item) for item in body["items"] or ()], body["metadata"]["resourceVersion"]
        except (ValueError, KeyError, TypeError) as error:
            raise ApiError(f"GET {_COLLECTION}: no list in the answer: {error!r}") from error

    def watch_node_config(self, node: str, resource_version: str) -> Iterator[Mapping[str, Any]]:
        """Yield watch events until the server ends the watch.

        Raises:
            ApiError: not reached, refused, broken off, or silent for too long.
        """
        query = (
            f"?watch=1&fieldSelector=metadata.name%3D{node}&resourceVersion={resource_version}"
            f"&timeoutSeconds={_WATCH_S}"
        )
        timeout = urllib3.Timeout(connect=3, read=_WATCH_S + _SILENCE_S)
        response = self._request("GET", _COLLECTION + query, timeout=timeout, preload=False)
        buffer = b""
        try:
            for chunk in response.read_chunked():
                buffer += chunk
                *lines, buffer = buffer.split(b"\n")
                for line in lines:
                    yield dict(self._json.loads(line, "object", *_ROUTERS))
                if len(buffer) > _LONGEST_LINE:
                    raise ApiError(f"watch: a line of more than {_LONGEST_LINE} bytes")
        except (urllib3.exceptions.HTTPError, OSError, ValueError, TypeError) as error:
            raise ApiError(f"watch: {error}") from error
        finally:
            response.close()

    def apply_status(self, node: str, status: Mapping[str, Any]) -> Mapping[str, Any]:
        """Server-side apply the status of this node's NodeConfig, as far as its kind knows it.

        Return it as the API server says that it has it then, empty where it says something else.

        Raises:
            ApiError: not reached or refused.
        """
        body = {
            "apiVersion": API_VERSION,
            "kind": "NodeConfig",
            "metadata": {"name": node},
            "status": status,
        }
        path = f"{_COLLECTION}/{node}/status?fieldManager={_FIELD_MANAGER}&force=true"

        def apply(known: Mapping[str, Any]) -> Mapping[str, Any]:
            headers = {"Content-Type": "application/apply-patch+yaml"}
            data = json.dumps(known).encode()
            response = self._request("PATCH", path, body=data, headers=headers)
            try:
                return dict(response.json()["status"])
            except (ValueError, KeyError, TypeError):
                return {}

        return self._undeclared.applied(body, apply, time.monotonic)

    def renew_lease(self, namespace: str, node: str, time: str) -> None:
        """Renew this node's Lease, and make it where there is none; ``time`` is RFC 3339.

        Raises:
            ApiError: not reached or refused, or there is no NodeConfig that it could go with.
        """
        leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        try:
            self._request(
                "PATCH",
                f"{leases}/{lease_name(node)}?fieldManager={_FIELD_MANAGER}",
                body=json.dumps(renewal(node, time)).encode(),
                headers={"Content-Type": "application/merge-patch+json"},
            )
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise
            self._create_lease(leases, node, time)

    def _create_lease(self, leases: str, node: str, time: str) -> None:
        items, _ = self.list_node_configs(node)
        if not items:
            raise ApiError(f"POST {leases}: no NodeConfig {node}", _NOT_FOUND)
        lease = new_lease(node, time, items[0]["metadata"]["uid"])
        self._request(
            "POST",
            f"{leases}?fieldManager={_FIELD_MANAGER}",
            body=json.dumps(lease).encode(),
            headers={"Content-Type": "application/json"},
        )

    def _request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: urllib3.Timeout = _REQUEST_TIMEOUT,
        preload: bool = True,
    ) -> urllib3.BaseHTTPResponse:
        try:
            response = self._pool.request(
                method,
                self._credentials.server + path,
                body=body,
                headers={**self._credentials.headers(), **(headers or {})},
                timeout=timeout,
                preload_content=preload,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            self._renew()
            raise ApiError(f"{method} {path.partition('?')[0]}: {error}") from error
        if response.status >= 400:
            if response.status == _UNAUTHORIZED:
                self._renew()
            text = response.data[:_ANSWER_READ].decode(errors="replace")
            raise ApiError(f"{method} {path.partition('?')[0]}: {text}", response.status)
        return response

    def _renew(self) -> None:
        """Use the kubeconfig as it is now, if it was replaced."""
        if self._kubeconfig is None:
            return
        try:
            text = self._kubeconfig.read_bytes()
            if text == self._kubeconfig_text:
                return
            credentials = load_kubeconfig(str(self._kubeconfig))
        except (OSError, KubeconfigError) as error:
            _log.warning("kubeconfig not used", extra={"error": str(error)})
            return
        self._kubeconfig_text, self._credentials = text, credentials
        self._pool = _pool(credentials)
        _log.info("kubeconfig read again", extra={"server": credentials.server})


def _pool(credentials: Credentials) -> urllib3.PoolManager:
    settings: dict[str, Any] = {
        "num_pools": 1,
        "maxsize": 2,
        "ca_certs": credentials.ca,
        "cert_file": credentials.client_certificate,
        "key_file": credentials.client_key,
        "ssl_minimum_version": ssl.TLSVersion.TLSv1_2,
        "retries": False,
        "socket_options": _KEEPALIVE,
    }
    if credentials.server_name is not None:
        settings["server_hostname"] = settings["assert_hostname"] = credentials.server_name
    if credentials.proxy is not None:
        return urllib3.ProxyManager(credentials.proxy, **settings)
    return urllib3.PoolManager(**settings)


def _tell_undeclared(paths: frozenset[str]) -> None:
    said = {"fields": ", ".join(sorted(paths))}
    _log.warning("not reported: the API server's kinds are of an earlier version", extra=said)
