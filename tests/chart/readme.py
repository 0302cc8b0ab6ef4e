"""The chart's README: its text, and a table of values made from the comments of values.yaml."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from tests.chart.crds import CHART

README = CHART / "README.md"
_VALUES = CHART / "values.yaml"
_BEGIN = "<!-- values: made from values.yaml by `make chart` -->\n"
_END = "<!-- end of values -->\n"
_KEY = re.compile(r"( *)([A-Za-z0-9_-]+):(.*)")


@dataclass(frozen=True, slots=True)
class Section:
    """A heading of values.yaml and the values below it."""

    title: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """A value, as the file's comment explains it."""

    path: str
    default: Any
    meaning: str


def sections() -> Iterator[Section]:
    """Yield the sections of values.yaml.

    Raises:
        ValueError: a value has no comment.
    """
    text = _VALUES.read_text(encoding="utf-8")
    defaults = yaml.safe_load(text)
    for part in text.split("\n## ")[1:]:
        title, _, body = part.partition("\n")
        yield Section(title, tuple(_values(body.splitlines(), defaults)))


def _values(lines: list[str], defaults: Any) -> Iterator[Value]:
    """Yield each value that has a comment; a key that has none is a group of others."""
    path: list[tuple[int, str]] = []
    comment: list[str] = []
    inside: int | None = None  # how deep the last value is: what lies deeper is its default
    for line in lines:
        if line.strip().startswith("#"):
            comment.append(line.strip().lstrip("# "))
            continue
        match = _KEY.fullmatch(line)
        if match is None or (inside is not None and len(match[1]) > inside):
            comment = [] if not line.strip() else comment
            continue
        indent, key, rest = len(match[1]), match[2], match[3].strip()
        path = [*(entry for entry in path if entry[0] < indent), (indent, key)]
        inside = None
        if comment:
            name = ".".join(entry[1] for entry in path)
            yield Value(name, _look_up(defaults, name), " ".join(comment))
            inside = indent
        elif rest:
            raise ValueError(f"values.yaml: {'.'.join(entry[1] for entry in path)} has no comment")
        comment = []


def _look_up(defaults: Any, path: str) -> Any:
    for key in path.split("."):
        defaults = defaults[key]
    return defaults


def table() -> str:
    """Return the values as Markdown."""
    lines = []
    for section in sections():
        lines += [f"### {section.title}", "", "| value | default | |", "|---|---|---|"]
        for value in section.values:
            default = json.dumps(value.default, ensure_ascii=False)
            lines.append(f"| `{value.path}` | `{default}` | {value.meaning} |")
        lines.append("")
    return "\n".join(lines)


def with_table(text: str) -> str:
    """Return the README's text with the table as it should be.

    Raises:
        ValueError: the text has no place for it.
    """
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{README}: has no place for the values")
    return before + begin + "\n" + table() + end + after
