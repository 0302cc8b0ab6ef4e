"""The conformance ledgers as values: what each RFC asks for, what we do, which tests prove it.

A ledger is a YAML file beside this module. Its rows have these fields:

- ``id``, ``section``, ``level``, ``requirement``: which demand of the RFC, in our own words.
- ``status``: ``applies``, ``adapted`` or ``does not apply``; the latter two have a ``reason``.
- ``tests``: ``positive`` and ``negative`` node ids; ``negative`` may be ``none: why`` instead.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "conformance.md"
NAMES = ("rfc9568", "rfc5798", "rfc3768")
IDS = {
    "rfc9568": tuple(f"V3-{number:02}" for number in range(1, 89)),
    "rfc5798": tuple(f"V5-{number:02}" for number in range(1, 13)),
    "rfc3768": tuple(f"V2-{number:02}" for number in range(1, 24)),
}
"""Every demand that the reference lists for each RFC."""
LEVELS = ("MUST", "SHOULD", "MAY", "RECOMMENDED", "plain")
"""How strongly the RFC puts it; ``plain`` is a statement without a keyword."""
APPLIES, ADAPTED, DOES_NOT_APPLY = STATUSES = ("applies", "adapted", "does not apply")
NO_NEGATIVE = "none: "


@dataclass(frozen=True, slots=True)
class Row:
    """One demand; ``no_negative`` says why there is nothing that a negative test could violate."""

    id: str
    section: str
    level: str
    requirement: str
    status: str
    reason: str
    positive: tuple[str, ...]
    negative: tuple[str, ...]
    no_negative: str

    @property
    def tests(self) -> tuple[str, ...]:
        """Every test of the row, once."""
        return tuple(dict.fromkeys(self.positive + self.negative))


@dataclass(frozen=True, slots=True)
class Ledger:
    """One RFC's rows."""

    name: str
    title: str
    rows: tuple[Row, ...]


def load(name: str) -> Ledger:
    """Return the ledger of one RFC.

    Raises:
        KeyError: a row lacks a field.
        TypeError: a row has a field that is not known.
    """
    text = Path(__file__).with_name(f"{name}.yaml").read_text(encoding="utf-8")
    document = yaml.safe_load(text)
    return Ledger(name, document["title"], tuple(_row(**item) for item in document["rows"]))


def load_all() -> tuple[Ledger, ...]:
    """Return the ledgers, newest RFC first."""
    return tuple(load(name) for name in NAMES)


def _row(
    *,
    id: str,
    section: str,
    level: str,
    requirement: str,
    status: str,
    reason: str = "",
    tests: dict[str, Any] | None = None,
) -> Row:
    given = dict(tests or {})
    positive = given.pop("positive", [])
    negative = given.pop("negative", [])
    if given:
        raise TypeError(f"{id}: unknown kind of test: {', '.join(given)}")
    no_negative = ""
    if isinstance(negative, str):
        no_negative, negative = negative.removeprefix(NO_NEGATIVE), []
    return Row(
        id, section, level, requirement, status, reason,
        tuple(positive), tuple(negative), no_negative,
    )  # fmt: skip


def problems(name: str, ledger: Ledger) -> Iterator[str]:
    """Yield what is wrong with a ledger, each with the id of its row."""
    ids = [row.id for row in ledger.rows]
    yield from (f"{missing}: missing" for missing in IDS[name] if missing not in ids)
    yield from (f"{unknown}: unknown" for unknown in ids if unknown not in IDS[name])
    yield from (f"{twice}: twice" for twice in sorted({i for i in ids if ids.count(i) > 1}))
    if ids != sorted(ids):
        yield f"{name}: not in order"
    for row in ledger.rows:
        yield from (f"{row.id}: {problem}" for problem in _row_problems(row))


def _row_problems(row: Row) -> Iterator[str]:
    if row.level not in LEVELS:
        yield f"level {row.level!r} is none of {LEVELS}"
    if row.status not in STATUSES:
        yield f"status {row.status!r} is none of {STATUSES}"
    if not row.section or not row.requirement:
        yield "without section or requirement"
    if row.status != APPLIES and not row.reason:
        yield f"{row.status}, without a reason"
    if row.status != DOES_NOT_APPLY:
        if not row.positive:
            yield "without a test"
        if not row.negative and not row.no_negative:
            yield "without a negative test, or 'none: ' and why"
    yield from (f"no such test: {test}" for test in row.tests if not exists(test))


def exists(node_id: str) -> bool:
    """Return whether the file of a node id defines that test function."""
    path, separator, function = node_id.partition("::")
    return bool(separator) and function in functions(path)


@cache
def functions(path: str) -> frozenset[str]:
    """Return the names of the test functions of a file of this repository, none if it is absent."""
    file = ROOT / path
    if not file.is_file():
        return frozenset()
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return frozenset(
        node.name
        for node in body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )
