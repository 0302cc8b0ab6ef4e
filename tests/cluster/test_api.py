"""The schemas and the rights, on a real API server; no operator, no speakers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.dry_run import DryRun
from tests.conftest import lab_or_skip
from tests.documentation.blocks import Block, yaml_blocks
from tests.eventually import eventually
from tests.kstatus import kstatus
from tests.manifests import EXAMPLES, Manifest, right_manifests, wrong_manifests

from vrrp_api.check_kinds import NodeConditionCheck, ServiceCheck
from vrrp_api.election import PLAIN, Announcements, Authentication
from vrrp_api.health_check import parse_health_check
from vrrp_api.node_config import (
    NodeConfig,
    Peer,
    RouterCheck,
    VirtualRouterConfig,
    parse_node_config,
)
from vrrp_api.virtual_ip import parse_virtual_ip
from vrrp_lab.lab import Lab, LabOptions

pytestmark = pytest.mark.cluster
PATIENCE_S = 60.0
OPERATOR = "system:serviceaccount:kube-vrrp:kube-vrrp-operator"


@pytest.fixture(scope="module")
def api() -> Iterator[Lab]:
    """An API server with our kinds and service accounts."""
    yield from lab_or_skip(LabOptions(start_operator=False, start_speakers=False))


@pytest.fixture(scope="module")
def asked(api: Lab) -> DryRun:
    """The same API server, asked what it would say."""
    return DryRun(api.control_plane.kubeconfig)


def virtual_ip(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "VirtualIP",
        "metadata": {"name": name},
        "spec": {"addresses": [{"address": "192.0.2.10/24"}], **spec},
    }


def apply(lab: Lab, obj: dict[str, Any], *flags: str) -> subprocess.CompletedProcess[str]:
    return lab.kubectl(
        "apply", "--server-side", *flags, "-f", "-",
        stdin=json.dumps(obj), check=False,
    )  # fmt: skip


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_example_of_the_documentation_applies(api: Lab, example: Path) -> None:
    ended = api.kubectl("apply", "--dry-run=server", "-f", str(example), check=False)
    assert ended.returncode == 0, ended.stderr


OBJECTS = [block for block in yaml_blocks() if block.to_object() is not None]


@pytest.mark.parametrize("block", OBJECTS, ids=lambda block: block.name)
def test_every_object_on_a_page_applies(api: Lab, block: Block) -> None:
    ended = api.kubectl(
        "create", "--dry-run=server", "--validate=strict", "-f", "-",
        stdin=json.dumps(block.to_object()), check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr


def test_the_table_of_wrong_manifests_is_long_enough() -> None:
    assert len(wrong_manifests()) >= 40


@pytest.mark.parametrize("wrong", wrong_manifests(), ids=lambda wrong: wrong.name)
def test_wrong_manifest_is_refused_with_words_that_help(asked: DryRun, wrong: Manifest) -> None:
    refused = asked.create(wrong.to_object())
    assert refused
    assert wrong.server in refused
    assert "evaluating rule" not in refused  # no rule stumbles over what another one refuses


@pytest.mark.parametrize("right", right_manifests(), ids=lambda right: right.name)
def test_what_is_just_right_is_accepted(asked: DryRun, right: Manifest) -> None:
    assert asked.create(right.to_object()) == ""


def test_defaults_are_in_the_schema(api: Lab) -> None:
    apply(api, virtual_ip("defaults"))
    stored = api.kubectl_json("get", "vip", "defaults")
    assert kstatus(stored) == "InProgress"  # no operator has seen it
    spec = stored["spec"]
    del spec["addresses"]
    assert spec == {
        "candidates": 5,
        "version": 3,
        "advertisementInterval": "200ms",
        "downAdvertisements": 3,
        "transport": {
            "mode": "Unicast",
            "ttl": {"send": 255, "acceptMinimum": 255},
            "checksum": "Auto",
        },
        "preemption": {"mode": "Always", "delay": "0s"},
        "splitBrainPolicy": "PreferAvailability",
        "announcements": {"burst": 5, "repeatAfter": "5s", "refresh": "60s"},
    }
    api.kubectl("delete", "vip", "defaults")


def test_defaults_of_the_schema_are_those_of_the_typed_view(api: Lab) -> None:
    apply(api, virtual_ip("defaults"))
    defaulted = parse_virtual_ip(api.kubectl_json("get", "vip", "defaults"))
    assert defaulted.election == parse_virtual_ip(virtual_ip("defaults")).election
    assert defaulted.candidates == parse_virtual_ip(virtual_ip("defaults")).candidates
    assert defaulted.announcements == parse_virtual_ip(virtual_ip("defaults")).announcements
    assert defaulted.detect_conflicts
    api.kubectl("delete", "vip", "defaults")


def test_node_config_of_the_typed_view_fits_its_schema(api: Lab) -> None:
    spec = virtual_ip("any", transport={"externalPeers": ["192.0.2.2"]})
    for election in (
        parse_virtual_ip(spec).election.authenticated(Authentication("HMAC", "cluster")),
        parse_virtual_ip(virtual_ip("any")).election.authenticated(PLAIN),
    ):
        addresses = parse_virtual_ip(spec).addresses
        peer = Peer("node-2", "192.0.2.12", 180)
        router = VirtualRouterConfig("any", 1, 1, None, addresses, 200, election, (peer,), ())
        announcements = Announcements(100, 3_599_999_999_999, 0)
        router = replace(router, announcements=announcements, take_over="n" * 253)
        config = NodeConfig("node-1", 0, ("192.0.2.11",), (router,), ())
        ended = api.kubectl(
            "create", "--dry-run=server", "--validate=strict", f"--as={OPERATOR}",
            "-o", "json", "-f", "-", stdin=json.dumps(config.to_object()), check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        assert parse_node_config(json.loads(ended.stdout)).virtual_routers == (router,)


def test_every_resolved_check_fits_the_schema_of_node_configs(api: Lab) -> None:
    manifests = [right for right in right_manifests() if right.kind == "HealthCheck"]
    checks = []
    for number, right in enumerate(manifests):
        check = replace(parse_health_check(right.to_object()), name=f"check-{number}")
        if isinstance(check.kind, NodeConditionCheck):
            check = replace(check, kind=replace(check.kind, observed="Unknown"))
        if isinstance(check.kind, ServiceCheck):
            check = replace(check, kind=replace(check.kind, ready_endpoints=0))
        checks.append(check)
    spec = parse_virtual_ip(virtual_ip("any"))
    used = tuple(RouterCheck(c.name, c.weight, c.reverse, c.weight == 0) for c in checks[:16])
    election = spec.election.authenticated(PLAIN)
    router = VirtualRouterConfig("any", 1, 1, None, spec.addresses, 200, election, (), used)
    config = NodeConfig("node-1", 0, ("192.0.2.11",), (router,), tuple(checks))
    ended = api.kubectl(
        "create", "--dry-run=server", "--validate=strict", f"--as={OPERATOR}",
        "-o", "json", "-f", "-", stdin=json.dumps(config.to_object()), check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert parse_node_config(json.loads(ended.stdout)).health_checks == tuple(checks)


def test_defaults_of_a_check_are_those_of_the_typed_view(api: Lab) -> None:
    for right in right_manifests():
        if right.kind == "HealthCheck":
            ended = api.kubectl(
                "create", "--dry-run=server", "-o", "json", "-f", "-",
                stdin=json.dumps(right.to_object()), check=True,
            )  # fmt: skip
            defaulted = replace(parse_health_check(json.loads(ended.stdout)), generation=0)
            assert defaulted == parse_health_check(right.to_object())


def test_what_is_stored_stays_writable_when_a_rule_is_added(api: Lab) -> None:
    every_node = virtual_ip("stored", nodeSelector={"matchLabels": {}})
    crd = api.kubectl_json("get", "crd", "virtualips.kube-vrrp.io")
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    selector = f"{_SPEC}/nodeSelector/x-kubernetes-validations"
    rules = schema["spec"]["properties"]["nodeSelector"]["x-kubernetes-validations"]
    _patch_schema(api, [{"op": "remove", "path": selector}])
    try:
        eventually(lambda: apply(api, every_node).returncode == 0, within_s=PATIENCE_S)
    finally:
        _patch_schema(api, [{"op": "add", "path": selector, "value": rules}])
    other = virtual_ip("other", nodeSelector={})
    eventually(lambda: "empty it would select" in _dry_run(api, other), within_s=PATIENCE_S)
    patch = json.dumps({"status": {"message": "seen"}, "metadata": {"labels": {"a": "b"}}})
    for what in ((), ("--subresource=status",)):
        ended = api.kubectl("patch", "vip", "stored", *what, "--type=merge", "-p", patch)
        assert ended.returncode == 0, ended.stderr
    edit = json.dumps({"spec": {"nodeSelector": {"matchExpressions": []}}})
    edited = api.kubectl("patch", "vip", "stored", "--type=merge", "-p", edit, check=False)
    assert "empty it would select every node" in edited.stderr
    api.kubectl("delete", "vip", "stored")


_SPEC = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties"


def _patch_schema(lab: Lab, patch: list[dict[str, Any]]) -> None:
    lab.kubectl("patch", "crd", "virtualips.kube-vrrp.io", "--type=json", "-p", json.dumps(patch))


def _dry_run(lab: Lab, obj: dict[str, Any]) -> str:
    ended = lab.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(obj), check=False)
    return ended.stderr


def test_version_of_a_running_election_may_change(api: Lab) -> None:
    assert apply(api, virtual_ip("aged")).returncode == 0
    older = virtual_ip("aged", version=2, advertisementInterval="1s")
    assert apply(api, older).returncode == 0
    assert apply(api, virtual_ip("aged")).returncode == 0
    api.kubectl("delete", "vip", "aged")


def test_virtual_router_id_stays_once_set(api: Lab) -> None:
    assert apply(api, virtual_ip("fixed", virtualRouterID=5)).returncode == 0
    changed = apply(api, virtual_ip("fixed", virtualRouterID=6))
    assert "spec.virtualRouterID cannot be changed or removed once it is set" in changed.stderr
    removed = apply(api, virtual_ip("fixed"))
    assert "spec.virtualRouterID cannot be changed or removed once it is set" in removed.stderr
    api.kubectl("delete", "vip", "fixed")


def test_allocated_virtual_router_id_may_be_pinned_and_no_other(api: Lab) -> None:
    apply(api, virtual_ip("late"))
    patch = json.dumps({"status": {"virtualRouterID": 9}})
    api.kubectl(
        *("patch", "vip", "late", "--subresource=status", "--type=merge", "-p", patch), check=True
    )
    other = apply(api, virtual_ip("late", virtualRouterID=10))
    assert "spec.virtualRouterID must be the allocated one" in other.stderr
    assert apply(api, virtual_ip("late", virtualRouterID=9)).returncode == 0
    api.kubectl("delete", "vip", "late")


def test_status_of_an_object_that_was_made_anew_is_refused(api: Lab) -> None:
    """The API server looks at no uid in an apply of a status: the version has to tell."""
    assert apply(api, virtual_ip("anew", virtualRouterID=9)).returncode == 0
    old = api.kubectl_json("get", "vip", "anew")["metadata"]
    api.kubectl("delete", "vip", "anew")
    assert apply(api, virtual_ip("anew", virtualRouterID=9)).returncode == 0
    late = {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "VirtualIP",
        "metadata": {"name": "anew", "resourceVersion": old["resourceVersion"]},
        "status": {"virtualRouterID": 7},
    }
    ended = apply(api, late, "--subresource=status", "--field-manager=kube-vrrp-operator")
    assert ended.returncode != 0
    assert "the object has been modified" in ended.stderr
    found = api.kubectl_json("get", "vip", "anew")
    assert "virtualRouterID" not in found.get("status", {})
    api.kubectl("delete", "vip", "anew")


def test_longest_name_of_a_virtual_ip_fits_a_node_config_and_its_status(api: Lab) -> None:
    name = "v" * 253
    router = {
        "name": name,
        "virtualIPGeneration": 1,
        "virtualRouterID": 1,
        "addresses": [{"address": "192.0.2.10/24"}],
        "basePriority": 200,
    }
    obj = {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "NodeConfig",
        "metadata": {"name": "long"},
        "spec": {"node": "long", "virtualRouters": [router]},
    }
    ended = apply(api, obj, "--dry-run=server", f"--as={OPERATOR}")
    assert ended.returncode == 0, ended.stderr
    assert apply(api, virtual_ip(name), "--dry-run=server").returncode == 0


def test_two_appliers_share_the_address_list(api: Lab) -> None:
    first = virtual_ip("shared")
    second = {**first, "spec": {"addresses": [{"address": "192.0.2.11/24"}]}}
    apply(api, first, "--field-manager=one")
    apply(api, second, "--field-manager=two")
    spec = api.kubectl_json("get", "vip", "shared")["spec"]
    assert [a["address"] for a in spec["addresses"]] == ["192.0.2.10/24", "192.0.2.11/24"]
    api.kubectl("delete", "vip", "shared")


def test_names_columns_and_category(api: Lab) -> None:
    apply(api, virtual_ip("shown"))
    header = api.kubectl("get", "vip", "-o", "wide").stdout.splitlines()[0].split()
    assert header[:6] == ["NAME", "ADDRESS", "NODE", "READY", "SINCE", "AGE"]
    assert header[6:] == ["VRID", "PRIORITY", "STANDBYS", "TRANSITIONS", "REASON"]
    assert "virtualip.kube-vrrp.io/shown" in api.kubectl("get", "vrrp", "-o", "name").stdout
    assert api.kubectl("get", "vhc").returncode == 0
    api.kubectl("delete", "vip", "shown")


def test_fields_explain_themselves(api: Lab) -> None:
    for path in (
        "vip.spec.addresses",
        "vip.spec.version",
        "vip.spec.downAdvertisements",
        "vip.spec.transport.externalPeers",
        "vip.spec.transport.ttl.acceptMinimum",
        "vip.spec.preemption.delay",
        "vip.spec.authentication.mode",
        "vip.spec.announcements.repeatAfter",
        "vhc.spec.weight",
        "vhc.spec.grpc.service",
        "vhc.spec.exec.args",
        "vhc.spec.process.maximum",
        "vhc.spec.file.path",
        "vhc.spec.nodeCondition.status",
        "vhc.spec.service.namespace",
        "vhc.spec.panicThreshold",
    ):
        explained = api.kubectl("explain", path, check=True).stdout
        assert "DESCRIPTION:" in explained
        assert "<empty>" not in explained
