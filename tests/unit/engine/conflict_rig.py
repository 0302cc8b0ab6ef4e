"""One watched router with an executor that binds nothing, and neighbours that answer as asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.unit.engine.programs import address, announcement, packed, router_program

from vrrp.actions import StateChanged
from vrrp.constants import State, TransitionReason
from vrrp.events import (
    AdvertisementReceived,
    DeadlineReached,
    Event,
    FaultChanged,
    Startup,
)
from vrrp_speaker.engine.neighbours.conflicts import Conflicts
from vrrp_speaker.engine.neighbours.listening import Sighting
from vrrp_speaker.engine.network.netlink import LinkNews
from vrrp_speaker.engine.network.node_network import NodeNetwork
from vrrp_speaker.engine.programs.program import Peer, Place
from vrrp_speaker.engine.routers.running_router import RunningRouter, new_router
from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state import layout as shm

VIP, SIX = packed("192.0.2.50"), packed("2001:db8::50")
ADDED = packed("192.0.2.51")
PLACE = (2, ADDED)
STRANGER, OTHER = bytes.fromhex("02005e005364"), bytes.fromhex("02005e005365")
MEMBER = bytes.fromhex("02005e005312")
OURS = bytes.fromhex("02005e00530b")
PEER = Peer("node-2", packed("192.0.2.12"))
NOW, SECOND, MS = 10**12, 10**9, 10**6
INTERVAL = 200 * MS
# Priority 200 at 200 ms: 3 intervals and a skew of 56/256 intervals.
DOWN = 3 * INTERVAL + 56 * INTERVAL // 256
LATER = NOW + 60 * SECOND


@dataclass
class Executor:
    """Stands for what sends and binds: remembers probes and addresses."""

    probed: list[int] = field(default_factory=list)
    members_asked: list[int] = field(default_factory=list)
    asked: list[frozenset[Place]] = field(default_factory=list)
    bound: list[tuple[int, set[Place]]] = field(default_factory=list)
    waiting: set[Place] = field(default_factory=set)
    """Questions that wait for their turn."""
    defended: list[tuple[int, set[bytes]]] = field(default_factory=list)

    def probe(self, _router: RunningRouter, where: Iterable[Place], now_ns: int) -> None:
        self.probed.append(now_ns)
        self.asked.append(frozenset(where))

    def give(self, router: RunningRouter, event: Event, now_ns: int) -> None:
        router.machine.handle(event, now_ns)

    def has_yet_to_ask(self, _router: RunningRouter, place: Place) -> bool:
        return place in self.waiting

    def ask_members(self, _router: RunningRouter, now_ns: int) -> None:
        self.members_asked.append(now_ns)

    def withhold(self, router: RunningRouter, where: frozenset[Place]) -> None:
        router.withheld = where

    def bind_withheld(self, router: RunningRouter, free: set[Place], now_ns: int) -> None:
        router.withheld -= free
        self.bound.append((now_ns, free))

    def defend(self, _router: RunningRouter, addresses: set[bytes], now_ns: int) -> None:
        self.defended.append((now_ns, addresses))


class Neighbours:
    """Stands for the sockets: remembers what is watched."""

    watched: frozenset[bytes] = frozenset()

    def watch(self, addresses: Iterable[bytes]) -> None:
        self.watched = frozenset(addresses)


class Rig:
    """One router and its watch; time is passed in."""

    def __init__(self, shared: SharedState, **changed: Any) -> None:
        self.shared, self.executor, self.neighbours = shared, Executor(), Neighbours()
        network = NodeNetwork()
        network.reset([LinkNews(2, "eth0", True, True, OURS)])
        world: dict[str, Any] = {
            "executor": self.executor,
            "dispatcher": self.executor,
            "neighbours": self.neighbours,
        }
        self.conflicts = Conflicts(shared, network=network, **world)
        probes = (announcement("192.0.2.50"), announcement("2001:db8::50"))
        program = router_program(PEER, **{"probes": probes, **changed})
        self.router = new_router(program, input_faults=False, priority=200)
        self.router.machine.handle(Startup(), NOW)
        self.conflicts.sync([self.router], NOW)

    @property
    def counted(self) -> int:
        return self.shared.get(self.router.offset + shm.S_CONFLICTS)

    @property
    def held_back(self) -> bool:
        return self.conflicts.holds_back("a")

    def see(self, at_ns: int, mac: bytes = STRANGER, address: bytes = VIP, link: int = 2) -> None:
        self.conflicts.seen(Sighting(link, address, mac), at_ns)

    def add(self, at_ns: int, text: str = "192.0.2.51") -> None:
        """Load a program with one more address."""
        before = self.router.program
        self.router.program = replace(
            before,
            addresses=(*before.addresses, address(text)),
            probes=(*before.probes, announcement(text)),
        )
        self.executor.withhold(self.router, self.conflicts.unasked(self.router, before))
        self.conflicts.sync([self.router], at_ns)

    def handle(self, event: Any, at_ns: int) -> None:
        """Let the machine handle an event, and tell of its new state."""
        before = self.router.machine.state
        self.router.machine.handle(event, at_ns)
        after = self.router.machine.state
        if after is not before:
            change = StateChanged(before, after, TransitionReason.FAULT)
            self.conflicts.moved("a", change, 1, at_ns)

    def hear(self, at_ns: int, priority: int = 100) -> bool:
        ended = self.conflicts.heard(self.router, at_ns)
        self.handle(AdvertisementReceived(PEER.address, priority, 20), at_ns)
        return ended

    def run_until(self, end_ns: int) -> list[int]:
        """Run every deadline up to then; return when a fault began or ended."""
        moments = []
        while (due_ns := self.conflicts.next_deadline_ns()) is not None and due_ns <= end_ns:
            if self.conflicts.judge(due_ns):
                moments.append(due_ns)
                self.handle(FaultChanged(self.held_back), due_ns)
        if self.conflicts.judge(end_ns):
            moments.append(end_ns)
            self.handle(FaultChanged(self.held_back), end_ns)
        return moments

    def become_active(self) -> int:
        """Let the down timer expire with nobody there; return when."""
        self.run_until(NOW + DOWN)
        self.handle(DeadlineReached(), NOW + DOWN)
        assert self.router.machine.state is State.ACTIVE
        return NOW + DOWN

    def in_conflict(self) -> int:
        """Let a stranger answer, so that the router goes to Fault; return when."""
        self.run_until(NOW)
        self.see(NOW)
        assert self.run_until(NOW + DOWN) == [NOW + DOWN]
        assert self.router.machine.state is State.FAULT
        return NOW + DOWN
