"""Ready endpoints of Services by node, from EndpointSlices (pure).

An endpoint counts while it is ready, on the node that its slice names. The endpoints of a Service
are those of all its slices: one Pod is in several of them with two families or many ports, and
counts once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

SERVICE_LABEL = "kubernetes.io/service-name"

Object = Mapping[str, Any]
ReadyByNode = Mapping[str, frozenset[str]]
"""Node to its ready endpoints, by what they are."""


def service_of(slice_: Object) -> str:
    """Return the Service that an EndpointSlice belongs to, as namespace/name."""
    metadata = slice_["metadata"]
    name = (metadata.get("labels") or {}).get(SERVICE_LABEL, "")
    return f"{metadata.get('namespace', '')}/{name}"


def ready_by_node(slice_: Object) -> dict[str, frozenset[str]]:
    """Return the ready endpoints of one slice; those without a node are nobody's."""
    found: dict[str, set[str]] = {}
    for endpoint in slice_.get("endpoints") or ():
        node = endpoint.get("nodeName")
        # Absent means ready (discovery.k8s.io/v1, EndpointConditions).
        if node and (endpoint.get("conditions") or {}).get("ready", True) is not False:
            found.setdefault(node, set()).add(_identity(endpoint))
    return {node: frozenset(endpoints) for node, endpoints in found.items()}


def count_ready(slices: Iterable[ReadyByNode]) -> dict[str, int]:
    """Return how many ready endpoints each node has in all slices of a Service."""
    found: dict[str, set[str]] = {}
    for slice_ in slices:
        for node, endpoints in slice_.items():
            found.setdefault(node, set()).update(endpoints)
    return {node: len(endpoints) for node, endpoints in found.items()}


def selector(services: Iterable[str]) -> str:
    """Return the label selector of the slices of these Services.

    It says nothing of namespaces: namesakes elsewhere are few, and left out afterwards.
    """
    names = sorted({service.partition("/")[2] for service in services})
    return f"{SERVICE_LABEL} in ({','.join(names)})"


def _identity(endpoint: Object) -> str:
    target = endpoint.get("targetRef") or {}
    if target.get("uid") or target.get("name"):
        return str(target.get("uid") or target["name"])
    return ",".join(endpoint.get("addresses") or ())
