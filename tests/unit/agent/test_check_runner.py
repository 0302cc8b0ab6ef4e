"""When checks run, and what late, stuck and removed ones count for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Any

import pytest
from tests.eventually import eventually

from vrrp_api.check_kinds import TcpCheck
from vrrp_api.health_check import HealthCheck
from vrrp_speaker.agent.checks.runner import CheckRunner
from vrrp_speaker.agent.messages import CheckEnded, Message

SECOND = 1_000_000_000


def check(name: str, **fields: int) -> HealthCheck:
    values: dict[str, Any] = {
        "interval_ns": SECOND,
        "timeout_ns": SECOND // 2,
        "rise": 1,
        "fall": 1,
        **fields,
    }
    return HealthCheck(name, 1, TcpCheck("127.0.0.1:1"), weight=0, **values)


class Probes:
    """Results by check name; a check whose gate is closed hangs in its probe."""

    def __init__(self) -> None:
        self.results: dict[str, bool] = {}
        self.gates: dict[str, threading.Event] = {}
        self.runs: list[str] = []

    def __call__(self, asked: HealthCheck) -> tuple[bool, str]:
        self.runs.append(asked.name)
        gate = self.gates.get(asked.name)
        if gate is not None:
            gate.wait(10)
        passed = self.results.get(asked.name, True)
        return passed, "" if passed else "no"


class Bench:
    """A runner driven by hand."""

    def __init__(self) -> None:
        self.inbox: SimpleQueue[Message] = SimpleQueue()
        self.probes = Probes()
        self.runner = CheckRunner(self.inbox, self.probes)

    def take(self, now_s: float) -> CheckEnded:
        """Wait for the end of one run and give it to the runner."""
        message = eventually(self._get, within_s=5)
        assert isinstance(message, CheckEnded)
        self.runner.ended(message, now_s)
        return message

    def _get(self) -> Message | None:
        try:
            return self.inbox.get_nowait()
        except Empty:
            return None

    def passing(self, name: str) -> bool | None:
        state = self.runner.checks[name].state
        return state.passing if state.decided else None


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    for gate in made.probes.gates.values():
        gate.set()
    made.runner.stop()


def test_first_run_is_at_once_and_the_next_one_within_an_interval(bench: Bench) -> None:
    bench.runner.configure([check("a")], 100.0)
    assert bench.passing("a") is None
    assert bench.runner.next_s() == 100.0
    bench.runner.step(100.0)
    bench.take(100.01)
    assert bench.passing("a") is True
    due_s = bench.runner.next_s()
    assert due_s is not None
    assert 100.5 <= due_s <= 101.0


def test_a_miss_fails_at_its_deadline_and_its_late_result_is_ignored(bench: Bench) -> None:
    bench.probes.gates["a"] = threading.Event()
    bench.runner.configure([check("a")], 0.0)
    bench.runner.step(0.0)
    assert bench.runner.next_s() == 0.5
    assert not bench.runner.step(0.49)
    assert bench.runner.step(0.5)
    assert bench.passing("a") is False
    assert bench.runner.checks["a"].message == "timed out"
    bench.probes.gates["a"].set()
    bench.take(0.6)
    assert bench.passing("a") is False


def test_runs_that_come_due_while_one_is_stuck_fail_too(bench: Bench) -> None:
    bench.probes.gates["a"] = threading.Event()
    bench.runner.configure([check("a", fall=3)], 0.0)
    for now_s in (0.0, 0.5, 1.1, 2.2, 3.3):
        bench.runner.step(now_s)
    assert bench.passing("a") is False
    eventually(lambda: bench.probes.runs == ["a"], within_s=5)
    assert "still running" in bench.runner.checks["a"].message


def test_a_stuck_check_delays_no_other(bench: Bench) -> None:
    bench.probes.gates["stuck"] = threading.Event()
    bench.runner.configure([check("stuck"), check("quick")], 0.0)
    bench.runner.step(0.0)
    assert bench.take(0.01).name == "quick"
    assert (bench.passing("quick"), bench.passing("stuck")) == (True, None)


def test_a_check_keeps_its_verdict_over_reconfiguration(bench: Bench) -> None:
    bench.probes.results["a"] = False
    bench.runner.configure([check("a")], 0.0)
    bench.runner.step(0.0)
    bench.take(0.01)
    bench.runner.configure([check("a", interval_ns=2 * SECOND), check("b")], 0.1)
    assert bench.passing("a") is False
    assert bench.passing("b") is None


def test_another_target_decides_anew(bench: Bench) -> None:
    bench.runner.configure([check("a")], 0.0)
    bench.runner.step(0.0)
    bench.take(0.01)
    bench.runner.configure([replace(check("a"), kind=TcpCheck("127.0.0.1:2"))], 0.1)
    assert bench.passing("a") is None


def test_the_result_of_a_removed_check_is_nobodys(bench: Bench) -> None:
    bench.probes.gates["a"] = threading.Event()
    bench.runner.configure([check("a")], 0.0)
    bench.runner.step(0.0)
    bench.runner.configure([], 0.1)
    bench.probes.gates["a"].set()
    message = eventually(bench._get, within_s=5)
    assert isinstance(message, CheckEnded)
    assert not bench.runner.ended(message, 0.2)
    assert bench.runner.next_s() is None
