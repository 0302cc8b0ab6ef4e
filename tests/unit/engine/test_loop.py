"""The order in which the loop handles deadlines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.engine.programs import packed, router_program

from vrrp.constants import State
from vrrp.events import DeadlineReached, Event, Resume, Shutdown, Startup
from vrrp_speaker.engine import loop as loop_module
from vrrp_speaker.engine.loop import Loop
from vrrp_speaker.engine.programs.program import Peer
from vrrp_speaker.engine.routers.dispatcher import Dispatcher
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
def parts(executor: Executor) -> SimpleNamespace:
    """What runs routers; a table without any."""
    faked: Any = executor
    return SimpleNamespace(
        executor=executor,
        dispatcher=Dispatcher(faked),
        table=SimpleNamespace(everybody=list),
        hearing=None,
        faults=SimpleNamespace(judge_conflicts=lambda _now_ns: False),
        foreign=None,
    )


@pytest.fixture
def loop(tmp_path: Path, parts: Any) -> Loop:
    world: Any = SimpleNamespace(
        shared=SharedState.create(str(tmp_path / "state.shm")),
        clock=None,
        transport=SimpleNamespace(filenos=tuple),
        worker=None,
    )
    alarm: Any = None
    return Loop(world, parts, alarm)


def test_stop_waits_for_a_router_that_was_removed_just_before(
    loop: Loop, clock: Clock, parts: SimpleNamespace
) -> None:
    router = new_router(
        router_program(Peer("b", packed("192.0.2.12"))), input_faults=False, priority=200
    )
    router.machine.handle(Resume(), clock.now_ns)
    router.machine.handle(Shutdown(hand_over=True), clock.now_ns)
    parts.table.everybody = lambda: [router]
    loop.stop()
    assert not loop._stopped()
    held = router.machine.holding
    loop._release_all(clock.now_ns, hand_over=False)  # as when the patience is over
    assert (held, router.machine.holding) == (True, False)
    assert loop._stopped()


def test_advertisement_that_becomes_due_during_takeovers_waits_for_one_of_them(
    loop: Loop, executor: Executor, clock: Clock, parts: SimpleNamespace
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
        parts.dispatcher.schedule(router)
    assert down_ns < due_ns < down_ns + BINDING_NS
    clock.now_ns = down_ns
    loop._run_deadlines(clock.now_ns)
    names = [name for name, _ in executor.handled]
    assert sorted(names) == ["a", "b", "busy", "c"]
    assert names[1] == "busy"
    assert executor.handled[1][1] == down_ns + BINDING_NS
    assert [routers[n].machine.state for n in "abc"] == [State.ACTIVE] * 3


def test_advertisements_of_one_interval_that_are_due_soon_go_along_and_stay_together(
    loop: Loop, executor: Executor, clock: Clock
) -> None:
    first_ns = clock.now_ns + INTERVAL_NS
    schedule_active(loop, "first", first_ns)
    schedule_active(loop, "soon", first_ns + INTERVAL_NS // 8)
    schedule_active(loop, "later", first_ns + INTERVAL_NS // 8 + 1)
    for due_ns, together in ((first_ns, {"first", "soon"}), (first_ns + INTERVAL_NS, {"later"})):
        clock.now_ns = due_ns
        loop._run_deadlines(clock.now_ns)
        assert {name for name, _ in executor.handled} == {"first", "soon"} | together
    handled = dict(executor.handled)
    assert handled["first"] == handled["soon"] == first_ns + INTERVAL_NS


@pytest.mark.parametrize("beside", ["another interval", "a Backup"])
def test_what_is_not_of_their_kind_does_not_go_along(
    loop: Loop, executor: Executor, clock: Clock, beside: str
) -> None:
    first_ns = clock.now_ns + INTERVAL_NS
    schedule_active(loop, "first", first_ns)
    if beside == "a Backup":
        router = new_router(router_program(name="other"), input_faults=False, priority=200)
        router.machine.handle(Startup(), clock.now_ns - 2 * INTERVAL_NS)
        loop._dispatcher.schedule(router)
        due_ns = router.machine.next_deadline_ns() or 0
    else:
        due_ns = first_ns + MS
        schedule_active(loop, "other", due_ns, 2 * INTERVAL_NS)
    assert first_ns < due_ns
    clock.now_ns = max(first_ns, due_ns - 20 * MS)
    loop._run_deadlines(clock.now_ns)
    assert [name for name, _ in executor.handled] == ["first"]


def schedule_active(
    loop: Loop, name: str, due_ns: int, interval_ns: int = INTERVAL_NS
) -> RunningRouter:
    """Give the loop an Active router whose next advertisement is due then."""
    program = replace(router_program(name=name), adver_interval_ns=interval_ns)
    router = new_router(program, input_faults=False, priority=200)
    router.machine.handle(Resume(), due_ns - interval_ns)
    assert router.machine.next_deadline_ns() == due_ns
    loop._dispatcher.schedule(router)
    return router
