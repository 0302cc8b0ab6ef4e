"""A plan is a function of seed and duration, and keeps its promises."""

from __future__ import annotations

import pytest
from tests.chaos.plan import CALM_MS, DIVIDES, NODES, Fault, Kind, plan, priorities

SEEDS = range(50)


def test_plan_of_a_seed_is_always_the_same() -> None:
    """Pinned by hand: a seed that is written down has to mean the same for ever."""
    assert plan(1, 20)[:3] == (
        Fault(Kind.KILL, 1, 0, 1042),
        Fault(Kind.KILL, 0, 134, 7983),
        Fault(Kind.PARTITION, 2, 399, 1522, (0, 1, 3)),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_longer_plan_begins_like_the_shorter_one(seed: int) -> None:
    shorter = plan(seed, 60)
    assert plan(seed, 600)[: len(shorter)] == shorter
    assert shorter != plan(seed + 1, 60)


@pytest.mark.parametrize("seed", SEEDS)
def test_node_is_struck_by_one_fault_at_a_time_and_one_is_whole(seed: int) -> None:
    faults = plan(seed, 120)
    for fault in faults:
        others = [f for f in faults if f is not fault]
        meanwhile = {f.node for f in others if f.begins_ms <= fault.begins_ms < f.ends_ms}
        assert fault.node not in meanwhile
        assert len(meanwhile) < NODES - 1
        assert fault.node not in fault.others
        assert bool(fault.percent or fault.others) is (fault.kind in DIVIDES)


def test_every_kind_of_fault_occurs_and_calms_between_storms() -> None:
    faults = plan(0, 600)
    assert {fault.kind for fault in faults} == set(Kind)
    quiet_ms, ends_ms = 0, 0
    for fault in faults:
        quiet_ms += max(0, fault.begins_ms - ends_ms) >= CALM_MS
        ends_ms = max(ends_ms, fault.ends_ms)
    assert quiet_ms > 10


def test_priorities_differ() -> None:
    assert all(len(set(priorities(vip))) == NODES for vip in range(10))
    assert len({tuple(priorities(vip)) for vip in range(10)}) > 5
