"""Skew_Time and Active_Down_Interval, by the RFC's formulas worked out by hand."""

from __future__ import annotations

import pytest

from vrrp.timers import active_down_interval_ns, lease_seconds, skew_time_ns

MS = 1_000_000


@pytest.mark.parametrize(
    ("priority", "interval_ms", "skew_ns"),
    [(100, 1000, 609_375_000), (254, 1000, 7_812_500), (100, 10, 6_093_750), (1, 200, 199_218_750)],
)
def test_skew_time_follows_the_formula(priority: int, interval_ms: int, skew_ns: int) -> None:
    assert skew_time_ns(priority, interval_ms * MS) == skew_ns
    assert active_down_interval_ns(priority, interval_ms * MS) == 3 * interval_ms * MS + skew_ns


@pytest.mark.parametrize(
    ("priority", "interval_ms", "seconds"),
    [(200, 200, 1), (100, 1000, 4), (254, 1000, 4), (1, 10, 1)],
)
def test_lease_covers_the_down_interval_in_whole_seconds(
    priority: int, interval_ms: int, seconds: int
) -> None:
    assert lease_seconds(priority, interval_ms * MS) == seconds
