"""What single runs showed, and the figures of many."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cell:
    """What was done to whom, under which circumstances."""

    event: str
    interval_ms: int
    loaded: bool
    contender: str
    family: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One run as a client saw it, and as the hosts' kernels did; times in nanoseconds."""

    cell: Cell
    run: int
    gap_ns: int
    """The longest stretch without an answer."""
    sent: int
    lost: int
    stall_ns: int
    """The longest that the prober itself did not send: no gap is known better than this."""
    several_ns: int
    """How long more than one host had the address."""
    none_ns: int
    gained: int
    """How many times a host got the address."""
    left_behind: bool
    """Whether the harmed host still had the address although another one had it too."""
    waited_ns: int | None = None
    """From the harmed host's last advertisement to the first answer of its successor."""


@dataclass
class Samples:
    """All of them; each one also becomes a line of a file, as it comes.

    What a file has already counts as taken: a matrix that was broken off goes on.
    """

    path: Path | None = None
    taken: list[Sample] = field(default_factory=list)
    failed: dict[Cell, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path is None or not self.path.exists():
            return
        for line in self.path.read_text(encoding="utf-8").splitlines():
            fields = json.loads(line)
            cell = Cell(*(fields.pop(name.name) for name in dataclasses.fields(Cell)))
            if "failed" in fields:
                self.failed.setdefault(cell, []).append(fields["failed"])
            else:
                self.taken.append(Sample(cell, **fields))

    def has(self, cell: Cell, run: int) -> bool:
        """Return whether a run of a cell was taken."""
        return any(sample.run == run for sample in self.of(cell))

    def add(self, sample: Sample) -> None:
        """Keep a run."""
        self.taken.append(sample)
        fields = dataclasses.asdict(sample)
        self._write({**fields.pop("cell"), **fields})

    def fail(self, cell: Cell, reason: str) -> None:
        """Keep that a run came to no end."""
        self.failed.setdefault(cell, []).append(reason)
        self._write({**dataclasses.asdict(cell), "failed": reason})

    def of(self, cell: Cell) -> list[Sample]:
        """Return the runs of one cell."""
        return [sample for sample in self.taken if sample.cell == cell]

    def cells(self, event: str) -> list[Cell]:
        """Return the cells of an event: long intervals first, idle first, in order of turns."""
        found = dict.fromkeys(s.cell for s in self.taken if s.cell.event == event)
        return sorted(found, key=lambda cell: (-cell.interval_ms, cell.loaded, cell.family))

    def _write(self, fields: dict[str, object]) -> None:
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(fields) + "\n")


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile: of ten values the 95th is the largest."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(percent / 100 * len(ranked)) - 1)]


def spread(values: Iterable[float], scale: float = 1e6, digits: int = 0) -> str:
    """Return "p50 / p95 / max", nanoseconds as milliseconds unless told otherwise."""
    scaled = [value / scale for value in values]
    if not scaled:
        return "–"
    figures = percentile(scaled, 50), percentile(scaled, 95), max(scaled)
    return " / ".join(f"{figure:.{digits}f}" for figure in figures)
