"""Whether the weight of a check can ever move its VirtualIP (pure; keepalived's arithmetic).

A check moves an address when one node's result makes it worse than another one that it was not
worse than. What else a node may have is open: any candidate may be away, every other check of the
VirtualIP may pass or fail on any node. So a weight is called ineffective only if it is so in every
case: clamping to 1 to 254 and the other weights counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from vrrp.priority import effective_priority
from vrrp_api.check_kinds import CheckKind, FileCheck, InterfaceCheck, ProcessCheck
from vrrp_api.health_check import HealthCheck
from vrrp_api.node_config import RouterCheck
from vrrp_api.trackers import TrackerKind, contribution, tracked_weight


@dataclass(frozen=True, slots=True)
class Points:
    """What a check adds to a priority in either state."""

    passing: int
    failing: int


def ineffective(
    references: Sequence[RouterCheck],
    checks: Mapping[str, HealthCheck],
    priorities: Sequence[int],
) -> list[int]:
    """Return the places of the weighted checks that can never move their VirtualIP.

    Args:
        references: the VirtualIP's checks, weight and reverse resolved.
        checks: the HealthChecks by name.
        priorities: the base priorities of all its candidates.
    """
    weighted = [place for place, reference in enumerate(references) if reference.weight != 0]
    kinds = [checks[references[place].name].kind for place in weighted]
    if len(priorities) < 2 or any(isinstance(kind, FileCheck) for kind in kinds):
        return []  # one candidate never moves; and a number can come to anything, a Fault included
    all_points = [
        points(kind, references[place]) for kind, place in zip(kinds, weighted, strict=True)
    ]
    return [
        place
        for index, place in enumerate(weighted)
        if not can_move(all_points[index], rest(all_points, index), tuple(priorities))
    ]


def rest(all_points: Sequence[Points], index: int) -> tuple[Points, ...]:
    """Return all but one."""
    return (*all_points[:index], *all_points[index + 1 :])


def points(kind: CheckKind, reference: RouterCheck) -> Points:
    """Return what a check adds, by the rules of keepalived's tracker that its kind is."""
    tracker = TrackerKind.SCRIPT
    if isinstance(kind, InterfaceCheck):
        tracker = TrackerKind.INTERFACE
    elif isinstance(kind, ProcessCheck):
        tracker = TrackerKind.PROCESS
    used = tracked_weight(tracker, reference.weight, 1)
    assert used is not None
    passing, failing = (contribution(used, up, reference.reverse) for up in (True, False))
    return Points(passing, failing)


@lru_cache(maxsize=1024)
def can_move(check: Points, others: tuple[Points, ...], priorities: tuple[int, ...]) -> bool:
    """Return whether the check's two states can put a node above and below another one."""
    low, high = sorted((check.passing, check.failing))
    sums = _sums(others)
    with_either = {total + points for total in sums for points in (low, high)}
    reach = [_bits(base, with_either) for base in priorities]
    for index, base in enumerate(priorities):
        rivals = 0
        for other, bits in enumerate(reach):
            rivals |= bits if other != index else 0
        spans = {
            (effective_priority(base, (total, low)), effective_priority(base, (total, high)))
            for total in sums
        }
        # A rival that is above the worse state and not above the better one.
        if any(rivals >> (worse + 1) & ((1 << (better - worse)) - 1) for worse, better in spans):
            return True
    return False


def _sums(checks: Iterable[Points]) -> set[int]:
    sums = {0}
    for check in checks:
        sums = {total + points for total in sums for points in (check.passing, check.failing)}
    return sums


def _bits(base: int, totals: Iterable[int]) -> int:
    """Return the effective priorities that a node can have, as a set of bits."""
    bits = 0
    for total in totals:
        bits |= 1 << effective_priority(base, (total,))
    return bits
