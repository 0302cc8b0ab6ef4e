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

from vrrp.priority import TrackerKind, contribution, effective_priority, tracked_weight
from vrrp_api.check_kinds import FileCheck, InterfaceCheck, ProcessCheck
from vrrp_api.health_check import HealthCheck
from vrrp_api.node_config import RouterCheck
from vrrp_api.virtual_ip import VirtualIP

_LARGEST = 253


@dataclass(frozen=True, slots=True)
class _Points:
    """What a check adds to a priority in either state."""

    passing: int
    failing: int


def ineffective_weights(
    spec: VirtualIP,
    references: Sequence[RouterCheck],
    checks: Mapping[str, HealthCheck],
    priorities: Sequence[int],
    names: Sequence[str] = (),
) -> list[str]:
    """Return a warning for each check whose weight can never move the VirtualIP.

    Args:
        spec: the VirtualIP.
        references: its checks, weight and reverse resolved.
        checks: the HealthChecks by name.
        priorities: the base priorities of its candidates, best first.
        names: the candidates' names for the message; empty where they are not known yet.
    """
    transport = spec.election.transport
    if transport.multicast or transport.external_peers or len(priorities) < 2:
        return []  # priorities outside the cluster are not known; and one candidate never moves
    weighted = [(r, checks[r.name]) for r in references if r.weight != 0]
    if any(isinstance(check.kind, FileCheck) for _, check in weighted):
        return []  # a number can come to anything, a Fault included
    points = [_points(check, reference.weight, reference.reverse) for reference, check in weighted]
    return [
        _warning(weighted[index], points, index, priorities, names)
        for index in range(len(weighted))
        if not _can_move(points[index], _rest(points, index), tuple(priorities))
    ]


def _rest(points: Sequence[_Points], index: int) -> tuple[_Points, ...]:
    return (*points[:index], *points[index + 1 :])


def _points(check: HealthCheck, weight: int, reverse: bool) -> _Points:
    tracker = TrackerKind.SCRIPT
    if isinstance(check.kind, InterfaceCheck):
        tracker = TrackerKind.INTERFACE
    elif isinstance(check.kind, ProcessCheck):
        tracker = TrackerKind.PROCESS
    used = tracked_weight(tracker, weight, 1)
    assert used is not None
    return _Points(contribution(used, True, reverse), contribution(used, False, reverse))


@lru_cache(maxsize=1024)
def _can_move(check: _Points, others: tuple[_Points, ...], priorities: tuple[int, ...]) -> bool:
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


def _sums(checks: Iterable[_Points]) -> set[int]:
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


def _warning(
    weighted: tuple[RouterCheck, HealthCheck],
    points: Sequence[_Points],
    index: int,
    priorities: Sequence[int],
    names: Sequence[str],
) -> str:
    reference, check = weighted
    first, second = _nearest(priorities)
    own, other = (names[i] if names else f"the candidate in place {i + 1}" for i in (first, second))
    low, high = sorted((points[index].passing, points[index].failing))
    text = (
        f"HealthCheck {reference.name}, weight {reference.weight}: {own} has"
        f" {_sum(priorities[first], low)} at worst and {other} {_sum(priorities[second], high)} at"
        " best, so its result never puts another candidate above"
    )
    if len(points) > 1:
        text += ", whatever the other checks say"
    wanted = _smallest(reference, check, _rest(points, index), tuple(priorities))
    accepted = f"{wanted} or more, or 0" if wanted > 0 else f"{wanted} or less, or 0"
    return f"{text} (accepted: {accepted if wanted else 0})"


def _nearest(priorities: Sequence[int]) -> tuple[int, int]:
    """Return the places of the two neighbours with the smallest gap."""
    places = range(len(priorities) - 1)
    first = min(places, key=lambda place: priorities[place] - priorities[place + 1])
    return first, first + 1


def _smallest(
    reference: RouterCheck,
    check: HealthCheck,
    others: tuple[_Points, ...],
    priorities: tuple[int, ...],
) -> int:
    """Return the smallest weight of the same sign that can move something; 0 if none can."""
    sign, low, high = (1 if reference.weight > 0 else -1), abs(reference.weight), _LARGEST + 1

    def moves(size: int) -> bool:
        return _can_move(_points(check, sign * size, reference.reverse), others, priorities)

    while high - low > 1:  # a larger weight of the same sign moves whatever a smaller one does
        middle = (low + high) // 2
        low, high = (low, middle) if moves(middle) else (middle, high)
    return sign * high if high <= _LARGEST else 0


def _sum(base: int, points: int) -> str:
    """Return an addition as people write it; its result is limited to 1 to 254."""
    if points == 0:
        return str(base)
    sign = "-" if points < 0 else "+"
    return f"{base} {sign} {abs(points)} = {effective_priority(base, (points,))}"
