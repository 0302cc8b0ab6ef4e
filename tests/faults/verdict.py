"""A pytest plugin for tests that run beside a planted fault (``-p tests.faults.verdict``).

It writes what came of each phase of each test into the file that ``VERDICTS`` names, one JSON line
each: pytest's exit status does not tell an assertion of the test from a fixture that broke. After
the first test that failed nobody waits any more: what follows is tidying up, in a lab that may
never settle.
"""

from __future__ import annotations

import json
import os
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
        _hurry()
    return report


def _hurry() -> None:
    from tests import eventually  # not earlier: it is for the tests to import first

    over = SimpleNamespace(monotonic=lambda: float("inf"), sleep=lambda _: None)
    vars(eventually)["time"] = over
