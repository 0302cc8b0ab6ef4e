"""Who of two heard the other first, told by what the loser's link carried."""

from __future__ import annotations

from typing import Any

import pytest
from tests.bench.heals import first_to_hear
from tests.netns.observe import Frame

MS = 1_000_000


class Host:
    """Stands for a host of the lab."""

    def __init__(self, number: int) -> None:
        self.address, self.address6 = f"192.0.2.{number}", f"2001:db8:0:1::{number:x}"


WINNER: Any = Host(11)
LOSER: Any = Host(12)


def advertisement(at_ms: int, number: int) -> Frame:
    header = bytes(12) + b"\x08\x00" + bytes(9) + bytes([112]) + bytes(2)
    return Frame(at_ms * MS, header + bytes([192, 0, 2, number]) + bytes(8))


@pytest.mark.parametrize(
    ("spoken", "first"),
    [
        ([(0, 12), (1, 11)], "winner"),  # the winner answered
        ([(0, 11), (1, 12)], "loser"),  # the loser said that it steps down
        ([(0, 12), (60, 11), (61, 12)], "loser"),  # what it said first did not pass
        ([(0, 12)], "nobody"),
        ([(0, 13), (1, 11)], "loser"),
    ],
)
def test_who_answers_has_heard(spoken: list[tuple[int, int]], first: str) -> None:
    frames = [advertisement(at_ms, number) for at_ms, number in spoken]
    assert first_to_hear(frames, WINNER, LOSER, six=False) == first
