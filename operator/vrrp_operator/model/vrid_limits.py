"""Which virtual router IDs there are, and which are not to be given now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

NUMBERS = range(1, 256)


@dataclass(frozen=True, slots=True)
class Limits:
    """What keeps numbers from being given: none of it takes one away from who has it.

    ``reserved`` are for those who ask for them by name. ``foreign`` are used by routers outside the
    cluster. By node and number: ``leaving`` says who uses it there yet though nobody is asked to,
    ``resting`` who did so last.
    """

    reserved: frozenset[int] = frozenset()
    foreign: frozenset[int] = frozenset()
    leaving: Mapping[tuple[str, int], str] = field(default_factory=dict)
    resting: Mapping[tuple[str, int], str] = field(default_factory=dict)
