"""The rules with shorter times, so that a test need not wait as long as a person would."""

from __future__ import annotations

import copy
import re
from typing import Any

FACTOR = 24
"""By how much every ``for``, window and offset is divided: a minute becomes 2.5 s."""

SLOWEST_S = 20
"""Ages in seconds are divided to this at the least: the operator reconciles every ten seconds."""

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?<=\[)(\d+)([smhd])(?=\])|(?<=offset )(\d+)([smhd])")
_AGE = re.compile(r"(time\(\) - [^<>]+ [<>] )(\d+)")


def scaled(groups: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a rule file with the same rules and all times divided."""
    found = copy.deepcopy(groups)
    for group in found:
        for rule in group["rules"]:
            rule["expr"] = _AGE.sub(_shorter_age, _DURATION.sub(_shorter, rule["expr"]))
            if "for" in rule:
                rule["for"] = _divided(rule["for"][:-1], rule["for"][-1])
    return {"groups": found}


def _shorter(match: re.Match[str]) -> str:
    number, unit = (part for part in match.groups() if part is not None)
    return _divided(number, unit)


def _divided(number: str, unit: str) -> str:
    return f"{int(number) * _UNITS_S[unit] * 1000 // FACTOR}ms"


def _shorter_age(match: re.Match[str]) -> str:
    return f"{match[1]}{max(SLOWEST_S, int(match[2]) // FACTOR)}"
