"""The stories of ``scenarios``, one test each."""

from __future__ import annotations

import pytest
from tests.simulation.scenarios import SCENARIOS, run_scenario


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario_ends_as_worked_out(name: str) -> None:
    failure = run_scenario(name)
    assert failure is None, str(failure)
