"""The stories of ``scenarios``, one test each."""

from __future__ import annotations

import pytest
from tests.simulation.clock_scenarios import CLOCK_SCENARIOS
from tests.simulation.scenarios import SCENARIOS, run_scenario


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario_ends_as_worked_out(name: str) -> None:
    failure = run_scenario(name)
    assert failure is None, str(failure)


@pytest.mark.parametrize("name", [name for name in CLOCK_SCENARIOS if "anchored" in name])
def test_stranger_after_a_clock_step_with_anchored_clocks_is_heard(name: str) -> None:
    failure = run_scenario(name)
    assert failure is None, str(failure)


@pytest.mark.parametrize("name", [name for name in CLOCK_SCENARIOS if "followed" in name])
@pytest.mark.xfail(strict=True, reason="freshness follows the wall clock wherever it steps")
def test_stranger_after_a_clock_step_with_followed_clocks_is_heard(name: str) -> None:
    failure = run_scenario(name)
    assert failure is None, str(failure)
