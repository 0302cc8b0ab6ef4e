"""Former forms of users' fields: what they mean, that they are told, and when they go."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import pytest
from tests.chart.bounds import schemas
from tests.chart.crds import ROOT

from vrrp_api.check_kinds import HttpCheck, ProcessCheck
from vrrp_api.election import Authentication
from vrrp_api.errors import FieldError
from vrrp_api.former import REFUSED, REFUSED_FROM_VERSION, REFUSED_NOT_BEFORE, former_forms
from vrrp_api.health_check import check_spec, parse_health_check
from vrrp_api.node_config import NodeConfig, VirtualRouterConfig, parse_node_config, router_object
from vrrp_api.virtual_ip import CheckReference, parse_virtual_ip

HTTPS = {"url": "https://127.0.0.1/"}
TCP = {"address": "127.0.0.1:80"}
VIRTUAL_IPS: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    (
        {"authentication": {"type": "HMAC", "keyRef": "own"}},
        {"authentication": {"type": "HMAC", "keyName": "own"}},
    ),
    ({"conflictDetection": False}, {"conflictPolicy": "Ignore"}),
    ({"conflictDetection": True}, {"conflictPolicy": "Detect"}),
    ({"conflictDetection": True}, {}),
    (
        {"healthChecks": [{"name": "web", "weight": 0}]},
        {"healthChecks": [{"name": "web", "onFailure": "Fault"}]},
    ),
)
CHECKS: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    ({"tcp": TCP, "weight": 0}, {"tcp": TCP, "onFailure": "Fault"}),
    ({"tcp": TCP, "weight": 0}, {"tcp": TCP}),
    ({"http": {**HTTPS, "tls": {"caRef": "ca"}}}, {"http": {**HTTPS, "tls": {"caName": "ca"}}}),
    (
        {"process": {"name": "a b", "fullCommand": True}},
        {"process": {"name": "a b", "match": "CommandLine"}},
    ),
    ({"process": {"name": "a", "fullCommand": False}}, {"process": {"name": "a", "match": "Name"}}),
)


def obj(kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    addresses = {"addresses": [{"address": "192.0.2.50"}]} if kind == "VirtualIP" else {}
    return {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": "a"},
        "spec": {**addresses, **spec},
    }


@pytest.mark.parametrize(("former", "present"), VIRTUAL_IPS)
def test_former_form_of_a_virtual_ip_means_the_present_one_and_is_told(
    former: dict[str, Any], present: dict[str, Any]
) -> None:
    said, meant = obj("VirtualIP", former), obj("VirtualIP", present)
    assert parse_virtual_ip(said) == parse_virtual_ip(meant)
    assert (len(former_forms(said)), former_forms(meant)) == (1, ())


@pytest.mark.parametrize(("former", "present"), CHECKS)
def test_former_form_of_a_check_means_the_present_one_and_is_told(
    former: dict[str, Any], present: dict[str, Any]
) -> None:
    said, meant = obj("HealthCheck", former), obj("HealthCheck", present)
    assert parse_health_check(said) == parse_health_check(meant)
    assert (len(former_forms(said)), former_forms(meant)) == (1, ())


def test_what_is_told_names_the_field_and_what_to_write() -> None:
    references = [{"name": "db", "weight": 5}, {"name": "web", "weight": 0}]
    spec = {"authentication": {"type": "HMAC", "keyRef": "own"}, "healthChecks": references}
    assert [str(form) for form in former_forms(obj("VirtualIP", spec))] == [
        "spec.authentication.keyRef: write keyName",
        "spec.healthChecks[1].weight: write onFailure: Fault for 0",
    ]


@pytest.mark.parametrize("kind", ["VirtualIP", "HealthCheck"])
@pytest.mark.parametrize(
    "spec",
    [None, [], "text", {"authentication": 1, "http": [], "healthChecks": {"a": 1}, "process": 2},
     {"healthChecks": [None, 1, {"weight": None}], "http": {"tls": 1}}],
)  # fmt: skip
def test_what_cannot_be_read_has_no_former_forms(kind: str, spec: Any) -> None:
    assert former_forms({"kind": kind, "spec": spec}) == ()


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("VirtualIP", {"conflictPolicy": "Ignore", "conflictDetection": True}),
        ("HealthCheck", {"tcp": TCP, "onFailure": "Fault", "weight": 0}),
        ("HealthCheck", {"process": {"name": "a", "match": "CommandLine", "fullCommand": False}}),
    ],
)
def test_what_a_former_default_left_behind_gives_way_to_what_is_said(
    kind: str, spec: dict[str, Any]
) -> None:
    assert former_forms(obj(kind, spec)) == ()
    if kind == "VirtualIP":
        assert not parse_virtual_ip(obj(kind, spec)).detect_conflicts
        return
    check = parse_health_check(obj(kind, spec))
    assert check.weight == 0
    assert not isinstance(check.kind, ProcessCheck) or check.kind.full_command


def test_a_reference_says_a_fault_or_a_weight() -> None:
    said = [{"name": "a", "onFailure": "Fault"}, {"name": "b", "onFailure": "Weight", "weight": 5}]
    said += [{"name": "c", "weight": -5}, {"name": "d"}]
    references = parse_virtual_ip(obj("VirtualIP", {"healthChecks": said})).health_checks
    assert references == tuple(
        CheckReference(name, weight)
        for name, weight in (("a", 0), ("b", 5), ("c", -5), ("d", None))
    )


def test_nodes_are_told_the_former_forms_and_no_others() -> None:
    """Speakers of any version read them; what a node's file says otherwise is refused by name."""
    spec = {"healthChecks": [{"name": "web", "onFailure": "Fault"}], "conflictPolicy": "Ignore"}
    parsed = parse_virtual_ip(obj("VirtualIP", spec))
    election = parsed.election.authenticated(Authentication("HMAC", "own"))
    router = VirtualRouterConfig(
        *("a", 1, 1, None, parsed.addresses, 200, election, (), ()),
        detect_conflicts=parsed.detect_conflicts,
    )
    told = router_object(router)
    assert told["authentication"]["keyRef"] == "own"
    assert told["conflictDetection"] is False
    check = parse_health_check(obj("HealthCheck", {"http": {**HTTPS, "tls": {"caName": "ca"}}}))
    assert isinstance(check.kind, HttpCheck)
    assert check_spec(check)["http"]["tls"]["caRef"] == "ca"
    assert check_spec(check)["weight"] == 0
    process = parse_health_check(obj("HealthCheck", {"process": {"name": "a", "match": "Name"}}))
    assert check_spec(process)["process"]["fullCommand"] is False
    whole = NodeConfig("node-1", 0, (), (router,), (check, process)).to_object()
    assert parse_node_config(whole).virtual_routers == (router,)
    whole["spec"]["virtualRouters"][0]["authentication"] = {"type": "HMAC", "keyName": "own"}
    with pytest.raises(FieldError, match="keyRef"):
        parse_node_config(whole)


def _texts(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, part in schema.get("properties", {}).items():
        yield name, part.get("description", "")
        yield from _texts(part)
    if "items" in schema:
        yield from _texts(schema["items"])


def test_the_schemas_say_of_each_former_form_until_when() -> None:
    kinds = schemas()
    told = [
        name
        for kind in ("VirtualIP", "HealthCheck")
        for name, text in _texts(kinds[kind]["properties"]["spec"])
        if re.search("deprecated", text, re.IGNORECASE) and REFUSED in text
    ]
    assert sorted(told) == [
        *("caRef", "conflictDetection", "fullCommand", "keyRef", "weight", "weight"),
    ]


def test_the_page_says_until_when() -> None:
    page = " ".join((ROOT / "docs" / "api.md").read_text(encoding="utf-8").split())
    assert REFUSED in page
    for name in ("keyRef", "caRef", "conflictDetection", "fullCommand", "weight: 0"):
        assert f"`{name}`" in page or f"`{name}" in page, name


def test_former_forms_go_when_it_was_said_that_they_would() -> None:
    """When this fails, take ``vrrp_api.former`` out and what the schemas have for it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = tuple(int(part) for part in project["version"].split(".")[:2])
    due = tuple(int(part) for part in REFUSED_FROM_VERSION.split(".")[:2])
    assert date.fromisoformat(REFUSED_NOT_BEFORE) > date(2027, 5, 31)  # half a year at least
    assert version < due, f"{REFUSED} was promised of the former forms"
