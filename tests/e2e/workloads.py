"""What VirtualIPs front here: a Service on node ports, and servers on the hosts' network."""

from __future__ import annotations

import json
from typing import Any

from vrrp_lab.kubelets.images import WEB_IMAGE
from vrrp_lab.lan import INTERFACE

NODE_PORT, HOST_PORT = 30080, 8081
SERVICE, SERVICE4, SERVICE6 = "service", "192.0.2.70", "2001:db8:0:1::70"
HOST, HOST4 = "host", "192.0.2.71"


def _pod(app: str, *, host_network: bool) -> dict[str, Any]:
    port = HOST_PORT if host_network else 8080
    container = {
        "name": "web",
        "image": WEB_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "args": [f"-listen=:{port}"],
        "env": [
            {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
        "readinessProbe": {"httpGet": {"path": "/", "port": port}, "periodSeconds": 1},
    }
    return {
        "metadata": {"labels": {"app": app}},
        "spec": {
            "hostNetwork": host_network,
            "dnsPolicy": "Default",
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
        },
    }


def _workload(kind: str, app: str, *, host_network: bool, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": app},
        "spec": {
            "selector": {"matchLabels": {"app": app}},
            "template": _pod(app, host_network=host_network),
            **spec,
        },
    }


def servers() -> str:
    """Return a Deployment of two pods with a Service on a node port, and a server on each host."""
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": SERVICE},
        "spec": {
            "type": "NodePort",
            "ipFamilyPolicy": "RequireDualStack",
            "selector": {"app": SERVICE},
            "ports": [{"port": 80, "targetPort": 8080, "nodePort": NODE_PORT}],
        },
    }
    return _list(
        _workload("Deployment", SERVICE, host_network=False, replicas=2),
        _workload("DaemonSet", HOST, host_network=True),
        service,
    )


def virtual_ips() -> str:
    """Return a dual-stack VirtualIP for the Service, and one with a health check for the hosts."""
    check = {
        **_meta("HealthCheck", HOST),
        "spec": {
            "http": {"url": f"http://127.0.0.1:{HOST_PORT}/"},
            "interval": "500ms",
            "timeout": "500ms",
        },
    }
    dual_stack = [{"address": f"{SERVICE4}/24"}, {"address": f"{SERVICE6}/64"}]
    return _list(
        check,
        {**_meta("VirtualIP", SERVICE), "spec": {"addresses": dual_stack}},
        {
            **_meta("VirtualIP", HOST),
            "spec": {"addresses": [{"address": f"{HOST4}/24"}], "healthChecks": [{"name": HOST}]},
        },
    )


def many_virtual_ips(
    count: int, network: str = "192.0.2", first: int = 1
) -> tuple[str, dict[str, str]]:
    """Return so many VirtualIPs of a network, and their addresses by name."""
    addresses = {f"many-{n:03}": f"{network}.{n}" for n in range(first, first + count)}
    on = {"interface": INTERFACE}
    items = [
        {**_meta("VirtualIP", name), "spec": {"addresses": [{"address": f"{address}/24"}], **on}}
        for name, address in addresses.items()
    ]
    return _list(*items), addresses


def _meta(kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": "kube-vrrp.io/v1alpha1", "kind": kind, "metadata": {"name": name}}


def _list(*items: dict[str, Any]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(items)})
