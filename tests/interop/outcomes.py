"""What the duels of a session showed, or why they cannot be played on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import Future
from typing import NoReturn

import pytest
from tests.interop.duel import Outcome, Pair

from vrrp_lab.namespaces import LabError


def missing(what: str) -> NoReturn:
    """End a test for which something is missing: a failure where everything should be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"this layer cannot run: {what}")
    pytest.skip(what)  # a developer's machine may lack what CI has; CI fails above


class Outcomes:
    """The outcomes of the duels that this session's tests ask for."""

    def __init__(self, duels: Mapping[Pair, Future[Outcome]]) -> None:
        self._duels = duels

    def of(self, pair: Pair) -> Outcome:
        """Return a pair's outcome, or end the test as this machine deserves."""
        for side in (pair.left, pair.right):
            if side.version() is None:
                missing(f"this machine lacks: {side.implementation}")
        try:
            return self._duels[pair].result()
        except LabError as error:
            missing(str(error))

    def complete(self) -> dict[Pair, Outcome]:
        """Return those that were played to their end."""
        return {p: duel.result() for p, duel in self._duels.items() if not duel.exception()}
