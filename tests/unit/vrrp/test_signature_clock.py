"""The clock of signatures: read once, carried on by the monotonic clock, put right after boot."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.vrrp.wire import packed, stamp

from vrrp.authentication import HmacKeys, Mode, ReplayMarks, SignatureClock, sequence_of, sign
from vrrp.constants import NS_PER_SECOND, RejectReason

SOURCE = packed("198.51.100.10")
WALL_S = 1_750_000_000
LONG_UP_S, JUST_UP_S, SETTLED_S = 5_000, 20, 600
YEAR_S = 365 * 86_400
WINDOW_S = 30
STEPS_S = [0.25, 1, 29.5, 30, 30.5, 31, 31.5, 32, 32.5, 33, 60, 3_600, YEAR_S, 50 * YEAR_S]
BOTH_WAYS = pytest.mark.parametrize("step_s", [*STEPS_S, *(-step_s for step_s in STEPS_S)])


def at(seconds: float, *, up_s: int = LONG_UP_S, step_s: float = 0) -> tuple[int, int]:
    """Return monotonic and wall time so many seconds after a start; ``step_s``: how wrong."""
    passed = int(seconds * NS_PER_SECOND)
    wall = WALL_S * NS_PER_SECOND + passed + int(step_s * NS_PER_SECOND)
    return up_s * NS_PER_SECOND + passed, wall


def right(seconds: float) -> int:
    """Return the sequence of a clock that is right so many seconds after the start."""
    return stamp(WALL_S + int(seconds), int(seconds % 1 * 65_536))


# Reading ---------------------------------------------------------------------------------


@pytest.mark.parametrize("up_s", [1, JUST_UP_S, SETTLED_S, LONG_UP_S])
def test_clock_first_read_is_the_wall_clock(up_s: int) -> None:
    now, wall = at(0.5, up_s=up_s)
    assert SignatureClock().read(now, wall) == wall


@BOTH_WAYS
def test_clock_read_long_after_boot_does_not_follow_a_step(step_s: float) -> None:
    clock = SignatureClock()
    clock.read(*at(0))
    for seconds in (1, 2, 3_600):
        assert clock.read(*at(seconds, step_s=step_s)) == at(seconds)[1]


@BOTH_WAYS
def test_clock_read_soon_after_boot_follows_every_step(step_s: float) -> None:
    clock = SignatureClock()
    clock.read(*at(0, up_s=JUST_UP_S))
    for seconds, error_s in ((1, step_s), (2, 0), (3, step_s)):
        now, wall = at(seconds, up_s=JUST_UP_S, step_s=error_s)
        assert clock.read(now, wall) == wall


def test_clock_settles_ten_minutes_after_boot() -> None:
    clock, boot_ns = SignatureClock(), WALL_S * NS_PER_SECOND
    last_ns = SETTLED_S * NS_PER_SECOND - 1
    clock.read(0, boot_ns)
    assert clock.read(last_ns, boot_ns + last_ns + 7) == boot_ns + last_ns + 7
    settled_ns = last_ns + 1
    assert clock.read(settled_ns, boot_ns + settled_ns + 9) == boot_ns + settled_ns + 7


def test_clock_of_a_replaced_engine_goes_on_with_the_offset_it_is_given() -> None:
    before = SignatureClock()
    before.read(*at(0))
    after = SignatureClock(before.offset_ns)
    assert after.read(*at(1, step_s=60)) == at(1)[1]
    assert after.next(*at(2, step_s=-60)) == right(2)


def test_clock_of_an_engine_replaced_soon_after_boot_follows_all_the_same() -> None:
    before = SignatureClock()
    before.read(*at(0, up_s=JUST_UP_S, step_s=-YEAR_S))
    after = SignatureClock(before.offset_ns)
    assert after.read(*at(1, up_s=JUST_UP_S)) == at(1)[1]


@pytest.mark.parametrize("up_s", [JUST_UP_S, LONG_UP_S])
def test_clock_that_was_never_set_is_the_time_since_boot_until_it_is(up_s: int) -> None:
    """A wall clock near 1970 that lies behind it; the offset has no sign where it is handed on."""
    clock = SignatureClock()
    assert clock.read(up_s * NS_PER_SECOND, 7 * NS_PER_SECOND) == up_s * NS_PER_SECOND
    assert clock.offset_ns == 0
    assert clock.read(*at(1, up_s=up_s)) == at(1)[1]


# Sending ---------------------------------------------------------------------------------


def test_sequence_is_seconds_subseconds_counter_of_the_clock() -> None:
    assert SignatureClock().next(*at(0.5)) == stamp(WALL_S, 32768, 0)


def test_sequence_subseconds_are_rounded_down() -> None:
    now, wall = at(0)
    assert SignatureClock().next(now + 15_258, wall + 15_258) == stamp(WALL_S, 0)
    assert SignatureClock().next(now + 15_259, wall + 15_259) == stamp(WALL_S, 1)
    assert SignatureClock().next(now + 999_999_999, wall + 999_999_999) == stamp(WALL_S, 65535)


def test_sequence_in_the_same_tick_counts_up_by_one_and_carries() -> None:
    clock = SignatureClock()
    first = clock.next(*at(0))
    assert [clock.next(*at(0)) for _ in range(3)] == [first + 1, first + 2, first + 3]
    for _ in range(65_536 - 4):
        last = clock.next(*at(0))
    assert last == first + 0xFFFF
    assert clock.next(*at(0)) == stamp(WALL_S, 1, 0)


def test_sequence_of_the_next_tick_starts_its_counter_anew() -> None:
    clock = SignatureClock()
    clock.next(*at(0))
    clock.next(*at(0))
    assert clock.next(*at(1)) == right(1)


@BOTH_WAYS
def test_sequence_long_after_boot_does_not_follow_a_step(step_s: float) -> None:
    clock = SignatureClock()
    clock.next(*at(0))
    for seconds in range(1, 5):
        assert clock.next(*at(seconds, step_s=step_s)) == right(seconds)


def test_sequence_of_a_clock_that_was_never_set_is_the_monotonic_time() -> None:
    assert SignatureClock().next(LONG_UP_S * NS_PER_SECOND, 7 * NS_PER_SECOND) == stamp(LONG_UP_S)


@pytest.mark.parametrize("seconds", [2**31 - 1, 2**31, 2**32 - 1])
def test_sequence_grows_over_2038_and_2106_in_the_order_of_rfc_1982(seconds: int) -> None:
    clock = SignatureClock()
    first = clock.next(0, seconds * NS_PER_SECOND)
    second = clock.next(NS_PER_SECOND, (seconds + 1) * NS_PER_SECOND)
    assert first == stamp(seconds % 2**32)
    assert second == stamp((seconds + 1) % 2**32)


def test_sequence_at_the_end_of_64_bits_goes_on_at_zero() -> None:
    clock = SignatureClock(0, 2**64 - 1)
    now = (2**32 - 1) * NS_PER_SECOND
    assert clock.next(now, now) == 0


@given(
    st.lists(
        st.tuples(st.integers(0, 3 * NS_PER_SECOND), st.integers(0, 2 * WALL_S * NS_PER_SECOND)),
        min_size=2,
        max_size=30,
    )
)
def test_sequence_always_grows_once_settled_whatever_the_wall_clock_says(
    steps: list[tuple[int, int]],
) -> None:
    clock, now, last = SignatureClock(), SETTLED_S * NS_PER_SECOND, 0
    for passed, wall in steps:
        now += passed
        sequence = clock.next(now, wall)
        assert sequence > last
        last = sequence


@pytest.mark.parametrize("up_s", [JUST_UP_S, LONG_UP_S])
@pytest.mark.parametrize("sent", [1, 5])
def test_sequence_of_a_replaced_engine_goes_on_where_its_predecessor_was(
    up_s: int, sent: int
) -> None:
    """Whatever was counted up in the tick in which it died."""
    before = SignatureClock()
    for _ in range(sent):
        before.next(*at(0, up_s=up_s))
    after = SignatureClock(before.offset_ns, before.last)
    assert after.next(*at(0, up_s=up_s)) == right(0) + sent
    assert after.next(*at(1, up_s=up_s)) == right(1)


# Put right soon after boot ---------------------------------------------------------------


@pytest.mark.parametrize("ahead_s", [0.25, 1, 29.5, 30, 31, 32])
def test_sequence_soon_after_boot_counts_up_over_a_step_back_that_marks_outlive(
    ahead_s: float,
) -> None:
    """Two seconds more than the window: receivers hold whole seconds against their own clocks."""
    clock = SignatureClock()
    wrong = clock.next(*at(1, up_s=JUST_UP_S, step_s=ahead_s))
    assert clock.next(*at(1, up_s=JUST_UP_S)) == wrong + 1
    assert clock.next(*at(1.125, up_s=JUST_UP_S)) == wrong + 2
    assert clock.next(*at(1.25 + ahead_s, up_s=JUST_UP_S)) == right(1.25 + ahead_s)


@pytest.mark.parametrize("ahead_s", [32 + 1 / 65_536, 33, 60, YEAR_S, 50 * YEAR_S])
def test_sequence_soon_after_boot_goes_back_over_a_greater_step(ahead_s: float) -> None:
    clock, now = SignatureClock(), JUST_UP_S * NS_PER_SECOND
    # One 65536th of a second, rounded up to nanoseconds, is the least that is told apart.
    wall = WALL_S * NS_PER_SECOND
    clock.next(now, wall + math.ceil(ahead_s * NS_PER_SECOND))
    assert clock.next(now, wall) == stamp(WALL_S)
    assert clock.next(now, wall) == stamp(WALL_S) + 1


@pytest.mark.parametrize("behind_s", [*STEPS_S, WALL_S])
def test_sequence_soon_after_boot_follows_every_step_forward(behind_s: float) -> None:
    clock = SignatureClock()
    clock.next(*at(0, up_s=JUST_UP_S, step_s=-behind_s))
    assert clock.next(*at(1, up_s=JUST_UP_S)) == right(1)


def heard(marks: ReplayMarks, sequence: int, wall_ns: int) -> RejectReason | None:
    """Return a receiver's verdict, and let it remember what it accepts."""
    reason = marks.check(SOURCE, sequence, wall_ns, WINDOW_S)
    if reason is None:
        marks.remember(SOURCE, sequence)
    return reason


@BOTH_WAYS
@pytest.mark.parametrize("fraction", [0, 0.25, 0.75])
@pytest.mark.parametrize("fast_s", [0, 0.75])
def test_sender_that_was_right_then_wrong_then_right_is_heard_by_who_knows_it(
    step_s: float, fraction: float, fast_s: float
) -> None:
    """Whatever the step; ``fast_s`` is by how much the receiver's clock is ahead of the truth."""
    clock, marks = SignatureClock(), ReplayMarks()
    verdicts = []
    for second in range(120):
        error_s = step_s if 40 <= second < 80 else 0
        now, wall = at(second + fraction, up_s=JUST_UP_S, step_s=error_s)
        receiver_ns = at(second + fraction, step_s=fast_s)[1]
        verdicts.append(heard(marks, clock.next(now, wall), receiver_ns))
    # A clock that is behind by more than the window is believed by nobody until it is put right.
    assert set(verdicts[:40] + verdicts[80:]) == {None}
    assert step_s < 0 or set(verdicts) == {None}


@BOTH_WAYS
def test_sender_put_right_and_then_replaced_is_heard_by_who_knows_it(step_s: float) -> None:
    """A successor that began anew would be behind its predecessor's marks for as long."""
    clock, marks = SignatureClock(), ReplayMarks()
    for second, error_s in ((0, 0), (1, step_s)):
        sequence = clock.next(*at(second, up_s=JUST_UP_S, step_s=error_s))
        heard(marks, sequence, at(second)[1])
    heir = SignatureClock(clock.offset_ns, clock.last)
    for second in range(2, 120):
        sequence = heir.next(*at(second, up_s=JUST_UP_S))
        assert heard(marks, sequence, at(second)[1]) is None


@BOTH_WAYS
def test_sender_put_right_is_heard_within_two_seconds_by_who_never_heard_it(
    step_s: float,
) -> None:
    clock = SignatureClock()
    clock.next(*at(0, up_s=JUST_UP_S, step_s=step_s))
    for second in range(3, 60):
        sequence = clock.next(*at(second, up_s=JUST_UP_S))
        assert heard(ReplayMarks(), sequence, at(second)[1]) is None


@BOTH_WAYS
def test_node_whose_clock_steps_long_after_boot_and_a_stranger_hear_each_other(
    step_s: float,
) -> None:
    """Following the step, it would be deaf to whom it never heard, and they to it."""
    clock, other = SignatureClock(), SignatureClock()
    clock.read(*at(0))
    for second in range(1, 60):
        mine = clock.next(*at(second, step_s=step_s))
        theirs = other.next(*at(second))
        assert heard(ReplayMarks(), mine, other.read(*at(second))) is None
        assert heard(ReplayMarks(), theirs, clock.read(*at(second, step_s=step_s))) is None


# Put back to a snapshot ------------------------------------------------------------------


@pytest.mark.parametrize("late_s", [3_600, 5 * YEAR_S])
@pytest.mark.parametrize("agrees_s", [0, 29, -29])
def test_clock_that_is_late_follows_another_one_that_agrees_with_a_member(
    late_s: int, agrees_s: int
) -> None:
    clock = SignatureClock()
    clock.read(*at(0))
    said, (now, _) = right(late_s), at(1)
    mine = at(late_s + agrees_s)[1]
    assert clock.is_behind(said, now)
    assert clock.put_forward(said, now, mine)
    assert clock.read(now, 0) == mine
    assert not clock.is_behind(said, now)
    later = clock.next(now, 0)
    assert ReplayMarks({SOURCE: right(late_s - 60)}).check(SOURCE, later, mine, WINDOW_S) is None


@pytest.mark.parametrize("wrong_s", [-3_600, -32, 32, YEAR_S])
def test_clock_follows_neither_a_member_nor_another_clock_alone(wrong_s: int) -> None:
    clock = SignatureClock()
    clock.read(*at(0))
    now = at(1)[0]
    assert not clock.put_forward(right(3_600), now, at(3_600 + wrong_s)[1])
    assert clock.read(now, 0) == at(1)[1]


@pytest.mark.parametrize("ahead_s", [-YEAR_S, -60, 0, 29, 31])
def test_clock_is_not_behind_a_member_within_the_window_or_late_itself(ahead_s: int) -> None:
    clock = SignatureClock()
    clock.read(*at(0))
    assert clock.is_behind(right(100 + ahead_s), at(100)[0]) is (ahead_s > WINDOW_S)


def test_sequence_of_a_message_is_that_of_its_trailer() -> None:
    keys = HmacKeys({1: b"k" * 32}, 1, Mode.ENFORCE)
    message = b"message!"
    assert sequence_of(message + sign(keys, message, SOURCE, right(5))) == right(5)
