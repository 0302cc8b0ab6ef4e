"""The ledgers are whole, every test they name exists, and the page is made from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.conformance import ledger as ledgers
from tests.conformance.ledger import (
    ADAPTED,
    DOES_NOT_APPLY,
    IDS,
    NAMES,
    PAGE,
    ROOT,
    Ledger,
    Row,
    functions,
    load,
    load_all,
    problems,
)
from tests.conformance.page import render

GOOD = "tests/conformance/test_ledger.py::test_ledger_is_whole_and_names_real_tests"


@pytest.mark.parametrize("name", NAMES)
def test_ledger_is_whole_and_names_real_tests(name: str) -> None:
    assert list(problems(name, load(name))) == []


def test_ledger_ids_are_as_many_as_the_reference_lists() -> None:
    assert {name: len(ids) for name, ids in IDS.items()} == {
        "rfc9568": 88,
        "rfc5798": 12,
        "rfc3768": 23,
    }
    assert (IDS["rfc9568"][0], IDS["rfc9568"][-1]) == ("V3-01", "V3-88")


def test_page_is_what_the_ledgers_make() -> None:
    expected = render(load_all())
    assert PAGE.read_text(encoding="utf-8") == expected, "run: python -m tests.conformance"


def test_conformance_test_that_no_row_names_is_none() -> None:
    named = {test for ledger in load_all() for row in ledger.rows for test in row.tests}
    here = [path for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__)]
    assert len(here) >= 4
    for path in here:
        relative = str(path.relative_to(ROOT))
        assert {f"{relative}::{function}" for function in functions(relative)} <= named


# A ledger that is wrong ------------------------------------------------------------------


def row(number: int) -> Row:
    """Return a row of RFC 5798 that is right."""
    return Row(f"V5-{number:02}", "1", "MUST", "Be right.", "applies", "", (GOOD,), (GOOD,), "")


RIGHT = Ledger("rfc5798", "RFC 5798", tuple(map(row, range(1, 13))))


def changed(**fields: object) -> Ledger:
    """Return a ledger whose first row differs."""
    first = replace(RIGHT.rows[0], **fields)  # type: ignore[arg-type]  # wrong values are the point
    return replace(RIGHT, rows=(first, *RIGHT.rows[1:]))


def test_problems_right_ledger_has_none() -> None:
    assert list(problems("rfc5798", RIGHT)) == []
    assert list(problems("rfc5798", changed(negative=(), no_negative="nothing to violate"))) == []
    unconcerned = changed(status=DOES_NOT_APPLY, reason="no router", positive=(), negative=())
    assert list(problems("rfc5798", unconcerned)) == []


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (replace(RIGHT, rows=RIGHT.rows[1:]), "V5-01: missing"),
        (replace(RIGHT, rows=(RIGHT.rows[0], *RIGHT.rows)), "V5-01: twice"),
        (replace(RIGHT, rows=(*RIGHT.rows, row(13))), "V5-13: unknown"),
        (replace(RIGHT, rows=RIGHT.rows[::-1]), "rfc5798: not in order"),
        (changed(positive=()), "V5-01: without a test"),
        (changed(status=ADAPTED, reason="so", positive=()), "V5-01: without a test"),
        (changed(negative=()), "V5-01: without a negative test, or 'none: ' and why"),
        (changed(status=ADAPTED), "V5-01: adapted, without a reason"),
        (changed(status=DOES_NOT_APPLY), "V5-01: does not apply, without a reason"),
        (changed(positive=(GOOD + "x",)), f"V5-01: no such test: {GOOD}x"),
        (changed(negative=("tests/no.py::test_a",)), "V5-01: no such test: tests/no.py::test_a"),
        (changed(positive=("tests",)), "V5-01: no such test: tests"),
        (changed(requirement=""), "V5-01: without section or requirement"),
    ],
)
def test_problems_wrong_ledger_is_named(wrong: Ledger, expected: str) -> None:
    assert list(problems("rfc5798", wrong)) == [expected]


@pytest.mark.parametrize(("field", "value"), [("level", "WILL"), ("status", "mostly")])
def test_problems_unknown_word_is_named(field: str, value: str) -> None:
    (found,) = problems("rfc5798", changed(**{field: value}, reason="so"))
    assert found.startswith(f"V5-01: {field} '{value}' is none of")


def test_load_unknown_field_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "rfc5798.yaml").write_text("title: a\nrows:\n- {id: V5-01, note: b}\n")
    monkeypatch.setattr(ledgers, "__file__", str(tmp_path / "ledger.py"))
    with pytest.raises(TypeError, match="note"):
        load("rfc5798")
