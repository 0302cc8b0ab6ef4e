"""The arithmetic of the overload benchmark; what it measures is not asserted."""

from __future__ import annotations

import pytest
from tests.bench.overload import INTERVALS_MS, bucket_of


@pytest.mark.parametrize(
    ("counts", "percent", "bound"),
    [
        ((99, 1, 0), 99, "≤ 1"),
        ((98, 2, 0), 99, "≤ 2"),
        ((98, 2, 0), 100, "≤ 2"),
        ((0, 0, 5), 50, "more"),
        ((0, 0, 0), 50, "–"),
    ],
)
def test_bucket_of_a_percentile(counts: tuple[int, ...], percent: float, bound: str) -> None:
    assert bucket_of(counts, ("≤ 1", "≤ 2", "more"), percent) == bound


def test_intervals_are_tried_from_the_fastest() -> None:
    assert list(INTERVALS_MS) == sorted(INTERVALS_MS)
