"""The order of things in one turn of the loop: whatever has passed its deadline comes first."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.engine.programs import packed, router_program

from vrrp.authentication import SignatureClock
from vrrp.constants import State
from vrrp.events import AdvertisementReceived, DeadlineReached, Event, Resume, Startup
from vrrp_speaker.engine import loop as loop_module
from vrrp_speaker.engine.agent_link import AgentLink
from vrrp_speaker.engine.agent_messages import AgentMessages
from vrrp_speaker.engine.concern import Concern
from vrrp_speaker.engine.loop import LOOK_AROUND_NS, Loop
from vrrp_speaker.engine.programs.program import Peer
from vrrp_speaker.engine.routers.dispatcher import Dispatcher
from vrrp_speaker.engine.routers.running_router import RunningRouter, new_router
from vrrp_speaker.engine.waits import Waits
from vrrp_speaker.shared_state import SharedState

NOW, SECOND = 10**12, 10**9


class VirtualWaits(Waits):
    """Lets the loop's time pass instead of waiting, for a while."""

    def __init__(self, rig: Rig) -> None:
        super().__init__()
        self._rig = rig
        self.left = 100

    def wait(self, seconds: float, *, fine: bool = False) -> set[int]:
        """Return what is ready; where nothing is, the wait is over at once."""
        self.left -= 1
        assert self.left, "the loop turns without waiting"
        ready = super().wait(0)
        if not ready:
            self._rig.now_ns += int(seconds * SECOND) + 1
        return ready


class Seen(Concern):
    """Notes when the loop looks around, and takes bytes out of a pipe."""

    def __init__(self, looked: list[int]) -> None:
        self._looked = looked
        self.descriptors: tuple[int, ...] = ()

    def filenos(self) -> tuple[int, ...]:
        return self.descriptors

    def receive(self, descriptor: int, _now_ns: int) -> None:
        os.read(descriptor, 9)

    def run(self, now_ns: int) -> None:
        self._looked.append(now_ns)


class Rig:
    """A loop around one router that has just begun; its time is ``now_ns``."""

    def __init__(self, shared: SharedState, listener: socket.socket) -> None:
        self.now_ns = NOW
        self.events: list[Event] = []
        self.looked: list[int] = []
        """When the loop looked around."""
        self.datagrams: list[object] = []
        """The last one comes first; None ends a turn's batch."""
        self.router = new_router(router_program(), input_faults=False, priority=200)
        self.router.machine.handle(Startup(), NOW)
        self.seen = Seen(self.looked)
        self.receiving, self.arriving = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.agent = AgentLink(listener)
        self.stands_still_s = 0.0
        self.on_event: Callable[[], object] = lambda: None
        self.more = False
        """Whether routers ask for more than to advertise."""
        self.loop = self._loop(shared)
        nothing: Any = None
        loading: Any = SimpleNamespace(under_way=False)
        messages = AgentMessages(
            shared,
            self.agent,
            {},
            loading=loading,
            inputs=nothing,
            recorder=nothing,
            caught_up_ns=self.loop.caught_up_ns,
            is_stopping=lambda: True,
        )
        self.concerns = self.seen, messages

    def _loop(self, shared: SharedState) -> Loop:
        elections = SimpleNamespace(validate=lambda _datagram, _wall_ns, _now_ns: self._accepted())
        transport = SimpleNamespace(
            filenos=lambda: (self.receiving.fileno(),), receive=lambda _fd: self._receive()
        )
        executor: Any = SimpleNamespace(
            handle=self._handle, leases=SimpleNamespace(unbinding=False)
        )
        self.dispatcher = Dispatcher(executor)
        self.parts = SimpleNamespace(
            executor=executor,
            dispatcher=self.dispatcher,
            table=SimpleNamespace(everybody=lambda: [self.router]),
            hearing=SimpleNamespace(
                elections=elections, note=lambda _accepted, _now_ns: self.router
            ),
            faults=SimpleNamespace(
                judge_conflicts=lambda _now_ns: False, heard=lambda _router, _now_ns: None
            ),
            foreign=None,
        )
        world: Any = SimpleNamespace(
            shared=shared,
            clock=SignatureClock(),
            transport=transport,
            worker=SimpleNamespace(flush=lambda: None),
        )
        parts: Any = self.parts
        alarm: Any = SimpleNamespace(wind=lambda _now_ns: None)
        return Loop(world, parts, alarm)

    def _receive(self) -> object:
        """Let the process stand still as it takes a datagram out of the socket."""
        self.now_ns += int(self.stands_still_s * SECOND)
        self.stands_still_s = 0
        return self.datagrams.pop() if self.datagrams else None

    def _accepted(self) -> object:
        return SimpleNamespace(sequence=None, event=AdvertisementReceived(bytes(4), 100, 20))

    def _handle(self, router: RunningRouter, event: Event, now_ns: int) -> bool:
        self.events.append(event)
        self.on_event()
        router.machine.handle(event, now_ns)
        if not self.datagrams:
            self.loop.stop()
        return self.more

    def pass_ms(self) -> None:
        """Let a millisecond pass."""
        self.now_ns += SECOND // 1000

    def turn(self) -> None:
        """Let a datagram arrive; turn until something happened."""
        self.datagrams.append(object())
        self.arriving.send(b"x")
        (wakeup, *more), (parent, *others) = os.pipe(), os.pipe()
        self.dispatcher.schedule(self.router)
        self.loop.run(self.concerns, wakeup, parent)
        for descriptor in (wakeup, parent, *more, *others):
            os.close(descriptor)


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    shared = SharedState.create(str(tmp_path / "state.shm"))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    listener.bind(str(tmp_path / "engine.sock"))
    listener.listen(1)
    made = Rig(shared, listener)
    monkeypatch.setattr(loop_module, "monotonic_ns", lambda: made.now_ns)
    yield made
    for closed in (made.receiving, made.arriving, listener):
        closed.close()


def test_datagram_that_arrives_in_time_is_handled_alone(rig: Rig) -> None:
    rig.turn()
    assert isinstance(rig.events[0], AdvertisementReceived)


def test_active_router_of_a_loop_that_stood_still_as_it_received_is_late_first(rig: Rig) -> None:
    """Frozen between the wait and the datagram: it steps down before it believes anything."""
    rig.router.machine = new_router(
        router_program(Peer("b", packed("192.0.2.12"))), input_faults=False, priority=200
    ).machine
    rig.router.machine.handle(Resume(), NOW)
    rig.stands_still_s = 5
    rig.turn()
    assert isinstance(rig.events[0], DeadlineReached)
    assert isinstance(rig.events[1], AdvertisementReceived)
    assert rig.router.machine.state is State.INITIALIZE  # stopped


def test_backup_of_a_loop_that_stood_still_hears_before_it_acts(rig: Rig) -> None:
    """Its turn has come, and why it should stay Backup lies in the socket."""
    rig.router.machine.handle(AdvertisementReceived(bytes(4), 250, 20), NOW)
    deadline_ns = rig.router.machine.next_deadline_ns()
    assert deadline_ns is not None
    rig.stands_still_s = 0.01 + (deadline_ns - NOW) / SECOND
    rig.datagrams = [object(), None, object()]
    rig.turn()
    assert [type(event) for event in rig.events[:3]] == [AdvertisementReceived] * 3
    assert rig.router.machine.state is State.INITIALIZE  # stopped, and never Active


def test_backup_that_is_late_hears_before_it_acts(rig: Rig) -> None:
    deadline_ns = rig.router.machine.next_deadline_ns()
    assert deadline_ns is not None
    rig.now_ns = deadline_ns + 10**7
    rig.turn()
    assert isinstance(rig.events[0], AdvertisementReceived)
    assert rig.router.machine.state is State.INITIALIZE  # stopped, and never Active


def test_loop_that_only_hears_looks_around_now_and_then(rig: Rig) -> None:
    rig.on_event, rig.datagrams = rig.pass_ms, [object(), None] * 100
    rig.turn()
    assert sum(isinstance(event, AdvertisementReceived) for event in rig.events) == 101
    assert rig.looked[:4] == [NOW + n * LOOK_AROUND_NS for n in range(4)]


def test_loop_looks_around_after_each_event_that_asked_for_more(rig: Rig) -> None:
    rig.on_event, rig.datagrams, rig.more = rig.pass_ms, [object(), None] * 10, True
    rig.turn()
    assert rig.looked[:10] == [NOW + n * SECOND // 1000 for n in range(10)]


def test_loop_looks_around_after_a_conflict_began_or_ended(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.on_event, rig.datagrams = rig.pass_ms, [object(), None] * 10
    monkeypatch.setattr(rig.parts.faults, "judge_conflicts", lambda _now_ns: True)
    rig.turn()
    assert rig.looked[:10] == [NOW + n * SECOND // 1000 for n in range(10)]


def test_loop_looks_around_after_it_took_in_something_else(rig: Rig) -> None:
    seen, see = os.pipe()
    rig.seen.descriptors = (seen,)
    rig.datagrams = [object(), None] * 3

    def event() -> None:
        rig.pass_ms()
        if len(rig.events) == 2:
            os.write(see, b"x")

    rig.on_event = event
    rig.turn()
    # What was written after the second event is taken in with the third.
    assert rig.looked[:2] == [NOW, NOW + 3 * SECOND // 1000]
    for descriptor in (seen, see):
        os.close(descriptor)


@pytest.mark.parametrize("agent", ["silent", "talks", "gone"])
def test_loop_waits_while_it_holds_on_for_a_successor(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, agent: str
) -> None:
    """A signal that woke it, or an agent it no longer listens to, must not keep it awake."""
    rig.router = new_router(
        router_program(Peer("b", packed("192.0.2.12"))), input_faults=False, priority=200
    )
    rig.router.machine.handle(Resume(), NOW)
    rig.dispatcher.schedule(rig.router)
    monkeypatch.setattr(rig.loop, "_waits", VirtualWaits(rig))
    (wakeup, signalled), (parent, alive) = os.pipe2(os.O_NONBLOCK), os.pipe()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as talker:
        talker.connect(rig.agent.listener.getsockname())
        os.write(signalled, b"\x0f")
        rig.loop.stop()
        rig.on_event = lambda: talker.send(b"{}") if agent == "talks" else None
        if agent == "gone":
            rig.on_event = talker.close
        rig.loop.run(rig.concerns, wakeup, parent)
    for descriptor in (wakeup, signalled, parent, alive):
        os.close(descriptor)
    assert not rig.router.machine.holding


def test_dropped_events_of_earlier_engines_are_counted_on(tmp_path: Path) -> None:
    path = str(tmp_path / "engine.sock")
    kind = socket.SOCK_SEQPACKET
    with (
        socket.socket(socket.AF_UNIX, kind) as listener,
        socket.socket(socket.AF_UNIX, kind) as agent,
    ):
        listener.bind(path)
        listener.listen(1)
        link = AgentLink(listener, dropped=39)
        agent.connect(path)
        link.accept()
        while link.dropped == 39:
            link.send({"type": "news"})
        assert link.dropped == 40
