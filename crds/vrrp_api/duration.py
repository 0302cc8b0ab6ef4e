"""Durations as people write them ("200ms", "1m30s") and as the code computes with them (ns)."""

from __future__ import annotations

import re

_UNITS_NS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_PART = re.compile(r"(\d{1,9})(?:\.(\d{1,9}))?(h|ms|us|ns|m|s)")
_LONGEST = 10**9
"""What has more digits than ``_PART`` reads."""


def parse_duration(text: str) -> int:
    """Return nanoseconds; the syntax is Go's without a sign, as in every Kubernetes API.

    Raises:
        ValueError: the text is no such duration.
    """
    total, position = 0, 0
    while position < len(text):
        match = _PART.match(text, position)
        if match is None:
            break
        whole, fraction, unit = match.groups()
        total += int(whole) * _UNITS_NS[unit]
        if fraction:
            total += int(fraction) * _UNITS_NS[unit] // 10 ** len(fraction)
        position = match.end()
    if position != len(text) or not text:
        raise ValueError(f"{text!r} is not a duration (accepted: for example 200ms, 1s, 1m30s)")
    return total


def format_duration(nanoseconds: int) -> str:
    """Return a short exact text, as "200ms", "90s" or, where one unit has no room, "90s1ns"."""
    for unit in ("s", "ms", "us", "ns"):
        count, rest = divmod(nanoseconds, _UNITS_NS[unit])
        if not rest and count < _LONGEST:
            return f"{count}{unit}"
    seconds, rest = divmod(nanoseconds, _UNITS_NS["s"])
    return f"{seconds}s{format_duration(rest)}"
