"""Every finding of kube-score and checkov is explained in findings.yaml, or mended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.chart.helm import NEWEST, Manifest, rendered
from tests.chart.linters import Finding, checkov, kube_score
from tests.chart.renderings import VALUE_SETS, value_flags

LINTED = ("default", "production", "everything")
"""The defaults, what a careful administrator sets, and every privilege that can be asked for."""
_TABLE = yaml.safe_load((Path(__file__).parent / "findings.yaml").read_text(encoding="utf-8"))
found: dict[str, set[Finding]] = {}


def explained(tool: str, name: str) -> set[Finding]:
    """Return the findings that the table explains for a set of values."""
    return {
        (tool, row["check"], obj)
        for row in _TABLE[tool]
        if name in row.get("only", LINTED)
        for obj in row["objects"]
        if not (obj == "Pod/kube-vrrp-test" and name == "default")
    }


def manifests(name: str) -> list[Manifest]:
    """Return what Kubernetes' own schemas know: neither tool knows the kinds themselves."""
    assert name in VALUE_SETS
    flags = [*value_flags(name)]
    if name == "production":
        flags += ["--set", "test.address=192.0.2.50/24"]
    return [m for m in rendered(NEWEST, *flags) if m["kind"] != "CustomResourceDefinition"]


@pytest.mark.parametrize("name", LINTED)
def test_kube_score_finds_what_is_explained(name: str) -> None:
    assert kube_score(manifests(name), "1.34") == explained("kube-score", name)


@pytest.mark.parametrize("name", LINTED)
def test_checkov_finds_what_is_explained(name: str, tmp_path: Path) -> None:
    assert checkov(manifests(name), tmp_path) == explained("checkov", name)


@pytest.mark.parametrize(
    "row", [r for tool in _TABLE.values() for r in tool], ids=lambda r: r["check"]
)
def test_every_explanation_is_a_sentence(row: dict[str, Any]) -> None:
    assert len(row["why"]) > 40
