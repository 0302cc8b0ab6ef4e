"""Priority arithmetic against what keepalived 2.2.7 and 2.4.3 answered, every recorded row.

No row is skipped and none is an exception. Cases worked out by hand stand beside them.
"""

from __future__ import annotations

import ctypes
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vrrp_api.trackers import (
    Effect,
    Outcome,
    TrackerKind,
    contribution,
    file_effect,
    file_value,
    outcome,
    state_effect,
    tracked_weight,
)
from vrrp_speaker.agent.checks.state import CheckState, initial_state

Row = dict[str, Any]

_VECTORS = Path(__file__).resolve().parents[2] / "vectors"


def _rows(name: str) -> list[Row]:
    return [json.loads(line) for line in (_VECTORS / name).read_text().splitlines()]


_SINGLE = _rows("golden-priority.jsonl")
_STEPS = _rows("golden-priority-steps.jsonl")


def _weight(tracker: Row) -> int:
    """The weight where it is tracked beats the tracker's own; default 1 for files, else 0."""
    weight = tracker.get("line_weight", tracker["weight"])
    if weight is None:
        return 1 if tracker["kind"] == "file" else 0
    return int(weight)


def _content(value: object) -> bytes | None:
    return None if value is None else str(value).encode()


def _effect(base: int, tracker: Row, value: int) -> Effect:
    weight = tracked_weight(TrackerKind(tracker["kind"]), _weight(tracker), base)
    if weight is None:
        return Effect()
    if tracker["kind"] == "file":
        return file_effect(weight, value, tracker["reverse"])
    return state_effect(weight, tracker["state"] == "up", tracker["reverse"])


def _answer(found: Outcome) -> int | str:
    return "FAULT" if found.faults else found.effective


def _row_id(row: Row) -> str:
    trackers = [" ".join(str(field) for field in t.values()) for t in row["trackers"]]
    return f"{row['version']} {row['base']} {trackers}"


def test_the_vectors_are_whole() -> None:
    assert len(_SINGLE) == 216
    assert len(_STEPS) == 16
    assert sum(len(row["steps"]) for row in _STEPS) == 76


@pytest.mark.parametrize("row", _SINGLE, ids=_row_id)
def test_effective_priority_is_keepaliveds(row: Row) -> None:
    effects = [
        _effect(row["base"], tracker, file_value(_content(tracker.get("value")), 0))
        for tracker in row["trackers"]
    ]
    assert _answer(outcome(row["base"], effects)) == row["effective"]


@pytest.mark.parametrize("row", _STEPS, ids=lambda row: f"{row['version']} {row['name']}")
def test_changing_files_give_keepaliveds_priorities(row: Row) -> None:
    values = [0 for _ in row["trackers"]]
    answers = []
    for step in row["steps"]:
        contents = map(_content, step["values"])
        values = [file_value(new, old) for new, old in zip(contents, values, strict=True)]
        effects = [
            _effect(row["base"], tracker, value)
            for tracker, value in zip(row["trackers"], values, strict=True)
        ]
        answers.append(_answer(outcome(row["base"], effects)))
    assert answers == [step["effective"] for step in row["steps"]]


@pytest.mark.parametrize("row", _SINGLE, ids=_row_id)
def test_a_weight_is_reduced_where_keepalived_says_so(row: Row) -> None:
    reduced = [
        tracker
        for tracker in row["trackers"]
        if (used := tracked_weight(TrackerKind(tracker["kind"]), _weight(tracker), row["base"]))
        is not None
        and abs(used) == 253 != abs(_weight(tracker))
    ]
    warned = [line for line in row["log"] if "cannot be +/-254. Setting to +/-253" in line]
    assert len(reduced) == len(warned)


@pytest.mark.parametrize("row", [row for row in _SINGLE if row["base"] == 255], ids=_row_id)
def test_an_owner_ignores_what_keepalived_says_it_ignores(row: Row) -> None:
    (tracker,) = row["trackers"]
    weight = tracked_weight(TrackerKind(tracker["kind"]), _weight(tracker), 255)
    log = " ".join(row["log"])
    if "ignoring weight from tracked file" in log:
        assert weight == 0
    elif "ignoring" in log:
        assert weight is None
    else:
        # keepalived's loader forgets weighted processes, but the effective priority stays.
        assert weight is None if tracker["kind"] == "process" else weight == 0


# (weight, reverse) → while up, while down; the table of contributions in words:
_CONTRIBUTIONS = [
    (20, False, 20, 0),  # bonus while healthy
    (-20, False, 0, -20),  # penalty while broken
    (20, True, -20, 0),  # penalty while "up"
    (-20, True, 0, 20),  # bonus while "down"
    (0, False, 0, 0),
    (0, True, 0, 0),
]


@pytest.mark.parametrize(("weight", "reverse", "up", "down"), _CONTRIBUTIONS)
def test_contribution_of_an_up_down_tracker(weight: int, reverse: bool, up: int, down: int) -> None:
    assert contribution(weight, True, reverse) == up
    assert contribution(weight, False, reverse) == down
    # Each transition moves the total by abs(weight), the other way with reverse.
    assert up - down == (-abs(weight) if reverse else abs(weight))


@pytest.mark.parametrize("weight", [-20, 0, 20])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("up", [False, True])
def test_only_weight_0_is_a_fault(weight: int, reverse: bool, up: bool) -> None:
    assert state_effect(weight, up, reverse).fault is (weight == 0 and up is reverse)


@pytest.mark.parametrize(
    ("base", "effects", "expected"),
    [
        (100, [state_effect(50, True)], (150, 150, 0)),
        (100, [state_effect(50, False)], (100, 100, 0)),
        (100, [state_effect(-50, False)], (50, 50, 0)),
        (100, [state_effect(50, True, True)], (50, 50, 0)),
        (100, [state_effect(-50, False, True)], (150, 150, 0)),
        (250, [state_effect(50, True)], (300, 254, 0)),
        (250, [state_effect(50, True), state_effect(-20, False)], (280, 254, 0)),
        (10, [state_effect(-50, False)], (-40, 1, 0)),
        (10, [state_effect(-50, False), state_effect(5, True)], (-35, 1, 0)),
        (100, [file_effect(20, 3)], (160, 160, 0)),
        (100, [file_effect(20, -3)], (40, 40, 0)),
        (100, [file_effect(20, -13)], (100, 100, 1)),
        (100, [file_effect(20, 1000)], (353, 254, 0)),
        (100, [state_effect(0, False), state_effect(0, False)], (100, 100, 2)),
        (100, [state_effect(0, True), state_effect(0, False)], (100, 100, 1)),
        (100, [state_effect(0, True), state_effect(0, True)], (100, 100, 0)),
        # The priority goes on being counted in Fault, for the moment it ends.
        (100, [state_effect(0, False), state_effect(20, True)], (120, 120, 1)),
        # Weighted scripts keep their reverse: 100 − 10 + 7. After a reload keepalived forgets it
        # and shows 103, a defect we do not have.
        (100, [state_effect(10, True, True), state_effect(-7, False, True)], (97, 97, 0)),
        (1, [], (1, 1, 0)),
        (254, [], (254, 254, 0)),
    ],
)
def test_numeric_cases(base: int, effects: list[Effect], expected: tuple[int, int, int]) -> None:
    assert outcome(base, effects) == Outcome(*expected)


def test_an_owners_priority_is_255_whatever_its_trackers_say() -> None:
    # keepalived has a path that writes 254 for an owner whose file leaves Fault; we have not.
    assert outcome(255, [Effect(contribution=50)]).effective == 255


@pytest.mark.parametrize(
    ("kind", "weight", "base", "used"),
    [
        ("script", 254, 100, 253),
        ("script", -254, 100, -253),
        ("interface", 254, 254, 253),
        ("interface", -254, 1, -253),
        ("interface", -253, 100, -253),
        ("script", 0, 100, 0),
        ("process", 254, 100, 254),
        ("process", -254, 100, -254),
        ("file", 254, 100, 254),
        ("file", -254, 100, -254),
        ("file", 1, 100, 1),
        ("script", 0, 255, 0),
        ("process", 0, 255, 0),
        ("file", 0, 255, 0),
        ("file", 1, 255, 0),
        ("script", 1, 255, None),
        ("interface", 1, 255, None),
        ("process", 1, 255, None),
        # Seen on keepalived 2.2.7: "(i) ignoring tracked file f with weight 2 due to address_owner"
        ("file", 2, 255, None),
        ("file", -1, 255, None),
    ],
)
def test_the_weight_in_use(kind: str, weight: int, base: int, used: int | None) -> None:
    assert tracked_weight(TrackerKind(kind), weight, base) == used


def test_the_reduction_of_254_shows_in_a_sum() -> None:
    """254 − 253 + 100 = 101; with −254 it would be 100, as it is for a process."""
    for kind, priority in (("interface", 101), ("script", 101), ("process", 100)):
        weight = tracked_weight(TrackerKind(kind), -254, 254)
        assert weight is not None
        effects = [state_effect(weight, False), state_effect(100, True)]
        assert outcome(254, effects).effective == priority


@pytest.mark.parametrize(
    ("weight", "value", "reverse", "expected"),
    [
        (1, -253, False, Effect(-253)),
        (1, -254, False, Effect(fault=True)),
        (1, 253, False, Effect(253)),
        (1, 254, False, Effect(253)),
        (1, 253, True, Effect(-253)),
        (1, 254, True, Effect(fault=True)),
        (1, -254, True, Effect(253)),
        (-1, 253, False, Effect(-253)),
        (-1, 254, False, Effect(fault=True)),
        (-4, 3, True, Effect(12)),
        (-5, -50, True, Effect(-250)),
        # Products beyond 32 bits are limited like all others; keepalived's wrap at its start.
        (254, 2**31 - 1, False, Effect(253)),
        (254, -(2**31), False, Effect(fault=True)),
        (0, 0, False, Effect()),
        (0, 7, False, Effect(fault=True)),
        (0, -7, False, Effect(fault=True)),
        (0, 0, True, Effect(fault=True)),
        (0, 7, True, Effect()),
    ],
)
def test_effect_of_a_file(weight: int, value: int, reverse: bool, expected: Effect) -> None:
    assert file_effect(weight, value, reverse) == expected


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (None, 0),  # missing, unreadable, deleted
        (b"", 0),
        (b"abc", 0),
        (b"-", 0),
        (b"- 5", 0),
        (b"+-5", 0),
        (b"x10", 0),
        (b" \t\r\n\v\f42 more", 42),
        (b"7 # seven", 7),
        (b"-12", -12),
        (b"+9\n", 9),
        (b"0x1F", 31),
        (b"-0X1fg", -31),
        (b"0x", 0),
        (b"0xg", 0),
        (b"017", 15),
        (b"-0178", -15),
        (b"08", 0),
        (b"0b11", 0),
        (b"0", 0),
        (b"1\x002", 1),
        ("７".encode(), 0),  # a digit to Unicode, not to C
        (b"2147483647", 2**31 - 1),
        (b"-2147483648", -(2**31)),
        (b"2147483648", -(2**31)),  # wraps, the one value that does
        (b"0x80000000", -(2**31)),
        (b"2147483649", 5),  # out of range: the previous value stays
        (b"-2147483649", 5),
        (b"99999999999999999999", 5),
        (b" " * 126 + b"12", 1),  # byte 128 and what follows is not read
        (b" " * 127 + b"1", 0),
    ],
)
def test_value_of_a_file(content: bytes | None, value: int) -> None:
    assert file_value(content, previous=5) == value


_strtol = ctypes.CDLL(None).strtol
_strtol.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int]
_strtol.restype = ctypes.c_long


@given(st.text("0189afgxX+- \t\n\x00", max_size=9))
@example("0x")
@example("-0x7fffffff")
@example("+017")
def test_a_file_is_read_as_the_c_library_reads_it(text: str) -> None:
    value = _strtol(text.encode(), None, 0)
    if value == 2**31:
        value = -(2**31)
    elif not -(2**31) <= value < 2**31:
        value = 5
    assert file_value(text.encode(), previous=5) == value


@pytest.mark.parametrize(
    ("state", "results", "expected"),
    [
        (initial_state(3, 2), "+", "+"),
        (initial_state(3, 2), "+--", "++-"),
        (initial_state(3, 2), "+--++-+++", "++------+"),
        (CheckState(3, 2, score=0, decided=True), "+++", "--+"),  # init_fail: all of rise
        (CheckState(3, 2, score=0, decided=True), "++-+++", "-----+"),
    ],
)
def test_numeric_cases_of_the_script_state(state: CheckState, results: str, expected: str) -> None:
    """The state machine of scripts is the agent's; keepalived's cases hold there."""
    verdicts = ""
    for result in results:
        state = state.after(result == "+")
        verdicts += "+" if state.passing else "-"
    assert verdicts == expected
