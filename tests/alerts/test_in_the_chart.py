"""The PrometheusRule that the chart renders holds the rules of the file, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.alerts.rules import RUNBOOK_BASE, groups
from tests.alerts.test_rules import promtool
from tests.chart.helm import MAJORS, rendered


def rule_of(major: int, *values: str) -> dict[str, Any]:
    """Return the spec of the PrometheusRule that these values give."""
    flags = [flag for value in ("alerts.enabled=true", *values) for flag in ("--set", value)]
    (found,) = [o for o in rendered(major, *flags) if o["kind"] == "PrometheusRule"]
    spec: dict[str, Any] = found["spec"]
    return spec


def urls(spec: dict[str, Any]) -> Sequence[str]:
    """Return where each rule's runbook is said to be."""
    return [r["annotations"]["runbook_url"] for group in spec["groups"] for r in group["rules"]]


@pytest.mark.parametrize("major", MAJORS)
def test_the_rules_are_those_of_the_file(major: int, tmp_path: Path) -> None:
    spec = rule_of(major)
    assert spec == {"groups": groups()}
    path = tmp_path / "rendered.yaml"
    path.write_text(yaml.safe_dump(spec))
    promtool("check", "rules", str(path))


def test_runbooks_may_lie_elsewhere() -> None:
    elsewhere = "https://runbooks.example.org/vrrp"
    moved = urls(rule_of(MAJORS[0], f"alerts.runbookURL={elsewhere}"))
    pages = [url.removeprefix(RUNBOOK_BASE) for url in urls({"groups": groups()})]
    assert moved == [f"{elsewhere}/{page}" for page in pages]
