"""Configuration as messages: the planner's steps, whatever reaches a node late, or never."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.planting import NotOnceError, plant
from tests.simulation.messages import run_messages_seed
from tests.simulation.messages_scenarios import MESSAGES_SCENARIOS, run_messages_scenario
from tests.simulation.planted_messages import LEFT_OUT, LeftOut

ROOT = Path(__file__).resolve().parents[2]
SEEDS, CHUNK = 40, 10
LONGEST_S = 600


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_members_always_list_one_another_and_one_is_active(first: int) -> None:
    for seed in range(first, first + CHUNK):
        failure = run_messages_seed(seed)
        assert failure is None, str(failure)


@pytest.mark.parametrize("name", MESSAGES_SCENARIOS)
def test_story_of_nodes_that_are_cut_off(name: str) -> None:
    failure = run_messages_scenario(name)
    assert failure is None, str(failure)


def complaint(folder: Path, fault: LeftOut) -> str:
    """Return what is wrong with the oracles' verdict on a step that is left out, or nothing."""
    program, package, *inner = fault.folder.split("/")
    copy = folder / package
    shutil.copytree(ROOT / program / package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    try:
        plant(copy.joinpath(*inner) / f"{fault.module}.py", fault.old, fault.new)
    except NotOnceError as error:
        return str(error)
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--story", fault.story],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    output = done.stdout + done.stderr
    if str(copy / "__init__.py") not in output:
        return f"the copy was not what ran: {output}"
    noticed = done.returncode == 1 and "1 failed, " in output and "Traceback" not in output
    return "" if noticed else f"{fault.module}: {fault.why}: {output[-600:]}"


def test_each_step_that_is_left_out_is_noticed(tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(len(LEFT_OUT))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        complaints = [c for c in pool.map(complaint, folders, LEFT_OUT) if c]
    assert not complaints, "\n\n".join(complaints)
