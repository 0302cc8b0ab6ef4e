"""How long an address is bound for."""

from __future__ import annotations

import pytest

from vrrp_speaker.lease import lease_seconds

MS = 1_000_000


@pytest.mark.parametrize(
    ("version", "priority", "interval_ms", "down_advertisements", "seconds"),
    [
        (3, 200, 200, 3, 1),
        (3, 100, 1000, 3, 4),
        (3, 254, 1000, 3, 4),
        (3, 1, 10, 3, 1),
        (3, 128, 2000, 3, 7),  # 3 · 2 s + 1 s exactly: no second is added
        (3, 127, 2000, 3, 8),  # and here 7.8125 ms more
        (3, 200, 200, 10, 3),
        (3, 200, 200, 1, 1),
        (2, 128, 2000, 3, 7),  # 3 · 2 s + half a second
        (2, 100, 10_000, 1, 11),
    ],
)
def test_lease_covers_the_down_interval_in_whole_seconds(
    version: int, priority: int, interval_ms: int, down_advertisements: int, seconds: int
) -> None:
    assert lease_seconds(version, priority, interval_ms * MS, down_advertisements) == seconds
