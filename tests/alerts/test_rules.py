"""The alert rules by themselves: what promtool says of them, and what they have in common."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.alerts.rules import ROOT, RULES, RUNBOOK_BASE, Alert, alerts, groups
from tests.conftest import cannot_run

from vrrp_lab.namespaces import LabError

UNIT_TESTS = sorted(Path(__file__).parent.glob("*.yaml"))
PAGES = {"KubeVRRPNoHolder", "KubeVRRPTwoHolders"}
"""Only what clients feel at once may wake somebody."""
TEMPLATE = re.compile(r"{{ \$labels\.(\w+) }}")
KEPT = re.compile(r"\b(?:by|on) \(([a-z_, ]*)\)")


def name(value: Alert | Path) -> str:
    return value.name


def promtool(*arguments: str) -> str:
    """Run promtool; return what it said, or fail with it."""
    if not shutil.which("promtool"):
        cannot_run(LabError("this machine lacks: promtool (Debian package prometheus)"))
    ended = subprocess.run(
        ["promtool", *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_prometheus_accepts_the_file() -> None:
    assert f"{len(alerts())} rules found" in promtool("check", "rules", str(RULES))


@pytest.mark.parametrize("path", UNIT_TESTS, ids=name)
def test_alerts_fire_when_they_should_and_not_else(path: Path) -> None:
    promtool("test", "rules", str(path))


def _points() -> dict[str, list[dict[str, Any]]]:
    """Return every point in time that the unit tests look at, by alert."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in UNIT_TESTS:
        for test in yaml.safe_load(path.read_text())["tests"]:
            for point in test["alert_rule_test"]:
                found.setdefault(point["alertname"], []).append(point)
    return found


@pytest.mark.parametrize("alert", alerts(), ids=name)
def test_every_alert_is_looked_at_before_it_fires_while_it_does_and_after(alert: Alert) -> None:
    points = _points()[alert.name]
    assert len(points) >= 4
    firing = [index for index, point in enumerate(points) if point["exp_alerts"]]
    assert len(firing) >= 2, "once as it begins, once after a missed scrape"
    assert firing[0] > 0, "not before its time"
    assert any(not point["exp_alerts"] for point in points[firing[0] :]), "it has to end"


def test_names_are_unique_and_begin_alike() -> None:
    assert not [a for a, times in Counter(a.name for a in alerts()).items() if times > 1]
    assert all(re.fullmatch(r"KubeVRRP[A-Z]\w+", alert.name) for alert in alerts())
    assert all(group["name"].startswith("kube-vrrp.") for group in groups())


@pytest.mark.parametrize("alert", alerts(), ids=name)
def test_severity_is_one_of_three_and_few_are_critical(alert: Alert) -> None:
    assert set(alert.labels) == {"severity"}
    assert alert.severity in ("critical", "warning", "info")
    assert (alert.severity == "critical") == (alert.name in PAGES)


@pytest.mark.parametrize("alert", alerts(), ids=name)
def test_annotations_say_what_and_where_to_read_on(alert: Alert) -> None:
    assert set(alert.annotations) == {"summary", "description", "runbook_url"}
    assert len(alert.annotations["summary"]) < 90
    assert alert.annotations["runbook_url"] == RUNBOOK_BASE + alert.page.name
    used = set(TEMPLATE.findall(" ".join(alert.annotations.values())))
    kept = {label for listed in KEPT.findall(alert.expr) for label in listed.split(", ")}
    assert used <= kept, "a label that the expression has dropped is empty in the text"


@pytest.mark.parametrize("alert", alerts(), ids=name)
def test_nothing_depends_on_how_targets_are_called(alert: Alert) -> None:
    for label in ("job", "pod", "namespace", "container", "service", "endpoint"):
        assert not re.search(rf"\b{label}\b", alert.expr)


@pytest.mark.parametrize("alert", alerts(), ids=name)
def test_every_series_that_is_asked_for_is_exported(alert: Alert) -> None:
    documented = (ROOT / "docs" / "metrics.md").read_text()
    for metric in re.findall(r"\bkube_vrrp_\w+", alert.expr):
        assert f"`{re.sub(r'_(bucket|sum|count)$', '', metric)}`" in documented, metric


@pytest.mark.parametrize("alert", alerts(), ids=name)
def test_a_gauge_is_read_past_a_missed_scrape(alert: Alert) -> None:
    """An instant reading vanishes with one failed scrape, and what waits begins to wait anew."""
    if alert.wait:
        bare = re.findall(r"\b(?:kube_vrrp_\w+|up)(?:{[^}]*})?(?![\w{\[])", alert.expr)
        assert not bare
