"""The cluster's API server, as the commands use it; and its VirtualIPs as a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from rich.table import Column, Table
from urllib3.exceptions import HTTPError

from vrrp_api import API_VERSION
from vrrp_api.virtual_ip import asked_addresses

Object = Mapping[str, Any]
_VIRTUAL_IPS = f"/apis/{API_VERSION}/virtualips"
_NODES = "/api/v1/nodes"
_TIMEOUT_S = 10


class ClusterError(Exception):
    """The cluster cannot be asked, or refuses; the message says why."""


class Cluster:
    """The cluster that a kubeconfig names, with the rights of its user.

    Raises:
        ClusterError: from every method: no usable kubeconfig, or the API server refuses.
    """

    def __init__(self, kubeconfig: str | None, context: str | None) -> None:
        try:
            config.load_kube_config(kubeconfig, context=context)
        except (config.ConfigException, OSError) as error:
            raise ClusterError(str(error)) from error
        self._api = client.ApiClient()

    def virtual_ips(self) -> list[Object]:
        """Return every VirtualIP."""
        items: list[Object] = self._call("GET", _VIRTUAL_IPS)["items"]
        return items

    def virtual_ip(self, name: str) -> Object:
        """Return one VirtualIP."""
        found: Object = self._call("GET", f"{_VIRTUAL_IPS}/{quote(name, safe='')}")
        return found

    def annotate_virtual_ip(self, name: str, key: str, value: str | None) -> None:
        """Set an annotation of a VirtualIP; None removes it."""
        self._annotate(f"{_VIRTUAL_IPS}/{quote(name, safe='')}", key, value)

    def annotate_node(self, name: str, key: str, value: str | None) -> None:
        """Set an annotation of a Node; None removes it."""
        self._annotate(f"{_NODES}/{quote(name, safe='')}", key, value)

    def _annotate(self, path: str, key: str, value: str | None) -> None:
        self._call("PATCH", path, {"metadata": {"annotations": {key: value}}})

    def _call(self, method: str, path: str, body: Object | None = None) -> Any:
        request = self._api.param_serialize(
            method,
            path,
            header_params={
                "Accept": "application/json",
                "Content-Type": "application/merge-patch+json",
            },
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            response = self._api.call_api(*request, _request_timeout=_TIMEOUT_S)
            data = response.read()
        except (ApiException, HTTPError, OSError) as error:
            raise ClusterError(str(error)) from error
        if response.status != 200:
            raise ClusterError(f"{method} {path}: {response.status} {_reason(data)}")
        return json.loads(data)


def _reason(data: bytes) -> str:
    """Return what the API server says of a request it refuses."""
    text = data.decode(errors="replace")
    try:
        return str(json.loads(text)["message"])
    except (ValueError, LookupError, TypeError):
        return text[:300]


def find_condition(virtual_ip: Object, kind: str) -> Mapping[str, str]:
    """Return a condition of a VirtualIP object; empty while it has none of that type."""
    conditions = (virtual_ip.get("status") or {}).get("conditions") or ()
    return next((c for c in conditions if c["type"] == kind), {})


def status_table(virtual_ips: list[Object]) -> Table:
    """Return a table with a row for each VirtualIP and node."""
    heads = ("VIRTUAL IP", "ADDRESS", "READY", "NODE", "STATE", "PRIORITY", "FAULTS")
    table = Table(*(Column(head, overflow="fold") for head in heads), box=None)
    for obj in virtual_ips:
        status = obj.get("status") or {}
        ready = find_condition(obj, "Ready")
        lead = [
            obj["metadata"]["name"],
            ", ".join(status.get("addresses") or asked_addresses(obj)),
            f"{ready.get('status', 'Unknown')} ({ready.get('reason', '')})",
        ]
        for node in status.get("nodes") or [{}]:
            table.add_row(
                *lead,
                node.get("node", ""),
                node.get("state", ""),
                str(node.get("effectivePriority", "")),
                "; ".join(node.get("faults", ())),
            )
            lead = ["", "", ""]
    return table
