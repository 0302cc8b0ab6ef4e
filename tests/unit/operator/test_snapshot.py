"""What a snapshot takes from objects beside their specs: annotations and taints."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.operator.cluster import virtual_ip

from vrrp_operator.model.nodes import node_value
from vrrp_operator.model.snapshot import virtual_ip_record


def node(
    annotations: dict[str, str] | None = None, taints: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    spec: dict[str, Any] = {} if taints is None else {"taints": taints}
    metadata: dict[str, Any] = {"name": "node-1"}
    if annotations is not None:
        metadata["annotations"] = annotations
    return {"metadata": metadata, "spec": spec}


@pytest.mark.parametrize(
    "obj",
    [
        node({"kube-vrrp.io/maintenance": "true", "other": "x"}),
        node(taints=[{"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}]),
        node(taints=[{"key": "node.kubernetes.io/out-of-service", "effect": "NoSchedule"}]),
        node(
            taints=[
                {"key": "other", "effect": "NoSchedule"},
                {"key": "node.cloudprovider.kubernetes.io/shutdown", "effect": "NoSchedule"},
            ]
        ),
    ],
)
def test_maintenance_and_two_taints_put_a_node_out_of_service(obj: dict[str, Any]) -> None:
    assert node_value(obj).out_of_service


@pytest.mark.parametrize(
    "obj",
    [
        {"metadata": {"name": "node-1"}},
        node({}, []),
        node({"kube-vrrp.io/maintenance": "false"}),
        node({"kube-vrrp.io/maintenance": ""}),
        node(taints=[{"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}]),
        # What `kubectl cordon` leaves behind.
        {
            "metadata": {"name": "node-1"},
            "spec": {
                "unschedulable": True,
                "taints": [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}],
            },
        },
    ],
)
def test_nothing_else_does_and_cordon_least_of_all(obj: dict[str, Any]) -> None:
    assert not node_value(obj).out_of_service


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        (None, None),
        ({}, None),
        ({"kube-vrrp.io/handover-to": ""}, None),
        ({"kube-vrrp.io/handover-to": "node-2"}, "node-2"),
    ],
)
def test_handover_to_is_what_the_annotation_names(
    annotations: dict[str, str] | None, expected: str | None
) -> None:
    obj = virtual_ip("a")
    obj["metadata"]["annotations"] = annotations
    assert virtual_ip_record(obj).handover_to == expected
