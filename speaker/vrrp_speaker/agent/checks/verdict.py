"""What one run of a check found, and what the check comes to at this moment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """What one run, or one look at a fact, found.

    ``message`` is for people, and empty where there is nothing to explain; ``value`` is the number
    in the file of a file check. ``unreadable``: there is something in its place that is not read.
    """

    passed: bool
    message: str = ""
    value: int = 0
    unreadable: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a check passes; meaningless until ``decided``.

    ``value`` is the number in the file of a file check, as keepalived reads it; it means nothing
    while ``unreadable``.
    """

    decided: bool
    passing: bool
    value: int = 0
    unreadable: bool = False
