"""Rise and fall: what a row of results makes of a check, worked out by hand."""

from __future__ import annotations

import pytest

from vrrp_speaker.agent.checks.state import CheckState, initial_state


def verdicts(rise: int, fall: int, results: str) -> str:
    """Return the verdict after each result: + passing, - failing."""
    state, seen = initial_state(rise, fall), ""
    for result in results:
        state = state.after(result == "+")
        seen += "+" if state.passing else "-"
    return seen


@pytest.mark.parametrize(
    ("rise", "fall", "results", "expected"),
    [
        (2, 3, "+", "+"),  # the first result decides alone
        (2, 3, "-", "-"),
        (2, 3, "+--+--", "++++++"),  # one success wipes earlier failures
        (2, 3, "+---", "+++-"),
        (2, 3, "-+-+-", "-----"),  # one failure wipes earlier successes
        (2, 3, "-++", "--+"),
        (1, 1, "+-+-", "+-+-"),
        (3, 1, "+-+++", "+---+"),
    ],
)
def test_verdict_after_each_result(rise: int, fall: int, results: str, expected: str) -> None:
    assert verdicts(rise, fall, results) == expected


def test_nothing_is_decided_before_the_first_result() -> None:
    assert not initial_state(2, 3).decided
    assert initial_state(2, 3).after(True).decided


@pytest.mark.parametrize("passed", [True, False])
def test_new_thresholds_keep_the_verdict_and_start_counting_anew(passed: bool) -> None:
    changed = initial_state(2, 3).after(passed).reconfigured(3, 2)
    assert (changed.decided, changed.passing) == (True, passed)
    opposite: CheckState = changed
    for _ in range(2 if passed else 3):
        assert opposite.passing is passed
        opposite = opposite.after(not passed)
    assert opposite.passing is not passed


def after(rise: int, fall: int, results: str) -> CheckState:
    state = initial_state(rise, fall)
    for result in results:
        state = state.after(result == "+")
    return state


@pytest.mark.parametrize(
    ("results", "rise", "fall", "score"),
    [
        # From rise 3, fall 4: scores 0 to 6, passing from 3 on.
        ("+", 5, 2, 6),  # full stays full
        ("+-", 5, 2, 6),  # two failures from failing would be score 7, one more than full
        ("+-", 3, 9, 5),
        ("+---", 1, 4, 1),  # one failure from failing stays so
        ("-", 5, 2, 0),  # empty stays empty
        ("-+", 5, 2, 3),  # two successes from passing stays so
        ("-+", 1, 2, 0),
        ("-++", 2, 1, 1),
    ],
)
def test_a_count_that_has_begun_goes_on_with_new_thresholds(
    results: str, rise: int, fall: int, score: int
) -> None:
    """Worked out from keepalived's clear_diff_script (reference §1b, reload)."""
    assert after(3, 4, results).reconfigured(rise, fall).score == score


def test_initially_failing_takes_all_of_rise() -> None:
    state = initial_state(3, 1, failing=True)
    assert (state.decided, state.passing) == (True, False)
    assert [(state := state.after(True)).passing for _ in range(3)] == [False, False, True]
