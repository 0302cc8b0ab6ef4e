"""Priority arithmetic: what health checks do to a base priority (keepalived's, exactly).

``total = base + Σ contributions`` is a plain signed integer, never clamped and never kept: only the
effective priority is clamped, so that checks which leave give back exactly what they took.
Source: keepalived ``vrrp_track.c``; reference §1b.
"""

from __future__ import annotations

from collections.abc import Iterable

from vrrp.constants import PRIORITY_MAXIMUM, PRIORITY_MINIMUM


def contribution(weight: int, passing: bool) -> int:
    """Return what one check adds to the total.

    A positive weight is a bonus while passing; a negative one a penalty while failing. Weight 0
    adds nothing: there, failing is a Fault.
    """
    if weight > 0:
        return weight if passing else 0
    return 0 if passing else weight


def effective_priority(base: int, contributions: Iterable[int]) -> int:
    """Return the priority to advertise, 1 to 254."""
    return min(PRIORITY_MAXIMUM, max(PRIORITY_MINIMUM, base + sum(contributions)))
