"""What trackers do to a base priority (keepalived's arithmetic, exactly; pure).

``total = base + Σ contributions`` is a plain signed integer, never clamped and never kept: only the
effective priority is clamped, so that trackers which leave give back exactly what they took. All
numbers are points of VRRP priority. Source: keepalived ``vrrp_track.c``, ``track_file.c`` and
``vrrp.c``; reference §1b. The state of a script (rise, fall) is not arithmetic and not here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from vrrp.constants import PRIORITY_OWNER
from vrrp.priority import effective_priority

FILE_DEFAULT_WEIGHT = 1
"""The weight of a tracked file that names none; of every other tracker it is 0."""
FILE_BYTES_READ = 127
"""keepalived reads a tracked file once, into a buffer of 128 bytes."""

_FILE_FAULT, _FILE_BEST = -254, 253
"""The least and the most a tracked file comes to; the least is a Fault instead of a penalty."""
_STATE_LIMIT = 253
"""The largest weight of a script or interface; keepalived reduces a 254 to it, with a warning."""
_INT32_LIMIT = 2**31

# C's strtol(text, NULL, 0) as keepalived's builds have it: no 0b, and a bare 0x is a 0.
_LEADING_INTEGER = re.compile(rb"[ \t\n\v\f\r]*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")


class TrackerKind(StrEnum):
    """What a router can watch; the first three are up or down, a file holds a number."""

    SCRIPT = "script"
    INTERFACE = "interface"
    PROCESS = "process"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Effect:
    """What one tracker does to its router now: points added to the total, or a Fault."""

    contribution: int = 0
    fault: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What all trackers make of a router; it may take part only while ``faults`` is 0.

    ``total`` is what the arithmetic gives, ``effective`` what is advertised (1 to 254, owners 255).
    """

    total: int
    effective: int
    faults: int


def contribution(weight: int, up: bool, reverse: bool = False) -> int:
    """Return what a script, interface or process adds to the total.

    A positive weight is a bonus while up, a negative one a penalty while down; ``reverse`` turns
    the sign of either. Weight 0 adds nothing: it decides on Fault.
    """
    counts = up if weight > 0 else not up
    if not counts:
        return 0
    return -weight if reverse else weight


def state_effect(weight: int, up: bool, reverse: bool = False) -> Effect:
    """Return the effect of a script, interface or process; weight 0 makes down (reverse: up) Fault.

    A script without a result yet is neither up nor down; it is for the caller to hold its router.
    """
    return Effect(contribution(weight, up, reverse), fault=weight == 0 and up == reverse)


def file_effect(weight: int, value: int, reverse: bool = False) -> Effect:
    """Return the effect of a tracked file; weight 0 makes any value but 0 (reverse: 0) a Fault.

    Else ``value × weight`` counts, turned by ``reverse``, from −253 to +253; below that is a Fault,
    and a file in Fault adds nothing.
    """
    if weight == 0:
        return Effect(fault=(value != 0) != reverse)
    points = -value * weight if reverse else value * weight
    if points <= _FILE_FAULT:
        return Effect(fault=True)
    return Effect(min(_FILE_BEST, points))


def file_value(content: bytes | None, previous: int) -> int:
    """Return the value of a tracked file, None being a file that is missing or unreadable.

    It is the leading integer in C's notation (decimal, 0x, octal after a 0), and 0 without one.
    Outside signed 32 bits the file is ignored: it keeps its ``previous`` value, 0 at the start.
    """
    found = _LEADING_INTEGER.match((content or b"")[:FILE_BYTES_READ])
    if found is None:
        return 0
    sign, digits = found.groups()
    value = int(digits, _base(digits)) * (-1 if sign == b"-" else 1)
    if value == _INT32_LIMIT:
        # keepalived lets this one through its check and wraps it, recorded as a Fault at start.
        # (A change to it saturates there, and its total stays wrong ever after; ours does neither.)
        return -_INT32_LIMIT
    return value if -_INT32_LIMIT <= value < _INT32_LIMIT else previous


def _base(digits: bytes) -> int:
    if digits[:2] in (b"0x", b"0X"):
        return 16
    return 8 if digits.startswith(b"0") else 10


def tracked_weight(kind: TrackerKind, weight: int, base: int) -> int | None:
    """Return the weight that a router of priority ``base`` uses, None when it does not track.

    Scripts and interfaces are limited to ±253, files and processes keep ±254. The priority of an
    owner is fixed (RFC 9568 §5.2.4), so it ignores weighted trackers; but a file of the default
    weight, which the user may never have thought of, becomes one of weight 0.
    """
    if base == PRIORITY_OWNER and weight != 0:
        default = kind is TrackerKind.FILE and weight == FILE_DEFAULT_WEIGHT
        return 0 if default else None
    if kind in (TrackerKind.SCRIPT, TrackerKind.INTERFACE):
        return min(_STATE_LIMIT, max(-_STATE_LIMIT, weight))
    return weight


def outcome(base: int, effects: Iterable[Effect]) -> Outcome:
    """Return what the effects of all its trackers make of a router of priority ``base``."""
    counted = tuple(effects)
    contributions = [effect.contribution for effect in counted]
    return Outcome(
        total=base + sum(contributions),
        effective=effective_priority(base, contributions),
        faults=sum(effect.fault for effect in counted),
    )
