"""What the holders of one address over time come to, and what of it may not be (pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.bench.holders import Timeline

MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """How often an address moved, and for how long at most two nodes had it, or none."""

    moves: int
    two_ns: int
    nobody_ns: int
    handovers_ns: tuple[int, ...]
    """How long each time with two holders was."""


def judge(timeline: Timeline, since_ns: int, until_ns: int) -> Verdict:
    """Return what became of an address in a time in which one node had it at first."""
    two = list(_lengths(timeline, since_ns, until_ns, lambda count: count > 1))
    nobody = list(_lengths(timeline, since_ns, until_ns, lambda count: count == 0))
    moves = timeline.gained(since_ns, until_ns)
    return Verdict(moves, max(two, default=0), max(nobody, default=0), tuple(two))


def _lengths(
    timeline: Timeline, since_ns: int, until_ns: int, wanted: Callable[[int], bool]
) -> Iterator[int]:
    """Yield the length of each stretch in which the number of holders was one that is wanted."""
    begun_ns: int | None = None
    for changed_ns, holders in (*timeline.spans(), (until_ns, None)):
        at_ns = min(max(changed_ns, since_ns), until_ns)
        goes_on = holders is not None and wanted(len(holders))
        if goes_on and begun_ns is None:
            begun_ns = at_ns
        elif not goes_on and begun_ns is not None:
            if at_ns > begun_ns:
                yield at_ns - begun_ns
            begun_ns = None


def faults(verdict: Verdict, interval_ms: int, *, still: bool) -> list[str]:
    """Return what may not be, in words; a down interval is four advertisement intervals at most."""
    down_ns = 4 * interval_ms * MS
    found = []
    if verdict.two_ns > down_ns:
        found.append(f"two nodes held it for {verdict.two_ns / MS:.0f} ms")
    if verdict.nobody_ns > down_ns:
        found.append(f"nobody held it for {verdict.nobody_ns / MS:.0f} ms")
    if still and verdict.moves:
        found.append(f"it moved {verdict.moves} times, and only Backups came and went")
    return found
