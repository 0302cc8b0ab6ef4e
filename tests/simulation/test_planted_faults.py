"""Do the oracles see anything? Every planted fault is caught, and sound code passes.

Each edit is made in a copy of the protocol, which a process of its own runs through all scenarios
and some seeds. An edit whose text is no longer there fails the test: then the list has to be moved
along with the code.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.planting import NotOnceError, plant
from tests.simulation.planted import PLANTED
from tests.simulation.planted_fault import PlantedFault

ROOT = Path(__file__).resolve().parents[2]
SPEAKER = ROOT / "speaker"
PACKAGES = ("vrrp", "vrrp_speaker")
SEEDS = "0..59"
LONGEST_S = 600


def simulate(folder: Path, planted: PlantedFault | None = None) -> tuple[int, str]:
    """Run the oracles on a copy of the speaker; return exit status and output."""
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(SPEAKER / package, folder / package, ignore=ignored)
    if planted is not None:
        try:
            plant(folder / f"{planted.module}.py", planted.old, planted.new)
        except NotOnceError as error:
            return -1, str(error)
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--scenarios", "--seeds", SEEDS],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    output = done.stdout + done.stderr
    if any(f"{folder / package}/__init__.py" not in output for package in PACKAGES):
        return -1, f"the copy was not what ran: {output}"
    return done.returncode, output


def complaint(folder: Path, planted: PlantedFault) -> str:
    """Return what is wrong with the oracles' verdict on a planted fault, or nothing."""
    status, output = simulate(folder, planted)
    if status == 1 and " failed, " in output:
        return ""
    return f"{planted.module}: {planted.why}: status {status}: {output[-600:]}"


def test_simulation_of_an_untouched_copy_passes(tmp_path: Path) -> None:
    status, output = simulate(tmp_path)
    assert status == 0, output


def test_simulation_of_every_planted_fault_fails(tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(len(PLANTED))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        complaints = [c for c in pool.map(complaint, folders, PLANTED) if c]
    assert not complaints, "\n\n".join(complaints)


def test_planted_faults_are_many_and_in_every_module_that_decides() -> None:
    assert len(PLANTED) >= 65
    modules = {planted.module.rpartition("/")[2] for planted in PLANTED}
    judge = {"validation", "members", "packet", "authentication"}
    assert modules == {"virtual_router", "rivals", "states", "timers", "lease", *judge}
