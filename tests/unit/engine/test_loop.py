"""The order in which the loop handles deadlines."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from tests.unit.engine.programs import packed, router_program

from vrrp.constants import State
from vrrp.events import DeadlineReached, Event, Resume, Shutdown, Startup
from vrrp_speaker.engine import loop as loop_module
from vrrp_speaker.engine.loop import Loop
from vrrp_speaker.engine.programs.program import Peer
from vrrp_speaker.engine.routers.running_router import RunningRouter, new_router
from vrrp_speaker.shared_state import SharedState

MS = 1_000_000
INTERVAL_NS, BINDING_NS = 200 * MS, 30 * MS
"""``BINDING_NS`` is what one takeover takes here."""


class Clock:
    """The loop's clock."""

    def __init__(self) -> None:
        self.now_ns = 10**12

    def __call__(self) -> int:
        return self.now_ns


class Executor:
    """Hands events to machines; a takeover takes its time."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.handled: list[tuple[str, int]] = []

    def handle(self, router: RunningRouter, event: Event, now_ns: int) -> None:
        before = router.machine.state
        router.machine.handle(event, now_ns)
        self.handled.append((router.program.name, now_ns))
        if before is not State.ACTIVE:
            self.clock.now_ns += BINDING_NS


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(loop_module, "monotonic_ns", clock)
    return clock


@pytest.fixture
def executor(clock: Clock) -> Executor:
    return Executor(clock)


@pytest.fixture
def table() -> MagicMock:
    """The router table, without routers."""
    found = MagicMock()
    found.routers, found.take_changed.return_value = {}, []
    return found


@pytest.fixture
def loop(tmp_path: Path, executor: Executor, table: MagicMock) -> Loop:
    parts: dict[str, Any] = {
        name: MagicMock()
        for name in (
            "clock", "transport", "foreign", "worker",
        )
    }  # fmt: skip
    parts["transport"].filenos.return_value = ()
    table.judge_conflicts.return_value = False
    parts |= {"executor": executor, "table": table}
    return Loop(shared=SharedState.create(str(tmp_path / "state.shm")), **parts)


def test_stop_waits_for_a_router_that_was_removed_just_before(
    loop: Loop, clock: Clock, table: MagicMock
) -> None:
    router = new_router(
        router_program(Peer("b", packed("192.0.2.12"))), input_faults=False, priority=200
    )
    router.machine.handle(Resume(), clock.now_ns)
    router.machine.handle(Shutdown(hand_over=True), clock.now_ns)
    router.removed = True
    table.take_changed.return_value = [router]
    loop._schedule_changed()
    loop.stop()
    assert not loop._stopped()
    held = router.machine.holding
    loop._release_all(clock.now_ns, hand_over=False)  # as when the patience is over
    assert (held, router.machine.holding) == (True, False)
    assert loop._stopped()


def test_advertisement_that_becomes_due_during_takeovers_waits_for_one_of_them(
    loop: Loop, executor: Executor, clock: Clock
) -> None:
    routers = {}
    for name in ("busy", "a", "b", "c"):
        router = new_router(router_program(name=name), input_faults=False, priority=200)
        if name == "busy":
            router.machine.handle(Resume(), clock.now_ns - 140 * MS)
        else:
            router.machine.handle(Startup(), clock.now_ns)
        routers[name] = router
    down_ns = routers["a"].machine.next_deadline_ns()
    assert down_ns is not None
    # The Active router's next advertisement is due just after the others' wait.
    while (due_ns := routers["busy"].machine.next_deadline_ns() or 0) < down_ns:
        routers["busy"].machine.handle(DeadlineReached(), due_ns)
    for router in routers.values():
        loop.schedule(router)
    assert down_ns < due_ns < down_ns + BINDING_NS
    clock.now_ns = down_ns
    loop._run_deadlines(clock.now_ns)
    names = [name for name, _ in executor.handled]
    assert sorted(names) == ["a", "b", "busy", "c"]
    assert names[1] == "busy"
    assert executor.handled[1][1] == down_ns + BINDING_NS
    assert [routers[n].machine.state for n in "abc"] == [State.ACTIVE] * 3
