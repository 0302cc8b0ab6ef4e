"""A node whose clock of signatures is late hears so from members, and asks its other clocks."""

from __future__ import annotations

from vrrp.authentication import SignatureClock
from vrrp.constants import NS_PER_SECOND
from vrrp_speaker.engine.wire.clocks import Clocks, hardware_clock_ns

NOW_S, WALL_S, LATE_S = 5_000, 1_750_000_000, 7_200
NOW = NOW_S * NS_PER_SECOND


def late_clock() -> SignatureClock:
    """Return the clock of a machine that was put back by two hours."""
    return SignatureClock((WALL_S - LATE_S - NOW_S) * NS_PER_SECOND)


def sequence(seconds: int) -> int:
    return seconds << 32


def time_of(clock: SignatureClock) -> int:
    return clock.read(NOW, 0) // NS_PER_SECOND


def test_the_first_clock_that_agrees_is_followed() -> None:
    asked: list[str] = []

    def wall() -> int:
        asked.append("wall")
        return (WALL_S - LATE_S) * NS_PER_SECOND  # nobody has put it right yet

    def hardware() -> int:
        asked.append("hardware")
        return (WALL_S + 1) * NS_PER_SECOND

    clock = late_clock()
    clocks = Clocks(clock, (wall, lambda: None, hardware))
    clocks.heard(sequence(WALL_S - LATE_S), NOW)
    assert asked == []
    clocks.heard(sequence(WALL_S), NOW)
    assert (time_of(clock), asked) == (WALL_S + 1, ["wall", "hardware"])
    clocks.heard(sequence(WALL_S), NOW)
    assert asked == ["wall", "hardware"]


def test_clocks_that_do_not_agree_are_asked_now_and_then() -> None:
    asked: list[int] = []
    clock, now = late_clock(), NOW

    def year_zero() -> int:
        asked.append(now)
        return 0

    clocks = Clocks(clock, (year_zero,))
    for turn in range(101):
        now = NOW + turn * NS_PER_SECOND // 5
        clocks.heard(sequence(WALL_S), now)
    assert [at - NOW for at in asked] == [second * NS_PER_SECOND for second in (0, 5, 10, 15, 20)]
    assert time_of(clock) == WALL_S - LATE_S


def test_hardware_clock_is_read_where_there_is_one() -> None:
    found = hardware_clock_ns()
    assert found is None or found > 0
