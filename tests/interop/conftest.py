"""Duels are played once for a session, several at a time; tests look at the outcomes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.interop.duel import Duel
from tests.interop.matrix import OUTCOMES, table
from tests.interop.outcomes import Outcomes
from tests.interop.variants import VARIANTS

_AT_ONCE = 6
"""Duels mostly wait, but speakers compile when they start."""


@pytest.fixture(scope="session")
def captures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where captures and logs of failures stay."""
    wanted = os.environ.get("KUBE_VRRP_CAPTURES")
    return Path(wanted) if wanted else tmp_path_factory.mktemp("captures")


@pytest.fixture(scope="session")
def outcomes(request: pytest.FixtureRequest, captures: Path) -> Iterator[Outcomes]:
    """Every duel that a collected test asks for."""
    parameters = [getattr(item, "callspec", None) for item in request.session.items]
    wanted = dict.fromkeys(p.params["pair"] for p in parameters if p and "pair" in p.params)
    able = [pair for pair in wanted if pair.left.version() and pair.right.version()]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        duels = {pair: pool.submit(Duel(pair, VARIANTS, captures).play) for pair in able}
        played = Outcomes(duels)
        yield played
    request.config.stash[OUTCOMES] = played.complete()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the matrix."""
    outcomes = terminalreporter.config.stash.get(OUTCOMES, None)
    if outcomes:
        terminalreporter.section("interop")
        terminalreporter.write_line(table(outcomes))
