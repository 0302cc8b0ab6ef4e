"""A copy of the source tree in which a fault may be planted, and tests that run there.

The copy comes first on ``PYTHONPATH``, before the editable installation, in pytest and in every
program that a lab starts. Twice that is made sure of: before the tests each package says where it
is, and after them the module with the fault must have been compiled in the copy, which has no
bytecode at first.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path

from tests.faults.fault import ROOT
from tests.faults.verdict import FILE

LONGEST_S = 400
_FOLDERS = ("operator", "speaker", "cli", "crds", "lab", "")
_PACKAGES = (
    *("vrrp", "vrrp_speaker", "vrrp_operator", "vrrp_cli", "vrrp_api", "vrrp_http", "vrrp_lab"),
)
_LEFT_OUT = (".*", "__pycache__", "docs")
_WHERE = f"import {', '.join(_PACKAGES)}\nfor p in {', '.join(_PACKAGES)}: print(p.__file__)"


class SandboxError(Exception):
    """The copy is not what ran, or pytest did not come to a verdict; the message says why."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one test: ``asserted`` if an assertion of its own failed, not a fixture."""

    passed: bool
    asserted: bool
    said: str
    seconds: float


class Sandbox:
    """The copy; ``planted`` is the file with the fault, none in a sound copy."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "source"
        self._verdicts = folder / "verdicts"
        shutil.copytree(ROOT, self.root, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        path = os.pathsep.join(str(self.root / name) for name in _FOLDERS)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PYTEST"))}
        self._environment = {**kept, "PYTHONPATH": path, FILE: str(self._verdicts)}

    def make_sure(self) -> None:
        """Have every package say where it is.

        Raises:
            SandboxError: one is not in the copy.
        """
        done = subprocess.run(
            [sys.executable, "-c", _WHERE],
            cwd=self.root.parent,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        found = [Path(line) for line in done.stdout.splitlines()]
        outside = [str(path) for path in found if not path.is_relative_to(self.root)]
        if done.returncode or outside or len(found) != len(_PACKAGES):
            raise SandboxError(f"not the copy: {outside} {done.stderr[-500:]}")

    def was_loaded(self, file: str) -> bool:
        """Return whether somebody imported this source file from the copy."""
        return Path(cache_from_source(str(self.root / file))).exists()

    def run(self, tests: Sequence[str]) -> dict[str, list[Verdict]]:
        """Run tests; return for each of them what came of it, once for each set of parameters.

        Raises:
            SandboxError: pytest was not able to run them, or they did not end.
        """
        self._verdicts.write_text("")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.faults.verdict"]
        process = subprocess.Popen(
            [*command, "-p", "no:cacheprovider", *tests],
            cwd=self.root,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        output = _output(process, LONGEST_S * len(tests))
        if process.returncode not in (0, 1):
            raise SandboxError(f"pytest ended with {process.returncode}: {output[-1500:]}")
        lines = [json.loads(line) for line in self._verdicts.read_text().splitlines()]
        return {test: list(_verdicts(test, lines)) for test in tests}


def _output(process: subprocess.Popen[str], seconds: float) -> str:
    """Return what a process wrote; one that does not end is interrupted, so that it tidies up."""
    for number in (signal.SIGINT, signal.SIGKILL):
        try:
            return process.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            process.send_signal(number)
            seconds = 30
    return process.communicate()[0]


def _verdicts(test: str, lines: Sequence[dict[str, object]]) -> Iterator[Verdict]:
    """Yield what came of a test; a fixture that broke, or that skipped, is no assertion of it."""
    whose = {str(line["test"]) for line in lines}
    for name in sorted(n for n in whose if n == test or n.startswith(f"{test}[")):
        phases = [line for line in lines if line["test"] == name]
        called = [phase for phase in phases if phase["phase"] == "call"]
        wrong = [phase for phase in phases if phase["outcome"] != "passed"]
        yield Verdict(
            passed=bool(called) and not wrong,
            asserted=any(p["outcome"] == "failed" and p["asserted"] for p in called),
            said=str(wrong[0]["said"]) if wrong else "",
            seconds=sum(float(str(phase["seconds"])) for phase in phases),
        )


@contextmanager
def sandbox() -> Iterator[Sandbox]:
    """A copy of the source tree, there while the block runs."""
    with tempfile.TemporaryDirectory(prefix="kube-vrrp-faults-") as folder:
        made = Sandbox(Path(folder))
        made.make_sure()
        yield made
