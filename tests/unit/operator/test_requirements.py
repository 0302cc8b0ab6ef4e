"""What an API server lacks is one sentence that says what to do."""

from __future__ import annotations

from typing import Any

import pytest

from vrrp_operator.api.requirements import missing_requirement

VERSION = {"major": "1", "minor": "34"}
GROUP = {"versions": [{"groupVersion": "kube-vrrp.io/v1alpha1"}]}
KINDS = {
    "resources": [
        {"name": name}
        for name in ("virtualips", "virtualips/status", "healthchecks", "nodeconfigs")
    ]
}


def missing(version: Any = VERSION, group: Any = GROUP, kinds: Any = KINDS) -> str:
    served = {
        "/version": version,
        "/apis/kube-vrrp.io": group,
        "/apis/kube-vrrp.io/v1alpha1": kinds,
    }
    return missing_requirement(served.__getitem__)


@pytest.mark.parametrize(
    "version", [VERSION, {"major": "1", "minor": "31"}, {"major": "1", "minor": "31+"}, {}, None]
)
def test_new_enough_or_not_told(version: Any) -> None:
    assert missing(version) == ""


@pytest.mark.parametrize("minor", ["30", "30+", "9"])
def test_old_kubernetes_is_told_before_the_kinds_that_cannot_be_there(minor: str) -> None:
    said = missing({"major": "1", "minor": minor}, group=None)
    assert said == (
        f"Kubernetes 1.{minor.strip('+')} is too old (accepted: 1.31 or newer); upgrade the cluster"
    )


def test_missing_kinds() -> None:
    assert missing(group=None).startswith(
        "the API server does not know kube-vrrp.io/v1alpha1: the CRDs are missing; install those"
    )


def test_kinds_of_a_newer_version_are_named() -> None:
    newer = {"versions": [{"groupVersion": f"kube-vrrp.io/{v}"} for v in ("v1", "v1beta1")]}
    said = missing(group=newer)
    assert said.startswith(
        "the API server has kube-vrrp.io/v1, kube-vrrp.io/v1beta1 (accepted:"
        " kube-vrrp.io/v1alpha1): the CRDs are of another version than this operator, "
    )
    assert said.endswith("; run the one that they came with")


def test_one_missing_kind_is_named() -> None:
    some = {"resources": [{"name": "virtualips"}, {"name": "nodeconfigs"}]}
    assert missing(kinds=some).startswith(
        "the API server has no healthchecks of kube-vrrp.io/v1alpha1; install those of "
    )
