"""Chaos seeds in virtual time: what strikes real nodes, under every oracle of the simulator."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.chaos.plan import plan
from tests.simulation.chaos import chaos_lan, run_chaos, run_chaos_seed
from tests.simulation.timeline import first_difference

SEEDS, SECONDS = range(6), 60


@pytest.mark.parametrize("seed", SEEDS)
def test_invariants_hold_under_chaos(seed: int) -> None:
    failure = run_chaos_seed(seed, SECONDS)
    assert failure is None, str(failure)


@pytest.mark.parametrize("seed", [2, 180114, 681148])
def test_seeds_that_real_nodes_stumbled_over(seed: int) -> None:
    """Kept from runs that found something outside of the protocol: it has to stay innocent."""
    failure = run_chaos_seed(seed, SECONDS)
    assert failure is None, str(failure)


def test_chaos_seed_replays_exactly() -> None:
    lans = [chaos_lan(7, 3) for _ in range(2)]
    for lan in lans:
        run_chaos(lan, plan(7, SECONDS), 3)
    assert first_difference(*(lan.timeline for lan in lans)) == ""
    assert len(lans[0].timeline.doings) > 100


def test_command_tells_the_plan_and_that_it_holds() -> None:
    command = [sys.executable, "-m", "tests.simulation", "--chaos-seed", "1", "--seconds", "30"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert str(plan(1, 30)[0]) in done.stdout
    assert "1 runs, 0 failed" in done.stdout
