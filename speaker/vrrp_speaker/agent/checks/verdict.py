"""What a check comes to at this moment, for whoever depends on it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a check passes; meaningless until ``decided``.

    ``value`` is the number in the file of a file check, as keepalived reads it.
    """

    decided: bool
    passing: bool
    value: int = 0
