"""The priority that is advertised: the base and what is added to it, within VRRP's range."""

from __future__ import annotations

from collections.abc import Iterable

from vrrp.constants import PRIORITY_MAXIMUM, PRIORITY_MINIMUM, PRIORITY_OWNER


def effective_priority(base: int, contributions: Iterable[int]) -> int:
    """Return the priority to advertise, 1 to 254; an owner's stays 255."""
    if base == PRIORITY_OWNER:
        return PRIORITY_OWNER
    return min(PRIORITY_MAXIMUM, max(PRIORITY_MINIMUM, base + sum(contributions)))
