"""How often checks run when they would run too often together. Pure: the checks decide alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vrrp_api.check_kinds import ExecCheck
from vrrp_api.health_check import HealthCheck

_SCRIPT = 10
"""What a script costs where a run that asks costs 1, half a millisecond (docs/benchmarks.md)."""
_ROUNDING = 1 + 1e-9
_SECOND_NS = 1_000_000_000


def slowed(checks: Iterable[HealthCheck], most_per_s: int) -> Mapping[str, int]:
    """Return the intervals (ns) of those checks that run less often than they are asked to.

    Those that cost most run less often, all of these for the same cost; those that cost less than
    their share keep their interval, so no author's many checks slow down another's few.

    Args:
        checks: those that run.
        most_per_s: what all of them together may cost in a second, at least 1.
    """
    by_cost = sorted((_per_second(check), check.name, check) for check in checks)
    left, found = float(most_per_s), dict[str, int]()
    if sum(cost for cost, _, _ in by_cost) <= left * _ROUNDING:
        return found
    for index, (cost, _, check) in enumerate(by_cost):
        share = left / (len(by_cost) - index)
        if cost > share:
            found[check.name] = round(_cost(check) * _SECOND_NS / share)
        left -= min(cost, share)
    return found


def _per_second(check: HealthCheck) -> float:
    return _cost(check) * _SECOND_NS / check.interval_ns


def _cost(check: HealthCheck) -> int:
    return _SCRIPT if isinstance(check.kind, ExecCheck) else 1
