"""The table of who gets on with whom."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterable, Mapping

import pytest
import scapy
from tests.interop.duel import LOSS_PERCENT, PAIRS, Outcome, Pair
from tests.interop.loss import IN_LOSS, too_long_together
from tests.interop.variants import VARIANTS, Variant

OUTCOMES: pytest.StashKey[dict[Pair, Outcome]] = pytest.StashKey()
"""What a session's duels showed."""

_LEGEND = """
Columns are left – right.

- **1**: after every step one router is Active, the one that should be.
- **≠**: they do not understand each other, as it should be. Two are Active then; but ours, as long
  as it has heard nobody, does not take an address for which somebody answers (AddressConflict).
- **–**: one of them cannot be told so.
"""
_NOTHING = "–"


def table(outcomes: Mapping[Pair, Outcome]) -> str:
    """Return versions, legend and table as Markdown."""
    pairs = [pair for pair in PAIRS if pair in outcomes]
    rows = [[v.name, *(_cell(v, pair, outcomes[pair]) for pair in pairs)] for v in VARIANTS]
    for v in IN_LOSS:
        cells = [_cell(v, pair, outcomes[pair], in_loss=True) for pair in pairs]
        rows.append([f"{v.name}, {LOSS_PERCENT} % of all packets lost", *cells])
    head = [["", *(pair.name for pair in pairs)], ["---"] * (len(pairs) + 1)]
    shown = [row for row in rows if set(row[1:]) != {_NOTHING}]
    lines = ["| " + " | ".join(row) + " |" for row in head + shown]
    return "\n".join([*_versions(pairs), _LEGEND, *lines, "", *_lacks(pairs)])


def _cell(variant: Variant, pair: Pair, outcome: Outcome, *, in_loss: bool = False) -> str:
    if variant.lacking(pair.left, pair.right) is not None:
        return _NOTHING
    if variant.name in outcome.failures:
        return "**failed**"
    if in_loss and too_long_together(variant, outcome.lossy[variant.name]):
        return "**failed**"
    return "≠" if any(variant.deaf(pair.left, pair.right)) else "1"


def _versions(pairs: Iterable[Pair]) -> list[str]:
    sides = dict.fromkeys(side for pair in pairs for side in (pair.left, pair.right))
    said = subprocess.run(["tshark", "--version"], capture_output=True, text=True, check=False)
    tshark = " ".join(said.stdout.split()[:3]).rstrip(".")
    return [
        *(f"- {side.implementation} {side.version()}" for side in sides),
        f"- second opinions: {tshark}, scapy {scapy.__version__}",
        f"- Linux {platform.release()}",
    ]


def _lacks(pairs: Iterable[Pair]) -> list[str]:
    """Return why cells are empty."""
    lacks = (v.lacking(pair.left, pair.right) for pair in pairs for v in VARIANTS)
    return [f"- {lack}" for lack in sorted({lack for lack in lacks if lack is not None})]
