"""Waiting: how fine, and for whom."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from vrrp_speaker.engine.waits import Waits


@pytest.fixture
def waits() -> Iterator[Waits]:
    made = Waits()
    yield made
    made.close()


class Epoll:
    """Stands for the epoll set: notes how long it is waited on, in seconds."""

    def __init__(self) -> None:
        self.waited: list[float] = []

    def poll(self, seconds: float, _most: int) -> list[tuple[int, int]]:
        self.waited.append(seconds)
        return []

    def fileno(self) -> int:
        return 0

    def close(self) -> None:
        """Nothing to do."""


@pytest.mark.parametrize(
    ("seconds", "fine", "by_select", "by_epoll"),
    [
        (0.0125, False, [], [0.0125]),  # rounded up there
        (0.0125, True, [], [0.012]),  # and the rest is waited for in the next turn
        (0.0005, True, [0.0005], [0]),
        (0.0005, False, [], [0.0005]),
    ],
)
def test_last_part_of_a_fine_wait_is_no_longer_than_asked_for(
    waits: Waits,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    fine: bool,
    by_select: list[float],
    by_epoll: list[float],
) -> None:
    epoll, selected = Epoll(), list[float]()
    monkeypatch.setattr(waits, "_epoll", epoll)
    monkeypatch.setattr("select.select", lambda *given: selected.append(given[3]))
    assert waits.wait(seconds, fine=fine) == set()
    assert selected == by_select
    assert epoll.waited == pytest.approx(by_epoll)


@pytest.mark.parametrize("fine", [False, True])
def test_descriptor_that_is_followed_wakes_and_one_that_is_not_does_not(
    waits: Waits, fine: bool
) -> None:
    (heard, tell), (other, tell_other) = os.pipe(), os.pipe()
    waits.follow([heard, other])
    waits.follow([heard])
    os.write(tell_other, b"x")
    assert waits.wait(0, fine=fine) == set()
    os.write(tell, b"x")
    assert waits.wait(0.0005, fine=fine) == {heard}
    os.close(heard)
    waits.follow([other])  # whoever closed one may say so later
    assert waits.wait(0, fine=fine) == {other}
    for descriptor in (tell, other, tell_other):
        os.close(descriptor)
