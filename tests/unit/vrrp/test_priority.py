"""Priority arithmetic against effective priorities that keepalived showed on the wire."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vrrp.constants import PRIORITY_OWNER
from vrrp.priority import contribution, effective_priority

_VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "golden-priority.jsonl"
_FAULT = "FAULT"


def _rows() -> list[dict[str, Any]]:
    """Rows whose trackers pass or fail, which is all that a HealthCheck can do today."""
    rows = [json.loads(line) for line in _VECTORS.read_text().splitlines()]
    kinds = ("script", "interface", "process")
    return [
        row
        for row in rows
        if row["base"] != PRIORITY_OWNER  # a floating address has no owner
        and all(t["kind"] in kinds and not t["reverse"] for t in row["trackers"])
    ]


def _weight(tracker: dict[str, Any]) -> int:
    """The weight where it is tracked beats the tracker's own; none at all is 0."""
    return int(tracker.get("line_weight", tracker["weight"]) or 0)


def test_the_vectors_hold_enough_rows() -> None:
    assert len(_rows()) > 50


@pytest.mark.parametrize("row", _rows(), ids=lambda row: f"{row['base']} {row['trackers']}")
def test_effective_priority_is_keepaliveds(row: dict[str, Any]) -> None:
    results = [(_weight(t), t["state"] == "up") for t in row["trackers"]]
    if any(weight == 0 and not passing for weight, passing in results):
        assert row["effective"] == _FAULT
        return
    contributions = [contribution(weight, passing) for weight, passing in results]
    assert effective_priority(row["base"], contributions) == row["effective"]
