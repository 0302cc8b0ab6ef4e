"""Stretches of time, as sorted (begin, end) pairs that do not touch; nanoseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable

Spans = tuple[tuple[int, int], ...]


def union(*groups: Iterable[tuple[int, int]]) -> Spans:
    """Return the time that any of these covers; empty stretches are dropped."""
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(span for group in groups for span in group):
        if begin >= end:
            continue
        if merged and begin <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((begin, end))
    return tuple(merged)


def both(one: Spans, other: Spans) -> Spans:
    """Return the time that both cover."""
    found = []
    for begin, end in one:
        for other_begin, other_end in other:
            if other_begin >= end:
                break
            if other_end > begin:
                found.append((max(begin, other_begin), min(end, other_end)))
    return tuple(found)


def without(one: Spans, other: Spans) -> Spans:
    """Return the time that the first covers and the second does not."""
    found = []
    for begin, end in union(one):
        left_ns = begin
        for other_begin, other_end in other:
            if other_end <= left_ns or other_begin >= end:
                continue
            if other_begin > left_ns:
                found.append((left_ns, other_begin))
            left_ns = max(left_ns, other_end)
        if left_ns < end:
            found.append((left_ns, end))
    return tuple(found)


def total(spans: Spans) -> int:
    """Return how long they are together."""
    return sum(end - begin for begin, end in spans)


def longest(spans: Spans) -> int:
    """Return the length of the longest."""
    return max((end - begin for begin, end in spans), default=0)


def times_of(
    changes: Iterable[tuple[int, str]], until_ns: int, wanted: Callable[[str], bool]
) -> Spans:
    """Return when a value that changed at these moments was one that is wanted."""
    found = []
    since_ns: int | None = None
    for at_ns, value in changes:
        if wanted(value) and since_ns is None:
            since_ns = at_ns
        elif not wanted(value) and since_ns is not None:
            found.append((since_ns, at_ns))
            since_ns = None
    if since_ns is not None:
        found.append((since_ns, until_ns))
    return union(found)
