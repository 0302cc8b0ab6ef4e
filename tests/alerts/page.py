"""The reference of ``docs/alerts.md``, made from the rule file."""

from __future__ import annotations

from tests.alerts.rules import ROOT, Alert, alerts

PAGE = ROOT / "docs" / "alerts.md"
BEGIN = "<!-- reference: made by python -m tests.alerts from the rule file -->\n"
END = "<!-- end -->\n"


def reference() -> str:
    """Return the table of all alerts."""
    rows = ["| alert | severity | for | |", "|---|---|---|---|", *map(_row, alerts())]
    return "\n".join(rows) + "\n"


def _row(alert: Alert) -> str:
    text = alert.annotations["summary"]
    for label in ("virtual_ip", "node", "reason", "check"):
        text = text.replace("{{ $labels." + label + " }}", f"*{label}*")
    text = text.replace("{{ $value }}", "*n*")
    name = f"[`{alert.name}`](runbooks/{alert.page.name})"
    return f"| {name} | {alert.severity} | {alert.wait or '–'} | {text} |"


def updated(page: str) -> str:
    """Return the page with the reference as it should be."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return before + BEGIN + reference() + END + after
