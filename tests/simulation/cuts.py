"""Cuts of a link between some machines: one way round or both, several at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

SLOTS = 2
"""How many slots a machine has on each LAN; those of machine n begin with SLOTS * n."""

Pairs = set[tuple[int, int]]


@dataclass(slots=True, eq=False)
class Link:
    """Where something of every machine is connected; ``blocked`` are pairs (from, to) of slots."""

    blocked: Pairs = field(default_factory=set)
    _cuts: list[Pairs] = field(default_factory=list)

    @property
    def cuts(self) -> int:
        """How many cuts there are now."""
        return len(self._cuts)

    def cut(
        self, machine: int, others: Iterable[int], *, to: bool = True, back: bool = True
    ) -> Pairs:
        """Let nothing of a machine reach others (``to``), or of others reach it (``back``)."""
        found: Pairs = set()
        for mine in _slots(machine):
            for other in others:
                found |= {(mine, theirs) for theirs in _slots(other) if to}
                found |= {(theirs, mine) for theirs in _slots(other) if back}
        self._cuts.append(found)
        self.blocked |= found
        return found

    def mend(self, cut: Pairs) -> None:
        """End a cut; what another one blocks stays blocked."""
        self._cuts = [other for other in self._cuts if other is not cut]
        # LANs hold on to the set itself.
        self.blocked.clear()
        self.blocked.update(*self._cuts)

    def mend_all(self) -> None:
        """End all cuts."""
        self._cuts = []
        self.blocked.clear()


def _slots(machine: int) -> range:
    return range(SLOTS * machine, SLOTS * (machine + 1))
