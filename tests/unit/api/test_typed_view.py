"""The typed view of the API: what it accepts, what it refuses, and with which words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml
from tests.manifests import EXAMPLES, Manifest, right_manifests, wrong_manifests

from vrrp_api.check_kinds import HttpCheck, NodeConditionCheck, ServiceCheck, TcpCheck
from vrrp_api.duration import format_duration, parse_duration
from vrrp_api.election import PLAIN
from vrrp_api.errors import FieldError
from vrrp_api.health_check import HealthCheck, check_spec, parse_health_check
from vrrp_api.node_config import NodeConfig, RouterCheck, VirtualRouterConfig, parse_node_config
from vrrp_api.virtual_ip import CheckReference, VipAddress, VirtualIP, parse_virtual_ip

MS = 1_000_000


def virtual_ip(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "VirtualIP",
        "metadata": {"name": "ingress", "generation": 3, "uid": "u"},
        "spec": {"addresses": [{"address": "192.0.2.10/24"}], **spec},
    }


def health_check(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "HealthCheck",
        "metadata": {"name": "web"},
        "spec": spec,
    }


@pytest.mark.parametrize("wrong", wrong_manifests(), ids=lambda wrong: wrong.name)
def test_wrong_manifest_is_refused_at_its_path(wrong: Manifest) -> None:
    parse = parse_virtual_ip if wrong.kind == "VirtualIP" else parse_health_check
    with pytest.raises(FieldError) as refused:
        parse(wrong.to_object())
    assert refused.value.path.startswith(str(wrong.path))
    assert str(refused.value).startswith(f"{wrong.kind} manifest: {wrong.path}")


@pytest.mark.parametrize("right", right_manifests(), ids=lambda right: right.name)
def test_what_is_just_right_is_accepted_and_survives_the_way(right: Manifest) -> None:
    if right.kind == "VirtualIP":
        assert parse_virtual_ip(right.to_object()).name == "manifest"
        return
    check = parse_health_check(right.to_object())
    sent = NodeConfig("node-1", 0, ("192.0.2.11",), (), (check,))
    assert parse_node_config(sent.to_object()).health_checks == (check,)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_accepted(path: Any) -> None:
    for obj in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        parsed: VirtualIP | HealthCheck
        parsed = parse_virtual_ip(obj) if obj["kind"] == "VirtualIP" else parse_health_check(obj)
        assert parsed.name == obj["metadata"]["name"]


def test_virtual_ip_has_the_documented_defaults() -> None:
    parsed = parse_virtual_ip(virtual_ip())
    assert (parsed.candidates, parsed.interface) == (5, None)
    assert (parsed.name, parsed.generation) == ("ingress", 3)


def test_bare_address_is_a_host_prefix_and_text_is_canonical() -> None:
    addresses = [{"address": "192.0.2.10"}, {"address": "2001:DB8:0::10", "interface": "eth1"}]
    parsed = parse_virtual_ip(virtual_ip(addresses=addresses))
    assert parsed.addresses == (
        VipAddress("192.0.2.10", 32),
        VipAddress("2001:db8::10", 128, "eth1"),
    )


def test_error_names_object_field_value_and_what_is_accepted() -> None:
    with pytest.raises(FieldError) as refused:
        parse_virtual_ip(virtual_ip(virtualRouterID=300))
    assert str(refused.value) == (
        "VirtualIP ingress: spec.virtualRouterID: 300 must be an integer from 1 to 255"
    )


def test_misspelt_field_is_answered_with_the_known_ones() -> None:
    with pytest.raises(FieldError, match=r"spec\.adresses.*accepted: addresses, advertisement"):
        parse_virtual_ip(virtual_ip(adresses=[]))


@pytest.mark.parametrize("value", [None, [], "text", 7, {"metadata": {}}])
def test_anything_that_is_no_object_is_a_field_error(value: Any) -> None:
    with pytest.raises(FieldError):
        parse_virtual_ip(value)
    with pytest.raises(FieldError):
        parse_node_config(value)


def test_timeout_defaults_to_the_interval_where_that_is_shorter() -> None:
    short = parse_health_check(health_check(tcp={"address": "[::1]:80"}, interval="200ms"))
    long = parse_health_check(health_check(tcp={"address": "[::1]:80"}, interval="5s"))
    assert (short.timeout_ns, long.timeout_ns) == (200 * MS, 1000 * MS)
    assert short.kind == TcpCheck("[::1]:80")


def test_resolved_check_survives_the_way_through_a_node_config() -> None:
    http = {
        "url": "https://127.0.0.1:8443/",
        "method": "PUT",
        "headers": [{"name": "Host", "value": "a"}],
        "expectedStatuses": ["204", "300-302"],
        "bodyContains": "ok",
        "tls": {"insecureSkipVerify": True},
    }
    check = parse_health_check(health_check(http=http, rise=1, fall=4))
    assert isinstance(check.kind, HttpCheck)
    assert check.kind.expected_statuses == ((204, 204), (300, 302))
    sent = NodeConfig("node-1", 0, ("192.0.2.11",), (), (check,))
    assert parse_node_config(sent.to_object()).health_checks == (check,)
    assert check_spec(check)["http"] == http


def test_what_the_operator_observes_is_read_from_a_node_config_only() -> None:
    check = parse_health_check(health_check(service={"namespace": "web", "name": "nginx"}))
    assert isinstance(check.kind, ServiceCheck)
    condition = parse_health_check(
        health_check(nodeCondition={"type": "Ready", "status": "True"}),
    )
    assert isinstance(condition.kind, NodeConditionCheck)
    observed = (
        replace(check, kind=replace(check.kind, ready_endpoints=0)),
        replace(condition, name="ready", kind=replace(condition.kind, observed="Unknown")),
    )
    sent = NodeConfig("node-1", 0, ("192.0.2.11",), (), observed)
    assert parse_node_config(sent.to_object()).health_checks == observed


def test_router_of_a_node_config_says_what_does_not_count() -> None:
    parsed = parse_virtual_ip(virtual_ip(healthChecks=[{"name": "web", "reverse": True}]))
    assert parsed.health_checks == (CheckReference("web", None, True),)
    check = parse_health_check(health_check(tcp={"address": "[::1]:80"}))
    used = (RouterCheck("web", 0, reverse=True, ignored=True),)
    election = parsed.election.authenticated(PLAIN)
    router = VirtualRouterConfig("v", 1, 1, None, parsed.addresses, 200, election, (), used)
    sent = NodeConfig("node-1", 0, ("192.0.2.11",), (router,), (check,))
    assert parse_node_config(sent.to_object()).virtual_routers == (router,)


@pytest.mark.parametrize(
    ("kind", "thresholds"),
    [
        ({"http": {"url": "http://[::1]/"}}, (2, 3)),
        ({"tcp": {"address": "[::1]:80"}}, (2, 3)),
        ({"grpc": {"address": "[::1]:80"}}, (2, 3)),
        ({"exec": {"script": "a"}}, (2, 3)),
        ({"ping": {"address": "::1"}}, (2, 3)),
        ({"process": {"name": "a"}}, (1, 1)),
        ({"file": {"path": "/a"}}, (1, 1)),
        ({"interface": {"name": "a"}}, (1, 1)),
        ({"nodeCondition": {"type": "a", "status": "True"}}, (1, 1)),
        ({"service": {"namespace": "a", "name": "a"}}, (1, 1)),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_rise_and_fall_depend_on_whether_one_result_may_be_wrong(
    kind: dict[str, Any], thresholds: tuple[int, int]
) -> None:
    check = parse_health_check(health_check(**kind))
    assert (check.rise, check.fall) == thresholds
    assert (check.weight, check.reverse, check.initially_failing) == (0, False, False)
    assert check.panic_threshold == 100


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [("200ms", 200 * MS), ("1.5s", 1500 * MS), ("1m30s", 90_000 * MS), ("10us", 10_000)],
)
def test_durations_read_as_go_reads_them(text: str, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds
    assert parse_duration(format_duration(nanoseconds)) == nanoseconds


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (90_000 * MS, "90s"),
        (1_500 * MS, "1500ms"),
        (999_999_999, "999999999ns"),
        (1_000_000_001, "1s1ns"),
        (3_599_999_999_000, "3599s999999us"),
        (3_599_999_999_999, "3599s999999999ns"),
    ],
)
def test_durations_are_written_as_they_are_read(nanoseconds: int, text: str) -> None:
    assert format_duration(nanoseconds) == text
    assert parse_duration(text) == nanoseconds
    assert len(text) <= 16  # what the schemas allow


@pytest.mark.parametrize("text", ["", "5", "-1s", "1 s", "s", "1d", "1e3s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="accepted: for example 200ms"):
        parse_duration(text)


ACCEPTED = {"type": "Accepted", "status": "True", "reason": "Accepted", "observedGeneration": 3}
EVERY_NODE: dict[str, Any] = {"nodeSelector": {"matchLabels": {}}}
UNUSED: dict[str, Any] = {"process": {"name": "nginx"}, "timeout": "1s"}


def stored(obj: dict[str, Any], *conditions: dict[str, Any]) -> dict[str, Any]:
    return {
        **obj,
        "metadata": {**obj["metadata"], "generation": 3},
        "status": {"conditions": list(conditions)},
    }


def test_what_was_accepted_before_stays_accepted() -> None:
    selecting = parse_virtual_ip(stored(virtual_ip(**EVERY_NODE), ACCEPTED)).node_selector
    assert selecting is not None
    assert selecting.matches({})
    restless = virtual_ip(announcements={"refresh": "1ns"})
    assert parse_virtual_ip(stored(restless, ACCEPTED)).announcements.refresh_ns == 10**9
    everywhere = stored(virtual_ip(addresses=[{"address": "192.0.2.10/0"}]), ACCEPTED)
    assert parse_virtual_ip(everywhere).addresses[0].prefix_length == 0
    assert parse_health_check(stored(health_check(**UNUSED), ACCEPTED)).name == "web"


@pytest.mark.parametrize(
    "conditions",
    [
        [],
        [{**ACCEPTED, "observedGeneration": 2}],
        [{**ACCEPTED, "status": "False"}],
        [{**ACCEPTED, "type": "Passing"}],
    ],
    ids=["never seen", "edited since", "refused", "of another condition"],
)
def test_what_was_not_accepted_is_refused_by_newer_rules(conditions: list[dict[str, Any]]) -> None:
    with pytest.raises(FieldError, match="empty it would select every node"):
        parse_virtual_ip(stored(virtual_ip(**EVERY_NODE), *conditions))
    with pytest.raises(FieldError, match="must be 0s, or a duration from 1s to 1h"):
        parse_virtual_ip(stored(virtual_ip(announcements={"refresh": "1ns"}), *conditions))
    with pytest.raises(FieldError, match="must be absent with process"):
        parse_health_check(stored(health_check(**UNUSED), *conditions))


@pytest.mark.parametrize("status", [None, [], {"conditions": None}])
def test_an_odd_status_says_nothing_of_what_was_accepted(status: Any) -> None:
    with pytest.raises(FieldError, match="empty it would select every node"):
        parse_virtual_ip({**virtual_ip(**EVERY_NODE), "status": status})


def test_a_password_in_a_url_is_not_repeated() -> None:
    with pytest.raises(FieldError) as refused:
        parse_health_check(health_check(http={"url": "https://me:secret@192.0.2.1:8443/z?q=1"}))
    assert "secret" not in str(refused.value)
    assert "192.0.2.1:8443/z?q=1" in str(refused.value)
