"""Each alert has its page, each page its alert, and the reference says what the rules do."""

from __future__ import annotations

import re

import pytest
from tests.alerts.page import PAGE, updated
from tests.alerts.rules import RUNBOOKS, Alert, alerts

SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]


def name(alert: Alert) -> str:
    return alert.name


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
