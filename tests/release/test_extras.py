"""The wheel, installed as users do: with one extra, and without any."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from vrrp_api.extras import MODULES

ROOT = Path(__file__).resolve().parents[2]
CHECKOV = ROOT / "requirements" / "checkov.txt"
"""Of a tool that has an environment of its own, for it wants older releases than others."""
PROGRAMS = {"operator": "vrrp-operator", "speaker": "vrrp-speaker", "cli": "kubectl-vrrp"}
_IMPORT_ALL = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    for module in pkgutil.walk_packages(importlib.import_module(name).__path__, name + "."):
        importlib.import_module(module.name)
"""


def test_what_a_program_looks_for_is_what_its_extra_brings() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    brought_by = packages_distributions()
    for extra, modules in MODULES.items():
        listed = {re.split(r"[><=]", said)[0] for said in project["optional-dependencies"][extra]}
        brought = {brought_by[module][0].replace("_", "-") for module in modules}
        assert brought == listed
    assert project["dependencies"] == []


def test_a_speaker_comes_without_what_the_others_need() -> None:
    lock = (ROOT / "requirements" / "speaker.txt").read_text()
    names = set(re.findall(r"^([a-z0-9.-]+)==", lock, re.MULTILINE))
    assert {"scapy", "pyroute2"} <= names
    assert not names & {"kopf", "kubernetes", "rich", "aiohttp"}


OF_THE_PROJECT = sorted(set((ROOT / "requirements").glob("*.txt")) - {CHECKOV})


@pytest.mark.parametrize("path", OF_THE_PROJECT, ids=lambda p: p.stem)
def test_locks_agree_on_versions(path: Path) -> None:
    def pins(lock: Path) -> Mapping[str, str]:
        return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", lock.read_text(), re.MULTILINE))

    everything, own = pins(ROOT / "requirements" / "dev.txt"), pins(path)
    assert {name: everything[name] for name in own if name in everything} == {
        name: version for name, version in own.items() if name in everything
    }


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and none of its extras."""
    folder = tmp_path_factory.mktemp("bare")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "env")], check=True)
    python = str(folder / "env/bin/python")
    install = ["install", "-q", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", python, *install], check=True)
    return folder / "env"


@pytest.mark.parametrize("extra", PROGRAMS)
def test_a_program_without_its_extra_says_what_to_install(bare: Path, extra: str) -> None:
    program = PROGRAMS[extra]
    ended = subprocess.run(
        [str(bare / "bin" / program), "--node", "node-1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 4
    absent = ", ".join(MODULES[extra])
    assert ended.stderr == (
        f"{program}: not installed: {absent}; install it with: pip install 'kube-vrrp[{extra}]'\n"
    )


def test_the_workstation_has_every_command_with_its_lock_alone(bare: Path) -> None:
    lock = str(ROOT / "requirements" / "cli.txt")
    python = str(bare / "bin/python")
    install = ["install", "-q", "--no-compile", "--require-hashes", "-r", lock]
    subprocess.run([sys.executable, "-m", "pip", "--python", python, *install], check=True)
    subprocess.run([python, "-c", _IMPORT_ALL, "vrrp", "vrrp_api", "vrrp_cli"], check=True)
    ended = subprocess.run([python, "-c", "import kopf"], capture_output=True, check=False)
    assert ended.returncode
    helped = subprocess.run(
        [str(bare / "bin/kubectl-vrrp"), "--help"], capture_output=True, text=True, check=True
    )
    assert "render" in helped.stdout
