"""Who writes what, on a real API server: the chart's ValidatingAdmissionPolicies."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from tests.chart.helm import NEWEST, template
from tests.eventually import eventually

from vrrp_lab.lab import Lab

pytestmark = pytest.mark.cluster
OPERATOR = "system:serviceaccount:kube-vrrp:kube-vrrp-operator"
SPEAKER = "system:serviceaccount:kube-vrrp:kube-vrrp-speaker"
STATUS = {"status": {"heartbeatTime": "2026-01-01T00:00:00Z"}}
PATCH_STATUS = (
    *("patch", "nodeconfig", "node-1", "--subresource=status", "--type=merge"),
    *("-p", json.dumps(STATUS)),
)


def node_config(name: str) -> dict[str, Any]:
    spec = {"node": name, "addresses": [], "virtualRouters": [], "healthChecks": []}
    return {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "NodeConfig",
        "metadata": {"name": name},
        "spec": spec,
    }


def virtual_ip(name: str, *addresses: str) -> dict[str, Any]:
    return {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "VirtualIP",
        "metadata": {"name": name},
        "spec": {"addresses": [{"address": address} for address in addresses]},
    }


def apply(lab: Lab, obj: dict[str, Any], *flags: str) -> subprocess.CompletedProcess[str]:
    return lab.kubectl(
        "apply", "--server-side", *flags, "-f", "-", stdin=json.dumps(obj), check=False
    )


@pytest.fixture(scope="module")
def configured(api: Lab) -> Lab:
    """The API server with a NodeConfig of each node, written by the operator."""
    for node in api.nodes:
        assert apply(api, node_config(node.name), f"--as={OPERATOR}").returncode == 0
    # A policy counts a moment after it was written; what was stored before then, it would let pass.
    refused = node_config("early")
    eventually(lambda: apply(api, refused, "--dry-run=server").returncode != 0, within_s=20)
    return api


# NodeConfigs: spec --------------------------------------------------------------------


@pytest.mark.parametrize(
    "user",
    ["admin", SPEAKER, "system:serviceaccount:other:kube-vrrp-operator", "system:apiserver"],
)
def test_nobody_but_the_operator_makes_node_configs(configured: Lab, user: str) -> None:
    flags = (f"--as={user}", "--as-group=system:masters")
    refused = apply(configured, node_config("node-9"), *flags)
    assert f"NodeConfigs are written by the operator ({OPERATOR}) and by nobody" in refused.stderr
    assert f"You are {user}" in refused.stderr


def test_nobody_but_the_operator_changes_what_a_node_runs(configured: Lab) -> None:
    patch = json.dumps({"spec": {"addresses": ["192.0.2.66"]}})
    flags = ("patch", "nodeconfig", "node-1", "--type=merge", "-p", patch)
    assert "by nobody else" in configured.kubectl(*flags, check=False).stderr
    assert configured.kubectl(*flags, f"--as={OPERATOR}").returncode == 0


def test_finalizers_and_labels_may_change_so_that_nothing_hangs(configured: Lab) -> None:
    """The garbage collector takes its finalizer away by an update of the whole object."""
    for finalizers in (["example.org/hold"], None):
        patch = json.dumps({"metadata": {"finalizers": finalizers}})
        ended = configured.kubectl("patch", "nodeconfig", "node-2", "--type=merge", "-p", patch)
        assert ended.returncode == 0, ended.stderr


def test_an_administrator_deletes_a_node_config(configured: Lab) -> None:
    assert configured.kubectl("delete", "nodeconfig", "node-3").returncode == 0
    assert apply(configured, node_config("node-3"), f"--as={OPERATOR}").returncode == 0


# NodeConfigs: status ------------------------------------------------------------------


def test_a_speaker_writes_the_status_of_its_own_node_only(configured: Lab) -> None:
    plane = configured.control_plane
    assert plane.report_as_speaker("node-1", "node-1", STATUS["status"])[0] == 200
    status, refused = plane.report_as_speaker("node-1", "node-2", STATUS["status"])
    assert status == 403
    assert "the status of NodeConfig node-2 is written by the speaker on that node" in refused
    assert "the token belongs to node node-1" in refused


def test_a_speaker_whose_token_names_no_node_writes_none(configured: Lab) -> None:
    who = (f"--as={SPEAKER}", "--as-group=system:masters")
    refused = configured.kubectl(*PATCH_STATUS, *who, check=False)
    assert "the token belongs to node (none)" in refused.stderr


@pytest.mark.parametrize("user", ["admin", OPERATOR])
def test_nobody_else_writes_a_status(configured: Lab, user: str) -> None:
    who = (f"--as={user}", "--as-group=system:masters")
    refused = configured.kubectl(*PATCH_STATUS, *who, check=False)
    assert "by the speaker on that node and by nobody else" in refused.stderr
    assert f"you are {user}" in refused.stderr


# Addresses ----------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["169.254.169.254", "169.254.1.1/16", "fe80::50/64"])
def test_link_local_addresses_are_refused(configured: Lab, address: str) -> None:
    refused = apply(configured, virtual_ip("local", "192.0.2.50", address))
    assert f"spec.addresses: {address.partition('/')[0]} is link-local" in refused.stderr


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "224.0.0.18", "0.0.0.0", "::"])
def test_what_is_no_unicast_address_is_refused_by_the_schema(configured: Lab, address: str) -> None:
    refused = apply(configured, virtual_ip("strange", address))
    assert "must be a unicast address" in refused.stderr


RANGES = """\
test: {address: 203.0.113.50/24}
serviceCIDRs: [10.96.0.0/12, "fd00:96::/108"]
addressPolicy:
  enabled: true
  rules:
  - {name: administrators, groups: [system:masters], ranges: [0.0.0.0/0, "::/0"]}
  - {name: team-a, groups: [team-a, "CN=Team A,OU=Ops"], ranges: [192.0.2.0/26, "2001:db8::/64"]}
  - {name: team-b, groups: [team-b], ranges: [192.0.2.64/26]}
"""


@pytest.fixture(scope="module")
def ranges(configured: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The API server with ranges for two teams, whose members may write VirtualIPs."""
    values = tmp_path_factory.mktemp("values") / "ranges.yaml"
    values.write_text(RANGES)
    policies = ("--show-only", "templates/policy-addresses.yaml")
    manifest = template(NEWEST, "-f", str(values), *policies).stdout
    configured.kubectl("apply", "-f", "-", stdin=manifest, check=True)
    role = ("create", "clusterrole", "writers", "--verb=*", "--resource=virtualips.kube-vrrp.io")
    configured.kubectl(*role, check=True)
    members = ("team-a", "team-b", "strangers", "CN=Team A,OU=Ops", "system:serviceaccounts")
    groups = [f"--group={group}" for group in members]
    binding = ("create", "clusterrolebinding", "writers", "--clusterrole=writers")
    configured.kubectl(*binding, *groups, check=True)
    refused = virtual_ip("early", "203.0.113.1")
    dry = ("--dry-run=server",)
    eventually(
        lambda: as_member(configured, refused, "team-a", flags=dry).returncode != 0, within_s=20
    )
    yield configured
    configured.kubectl("delete", "vip", "--all", check=True)


def as_member(
    lab: Lab, obj: dict[str, Any], *groups: str, flags: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    who = ["--as=tom", *(f"--as-group={group}" for group in groups)]
    return apply(lab, obj, *flags, *who)


@pytest.mark.parametrize(
    ("groups", "addresses"),
    [
        (["team-a"], ["192.0.2.1/24"]),
        (["team-a"], ["192.0.2.63", "2001:db8::ffff"]),
        (["CN=Team A,OU=Ops"], ["192.0.2.1"]),
        (["team-a", "team-b"], ["192.0.2.1", "192.0.2.64"]),
        (["system:masters"], ["203.0.113.7", "2001:db8:1::1"]),
    ],
)
def test_addresses_in_the_ranges_of_ones_groups(
    ranges: Lab, groups: list[str], addresses: list[str]
) -> None:
    ended = as_member(
        ranges, virtual_ip("inside", *addresses), *groups, flags=("--dry-run=server",)
    )
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    ("groups", "addresses", "told"),
    [
        (["team-a"], ["192.0.2.64"], "192.0.2.64 is outside what tom may use: 192.0.2.0/26, 2001:"),
        (["team-a"], ["192.0.2.1", "2001:db8:0:1::1"], "2001:db8:0:1::1 is outside what tom may"),
        (["team-b"], ["192.0.2.1"], "192.0.2.1 is outside what tom may use: 192.0.2.64/26"),
        (["strangers"], ["192.0.2.1"], "no rule names one of the groups strangers"),
        (["system:masters"], ["10.96.0.1"], "10.96.0.1 is in a network of the cluster's Services"),
        (
            ["system:masters"],
            ["fd00:96::1"],
            "fd00:96::1 is in a network of the cluster's Services",
        ),
        (["system:masters"], ["169.254.1.1"], "169.254.1.1 is link-local"),
    ],
)
def test_addresses_outside_are_refused(
    ranges: Lab, groups: list[str], addresses: list[str], told: str
) -> None:
    assert told in as_member(ranges, virtual_ip("outside", *addresses), *groups).stderr


@pytest.mark.parametrize(
    ("account", "address", "accepted"),
    [
        ("kube-vrrp:kube-vrrp-test", "203.0.113.50/24", True),
        ("kube-vrrp:kube-vrrp-test", "203.0.113.51/24", False),
        ("other:kube-vrrp-test", "203.0.113.50/24", False),
    ],
)
def test_helm_test_may_try_its_address_and_no_other(
    ranges: Lab, account: str, address: str, accepted: bool
) -> None:
    who = (f"--as=system:serviceaccount:{account}", "--as-group=system:serviceaccounts")
    ended = apply(ranges, virtual_ip("trial", address), "--dry-run=server", *who)
    assert (ended.returncode == 0) is accepted, ended.stderr
    assert accepted or "is outside what system:serviceaccount:" in ended.stderr


def test_what_is_there_already_may_be_edited_and_not_extended(ranges: Lab) -> None:
    given = virtual_ip("given", "203.0.113.9")
    assert apply(ranges, given).returncode == 0
    faster = {**given, "spec": {**given["spec"], "advertisementInterval": "100ms"}}
    kept = as_member(ranges, faster, "team-a", flags=("--force-conflicts",))
    assert kept.returncode == 0, kept.stderr
    more = virtual_ip("given", "203.0.113.9", "203.0.113.10")
    refused = as_member(ranges, more, "team-a", flags=("--force-conflicts",))
    assert "203.0.113.10 is outside what tom may use" in refused.stderr


def test_without_the_parameter_object_nothing_passes(ranges: Lab) -> None:
    """Deleting the ConfigMap is no way around it."""
    ranges.kubectl("-n", "kube-vrrp", "delete", "configmap", "kube-vrrp-address-ranges", check=True)
    inside = virtual_ip("unknown", "192.0.2.1")
    refused = eventually(lambda: _refusal(as_member(ranges, inside, "team-a")), within_s=20)
    assert "kube-vrrp-address-ranges" in refused


def _refusal(ended: subprocess.CompletedProcess[str]) -> str:
    return ended.stderr if ended.returncode else ""
