"""Each alert has its page, each page its alert, and the reference says what the rules do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from tests.alerts.page import PAGE, updated
from tests.alerts.rules import RULES, RUNBOOKS, Alert, alerts

SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]


def name(alert: Alert) -> str:
    return alert.name


def file_name(path: Path) -> str:
    return path.name


def test_the_reference_is_that_of_the_rules() -> None:
    assert PAGE.read_text() == updated(PAGE.read_text()), "python -m tests.alerts writes it"


@pytest.mark.parametrize("alert", alerts(), ids=name)
def test_every_alert_has_a_page_with_all_sections(alert: Alert) -> None:
    text = alert.page.read_text()
    assert text.startswith(f"# {alert.name}\n")
    assert re.findall(r"^## (.+)$", text, re.M) == SECTIONS
    for section in re.split(r"^## .+\n", text, flags=re.M)[1:]:
        assert len(section.split()) > 10
    diagnosis = text.partition("## Diagnosis")[2].partition("## Mitigation")[0]
    assert "```" in diagnosis, "commands, not advice"


def test_every_page_has_an_alert_and_is_listed() -> None:
    pages = {page.name for page in RUNBOOKS.glob("*.md")} - {"README.md"}
    assert pages == {alert.page.name for alert in alerts()}
    listed = re.findall(r"\]\((\w+\.md)\)", (RUNBOOKS / "README.md").read_text())
    assert sorted(listed) == sorted(pages)


@pytest.mark.parametrize("path", [PAGE, RULES, *sorted(RUNBOOKS.glob("*.md"))], ids=file_name)
def test_alerts_that_are_spoken_of_exist(path: Path) -> None:
    spoken_of = set(re.findall(r"KubeVRRP[A-Z]\w+", path.read_text()))
    assert spoken_of <= {alert.name for alert in alerts()}


def test_what_inhibits_shares_the_labels_that_have_to_be_equal() -> None:
    """An alert without the label would be equal to every other one without it, or to none."""
    (block,) = [
        b for b in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.S) if "inhibit" in b
    ]
    kept = {alert.name: alert.expr for alert in alerts()}
    rules = yaml.safe_load(block)["inhibit_rules"]
    assert len(rules) > 4
    for rule in rules:
        for name in re.findall(r"KubeVRRP\w+", str(rule)):
            for label in rule.get("equal", ()):
                assert re.search(rf"by \([a-z_, ]*\b{label}\b[a-z_, ]*\)", kept[name]), (
                    name,
                    label,
                )
