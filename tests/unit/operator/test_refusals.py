"""When an object that was refused is tried again."""

from __future__ import annotations

from vrrp_operator.write.refusals import FIRST_S, MOST_PASSING_S, MOST_S, Refusals

KIND, NAME = "virtualips", "a"


def refuse(refusals: Refusals, now_s: float, status: int = 422, wanted: object = "this") -> None:
    passing = status >= 500 or not status
    refusals.refused(KIND, NAME, wanted, "no", now_s, status=status, passing=passing)


def pauses_s(status: int, count: int) -> list[float]:
    """Return how long it waits after each of so many refusals, one right after the other."""
    refusals, now_s, found = Refusals(), 100.0, []
    for _ in range(count):
        refuse(refusals, now_s, status)
        due_s = refusals.due_in_s(now_s)
        assert due_s is not None
        if due_s:
            assert refusals.must_wait(KIND, NAME, "this", now_s + due_s - 0.001)
        assert not refusals.must_wait(KIND, NAME, "this", now_s + due_s)
        found.append(due_s)
        now_s += due_s
    return found


def test_who_is_refused_again_and_again_waits_twice_as_long_each_time() -> None:
    assert pauses_s(422, 12) == [min(MOST_S, FIRST_S * 2**n) for n in range(12)]
    assert pauses_s(422, 5000)[-1] == MOST_S


def test_what_may_pass_by_itself_is_tried_often() -> None:
    assert pauses_s(503, 8) == [min(MOST_PASSING_S, FIRST_S * 2**n) for n in range(8)]


def test_what_nobody_answered_is_tried_at_once_and_then_like_any_other() -> None:
    """Once that is a server that is away; while it answers for others, it is this object."""
    assert pauses_s(0, 10) == [0.0, *(min(MOST_S, FIRST_S * 2**n) for n in range(1, 10))]


def test_what_is_wanted_anew_is_tried_soon() -> None:
    refusals = Refusals()
    for now_s in (100.0, 101.0, 103.0, 107.0):
        refuse(refusals, now_s)
    assert refusals.must_wait(KIND, NAME, "this", 110.0)
    assert refusals.must_wait(KIND, NAME, "something else", 107.0 + FIRST_S - 0.001)
    assert not refusals.must_wait(KIND, NAME, "something else", 107.0 + FIRST_S)


def test_who_is_written_or_gone_begins_anew() -> None:
    refusals = Refusals()
    refuse(refusals, 100.0)
    refuse(refusals, 101.0)
    refusals.written(KIND, NAME)
    assert refusals.due_in_s(101.0) is None
    refuse(refusals, 200.0)
    assert refusals.due_in_s(200.0) == FIRST_S
    refusals.forget_others("healthchecks", set())
    assert refusals.of(KIND) == {NAME: "no"}
    refusals.forget_others(KIND, {"another"})
    assert refusals.of(KIND) == {}
    assert not refusals.must_wait(KIND, NAME, "this", 200.0)
