"""What the chart renders: golden files, Kubernetes' own schemas, and what two linters find."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from kubernetes_validate import utils
from tests.chart.crds import CHART
from tests.chart.helm import MAJORS, NEWEST, Manifest, only, rendered, run_helm, template
from tests.chart.renderings import VALUE_SETS, golden_path, golden_text, value_flags

REMEDY = "run `make chart` and look at the difference"
_MINORS = sorted({utils.major_minor(v) for v in utils.all_versions()}, key=utils.Version)
OLDEST = "1.31"
SUPPORTED = [OLDEST, *_MINORS[-4:]]
"""What Chart.yaml asks for at least, and the newest four that the package knows."""
FOREIGN = {"ServiceMonitor", "PodMonitor", "PrometheusRule"}
"""Kinds of the Prometheus operator: Kubernetes has no schemas of them."""
value_set = pytest.mark.parametrize("name", VALUE_SETS)


@value_set
def test_rendering_is_the_one_that_was_looked_at(name: str) -> None:
    assert golden_text(name) == golden_path(name).read_text(encoding="utf-8"), REMEDY


def test_there_are_five_sets_and_no_forgotten_rendering() -> None:
    assert len(VALUE_SETS) == 5
    kept = {path.stem for path in golden_path("default").parent.iterdir()}
    assert kept == set(VALUE_SETS)


@value_set
def test_both_majors_of_helm_render_the_same(name: str) -> None:
    assert everything(3, name) == everything(4, name)


@cache
def everything(major: int, name: str) -> list[Manifest]:
    return rendered(major, *value_flags(name))


@pytest.fixture(scope="module", autouse=True)
def _schemas_are_read_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "schema_contents", lru_cache(maxsize=None)(utils.schema_contents))
        yield


@pytest.mark.parametrize("kubernetes", SUPPORTED)
@value_set
def test_manifests_fit_the_schemas_of_kubernetes_strictly(name: str, kubernetes: str) -> None:
    for manifest in everything(NEWEST, name):
        if manifest["kind"] not in FOREIGN:
            validated = kubernetes_validate.validate(dict(manifest), kubernetes, strict=True)
            assert validated == kubernetes


def test_a_field_that_kubernetes_does_not_know_would_be_found() -> None:
    speaker = dict(only(everything(NEWEST, "default"), "DaemonSet"))
    speaker["spec"] = {**speaker["spec"], "replicas": 1}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(speaker, OLDEST, strict=True)


@pytest.mark.parametrize("major", MAJORS)
@value_set
def test_helm_lint_finds_nothing(major: int, name: str) -> None:
    flags = ("--strict", "--kube-version", "1.34.0", *value_flags(name))
    ended = run_helm(major, "lint", str(CHART), *flags)
    assert ended.returncode == 0, ended.stdout
    assert "[WARNING]" not in ended.stdout
    assert "[ERROR]" not in ended.stdout


# What must hold for every set ---------------------------------------------------------


@value_set
def test_names_fit_and_labels_are_everywhere(name: str) -> None:
    for manifest in everything(NEWEST, name):
        metadata = manifest["metadata"]
        assert len(metadata["name"]) <= 63
        assert metadata["labels"]["app.kubernetes.io/part-of"] == "kube-vrrp"


def test_names_fit_with_the_longest_release_too() -> None:
    for manifest in rendered(NEWEST, release="r" * 53):
        assert len(manifest["metadata"]["name"]) <= 63


@value_set
def test_without_a_cluster_no_key_is_rendered(name: str) -> None:
    assert not [m for m in everything(NEWEST, name) if m["kind"] == "Secret"]


@value_set
def test_speakers_wait_for_the_key_rather_than_run_unsigned(name: str) -> None:
    manifests = everything(NEWEST, name)
    speaker = only(manifests, "DaemonSet")["spec"]["template"]["spec"]
    operator = only(manifests, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    volumes = [v["secret"] for v in speaker["volumes"] if v["name"] == "keys"]
    signed = "--default-key-ref=cluster" in operator["args"]
    assert signed is bool(volumes) is (name != "plain")
    assert not any(volume.get("optional") for volume in volumes)


def test_policies_name_the_accounts_of_the_release() -> None:
    manifests = rendered(NEWEST, release="a", namespace="b")
    text = yaml.safe_dump(list(manifests))
    accounts = {
        f"system:serviceaccount:b:{m['metadata']['name']}"
        for m in manifests
        if m["kind"] == "ServiceAccount"
    }
    assert accounts == {
        "system:serviceaccount:b:a-kube-vrrp-operator",
        "system:serviceaccount:b:a-kube-vrrp-speaker",
    }
    assert all(f'request.userInfo.username == "{account}"' in text for account in accounts)


def test_a_label_or_annotation_that_is_said_twice_is_there_once(tmp_path: Path) -> None:
    """The nearer one counts; Argo CD and strict clients refuse a key that is there twice."""
    values = {
        "commonLabels": {"release": "common"},
        "monitor": {"kind": "PodMonitor", "additionalLabels": {"release": "near"}},
        "alerts": {"enabled": True, "additionalLabels": {"release": "near"}},
        "speaker": {"podAnnotations": {"kubectl.kubernetes.io/default-container": "other"}},
    }
    (tmp_path / "values.yaml").write_text(json.dumps(values))
    flags = ("-f", str(tmp_path / "values.yaml"), "--show-only")
    for name in ("monitor", "prometheusrule"):
        text = template(NEWEST, *flags, f"templates/{name}.yaml").stdout
        assert "release: near" in text
        assert "release: common" not in text
    speaker = template(NEWEST, *flags, "templates/speaker.yaml").stdout
    assert speaker.count("default-container: ") == 1
    assert "default-container: other" in speaker


def test_large_numbers_stay_numbers(tmp_path: Path) -> None:
    """Helm reads numbers of a file as floats; OpenShift's users are above a million."""
    (tmp_path / "values.yaml").write_text("operator: {runAsUser: 1000650000}")
    text = template(NEWEST, "-f", str(tmp_path / "values.yaml")).stdout
    assert "runAsUser: 1000650000\n" in text
    assert "runAsGroup: 1000650000\n" in text


def test_a_key_that_signs_only_what_names_it_is_mounted_all_the_same() -> None:
    manifests = rendered(NEWEST, "--set", "clusterKey.signByDefault=false")
    operator = only(manifests, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert not [flag for flag in operator["args"] if flag.startswith("--default-key-ref")]
    volumes = only(manifests, "DaemonSet")["spec"]["template"]["spec"]["volumes"]
    assert [v["secret"]["secretName"] for v in volumes if "secret" in v] == ["kube-vrrp-keys"]


# Alerts -------------------------------------------------------------------------------


def alerts_of(*flags: str) -> dict[str, Manifest]:
    rule = only(rendered(NEWEST, "--set", "alerts.enabled=true", *flags), "PrometheusRule")
    return {r["alert"]: r for g in rule["spec"]["groups"] for r in g["rules"] if "alert" in r}


def test_alerts_are_those_of_the_file() -> None:
    groups = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())["groups"]
    rule = only(rendered(NEWEST, "--set", "alerts.enabled=true"), "PrometheusRule")
    assert rule["spec"]["groups"] == groups


def test_alerts_may_be_changed_one_by_one() -> None:
    flags = {
        "alerts.rules.KubeVRRPFailover.enabled": "false",
        "alerts.rules.KubeVRRPNoHolder.severity": "warning",
        "alerts.rules.KubeVRRPNoHolder.for": "5m",
        "alerts.alertLabels.team": "network",
        "alerts.runbookURL": "https://runbooks.example.com/vrrp/",
    }
    changed = alerts_of(
        *(part for key, value in flags.items() for part in ("--set", f"{key}={value}"))
    )
    as_they_are = alerts_of()
    assert as_they_are.keys() - changed.keys() == {"KubeVRRPFailover"}
    mine = changed["KubeVRRPNoHolder"]
    assert (mine["for"], mine["labels"]) == ("5m", {"severity": "warning", "team": "network"})
    page = as_they_are["KubeVRRPNoHolder"]["annotations"]["runbook_url"].rpartition("/")[2]
    assert mine["annotations"]["runbook_url"] == f"https://runbooks.example.com/vrrp/{page}"
    assert mine["expr"] == as_they_are["KubeVRRPNoHolder"]["expr"]


# Notes --------------------------------------------------------------------------------


def notes(*flags: str) -> str:
    """Return the notes of a dry run without a cluster."""
    ended = run_helm(
        NEWEST, "install", "kube-vrrp", str(CHART), "-n", "kube-vrrp", "--dry-run=client", *flags
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.partition("\nNOTES:\n")[2]


def test_everything_renders_with_a_port_that_probes_ask() -> None:
    ended = template(NEWEST, "--set", "speaker.metrics.port=1234")
    assert "9105" not in ended.stdout
