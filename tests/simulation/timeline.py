"""What happened, in order: for people when an oracle fails, and to compare two runs."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

_KEPT = 150


class OracleViolation(Exception):
    """An oracle saw what must not happen."""


@dataclass(slots=True)
class Timeline:
    """Recent entries of every kind, and all outward doings.

    An entry is (virtual nanoseconds, node or -1 for the LAN, words). ``doings`` holds what nodes
    sent, bound and became: two runs are the same when their doings are.
    """

    recent: deque[tuple[int, int, str, object]] = field(default_factory=lambda: deque(maxlen=_KEPT))
    doings: list[tuple[int, int, str, object]] = field(default_factory=list)
    where: str = ""
    """Said before each entry, where several LANs have one timeline."""

    def note(self, now_ns: int, node: int, what: str, detail: object = "") -> None:
        """Remember something for the reader of a failure."""
        self.recent.append((now_ns, node, f"{self.where}{what}", detail))

    def did(self, now_ns: int, node: int, what: str, detail: object) -> None:
        """Remember something a node did to the world."""
        entry = (now_ns, node, f"{self.where}{what}", detail)
        self.recent.append(entry)
        self.doings.append(entry)

    def beside(self, where: str) -> Timeline:
        """Return one that goes into this, each entry with the name of where it was."""
        return Timeline(self.recent, self.doings, where)

    def text(self, last: int = 60) -> str:
        """Return the last entries, a line each."""
        return "\n".join(line(entry) for entry in list(self.recent)[-last:])


def line(entry: tuple[int, int, str, object]) -> str:
    """Return one entry as people read it."""
    now_ns, node, what, detail = entry
    who = "LAN" if node < 0 else f"node{node}"
    return f"{now_ns / 1e9:12.6f} s  {who:6} {what} {detail}".rstrip()


def first_difference(one: Timeline, other: Timeline) -> str:
    """Return where the doings of two runs part, or nothing."""
    if one.doings == other.doings:
        return ""
    for left, right in zip(one.doings, other.doings, strict=False):
        if left != right:
            return f"{line(left)}\n   instead of\n{line(right)}"
    longer = max(one.doings, other.doings, key=len)
    return "one run goes on with\n" + line(longer[min(len(one.doings), len(other.doings))])
