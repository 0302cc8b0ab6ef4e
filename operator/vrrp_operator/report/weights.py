"""Warnings of weights that can never move their VirtualIP, with the arithmetic (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from vrrp.priority import effective_priority
from vrrp_api.former import FAULT
from vrrp_api.health_check import HealthCheck
from vrrp_api.node_config import RouterCheck
from vrrp_api.virtual_ip import VirtualIP
from vrrp_api.weights import Points, can_move, ineffective, points, rest

_LARGEST = 253


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
    if transport.multicast or transport.external_peers:
        return []  # priorities outside the cluster are not known
    weighted = [reference for reference in references if reference.weight != 0]
    return [
        _warning(weighted, place, checks, priorities, names)
        for place in ineffective(weighted, checks, priorities)
    ]


def _warning(
    weighted: Sequence[RouterCheck],
    place: int,
    checks: Mapping[str, HealthCheck],
    priorities: Sequence[int],
    names: Sequence[str],
) -> str:
    reference, check = weighted[place], checks[weighted[place].name]
    all_points = [points(checks[other.name].kind, other) for other in weighted]
    first, second = _nearest(priorities)
    own, other = (names[i] if names else f"the candidate in place {i + 1}" for i in (first, second))
    low, high = sorted((all_points[place].passing, all_points[place].failing))
    text = (
        f"HealthCheck {reference.name}, weight {reference.weight}: {own} has"
        f" {_sum(priorities[first], low)} at worst and {other} {_sum(priorities[second], high)} at"
        " best, so its result never puts another candidate above"
    )
    if len(all_points) > 1:
        text += ", whatever the other checks say"
    wanted = _smallest(reference, check, rest(all_points, place), tuple(priorities))
    accepted = f"{wanted} or {'more' if wanted > 0 else 'less'}, or " if wanted else ""
    return f"{text} (accepted: {accepted}onFailure: {FAULT})"


def _nearest(priorities: Sequence[int]) -> tuple[int, int]:
    """Return the places of the two neighbours with the smallest gap."""
    places = range(len(priorities) - 1)
    first = min(places, key=lambda place: priorities[place] - priorities[place + 1])
    return first, first + 1


def _smallest(
    reference: RouterCheck,
    check: HealthCheck,
    others: tuple[Points, ...],
    priorities: tuple[int, ...],
) -> int:
    """Return the smallest weight of the same sign that can move something; 0 if none can."""
    sign, low, high = (1 if reference.weight > 0 else -1), abs(reference.weight), _LARGEST + 1

    def moves(size: int) -> bool:
        sized = replace(reference, weight=sign * size)
        return can_move(points(check.kind, sized), others, priorities)

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
