"""Which NodeConfigs no write can change any more that was sent before, and given up (pure).

What was not answered may arrive later, also when the operator that sent it has ended. It names the
version that it was to replace, and that may still be the newest. So whatever has such a write
behind it is written once more before anything is decided from it; then what comes late is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

from vrrp_api import GROUP

FENCE = f"{GROUP}/fence"
"""An annotation of NodeConfigs: another text each time, by which alone the version moves on."""


class Fences:
    """NodeConfigs by name; at first none is fenced, as nobody knows what another one sent.

    ``identity`` is no other operator's.
    """

    def __init__(self, identity: str) -> None:
        self._identity = identity
        self._numbers = count(1)
        self._fenced: set[str] = set()

    def missing(self, names: Iterable[str]) -> list[str]:
        """Return which of these are to be written once more."""
        return [name for name in names if name not in self._fenced]

    def text(self) -> str:
        """Return what to write there, never the same again."""
        return f"{self._identity}-{next(self._numbers)}"

    def answered(self, name: str) -> None:
        """Note that a write was done: what was sent before it comes too late."""
        self._fenced.add(name)

    def unanswered(self, name: str) -> None:
        """Note that nobody knows what became of a write."""
        self._fenced.discard(name)
