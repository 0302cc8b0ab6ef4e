"""The rule file, as values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "charts" / "kube-vrrp" / "files" / "alerts.yaml"
RUNBOOKS = ROOT / "docs" / "runbooks"
RUNBOOK_BASE = "https://kube-vrrp.io/docs/runbooks/"
"""What the chart replaces when it is told where else the pages are."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert of the rule file; ``wait`` is its ``for``, empty without one."""

    name: str
    group: str
    expr: str
    wait: str
    labels: dict[str, str]
    annotations: dict[str, str]

    @property
    def severity(self) -> str:
        """How urgent it is."""
        return self.labels["severity"]

    @property
    def page(self) -> Path:
        """Its runbook."""
        return RUNBOOKS / f"{self.name.lower()}.md"


def groups() -> list[dict[str, Any]]:
    """Return the groups of the rule file."""
    loaded = yaml.safe_load(RULES.read_text())
    assert list(loaded) == ["groups"]
    found: list[dict[str, Any]] = loaded["groups"]
    return found


def alerts() -> list[Alert]:
    """Return every alert, in the order of the file."""
    return [
        Alert(
            rule["alert"],
            group["name"],
            rule["expr"],
            rule.get("for", ""),
            rule["labels"],
            rule["annotations"],
        )
        for group in groups()
        for rule in group["rules"]
    ]
