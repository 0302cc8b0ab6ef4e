"""How often checks run that would run too often together."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck as Strategies
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.agent.checks import a_check

from vrrp_api.check_kinds import ExecCheck, TcpCheck
from vrrp_api.health_check import HealthCheck
from vrrp_speaker.agent.checks.budget import slowed

MS, SECOND = 10**6, 10**9
TCP, SCRIPT = TcpCheck("127.0.0.1:1"), ExecCheck("check.sh", ())


def check(name: str, interval_ms: int, kind: TcpCheck | ExecCheck = TCP) -> HealthCheck:
    made = a_check(kind, name=name, timeout_ms=10)
    return HealthCheck(name, 1, kind, interval_ms * MS, made.timeout_ns, 1, 1, 0)


def test_within_the_bound_nobody_is_slowed() -> None:
    assert slowed([check(f"c{n}", 50) for n in range(25)], 500) == {}
    assert slowed([check(f"c{n}", 600) for n in range(300)], 500) == {}
    assert slowed([], 1) == {}


def test_above_it_those_that_run_most_often_are() -> None:
    greedy = [check(f"greedy-{n}", 50) for n in range(40)]
    modest = [check(f"modest-{n}", 1000) for n in range(100)]
    found = slowed([*greedy, *modest], 500)
    # 100 runs a second are the modest ones'; 40 checks share the other 400.
    assert found == {c.name: 100 * MS for c in greedy}


def test_a_script_counts_as_ten() -> None:
    found = slowed([check("script", 50, SCRIPT), check("tcp", 50)], 100)
    assert found == {"script": SECOND // 8}


# A busy machine is no fault of the code or of the strategies.
@settings(deadline=None, suppress_health_check=[Strategies.too_slow])
@given(
    st.lists(st.tuples(st.integers(50, 3_600_000), st.booleans()), max_size=64),
    st.integers(1, 5000),
)
def test_the_bound_holds_whatever_the_checks(
    wanted: list[tuple[int, bool]], most_per_s: int
) -> None:
    checks = [
        check(f"c{n}", interval_ms, SCRIPT if script else TCP)
        for n, (interval_ms, script) in enumerate(wanted)
    ]
    found = slowed(checks, most_per_s)
    cost = {c.name: 10 if c.kind is SCRIPT else 1 for c in checks}
    asked = {c.name: cost[c.name] * SECOND / c.interval_ns for c in checks}
    had = {c.name: cost[c.name] * SECOND / found.get(c.name, c.interval_ns) for c in checks}
    assert sum(had.values()) == pytest.approx(min(sum(asked.values()), most_per_s), rel=1e-6)
    assert all(had[name] <= asked[name] * (1 + 1e-6) for name in had)
    # Nobody who is slowed has less than anybody else has.
    if found:
        least = min(had[name] for name in found)
        assert max(had.values()) <= least * (1 + 1e-6)
    assert slowed(checks[::-1], most_per_s) == found
