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
