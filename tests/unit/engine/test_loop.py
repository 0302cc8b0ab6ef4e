"""The order in which the loop handles deadlines."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from tests.unit.engine.programs import router_program

from vrrp.constants import State
from vrrp.events import DeadlineReached, Resume, Startup
from vrrp_speaker.engine import loop as loop_module
from vrrp_speaker.engine.loop import Loop
from vrrp_speaker.engine.routers import RunningRouter, new_router
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

    def handle(self, router: RunningRouter, event: object, now_ns: int) -> None:
        assert isinstance(event, DeadlineReached)
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


def test_advertisement_that_becomes_due_during_takeovers_waits_for_one_of_them(
    tmp_path: Path, clock: Clock
) -> None:
    executor = Executor(clock)
    parts: dict[str, Any] = {
        name: MagicMock()
        for name in (
            "clock", "transport", "news", "requests", "announcer", "agent", "table", "presence",
            "conflicts", "foreign", "network", "handle_message",
        )
    }  # fmt: skip
    parts["conflicts"].run.return_value = []
    shared: Any = SharedState.create(str(tmp_path / "state.shm"))
    anything: Any = executor
    loop = Loop(shared=shared, executor=anything, **parts)
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
