"""Real releases on a real API server, with both majors of Helm: kinds, key, and what is refused."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from tests.chart.cluster import Cluster
from tests.chart.crds import VERSION

pytestmark = pytest.mark.cluster
KINDS = {f"{kind}.kube-vrrp.io" for kind in ("virtualips", "healthchecks", "nodeconfigs")}
ADOPT = ("--take-ownership", "--set", "crds.takeOwnership=true")
KEY = re.compile(r"hex:[0-9a-f]{64}")
VIRTUAL_IP = {
    "apiVersion": "kube-vrrp.io/v1alpha1",
    "kind": "VirtualIP",
    "metadata": {"name": "kept"},
    "spec": {"addresses": [{"address": "192.0.2.50"}]},
}


def rotated(keys: str, active: int) -> tuple[str, str]:
    return ("--set", f"clusterKey.keys={{{keys}}},clusterKey.active={active}")


def test_kinds_and_objects_outlive_releases(cluster: Cluster) -> None:
    assert cluster.install().returncode == 0
    cluster.kubectl("wait", "--for=condition=Established", "crd", "--all")
    cluster.kubectl("create", "-f", "-", obj=VIRTUAL_IP)
    # Switched off by an upgrade, and by the end of the release.
    assert cluster.upgrade("--set", "crds.enabled=false").returncode == 0
    assert cluster.names("vip") == {"kept"}
    assert cluster.upgrade().returncode == 0
    assert cluster.uninstall().returncode == 0
    assert cluster.names("crd") == KINDS
    assert cluster.names("vip") == {"kept"}
    # The same release again finds them.
    again = cluster.install()
    assert again.returncode == 0, again.stderr
    assert cluster.names("vip") == {"kept"}


def test_an_uninstall_leaves_the_kinds_and_nothing_else(newest: Cluster) -> None:
    on = ("addressPolicy.enabled", "networkPolicy.enabled", "flowSchema.enabled")
    flags = ("--set", ",".join(f"{name}=true" for name in on))
    assert newest.install(*flags).returncode == 0
    assert newest.uninstall().returncode == 0
    label = ("--selector", "app.kubernetes.io/part-of=kube-vrrp", "--all-namespaces")
    for kind in (
        *("secret", "configmap", "serviceaccount", "service", "daemonset", "deployment"),
        *("role", "rolebinding", "clusterrole", "clusterrolebinding", "networkpolicy"),
        *("validatingadmissionpolicy", "validatingadmissionpolicybinding", "flowschema"),
    ):
        assert newest.names(kind, *label) == set(), kind


def test_another_release_is_told_how_to_take_the_kinds_over(cluster: Cluster) -> None:
    other: dict[str, Any] = {"name": "vrrp", "namespace": "other"}
    assert cluster.install().returncode == 0
    cluster.uninstall()
    refused = cluster.install(**other)
    assert refused.returncode != 0
    assert "is of the release kube-vrrp in namespace kube-vrrp: take it over" in refused.stderr
    assert " ".join(ADOPT) in refused.stderr
    assert "--set crds.enabled=false" in refused.stderr
    # Both ways that the sentence names.
    beside = cluster.install("--set", "crds.enabled=false", **other)
    assert beside.returncode == 0, beside.stderr
    assert cluster.uninstall(**other).returncode == 0
    adopted = cluster.install(*ADOPT, **other)
    assert adopted.returncode == 0, adopted.stderr
    later = cluster.upgrade(**other)
    assert later.returncode == 0, later.stderr


def test_kinds_of_no_release_are_taken_over_in_the_same_way(newest: Cluster) -> None:
    newest.kubectl("apply", "-f", "crds")
    refused = newest.install()
    assert "virtualips.kube-vrrp.io is of no release: take it over" in refused.stderr
    assert newest.install(*ADOPT).returncode == 0


def test_kinds_of_a_newer_version_are_not_replaced(newest: Cluster) -> None:
    assert newest.install().returncode == 0
    annotation = "kube-vrrp.io/version=9.1.0"
    newest.kubectl("annotate", "--overwrite", "crd", "nodeconfigs.kube-vrrp.io", annotation)
    refused = newest.upgrade()
    assert refused.returncode != 0
    told = f"nodeconfigs.kube-vrrp.io is of kube-vrrp 9.1.0, newer than this chart's {VERSION}"
    assert told in refused.stderr
    assert "install chart 9.1.0 or newer" in refused.stderr
    assert newest.names("daemonset", "-n", "kube-vrrp") == {"kube-vrrp-speaker"}
    # An older program may run with newer kinds, when the administrator says so.
    assert newest.upgrade("--set", "crds.enabled=false").returncode == 0
    annotation = f"kube-vrrp.io/version={VERSION}-rc.1"
    newest.kubectl("annotate", "--overwrite", "crd", "nodeconfigs.kube-vrrp.io", annotation)
    assert newest.upgrade().returncode == 0


def test_kinds_that_are_missing_are_said_to_be(newest: Cluster) -> None:
    newest.delete_all("crd")
    refused = newest.install("--set", "crds.enabled=false")
    assert "CustomResourceDefinition virtualips.kube-vrrp.io does not exist" in refused.stderr


def test_a_second_install_is_refused(newest: Cluster) -> None:
    assert newest.install().returncode == 0
    refused = newest.install(*ADOPT, name="vrrp", namespace="other")
    assert refused.returncode != 0
    told = "DaemonSet kube-vrrp-speaker in namespace kube-vrrp, release kube-vrrp; a node runs one"
    assert told in refused.stderr
    # So is one of the same name in another namespace.
    refused = newest.install(*ADOPT, name="kube-vrrp", namespace="other")
    assert told in refused.stderr


@pytest.mark.parametrize("level", ["restricted", "baseline"])
def test_a_namespace_that_refuses_speakers_is_said_to(newest: Cluster, level: str) -> None:
    label = "pod-security.kubernetes.io/enforce"
    newest.kubectl("create", "namespace", f"strict-{level}-{newest.major}")
    namespace = f"strict-{level}-{newest.major}"
    newest.kubectl("label", "namespace", namespace, f"{label}={level}")
    refused = newest.install(namespace=namespace)
    assert refused.returncode != 0
    remedy = f"label namespace {namespace} {label}=privileged --overwrite"
    assert f'enforces the Pod Security level "{level}"' in refused.stderr
    assert f"kubectl {remedy}" in refused.stderr
    newest.kubectl(*remedy.split())
    assert newest.install(*ADOPT, namespace=namespace).returncode == 0


def test_networks_of_services_are_learned_from_the_cluster(newest: Cluster) -> None:
    found = json.loads(newest.kubectl("get", "servicecidrs", "-o", "json"))["items"]
    (network,) = {cidr for item in found for cidr in item["spec"]["cidrs"]}
    installed = newest.install("--set", "serviceCIDRs={10.200.0.0/16}")
    assert installed.returncode == 0, installed.stderr
    assert "set serviceCIDRs" not in installed.stdout
    policy = ("get", "validatingadmissionpolicy", "kube-vrrp-addresses", "-o", "json")
    variables = json.loads(newest.kubectl(*policy))["spec"]["variables"]
    (refused,) = [v["expression"] for v in variables if v["name"] == "serviceCIDRs"]
    assert set(json.loads(refused)) == {"10.200.0.0/16", network}


def test_checks_may_ask_whom_they_could_before_until_a_value_says_otherwise(
    newest: Cluster,
) -> None:
    found = json.loads(newest.kubectl("get", "servicecidrs", "-o", "json"))["items"]
    services = [cidr for item in found for cidr in item["spec"]["cidrs"]]
    assert newest.install().returncode == 0
    assert targets(newest) == ",".join(["Node", "Subnets", *services])
    speaker = "daemonset/kube-vrrp-speaker"
    newest.kubectl("-n", "kube-vrrp", "set", "env", speaker, "CHECK_TARGETS-")
    for _ in range(2):
        upgraded = newest.upgrade()
        assert upgraded.returncode == 0, upgraded.stderr
        assert "Health checks may ask any address" in upgraded.stdout
        assert targets(newest) == "0.0.0.0/0,::/0"
    told = newest.upgrade("--set", "speaker.checks.targets={Node,10.0.0.0/8}")
    assert told.returncode == 0, told.stderr
    assert "Health checks may ask any address" not in told.stdout
    assert targets(newest) == "Node,10.0.0.0/8"


def targets(cluster: Cluster) -> str:
    """Return whom checks may ask, as a speaker is told."""
    path = "{.spec.template.spec.containers[0].env[?(@.name=='CHECK_TARGETS')].value}"
    query = ("get", "daemonset", "kube-vrrp-speaker", "-o", f"jsonpath={path}")
    return cluster.kubectl("-n", "kube-vrrp", *query)


# The key ------------------------------------------------------------------------------


def test_the_key_is_made_once_and_rotated_in_steps(cluster: Cluster) -> None:
    assert cluster.install().returncode == 0
    first = cluster.keys()
    assert first.keys() == {"cluster.1", "cluster.active"}
    assert KEY.fullmatch(first["cluster.1"])
    assert cluster.upgrade().returncode == 0
    assert cluster.keys() == first
    early = cluster.upgrade(*rotated("1,2", 2))
    assert "clusterKey.active: 2 is not in Secret kube-vrrp/kube-vrrp-keys yet" in early.stderr
    assert cluster.upgrade(*rotated("1,2", 1)).returncode == 0
    added = cluster.keys()
    assert {**added, "cluster.2": ""} == {**first, "cluster.2": ""}
    assert KEY.fullmatch(added["cluster.2"])
    assert added["cluster.2"] != first["cluster.1"]
    early = cluster.upgrade(*rotated("2", 2))
    assert "clusterKey.keys: nodes sign with key 1 of Secret" in early.stderr
    assert cluster.upgrade(*rotated("1,2", 2)).returncode == 0
    assert cluster.keys() == {**added, "cluster.active": "2"}
    assert cluster.upgrade(*rotated("2", 2)).returncode == 0
    assert cluster.keys() == {"cluster.2": added["cluster.2"], "cluster.active": "2"}


def test_a_new_install_makes_another_key(newest: Cluster) -> None:
    assert newest.install().returncode == 0
    first = newest.keys()
    newest.uninstall()
    assert newest.keys() == {}
    assert newest.install().returncode == 0
    assert newest.keys()["cluster.1"] != first["cluster.1"]


def test_keys_of_others_in_the_secret_stay(newest: Cluster) -> None:
    assert newest.install().returncode == 0
    patch = {"stringData": {"routers.1": "hex:" + "ab" * 32, "old.pass": "secret"}}
    edit = ("-n", "kube-vrrp", "patch", "secret", "kube-vrrp-keys", "--type=merge", "-p")
    newest.kubectl(*edit, json.dumps(patch))
    before = newest.keys()
    for flags in ((), rotated("1,2", 1), rotated("1,2", 2), rotated("2", 2)):
        assert newest.upgrade(*flags).returncode == 0
    after = newest.keys()
    assert {after["routers.1"], after["old.pass"]} == {before["routers.1"], "secret"}


def test_a_lost_secret_is_not_replaced_behind_anybodys_back(newest: Cluster) -> None:
    assert newest.install().returncode == 0
    newest.kubectl("-n", "kube-vrrp", "delete", "secret", "kube-vrrp-keys")
    refused = newest.upgrade()
    assert refused.returncode != 0
    assert "Secret kube-vrrp/kube-vrrp-keys is gone, and a new key would part the" in refused.stderr
    # What the sentence says helps.
    key = "cluster.1=hex:" + "ab" * 32
    create = ("-n", "kube-vrrp", "create", "secret", "generic", "kube-vrrp-keys")
    newest.kubectl(*create, f"--from-literal={key}", "--from-literal=cluster.active=1")
    mended = newest.upgrade()
    assert mended.returncode == 0, mended.stderr
    assert newest.keys() == {"cluster.1": "hex:" + "ab" * 32, "cluster.active": "1"}


def test_a_key_is_turned_on_in_two_steps(newest: Cluster) -> None:
    off = ("--set", "clusterKey.enabled=false")
    assert newest.install(*off).returncode == 0
    assert newest.keys() == {}
    refused = newest.upgrade("--set", "clusterKey.enabled=true")
    assert refused.returncode != 0
    assert "upgrade with clusterKey.signByDefault: false first" in refused.stderr
    learned = newest.upgrade("--set", "clusterKey.signByDefault=false")
    assert learned.returncode == 0, learned.stderr
    made = newest.keys()
    assert KEY.fullmatch(made["cluster.1"])
    signs = newest.upgrade("--set", "clusterKey.signByDefault=true")
    assert signs.returncode == 0, signs.stderr
    assert newest.keys() == made


def test_a_key_of_ones_own_is_not_exchanged_for_a_new_one(newest: Cluster) -> None:
    create = ("-n", "kube-vrrp", "create", "secret", "generic", "mine")
    newest.kubectl(*create, "--from-literal=cluster.1=" + "k" * 32)
    named = ("--set", "clusterKey.existingSecret=mine")
    assert newest.install(*named).returncode == 0
    refused = newest.upgrade("--set", "clusterKey.existingSecret=")
    assert refused.returncode != 0
    assert "keep clusterKey.existingSecret: mine" in refused.stderr


def test_selectors_that_cannot_change_are_said_before_anything_is_changed(newest: Cluster) -> None:
    assert newest.install().returncode == 0
    refused = newest.upgrade("--set", "nameOverride=vrrp")
    assert refused.returncode != 0
    assert "DaemonSet kube-vrrp-speaker selects its pods by the name kube-vrrp" in refused.stderr
    refused = newest.upgrade("--set", "fullnameOverride=other")
    assert refused.returncode != 0
    assert "the release has DaemonSet kube-vrrp-speaker, and one of another" in refused.stderr
    assert "set fullnameOverride: kube-vrrp, or uninstall first" in refused.stderr


DAMAGE: list[tuple[dict[str, str | None], str]] = [
    ({"cluster.1": "hex:1234"}, ": cluster.1 is not a key (accepted: hex: and 64 to 128"),
    ({"cluster.1": "hex:" + "zz" * 32}, ": cluster.1 is not a key"),
    ({"cluster.1": "short"}, ": cluster.1 is not a key"),
    ({"cluster.256": "k" * 32}, ": cluster.256 names no key (accepted: cluster.1 to cluster.255"),
    ({"cluster.active": "7"}, ': cluster.active says "7" (accepted: one of the ids 1)'),
    ({"cluster.1": None}, " has no key of the cluster: add cluster.1"),
]


def test_a_damaged_secret_stops_an_upgrade(newest: Cluster) -> None:
    assert newest.install().returncode == 0
    whole = newest.keys()
    for data, told in DAMAGE:
        replace_keys(newest, {**whole, **data})
        damaged = newest.keys()
        refused = newest.upgrade()
        assert refused.returncode != 0
        assert f"Secret kube-vrrp/kube-vrrp-keys{told}" in refused.stderr
        assert newest.keys() == damaged
    replace_keys(newest, whole)
    assert newest.upgrade().returncode == 0


def replace_keys(cluster: Cluster, files: Mapping[str, str | None]) -> None:
    data = {
        name: base64.b64encode(text.encode()).decode()
        for name, text in files.items()
        if text is not None
    }
    patch = json.dumps([{"op": "replace", "path": "/data", "value": data}])
    edit = ("-n", "kube-vrrp", "patch", "secret", "kube-vrrp-keys", "--type=json", "-p", patch)
    cluster.kubectl(*edit)


def test_a_secret_of_ones_own_is_looked_at_before_anything_is_made(newest: Cluster) -> None:
    named = ("--set", "clusterKey.existingSecret=own")
    assert newest.install().returncode == 0
    refused = newest.upgrade(*named)
    told = "Secret kube-vrrp/own (clusterKey.existingSecret) does not exist: `kubectl -n kube-vrrp"
    assert told in refused.stderr
    create = ("-n", "kube-vrrp", "create", "secret", "generic", "own")
    newest.kubectl(*create, "--from-literal=cluster.1=" + "k" * 31)
    assert "cluster.1 is not a key" in newest.upgrade(*named).stderr
    newest.kubectl("-n", "kube-vrrp", "delete", "secret", "own")
    # One key needs no word on which one is active.
    newest.kubectl(*create, "--from-literal=cluster.1=" + "k" * 32)
    accepted = newest.upgrade(*named)
    assert accepted.returncode == 0, accepted.stderr
    mounted = newest.kubectl("-n", "kube-vrrp", "get", "daemonset", "-o", "json")
    assert '"secretName": "own"' in mounted


def test_a_dry_run_of_the_client_makes_no_key(cluster: Cluster) -> None:
    ended = cluster.install("--dry-run=client")
    assert ended.returncode == 0, ended.stderr
    assert "kind: Secret" not in ended.stdout
    assert "Helm could not see the cluster, so it made no key" in ended.stdout


def test_notes_say_what_is_next(newest: Cluster) -> None:
    told = newest.install("--set", "test.address=192.0.2.77/24").stdout
    assert "rollout status daemonset/kube-vrrp-speaker deployment/kube-vrrp-operator" in told
    assert "kubectl label namespace kube-vrrp pod-security.kubernetes.io/enforce=privil" in told
    assert "helm -n kube-vrrp test kube-vrrp" in told
    assert "Nothing scrapes the metrics" in told
    newest.kubectl("label", "ns", "kube-vrrp", "pod-security.kubernetes.io/enforce=privileged")
    flags = ("--set", "monitor.kind=None,clusterKey.enabled=false")
    told = newest.upgrade(*flags).stdout
    assert "pod-security" not in told
    assert "Elections are not signed" in told
    newest.kubectl("label", "ns", "kube-vrrp", "pod-security.kubernetes.io/enforce-")
