"""Skew_Time and Active_Down_Interval, by the RFCs' formulas worked out by hand."""

from __future__ import annotations

import pytest

from vrrp.timers import active_down_interval_ns, skew_time_ns

MS = 1_000_000
SECOND = 1_000 * MS


@pytest.mark.parametrize(
    ("priority", "interval_ms", "skew_ns"),
    [
        (100, 1000, 609_375_000),
        (254, 1000, 7_812_500),
        (100, 10, 6_093_750),
        (1, 200, 199_218_750),
        (255, 40_950, 159_960_937),  # 40.95 s / 256, rounded down
        (1, 40_950, 40_790_039_062),
    ],
)
def test_skew_time_version_3_is_scaled_by_the_interval(
    priority: int, interval_ms: int, skew_ns: int
) -> None:
    assert skew_time_ns(3, priority, interval_ms * MS) == skew_ns
    down_ns = 3 * interval_ms * MS + skew_ns
    assert active_down_interval_ns(3, priority, interval_ms * MS, 3) == down_ns


@pytest.mark.parametrize("interval_s", [1, 10, 255])
@pytest.mark.parametrize(
    ("priority", "skew_ns"), [(100, 609_375_000), (254, 7_812_500), (1, 996_093_750)]
)
def test_skew_time_version_2_is_a_part_of_a_second_whatever_the_interval(
    interval_s: int, priority: int, skew_ns: int
) -> None:
    assert skew_time_ns(2, priority, interval_s * SECOND) == skew_ns
    down_ns = 3 * interval_s * SECOND + skew_ns
    assert active_down_interval_ns(2, priority, interval_s * SECOND, 3) == down_ns


@pytest.mark.parametrize(
    ("version", "down_advertisements", "down_ns"),
    [
        (3, 1, 1_218_750_000),
        (3, 3, 3_218_750_000),
        (3, 10, 10_218_750_000),
        (2, 1, 1_218_750_000),
        (2, 3, 3_218_750_000),
        (2, 10, 10_218_750_000),
    ],
)
def test_down_interval_counts_the_advertisements_that_may_be_missed(
    version: int, down_advertisements: int, down_ns: int
) -> None:
    assert active_down_interval_ns(version, 200, SECOND, down_advertisements) == down_ns
