"""What a cluster's VirtualIPs are doing, as a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from rich.table import Table
from urllib3.exceptions import HTTPError

from vrrp_api import API_VERSION


class ClusterError(Exception):
    """The cluster cannot be asked; the message says why."""


def read_virtual_ips(kubeconfig: str | None, context: str | None) -> list[Mapping[str, Any]]:
    """Return every VirtualIP of the cluster.

    Raises:
        ClusterError: no usable kubeconfig, or the API server refuses.
    """
    try:
        config.load_kube_config(kubeconfig, context=context)
        api = client.ApiClient()
        request = api.param_serialize(
            "GET",
            f"/apis/{API_VERSION}/virtualips",
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
        )
        response = api.call_api(*request, _request_timeout=10)
        data = response.read()
    except (config.ConfigException, ApiException, HTTPError, OSError) as error:
        raise ClusterError(str(error)) from error
    if response.status != 200:
        raise ClusterError(f"{response.status}: {data[:300].decode(errors='replace')}")
    items: list[Mapping[str, Any]] = json.loads(data)["items"]
    return items


def status_table(virtual_ips: list[Mapping[str, Any]]) -> Table:
    """Return a table with a row for each VirtualIP and node."""
    table = Table("VIRTUAL IP", "ADDRESS", "READY", "NODE", "STATE", "PRIORITY", "FAULTS", box=None)
    for obj in virtual_ips:
        status = obj.get("status") or {}
        ready: Mapping[str, Any] = next(
            (c for c in status.get("conditions", ()) if c["type"] == "Ready"), {}
        )
        lead = [
            obj["metadata"]["name"],
            ", ".join(status.get("addresses", ())),
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
