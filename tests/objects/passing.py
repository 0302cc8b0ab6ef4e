"""Faults of machines that end by themselves."""

from __future__ import annotations

from collections.abc import Callable


class PassingFaults:
    """What is wrong with nodes just now: of each kind once on a node; times are monotonic."""

    def __init__(self) -> None:
        self._undo: dict[tuple[str, str], tuple[float, Callable[[], object]]] = {}

    def begin(
        self, kind: str, node: str, until_s: float, begin: Callable[[], Callable[[], object]]
    ) -> bool:
        """Begin a fault; return whether there was none of its kind. ``begin`` returns its end."""
        if (kind, node) in self._undo:
            return False
        self._undo[kind, node] = until_s, begin()
        return True

    def tick(self, now_s: float) -> None:
        """End those that are to be over."""
        for key in [key for key, (until_s, _) in self._undo.items() if now_s >= until_s]:
            self._undo.pop(key)[1]()

    def heal(self) -> None:
        """End every fault."""
        self.tick(float("inf"))
