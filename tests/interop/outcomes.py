"""What the duels of a session showed, or why they cannot be played on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future

from tests.conftest import cannot_run
from tests.interop.duel import Outcome, Pair

from vrrp_lab.namespaces import LabError


class Outcomes:
    """The outcomes of the duels that this session's tests ask for."""

    def __init__(self, duels: Mapping[Pair, Future[Outcome]]) -> None:
        self._duels = duels

    def of(self, pair: Pair) -> Outcome:
        """Return a pair's outcome, or end the test as this machine deserves."""
        for side in (pair.left, pair.right):
            if side.version() is None:
                cannot_run(f"this machine lacks: {side.implementation}")
        try:
            return self._duels[pair].result()
        except LabError as error:
            cannot_run(str(error))

    def complete(self) -> dict[Pair, Outcome]:
        """Return those that were played to their end."""
        return {p: duel.result() for p, duel in self._duels.items() if not duel.exception()}
