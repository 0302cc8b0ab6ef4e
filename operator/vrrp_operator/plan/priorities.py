"""Priorities that places give (pure)."""

from __future__ import annotations

FIRST_PRIORITY = 200
LARGEST_GAP = 20
HANDOVER_PRIORITY = FIRST_PRIORITY + LARGEST_GAP
"""What the named node has among ranked ones; no rank gives it."""
MAXIMUM = 254


def priority_for_rank(rank: int, candidates: int) -> int:
    """Return the priority of a place, 0 being the best, among so many candidates.

    Gaps are wide, because scheduling jitter is larger than the difference of neighbouring
    priorities in time (RFC 9568 §8.3.2; reference V3-80).
    """
    gap = max(1, min(LARGEST_GAP, (FIRST_PRIORITY - 1) // max(1, candidates)))
    return FIRST_PRIORITY - rank * gap
