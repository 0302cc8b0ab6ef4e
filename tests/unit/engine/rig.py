"""Running routers with their executor, over a kernel, a network and peers that are stood in for."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.unit.engine.programs import address, announcement, packed, router_program
from tests.unit.engine.shared import snapshot
from tests.unit.engine.test_frame_sender import Wire

from vrrp.authentication import SignatureClock
from vrrp.constants import State
from vrrp.events import AdvertisementReceived, DeadlineReached
from vrrp_speaker.engine.addresses.address_watch import AddressWatch
from vrrp_speaker.engine.addresses.worker import AddressWorker
from vrrp_speaker.engine.neighbours.conflicts import Conflicts
from vrrp_speaker.engine.network.netlink import AddressNews, LinkNews
from vrrp_speaker.engine.network.node_network import Digest, NodeNetwork
from vrrp_speaker.engine.programs.program import EngineProgram, Peer
from vrrp_speaker.engine.routers.assembly import RouterParts, World, assemble
from vrrp_speaker.engine.routers.executor import Executor
from vrrp_speaker.engine.routers.faults import Faults
from vrrp_speaker.engine.routers.router_table import RouterTable
from vrrp_speaker.engine.routers.running_router import RunningRouter
from vrrp_speaker.engine.wire.frame_sender import FrameSender
from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state import layout as shm

ONE, TWO, SIX = "192.0.2.50", "192.0.2.51", "2001:db8::50"
PEER = Peer("node-2", packed("192.0.2.12"))
NOW, SECOND = 10**12, 10**9


class Requests:
    """Stands for the kernel: remembers requests, and refuses to add when told."""

    def __init__(self) -> None:
        self.made: list[bytes] = []
        self.refuses = False
        self.silent = False
        """Whether what is asked for shows only when a test says so."""
        self.news: list[bytes] = []
        self.in_use: set[bytes] = set()

    def request_all(self, messages: Sequence[bytes]) -> list[int]:
        self.made += messages
        if not self.silent:
            self.news += messages
        adding = (message.startswith(b"add") for message in messages)
        return [errno.EACCES if self.refuses and add else 0 for add in adding]

    def delivers(self, _ifindex: int, address: bytes) -> bool:
        return address in self.in_use


class Transport:
    """Stands for the sockets: remembers the priority of what left."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.full = False
        self.groups: set[object] = set()

    def join_groups(self, wanted: Iterable[object]) -> set[object]:
        self.groups = set(wanted)
        return self.groups if self.full else set()

    def forget_groups(self, _ifindex: int) -> None:
        """Nothing to do."""

    def send(self, _route: object, copies: Iterable[tuple[str, bytes]]) -> int:
        self.sent += [message[2] for _, message in copies]
        return 0


class Recorder:
    """Records nothing."""

    def event(self, *_: object) -> None:
        """Nothing to do."""

    def began(self, *_: object) -> None:
        """Nothing to do."""


class Neighbours:
    """Nobody is on the LAN."""

    def watch(self, addresses: Iterable[bytes]) -> None:
        list(addresses)


class Observer:
    """Stands for the sockets that only look: remembers what they are to hear."""

    def __init__(self) -> None:
        self.vrids: set[object] = set()
        self.groups: set[object] = set()
        self.refused = 0

    def look_for(self, vrids: Iterable[object]) -> None:
        self.vrids = set(vrids)

    def join_groups(self, wanted: Iterable[object]) -> int:
        self.groups = set(wanted)
        return self.refused


class Worker(AddressWorker):
    """Works as soon as it is asked to, in no thread; not while the kernel is busy."""

    busy = False
    now_ns = NOW
    """Nothing gets old unless a test says so."""

    def flush(self) -> None:
        while not self.busy and self.turn():
            pass


@dataclass
class Rig:
    """A router table with the world replaced."""

    parts: RouterParts
    addresses: AddressWatch
    frames: FrameSender
    worker: Worker
    requests: Requests
    renewals: Requests
    transport: Transport
    network: NodeNetwork
    wire: Wire
    observer: Observer
    shared: SharedState
    heir: Callable[[], RouterParts]
    """Makes the parts of another engine on the same shared state."""

    @property
    def table(self) -> RouterTable:
        """The routers."""
        return self.parts.table

    @property
    def executor(self) -> Executor:
        """What does what routers ask for."""
        return self.parts.executor

    @property
    def conflicts(self) -> Conflicts:
        """What the engine knows of conflicts."""
        return self.parts.conflicts

    @property
    def faults(self) -> Faults:
        """What looks at what routers depend on."""
        return self.parts.faults

    def look_for_changes(self, now_ns: int) -> None:
        """Let whatever changes by itself be looked at."""
        self.parts.hearing.run(now_ns)
        self.parts.faults.run(now_ns)

    def durations_ns(self) -> tuple[list[int], list[int]]:
        """Return (number, sum) of takeovers and of hand-overs."""
        state = snapshot(self.shared)
        takeovers, handovers = (
            [sum(d.counts), d.sum_ns] for d in (state.takeovers, state.handovers)
        )
        return takeovers, handovers

    def hear(self, router: RunningRouter, at_ns: int, priority: int = 250) -> None:
        """Let the peer's advertisement come in."""
        place = shm.peer_offset(router.program.slot, 0)
        self.shared.set(place + shm.PEER_LAST, at_ns)
        event = AdvertisementReceived(PEER.address, priority, 100)
        self.executor.handle(router, event, at_ns)

    def load(self, *addresses: str, at_ns: int = NOW, **changed: Any) -> RunningRouter:
        """Load a program of one router with these addresses; return the router."""
        router = router_program(
            PEER,
            addresses=tuple(map(address, addresses)),
            announcements=tuple(map(announcement, addresses)),
            **changed,
        )
        self.table.load(EngineProgram("n", 1, (router,)), at_ns)
        self.settle(at_ns)
        return self.table.routers["a"]

    def settle(self, now_ns: int) -> None:
        """Let the kernel do what it was asked for, and tell of IPv4 addresses."""
        self.worker.flush()
        self.executor.leases.settle(now_ns)
        self.look_for_changes(now_ns)
        news, self.requests.news = self.requests.news, []
        for message in news:
            kind, _, rest = message.partition(b" ")
            text = rest.partition(b"/")[0].decode()
            if ":" in text:
                continue
            present = kind == b"add" and not self.requests.refuses
            told = AddressNews(2, packed(text), 24, 112, present)
            digest = Digest()
            self.network.learn([told], digest)
            for arrived in digest.arrived:
                self.addresses.await_use(arrived, now_ns)
            for gone in digest.gone:
                self.addresses.restore(gone, now_ns)
        self.addresses.run(now_ns)

    def become_active(self, router: RunningRouter) -> int:
        """Let the down timer expire; return when."""
        now_ns = router.machine.next_deadline_ns()
        assert now_ns is not None
        self.executor.handle(router, DeadlineReached(), now_ns)
        self.settle(now_ns)
        self.frames.run(now_ns)
        assert router.machine.state is State.ACTIVE
        return now_ns

    def bound(self, text: str, now_ns: int) -> None:
        """Let the kernel tell that an address is on the interface."""
        arrived = AddressNews(2, packed(text), 64, 112, True)
        self.network.learn([arrived], Digest())
        self.addresses.await_use(arrived, now_ns)

    def look(self) -> int:
        """Let the address watch look when it wants to, and announce; return when that was."""
        now_ns = self.addresses.next_deadline_ns()
        assert now_ns is not None
        self.addresses.run(now_ns)
        self.frames.run(now_ns)
        return now_ns

    def announce_until(self, end_ns: int) -> None:
        """Let the frame sender do everything that is due."""
        while (due_ns := self.frames.next_deadline_ns()) is not None and due_ns <= end_ns:
            self.frames.run(due_ns)


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    wire = Wire()
    monkeypatch.setattr(socket, "socket", lambda *_: wire)
    monkeypatch.setattr(socket, "if_indextoname", lambda _: "eth0")
    shared = SharedState.create(str(tmp_path / "state.shm"))
    frames, network = FrameSender(shared), NodeNetwork()
    network.reset(
        [LinkNews(2, "eth0", True, True), AddressNews(2, packed("192.0.2.11"), 24, 0, True)]
    )
    requests, renewals, transport, observer = Requests(), Requests(), Transport(), Observer()
    kernel: Any = (requests, renewals)
    worker = Worker(kernel[0], kernel[1])
    worker._clock = lambda: worker.now_ns
    stood_in: dict[str, Any] = {
        "transport": transport,
        "recorder": Recorder(),
        "neighbours": Neighbours(),
        "observer": observer,
    }
    world = World(
        shared=shared,
        clock=SignatureClock(),
        worker=worker,
        network=network,
        frames=frames,
        **stood_in,
    )

    def heir() -> RouterParts:
        parts = assemble(world, lambda *_: None)
        parts.groups._clock = lambda: NOW
        return parts

    parts = heir()
    return Rig(
        parts,
        AddressWatch(shared, parts.executor, kernel[0], network, parts.table),
        frames,
        worker,
        requests,
        renewals,
        transport,
        network,
        wire,
        observer,
        shared,
        heir,
    )
