"""Wrong values are refused before anything is rendered, with the key that is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.chart.helm import MAJORS, template

WRONG = yaml.safe_load((Path(__file__).parent / "wrong_values.yaml").read_text(encoding="utf-8"))
major = pytest.mark.parametrize("major", MAJORS, ids="helm{}".format)


def render(major: int, values: Any, folder: Path) -> tuple[int, str]:
    """Render with values; return Helm's exit status and what it says on stderr."""
    path = folder / "values.yaml"
    path.write_text(json.dumps(values))
    ended = template(major, "-f", str(path))
    return ended.returncode, ended.stderr


def test_the_table_is_long_enough_and_says_each_thing_once() -> None:
    assert len(WRONG) >= 25
    assert len({json.dumps(wrong["set"]) for wrong in WRONG}) == len(WRONG)


@major
@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: json.dumps(wrong["set"]))
def test_the_schema_refuses_and_names_the_key(
    major: int, wrong: dict[str, Any], tmp_path: Path
) -> None:
    status, told = render(major, wrong["set"], tmp_path)
    assert status != 0
    assert "values don't meet the specifications of the schema" in told
    pointer = wrong["at"]
    path = pointer.strip("/").replace("/", ".") or "(root)"
    # The library was another one in earlier releases of Helm 3, with other words.
    assert f"at '{pointer}'" in told or f"- {path}: " in told
    assert wrong.get("names", "") in told


UNFIT: list[tuple[dict[str, Any], str]] = [
    (
        {"clusterKey": {"keys": [1, 2], "active": 3}},
        "clusterKey.active: 3 is not in clusterKey.keys (1, 2)",
    ),
    (
        {"monitor": {"kind": "PodMonitor"}, "speaker": {"metrics": {"bind": "Loopback"}}},
        "speaker.metrics.bind: Loopback leaves nothing for the PodMonitor to scrape",
    ),
    (
        {"speaker": {"stateDir": "/var/lib/"}},
        "speaker.stateDir: /var/lib/ is not kube-vrrp's own; name a folder below it, for example"
        " /var/lib/kube-vrrp",
    ),
    (
        {"speaker": {"stateDir": "/run/kube-vrrp"}},
        "speaker.stateDir and speaker.runDir are both /run/kube-vrrp",
    ),
    (
        {"speaker": {"checks": {"exec": {"enabled": True}}}},
        "speaker.checks.exec.enabled: there are no scripts: set speaker.checks.exec.scripts or",
    ),
    (
        {"speaker": {"checks": {"exec": {"scripts": {"a": "#!/bin/true"}}}}},
        "there are scripts, and exec checks are off: set speaker.checks.exec.enabled: true",
    ),
    (
        {"speaker": {"checks": {"ca": {"certificates": {"a": "b"}, "existingConfigMap": "c"}}}},
        "speaker.checks.ca: set certificates or existingConfigMap, not both",
    ),
    (
        {
            "addressPolicy": {
                "rules": [
                    {"name": "a", "groups": ["a"], "ranges": ["192.0.2.0/24"]},
                    {"name": "a", "groups": ["b"], "ranges": ["192.0.2.0/24"]},
                ]
            }
        },
        "addressPolicy.rules: two rules have the name a",
    ),
    (
        {"enabled": False},
        "enabled: false is for charts that have this one as a dependency",
    ),
    (
        {"operator": {"reservedVRIDs": [51, "10-1"]}},
        "operator.reservedVRIDs: 10-1 begins after its end",
    ),
    (
        {"speaker": {"checks": {"file": {"folders": ["/srv/a", "/srv/a/"]}}}},
        "speaker.checks.file.folders[1]: /srv/a/ is there twice",
    ),
    (
        {"speaker": {"checks": {"file": {"folders": ["/usr"]}}}},
        "speaker.checks.file.folders[0]: /usr would hide the speaker's own",
    ),
    (
        {"speaker": {"checks": {"file": {"folders": ["/etc/kube-vrrp/keys"]}}}},
        "speaker.checks.file.folders[0]: /etc/kube-vrrp/keys lies in /etc/kube-vrrp or holds it",
    ),
    (
        {"speaker": {"stateDir": "/srv/vrrp", "checks": {"file": {"folders": ["/srv"]}}}},
        "speaker.checks.file.folders[0]: /srv lies in /srv/vrrp or holds it",
    ),
    (
        {"alerts": {"enabled": True, "rules": {"KubeVRRPNoHoldr": {"enabled": False}}}},
        "alerts.rules.KubeVRRPNoHoldr: there is no such alert (accepted: KubeVRRPNoHolder,",
    ),
]


@major
@pytest.mark.parametrize(("values", "told"), UNFIT, ids=[told for _, told in UNFIT])
def test_values_that_do_not_go_together_are_refused_in_a_sentence(
    major: int, values: dict[str, Any], told: str, tmp_path: Path
) -> None:
    status, said = render(major, values, tmp_path)
    assert status != 0
    assert told in said


@major
@pytest.mark.parametrize("release", ["prod.vrrp", "1st"])
def test_a_release_whose_services_could_not_be_made_is_refused(major: int, release: str) -> None:
    refused = template(major, release=release)
    assert refused.returncode != 0
    assert f"would call a Service {release}-kube-vrrp-speaker" in refused.stderr
    assert template(major, "--set", "fullnameOverride=vrrp", release=release).returncode == 0


@major
def test_what_may_be_left_out_may_be_null(major: int) -> None:
    names = ("nodeSelector", "tolerations", "affinity", "podAnnotations", "resources.limits")
    nulls = [f"{who}.{name}=null" for who in ("operator", "speaker") for name in names]
    ended = template(major, "--set", ",".join([*nulls, "operator.runAsUser=null"]))
    assert ended.returncode == 0, ended.stderr
    assert "runAsUser: null" not in ended.stdout


@major
def test_a_kubernetes_that_is_too_old_is_refused(major: int) -> None:
    ended = template(major, kubernetes="1.30.9")
    assert ended.returncode != 0
    told = "chart requires kubeVersion: >=1.31.0-0 which is incompatible with Kubernetes v1.30.9"
    assert told in ended.stderr


@major
def test_builds_of_providers_are_not_too_old(major: int) -> None:
    assert template(major, kubernetes="1.31.0-eks-1234").returncode == 0
