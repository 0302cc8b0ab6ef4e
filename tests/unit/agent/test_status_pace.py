"""When a status is written: how soon, how seldom, and how patiently."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.operator.cluster import router_status

from vrrp_api.node_status import CheckStatus, NodeConfigStatus
from vrrp_speaker.agent.status.pace import (
    BURST,
    HEARTBEAT_S,
    IDLE_HEARTBEAT_S,
    MESSAGES_S,
    REFILL_S,
    UNKNOWN_S,
    WritePace,
)

IDLE = NodeConfigStatus(1, "2026-01-01T00:00:00Z", "0", 0, "API", (), ())
RUNNING = replace(IDLE, virtual_routers=(router_status("a", "Backup"),))


def pace(chance: float = 0.5) -> WritePace:
    return WritePace(lambda: chance)


def number(generation: int) -> NodeConfigStatus:
    return replace(RUNNING, observed_generation=generation)


@pytest.mark.parametrize(("status", "every_s"), [(RUNNING, HEARTBEAT_S), (IDLE, IDLE_HEARTBEAT_S)])
@pytest.mark.parametrize(("chance", "factor"), [(0.0, 0.8), (0.5, 1.0), (1.0, 1.2)])
def test_without_a_change_there_is_a_heartbeat_that_keeps_no_step(
    status: NodeConfigStatus, every_s: float, chance: float, factor: float
) -> None:
    made = pace(chance)
    assert made.wait_s(status, 100) == 0
    made.wrote(status, "", 100)
    later = replace(status, heartbeat_time="2026-01-01T00:00:09Z")
    assert made.wait_s(later, 100) == pytest.approx(every_s * factor)
    assert made.wait_s(later, 100 + every_s * factor) == 0


def test_operator_notices_a_heartbeat_that_is_as_late_as_can_be() -> None:
    """It takes a node for dead after 30 s: two heartbeats may be lost."""
    assert 2 * HEARTBEAT_S * 1.2 < 30
    assert IDLE_HEARTBEAT_S * 1.2 < 60  # no heartbeat at all for that long is an interruption


def test_changes_are_written_at_once_until_there_are_too_many() -> None:
    made = pace()
    for generation in range(1, BURST + 1):
        assert made.wait_s(number(generation), 100) == 0
        made.wrote(number(generation), "", 100)
    assert made.wait_s(number(BURST + 1), 100) == pytest.approx(REFILL_S)
    assert made.wait_s(number(BURST + 1), 100 + REFILL_S) == 0
    made.wrote(number(BURST + 1), "", 100 + REFILL_S)
    assert made.wait_s(number(BURST + 2), 100 + REFILL_S) == pytest.approx(REFILL_S)


def test_nothing_is_told_before_it_is_known_what_the_node_runs() -> None:
    """Seed 810 of the simulator: told that it ran nothing, the others took its new address."""
    made, unknown = pace(), replace(IDLE, observed_generation=0)
    assert made.wait_s(unknown, 100) == UNKNOWN_S
    assert made.wait_s(unknown, 101) == UNKNOWN_S - 1
    assert not made.is_known(unknown)
    assert made.wait_s(RUNNING, 101) == 0
    assert made.wait_s(unknown, 100 + UNKNOWN_S) == 0  # nothing came: then that is what it is
    made.wrote(unknown, "", 100 + UNKNOWN_S)
    assert made.is_known(unknown)


def test_heartbeats_use_up_nothing_that_changes_need() -> None:
    made = pace()
    now_s = 0.0
    for _ in range(100):
        made.wrote(RUNNING, "", now_s)
        now_s += 0.001
    for generation in range(2, BURST + 1):
        assert made.wait_s(number(generation), now_s) == 0
        made.wrote(number(generation), "", now_s)


def test_failures_are_tried_again_ever_more_seldom() -> None:
    made = pace()
    waits = []
    for _ in range(9):
        lasts = made.failed(RUNNING, 100)
        waits.append(made.wait_s(RUNNING, 100))
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5])
    assert lasts
    made.wrote(RUNNING, "", 105)
    assert not made.failed(RUNNING, 105)
    assert made.wait_s(RUNNING, 105) == pytest.approx(0.1)


def test_nodes_do_not_come_back_in_step() -> None:
    early, late = pace(0.0), pace(1.0)
    for made in (early, late):
        for _ in range(9):
            made.failed(RUNNING, 100)
    assert (early.wait_s(RUNNING, 100), late.wait_s(RUNNING, 100)) == (2.5, 7.5)


def test_news_after_a_failure_is_worth_another_try() -> None:
    made = pace()
    for _ in range(9):
        made.failed(RUNNING, 100)
    assert made.wait_s(number(2), 100.2) == pytest.approx(0.3)
    assert made.wait_s(number(2), 100.6) == 0


def test_what_a_check_says_waits_for_the_heartbeat_and_its_verdict_does_not() -> None:
    def status(passing: bool, message: str) -> NodeConfigStatus:
        return replace(RUNNING, checks=(CheckStatus("web", passing, "", message),))

    made = pace()
    made.wrote(status(True, "took 5 ms"), "", 100)
    assert made.wait_s(status(True, "took 6 ms"), 100) == pytest.approx(HEARTBEAT_S)
    assert made.wait_s(status(False, "took 6 ms"), 100) == 0


def test_what_a_check_says_is_written_once_a_minute_where_leases_are_heartbeats() -> None:
    def said(words: str) -> NodeConfigStatus:
        return replace(IDLE, checks=(CheckStatus("web", True, "", words),))

    made = pace()
    assert not made.tells_nothing(said("took 5 ms"), 100)
    made.wrote(said("took 5 ms"), "", 100)
    assert made.tells_nothing(said("took 5 ms"), 100 + 10 * MESSAGES_S)
    assert made.tells_nothing(said("took 6 ms"), 100 + MESSAGES_S - 1)
    assert not made.tells_nothing(said("took 6 ms"), 100 + MESSAGES_S)
    made.beat(said("took 6 ms"), 110)
    assert made.wait_s(said("took 6 ms"), 110) == pytest.approx(IDLE_HEARTBEAT_S)
