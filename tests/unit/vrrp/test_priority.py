"""The priority that is advertised."""

from __future__ import annotations

import pytest

from vrrp.priority import effective_priority


@pytest.mark.parametrize(
    ("base", "points", "advertised"),
    [
        (100, [], 100),
        (100, [50, -20], 130),
        (250, [50, -20], 254),
        (10, [-50, 5], 1),
        (1, [0], 1),
        (254, [1], 254),
    ],
)
def test_points_move_a_priority_within_1_to_254(
    base: int, points: list[int], advertised: int
) -> None:
    assert effective_priority(base, points) == advertised


def test_an_owners_priority_is_255_whatever_is_added() -> None:
    assert effective_priority(255, [-50]) == 255
