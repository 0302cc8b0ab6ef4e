"""Plots as text: SVG with one row for each cell, a dot for each run, bars for percentiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from tests.bench.samples import percentile

_WIDTH, _ROW, _TOP, _BOTTOM = 860, 26, 74, 46
_LEFT, _RIGHT, _ZERO = 300, 24, 34
"""Where rows begin and end; the first stretch of the axis is for gaps of nothing."""
_TEXT, _FAINT = "#1b1f24", "#d5d9de"
_STYLE = 'font-family="sans-serif" font-size="13"'
_STEPS = (1, 2, 5)


@dataclass(frozen=True)
class Row:
    """One line of the plot: values in milliseconds."""

    label: str
    color: str
    values: Sequence[float]
    group: str = ""
    """Rows of another group than the one above begin with a rule."""


def dot_plot(title: str, subtitle: str, rows: Sequence[Row]) -> str:
    """Return a plot of milliseconds on a logarithmic axis."""
    axis = _Axis.over([value for row in rows for value in row.values])
    height = _TOP + _ROW * len(rows) + _BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}"'
        f' viewBox="0 0 {_WIDTH} {height}" role="img" {_STYLE} fill="{_TEXT}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        f'<text x="16" y="26" font-size="16" font-weight="bold">{escape(title)}</text>',
        f'<text x="16" y="46">{escape(subtitle)}</text>',
        *axis.drawing(height - _BOTTOM),
    ]
    group = rows[0].group if rows else ""
    for number, row in enumerate(rows):
        top = _TOP + number * _ROW
        if row.group != group:
            parts.append(f'<path d="M16 {top}H{_WIDTH - _RIGHT}" stroke="#8a929b"/>')
        group = row.group
        parts += _row(row, axis, top + _ROW / 2)
    return "\n".join([*parts, "</svg>"]) + "\n"


@dataclass(frozen=True)
class _Axis:
    """Milliseconds to pixels; less than ``low`` is drawn at 0."""

    low: float
    high: float

    @classmethod
    def over(cls, values: Sequence[float]) -> _Axis:
        positive = [value for value in values if value >= 1]
        low = 10.0 ** math.floor(math.log10(min(positive, default=1)))
        exponent = math.floor(math.log10(max(positive, default=1)))
        ticks = [step * 10.0**exponent for step in (*_STEPS, 10)]
        high = next(tick for tick in ticks if tick >= max(positive, default=1))
        return cls(low, max(high, 10 * low))

    def x(self, value: float) -> float:
        begin = _LEFT + _ZERO
        if value < self.low:
            return _LEFT + _ZERO / 3
        share = math.log10(value / self.low) / math.log10(self.high / self.low)
        return begin + share * (_WIDTH - _RIGHT - begin)

    def ticks(self) -> list[float]:
        first, last = round(math.log10(self.low)), math.ceil(math.log10(self.high))
        marks = [step * 10.0**power for power in range(first, last + 1) for step in _STEPS]
        return [mark for mark in marks if self.low <= mark <= self.high]

    def drawing(self, bottom: float) -> list[str]:
        parts = []
        for value in (0.0, *self.ticks()):
            x = self.x(value)
            parts.append(f'<path d="M{x:.1f} {_TOP}V{bottom}" stroke="{_FAINT}"/>')
            parts.append(
                f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="middle"'
                f' font-size="12">{value:g}</text>'
            )
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        parts.append(
            f'<text x="{middle}" y="{bottom + 36}" text-anchor="middle">ms, logarithmic</text>'
        )
        return parts


def _row(row: Row, axis: _Axis, y: float) -> list[str]:
    parts = [f'<text x="{_LEFT - 10}" y="{y + 4.5}" text-anchor="end">{escape(row.label)}</text>']
    if not row.values:
        return [*parts, f'<text x="{_LEFT + 4}" y="{y + 4.5}">not measured</text>']
    median, high = (axis.x(percentile(row.values, percent)) for percent in (50, 95))
    parts.append(
        f'<rect x="{median:.1f}" y="{y - 3}" width="{max(high - median, 0.1):.1f}" height="6"'
        f' fill="{row.color}" fill-opacity="0.3"/>'
    )
    for number, value in enumerate(row.values):
        # Dots of equal values lie beside each other, the same way each time.
        offset = (number * 7 % 11 - 5) * 0.9
        parts.append(
            f'<circle cx="{axis.x(value):.1f}" cy="{y + offset:.1f}" r="3"'
            f' fill="{row.color}" fill-opacity="0.65"/>'
        )
    parts.append(
        f'<path d="M{median:.1f} {y - 9}V{y + 9}" stroke="{row.color}" stroke-width="2.5"/>'
    )
    return parts
