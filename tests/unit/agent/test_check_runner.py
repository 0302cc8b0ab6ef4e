"""When checks run, and what late, stuck, changed and removed ones count for."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from vrrp_api.check_kinds import (
    CheckKind,
    FileCheck,
    NodeConditionCheck,
    ProcessCheck,
    ServiceCheck,
    TcpCheck,
)
from vrrp_api.health_check import HealthCheck
from vrrp_speaker.agent.checks.run import Run
from vrrp_speaker.agent.checks.runner import CheckRunner
from vrrp_speaker.agent.checks.verdict import Result
from vrrp_speaker.agent.messages import CheckEnded, CheckNews, CheckTouched

SECOND = 1_000_000_000
TCP = TcpCheck("127.0.0.1:1")
NGINX = ProcessCheck("nginx", False, 1, None)


def check(name: str, kind: CheckKind = TCP, **fields: Any) -> HealthCheck:
    values: dict[str, Any] = {
        "interval_ns": SECOND,
        "timeout_ns": SECOND // 2,
        "rise": 1,
        "fall": 1,
        "weight": 0,
        **fields,
    }
    return HealthCheck(name, 1, kind, **values)


class Watched:
    """A source that remembers what it was asked to watch."""

    def __init__(self) -> None:
        self.wanted: dict[str, CheckKind] = {}

    def watch(self, wanted: Mapping[str, CheckKind]) -> None:
        self.wanted = dict(wanted)

    def stop(self) -> None:
        self.wanted = {}


class Bench:
    """A runner whose runs end when the test says so."""

    def __init__(self, most_per_s: int = 500) -> None:
        self.begun: list[Run] = []
        self.source = Watched()
        self.runner = CheckRunner(self.begun.append, {ProcessCheck: self.source}, most_per_s)

    def end(self, passed: bool, at_s: float, message: str = "", value: int = 0) -> bool:
        """End the newest run."""
        run = self.begun[-1]
        result = Result(passed, message, value)
        return self.runner.hear(CheckEnded(run.check.name, run.number, result, 0.01), at_s)

    def news(self, name: str, passed: bool, at_s: float, kind: CheckKind = NGINX) -> bool:
        return self.runner.hear(CheckNews(name, kind, Result(passed)), at_s)

    def passing(self, name: str = "a") -> bool | None:
        verdict = self.runner.checks[name].verdict
        return verdict.passing if verdict.decided else None

    def message(self, name: str = "a") -> str:
        return self.runner.checks[name].message


@pytest.fixture
def bench() -> Bench:
    return Bench()


# Runs --------------------------------------------------------------------------------


def test_first_run_is_at_once_and_the_next_one_within_an_interval(bench: Bench) -> None:
    bench.runner.configure([check("a")], 100.0)
    assert bench.passing() is None
    assert bench.runner.next_s() == 100.0
    bench.runner.step(100.0)
    assert bench.end(True, 100.01)
    assert bench.passing() is True
    due_s = bench.runner.next_s()
    assert due_s is not None
    assert 100.5 <= due_s <= 101.0


def test_runs_of_many_checks_are_spread(bench: Bench) -> None:
    bench.runner.configure([check(f"check-{n}") for n in range(100)], 0.0)
    assert [running.due_s for running in bench.runner.checks.values()][-1] == pytest.approx(0.099)
    bench.runner.step(0.1)
    for run in list(bench.begun):
        bench.runner.hear(CheckEnded(run.check.name, run.number, Result(True), 0.01), 0.1)
    due_s = sorted(running.due_s for running in bench.runner.checks.values())
    assert max(b - a for a, b in itertools.pairwise(due_s)) < 0.05
    assert due_s[-1] - due_s[0] > 0.4


def test_a_miss_fails_at_its_deadline_and_its_late_result_is_ignored(bench: Bench) -> None:
    bench.runner.configure([check("a")], 0.0)
    bench.runner.step(0.0)
    assert bench.runner.next_s() == 0.5
    assert not bench.runner.step(0.49)
    assert bench.runner.step(0.5)
    assert (bench.passing(), bench.message()) == (False, "timed out")
    assert bench.begun[0].given_up
    assert not bench.end(True, 0.6)
    assert (bench.passing(), bench.message()) == (False, "timed out")


def test_a_late_result_may_say_more_of_the_miss(bench: Bench) -> None:
    bench.runner.configure([check("a")], 0.0)
    bench.runner.step(0.0)
    bench.runner.step(0.5)
    bench.end(False, 0.6, "timed out, killed: waiting for the database")
    assert bench.message() == "timed out, killed: waiting for the database"
    assert bench.runner.checks["a"].run is None


def test_runs_that_come_due_while_one_is_stuck_fail_too(bench: Bench) -> None:
    bench.runner.configure([check("a", fall=3)], 0.0)
    bench.runner.step(0.0)
    bench.end(True, 0.01)
    for now_s in (1.0, 1.5, 2.0, 3.0):
        bench.runner.step(now_s)
    assert bench.passing() is False
    assert len(bench.begun) == 2
    assert "still running" in bench.message()


def test_a_stuck_check_delays_no_other(bench: Bench) -> None:
    bench.runner.configure([check("stuck"), check("quick")], 0.0)
    bench.runner.step(0.01)
    bench.end(True, 0.02)
    assert (bench.passing("quick"), bench.passing("stuck")) == (True, None)


def test_a_touched_file_is_read_at_once_and_again_when_it_was_being_read(bench: Bench) -> None:
    bench.runner.configure([check("a", FileCheck("/f"))], 0.0)
    bench.runner.step(0.0)
    bench.end(True, 0.01, value=5)
    bench.runner.hear(CheckTouched("a"), 0.1)
    assert [run.previous for run in bench.begun] == [0, 5]
    bench.runner.hear(CheckTouched("a"), 0.1)
    assert len(bench.begun) == 2
    assert bench.end(True, 0.11, value=7)
    assert len(bench.begun) == 3
    assert bench.runner.checks["a"].verdict.value == 7


def test_another_number_in_a_file_is_a_change(bench: Bench) -> None:
    bench.runner.configure([check("a", FileCheck("/f"))], 0.0)
    bench.runner.step(0.0)
    assert bench.end(True, 0.01, value=5)
    bench.runner.hear(CheckTouched("a"), 0.1)
    assert not bench.end(True, 0.11, value=5)
    bench.runner.hear(CheckTouched("a"), 0.2)
    assert bench.end(True, 0.21, value=6)


# Facts -------------------------------------------------------------------------------


def test_news_counts_at_once(bench: Bench) -> None:
    bench.runner.configure([check("a", NGINX)], 0.0)
    assert bench.source.wanted == {"a": NGINX}
    bench.runner.step(0.0)
    assert bench.begun == []
    assert bench.news("a", True, 0.01)
    assert bench.passing() is True
    assert bench.news("a", False, 0.02)
    assert bench.passing() is False


def test_news_of_what_was_asked_before_is_nobodys(bench: Bench) -> None:
    bench.runner.configure([check("a", NGINX)], 0.0)
    assert not bench.news("a", False, 0.01, replace(NGINX, minimum=2))
    assert bench.passing() is None


def test_a_fact_counts_again_at_each_interval_for_rise_and_fall(bench: Bench) -> None:
    bench.runner.configure([check("a", NGINX, fall=3)], 0.0)
    bench.news("a", True, 0.01)
    bench.runner.step(0.0)
    bench.news("a", False, 0.2)
    assert not bench.runner.step(1.0)
    assert bench.passing() is True
    assert bench.runner.step(2.0)
    assert bench.passing() is False


def test_a_silent_source_leaves_no_check_undecided(bench: Bench) -> None:
    bench.runner.configure([check("a", NGINX)], 0.0)
    for now_s in range(5):
        bench.runner.step(float(now_s))
    assert bench.passing() is None
    bench.runner.step(6.0)
    assert (bench.passing(), bench.message()) == (False, "nothing is known of it")


def test_findings_of_the_operator_decide_with_the_configuration(bench: Bench) -> None:
    ready, service = NodeConditionCheck("Ready", "True", "True"), ServiceCheck("web", "front")
    assert bench.runner.configure([check("a", ready), check("b", service)], 0.0)
    assert bench.passing("a") is True
    assert (bench.passing("b"), bench.message("b")) == (False, "Service web/front does not exist")
    changed = [check("a", replace(ready, observed="Unknown")), check("b", service)]
    assert bench.runner.configure(changed, 1.0)
    assert (bench.passing("a"), bench.message("a")) == (False, "Ready is Unknown")
    assert not bench.runner.configure(changed, 2.0)
    bench.runner.configure([check("a", replace(ready, observed=None))], 3.0)
    assert bench.message("a") == "the node's condition Ready is not known"


@pytest.mark.parametrize(("ready", "passes"), [(0, False), (1, True), (7, True)])
def test_a_service_needs_one_ready_endpoint(bench: Bench, ready: int, passes: bool) -> None:
    bench.runner.configure([check("a", ServiceCheck("web", "front", ready))], 0.0)
    assert bench.passing() is passes


def test_another_finding_is_no_other_target(bench: Bench) -> None:
    ready = NodeConditionCheck("Ready", "True", "True")
    bench.runner.configure([check("a", ready, fall=2)], 0.0)
    bench.runner.configure([check("a", replace(ready, observed="False"), fall=2)], 1.0)
    assert bench.passing() is True
    bench.runner.step(2.0)
    assert bench.passing() is False


# Reconfiguration ---------------------------------------------------------------------


def test_a_check_keeps_its_verdict_over_reconfiguration(bench: Bench) -> None:
    bench.runner.configure([check("a")], 0.0)
    bench.runner.step(0.0)
    bench.end(False, 0.01)
    bench.runner.configure([check("a", interval_ns=2 * SECOND), check("b")], 0.1)
    assert bench.passing("a") is False
    assert bench.passing("b") is None


def test_a_shorter_interval_counts_from_now(bench: Bench) -> None:
    bench.runner.configure([check("a", interval_ns=3600 * SECOND)], 0.0)
    bench.runner.step(0.0)
    bench.end(True, 0.01)
    bench.runner.configure([check("a")], 1.0)
    assert bench.runner.next_s() == 2.0


def test_another_target_decides_anew_and_at_once(bench: Bench) -> None:
    bench.runner.configure([check("a", rise=3)], 0.0)
    bench.runner.step(0.0)
    bench.end(False, 0.01)
    bench.runner.configure([replace(check("a", rise=3), kind=TcpCheck("127.0.0.1:2"))], 0.1)
    assert bench.passing() is None
    bench.runner.step(0.1)
    assert len(bench.begun) == 2
    bench.end(True, 0.11)
    assert bench.passing() is True


def test_a_hanging_run_of_the_old_target_is_given_up_and_blocks_nothing(bench: Bench) -> None:
    bench.runner.configure([check("a")], 0.0)
    bench.runner.step(0.0)
    (old,) = bench.begun
    bench.runner.configure([replace(check("a"), kind=TcpCheck("127.0.0.1:2"))], 0.1)
    bench.runner.step(0.1)
    assert len(bench.begun) == 2
    assert old.given_up
    bench.runner.hear(CheckEnded("a", old.number, Result(False), 0.1), 0.2)
    assert bench.passing() is None


def test_a_check_that_comes_back_does_not_hear_its_former_run(bench: Bench) -> None:
    bench.runner.configure([check("a")], 0.0)
    bench.runner.step(0.0)
    bench.runner.configure([], 0.1)
    bench.runner.configure([check("a")], 0.2)
    bench.runner.step(0.2)
    former, _ = bench.begun
    assert not bench.runner.hear(CheckEnded("a", former.number, Result(False), 0.1), 0.3)
    assert bench.passing() is None


def test_the_result_of_a_removed_check_is_nobodys(bench: Bench) -> None:
    bench.runner.configure([check("a")], 0.0)
    bench.runner.step(0.0)
    bench.runner.configure([], 0.1)
    assert not bench.end(True, 0.2)
    assert bench.runner.next_s() is None


def test_initially_failing_takes_all_of_rise(bench: Bench) -> None:
    assert bench.runner.configure([check("a", rise=2, initially_failing=True)], 0.0)
    assert (bench.passing(), bench.message()) == (False, "no success yet")
    bench.runner.step(0.0)
    bench.end(True, 0.01)
    assert bench.passing() is False
    bench.runner.step(1.0)
    bench.end(True, 1.01)
    assert bench.passing() is True


def test_with_no_checks_nothing_is_watched(bench: Bench) -> None:
    bench.runner.configure([check("a", NGINX)], 0.0)
    bench.runner.stop()
    assert bench.source.wanted == {}


# Too many ----------------------------------------------------------------------------


def test_checks_that_are_too_many_run_less_often_and_say_so() -> None:
    bench = Bench(most_per_s=2)
    fast = [check(f"fast-{n}", interval_ns=SECOND // 10, timeout_ns=SECOND // 20) for n in range(3)]
    bench.runner.configure([*fast, check("slow", interval_ns=2 * SECOND)], 0.0)
    began = {name: 0 for name in bench.runner.checks}
    for tenth in range(600):
        now_s = tenth / 10
        bench.runner.step(now_s)
        for run in bench.begun:
            began[run.check.name] += 1
            bench.runner.hear(CheckEnded(run.check.name, run.number, Result(True), 0.01), now_s)
        bench.begun.clear()
    assert sum(began.values()) <= 2 * 60 + 2 * len(began)
    assert began["slow"] >= 29
    said = "CheckSlowed: runs every 2s instead of 100ms: too many on this node"
    assert {running.said for running in bench.runner.checks.values()} == {said, ""}
    bench.runner.configure(fast[:1], 60.0)
    assert bench.runner.checks["fast-0"].said != ""
    bench.runner.configure([check("slow", interval_ns=SECOND)], 60.0)
    assert bench.runner.checks["slow"].said == ""


def test_a_slow_pace_is_said_beside_a_failure() -> None:
    bench = Bench(most_per_s=1)
    bench.runner.configure([check("a", interval_ns=SECOND // 2)], 0.0)
    bench.runner.step(0.0)
    bench.end(False, 0.1, "status 503")
    pace = "CheckSlowed: runs every 1s instead of 500ms: too many on this node"
    assert bench.runner.checks["a"].said == f"status 503; {pace}"


def test_what_nobody_asks_is_not_slowed() -> None:
    bench = Bench(most_per_s=1)
    bench.runner.configure([check(f"p{n}", NGINX, interval_ns=SECOND // 10) for n in range(9)], 0.0)
    assert {running.said for running in bench.runner.checks.values()} == {""}


def test_checks_that_are_slowed_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(most_per_s=1)
    for _ in range(2):
        bench.runner.configure([check("a", interval_ns=SECOND // 2)], 0.0)
    assert [record.message for record in caplog.records] == [
        "checks are too many for this node and run less often"
    ]
