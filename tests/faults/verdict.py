"""A pytest plugin for tests that run beside a planted fault (``-p tests.faults.verdict``).

It writes what came of each phase of each test into the file that ``VERDICTS`` names, one JSON line
each: pytest's exit status does not tell an assertion of the test from a fixture that broke. After
a test that failed nobody waits any more: what follows is tidying up, in a lab that may never
settle.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator
from types import SimpleNamespace

import pytest

FILE = "KUBE_VRRP_VERDICTS"
"""Names the environment variable."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write one line."""
    report = yield
    info = call.excinfo
    asserted = info is not None and isinstance(info.value, AssertionError | pytest.fail.Exception)
    line = {
        "test": item.nodeid,
        "phase": report.when,
        "outcome": report.outcome,
        "asserted": asserted,
        "said": str(info.value).strip() if info is not None else "",
        "seconds": report.duration,
    }
    with open(os.environ[FILE], "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    if report.failed:
        _give_time(SimpleNamespace(monotonic=lambda: float("inf"), sleep=lambda _: None))
    return report


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let the next test have all the time it wants."""
    _give_time(time)


def _give_time(clock: object) -> None:
    from tests import eventually  # not earlier: it is for the tests to import first

    vars(eventually)["time"] = clock
