"""Bounds of the three schemas: all that users may write fits NodeConfig; statuses are bounded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from tests.chart.bounds import schemas

from vrrp_api.bounds import (
    HEALTH_CHECK_STATUS,
    NODE_CONFIG_SPEC,
    NODE_CONFIG_STATUS,
    VIRTUAL_IP_STATUS,
    bounded,
    violations,
)
from vrrp_api.node_config import MOST_CHECKS, parse_node_config
from vrrp_operator.model.snapshot import Node, take_snapshot
from vrrp_operator.plan.planner import plan

Schema = Mapping[str, Any]
SCHEMAS = schemas()
ROUTER = SCHEMAS["NodeConfig"]["properties"]["spec"]["properties"]["virtualRouters"]["items"]
CHECK = SCHEMAS["NodeConfig"]["properties"]["spec"]["properties"]["healthChecks"]["items"]
UPPER = ("maxLength", "maxItems", "maximum", "maxProperties")
LOWER = ("minLength", "minItems", "minimum")
DECIDED = {
    "VirtualIP": {
        # What the operator decides from, and nodes are not told.
        *("candidates", "nodePriorities", "nodeSelector", "preferredNodes", "suspend"),
        "virtualRouterID",
        # Nodes are told the weight that counts.
        "healthChecks[].onFailure",
        "healthChecks[].weight",
        "healthChecks[].reverse",
        # Nodes are told its former form.
        "conflictPolicy",
    },
    # Written anew, in the shortest form: 3599s999999999ns; and in the former form.
    "HealthCheck": {"interval", "timeout", "onFailure", "process.match"},
}
FORMER = {"authentication.keyName": "authentication.keyRef", "http.tls.caName": "http.tls.caRef"}
"""Names that operator and speakers still have for what users call otherwise."""


def walk(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Yield every part of a schema with its path."""
    yield path, schema
    for name, part in schema.get("properties", {}).items():
        yield from walk(part, f"{path}.{name}" if path else name)
    if "items" in schema:
        yield from walk(schema["items"], f"{path}[]")


@pytest.mark.parametrize(("kind", "target"), [("VirtualIP", ROUTER), ("HealthCheck", CHECK)])
def test_node_config_has_room_for_all_that_users_may_write(kind: str, target: Schema) -> None:
    known = dict(walk(target))
    for path, schema in walk(SCHEMAS[kind]["properties"]["spec"]):
        if any(path == d or path.startswith((f"{d}.", f"{d}[")) for d in DECIDED[kind]):
            continue
        named = FORMER.get(path, path)
        assert named in known, f"NodeConfig does not know {kind}.spec.{path}"
        room = known[named]
        assert room.get("type") == schema.get("type"), path
        for bound in UPPER:
            assert schema.get(bound, 0) <= room.get(bound, schema.get(bound, 0)), (path, bound)
            if bound in room:
                # A list of as many addresses as there may be, and so on: both say how many.
                closed = bound in schema or "enum" in schema or "pattern" in schema
                assert closed, f"{kind}.spec.{path} has no {bound}, NodeConfig has"
        for bound in LOWER:
            assert room.get(bound, 0) <= max(0, schema.get(bound, 0)) or bound == "minimum", path
        if "minimum" in room:
            assert room["minimum"] <= schema["minimum"], path
        if "enum" in room:
            assert set(schema["enum"]) <= set(room["enum"]), path


def test_as_many_elections_and_checks_fit_as_there_may_be() -> None:
    spec = SCHEMAS["NodeConfig"]["properties"]["spec"]["properties"]
    of_user = SCHEMAS["VirtualIP"]["properties"]["spec"]["properties"]
    elections = spec["virtualRouters"]["maxItems"]
    assert elections == of_user["virtualRouterID"]["maximum"]
    assert spec["virtualRouters"]["items"]["properties"]["name"]["maxLength"] == 253
    most = elections * of_user["healthChecks"]["maxItems"]
    assert spec["healthChecks"]["maxItems"] == most == MOST_CHECKS
    assert ROUTER["properties"]["peers"]["maxItems"] == of_user["candidates"]["maximum"] - 1


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_every_text_and_list_of_a_status_is_bounded(kind: str) -> None:
    for path, schema in walk(SCHEMAS[kind]["properties"]["status"]):
        bounded_by_itself = "enum" in schema or schema.get("format") == "date-time"
        if schema["type"] == "string":
            assert "maxLength" in schema or bounded_by_itself, f"{kind}.status.{path}"
        if schema["type"] == "array":
            assert "maxItems" in schema, f"{kind}.status.{path}"


def largest_virtual_ip(name: str, vrid: int) -> dict[str, Any]:
    """Return a VirtualIP that is at its bounds wherever it can be."""
    addresses = [
        {"address": f"fd00:{vrid:x}:1111:2222:3333:4444:5555:{n:x}/128", "interface": "e" * 15}
        for n in range(1, 65)
    ]
    return {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "VirtualIP",
        "metadata": {"name": name, "uid": name, "generation": 1},
        "spec": {
            "addresses": addresses,
            "interface": "e" * 15,
            "candidates": 64,
            "downAdvertisements": 100,
            "advertisementInterval": "40.95s",
            "transport": {"ttl": {"send": 1, "acceptMinimum": 1}},
            "preemption": {"delay": "999s999999999ns"},
            "authentication": {"type": "HMAC", "keyRef": "k" * 63, "mode": "ReceiveOnly"},
            "announcements": {"burst": 100, "repeatAfter": "3599.999999999s", "refresh": "1h"},
            "healthChecks": [{"name": check_name(n), "weight": -254} for n in range(16)],
        },
    }


def check_name(number: int) -> str:
    return f"{number:02}" + "c" * 251


def largest_check(number: int) -> dict[str, Any]:
    headers = [{"name": f"{n:02}" + "H" * 254, "value": "v" * 512} for n in range(16)]
    late = {"timeout": "59m59.999999999s"}
    kinds: list[dict[str, Any]] = [
        {"http": {"url": "http://h/" + "u" * 2039, "headers": headers}, **late},
        {"process": {"name": "p" * 4096, "minimum": 0, "maximum": 65535}},
        {"exec": {"script": "s" * 128, "args": ["a" * 1024] * 16}, **late},
        {"nodeCondition": {"type": "t" * 316, "status": "Unknown"}},
        {"service": {"namespace": "n" * 63, "name": "s" * 63}},
    ]
    return {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "HealthCheck",
        "metadata": {"name": check_name(number), "uid": str(number), "generation": 1},
        "spec": {
            "interval": "59m59.999999999s",
            **kinds[number % 5],
        },
    }


def test_the_largest_objects_come_to_a_node_config_that_fits() -> None:
    odd = {"t" * 316: "whatever somebody wrote into the status of a condition", "Ready": ""}
    addresses = [f"fd01::{n:x}" for n in range(1, 30)]
    nodes = [
        Node(f"{n:03}" + "n" * 250, {}, (f"fd00::ff:{n:x}", *addresses[:15]), conditions=odd)
        for n in range(64)
    ]
    # Addresses that several nodes claim are refused: each has one of its own.
    nodes = [Node(n.name, {}, n.addresses[:1], conditions=odd) for n in nodes]
    objects = [largest_virtual_ip("v" * 253, 1)]
    planned = plan(take_snapshot(objects, [largest_check(n) for n in range(16)], nodes, {}))
    assert planned.problems == {}
    assert len(planned.configs) == 64
    config = planned.configs[nodes[0].name]
    assert len(config.virtual_routers[0].peers) == 63
    assert list(violations(NODE_CONFIG_SPEC, config.to_object()["spec"])) == []
    assert parse_node_config(config.to_object()) == config


# The table itself --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "path", "told"),
    [
        ({"node": "n" * 254}, ("node",), "has 254 characters (accepted: 1 to 253)"),
        ({"node": 7}, ("node",), "is no string"),
        ({"other": 1}, ("other",), "is no field"),
        ({"addresses": ["192.0.2.1"] * 17}, ("addresses",), "has 17 entries (accepted: 0 to 16)"),
        (
            {"healthChecks": [{"name": "c", "interval": "1s", "timeout": "1s"}] * 2},
            ("healthChecks",),
            "names name twice",
        ),
        (
            {"healthChecks": [{"name": "c", "interval": "1s"}]},
            ("healthChecks", 0, "timeout"),
            "is missing",
        ),
        (
            {"healthChecks": [{"name": "c", "interval": "1s", "timeout": "1s", "weight": 255}]},
            ("healthChecks", 0, "weight"),
            "is 255 (accepted: -254 to 254)",
        ),
        (
            {
                "healthChecks": [
                    {"name": "c", "interval": "1s", "timeout": "1s", "initialState": "Odd"}
                ]
            },
            ("healthChecks", 0, "initialState"),
            "is 'Odd' (accepted: Unknown, Failing)",
        ),
    ],
)
def test_what_does_not_fit_is_found_with_what_would(
    change: dict[str, Any], path: tuple[str | int, ...], told: str
) -> None:
    assert list(violations(NODE_CONFIG_SPEC, {"node": "node-1", **change})) == [(path, told)]


def test_texts_and_lists_of_statuses_are_cut_to_what_fits() -> None:
    long = "x" * 900_000
    router = {"name": "a", "faults": [f"CheckFailed: {long}"] * 100, "state": "Fault"}
    status = {"virtualRouters": [router], "checks": [{"name": "c", "message": long}]}
    fitting = bounded(NODE_CONFIG_STATUS, status)
    assert list(violations(NODE_CONFIG_STATUS, fitting)) == []
    assert fitting["virtualRouters"][0]["faults"][0].startswith("CheckFailed: xxx")
    assert fitting["virtualRouters"][0]["faults"][0].endswith("x…")
    for part in (VIRTUAL_IP_STATUS, HEALTH_CHECK_STATUS):
        entries = [{"node": f"node-{n}"} for n in range(5000)]
        told = bounded(part, {"nodes": entries, "conditions": []})
        assert list(violations(part, told)) == []
    assert bounded(VIRTUAL_IP_STATUS, {"activeNode": "node-1"}) == {"activeNode": "node-1"}
