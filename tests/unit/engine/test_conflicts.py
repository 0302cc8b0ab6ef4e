"""When a host with one of our addresses is a conflict, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.unit.engine.programs import address, announcement, packed, router_program
from tests.unit.engine.shared import snapshot

from vrrp.constants import State
from vrrp.events import (
    AdvertisementReceived,
    DeadlineReached,
    Event,
    FaultChanged,
    Startup,
    TakeOver,
)
from vrrp_speaker.engine.conflicts import Conflicts
from vrrp_speaker.engine.defence import DEFEND_INTERVAL_NS
from vrrp_speaker.engine.neighbours import Sighting
from vrrp_speaker.engine.netlink import LinkNews
from vrrp_speaker.engine.node_network import NodeNetwork
from vrrp_speaker.engine.probing import (
    REPROBE_NS,
    REPROBE_WAIT_NS,
    Place,
    quiet_ns,
    settling_ns,
)
from vrrp_speaker.engine.program import Peer
from vrrp_speaker.engine.routers import RunningRouter, new_router
from vrrp_speaker.shared_state import Conflict, SharedState
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
    defended: list[tuple[int, set[bytes]]] = field(default_factory=list)

    def probe(self, _router: RunningRouter, where: Iterable[Place], now_ns: int) -> None:
        self.probed.append(now_ns)
        self.asked.append(frozenset(where))

    def handle(self, router: RunningRouter, event: Event, now_ns: int) -> bool:
        return bool(router.machine.handle(event, now_ns))

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
        world: dict[str, Any] = {"executor": self.executor, "neighbours": self.neighbours}
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
            self.conflicts.moved("a", after, at_ns)

    def hear(self, at_ns: int, priority: int = 100) -> bool:
        ended = self.conflicts.heard(self.router, at_ns)
        self.handle(AdvertisementReceived(PEER.address, priority, 20), at_ns)
        return ended

    def run_until(self, end_ns: int) -> list[int]:
        """Run every deadline up to then; return when a fault began or ended."""
        moments = []
        while (due_ns := self.conflicts.next_deadline_ns()) is not None and due_ns <= end_ns:
            if self.conflicts.run(due_ns):
                moments.append(due_ns)
                self.handle(FaultChanged(self.held_back), due_ns)
        if self.conflicts.run(end_ns):
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


@pytest.fixture
def shared(tmp_path: Path) -> SharedState:
    return SharedState.create(str(tmp_path / "state.shm"))


@pytest.fixture
def rig(shared: SharedState) -> Rig:
    return Rig(shared)


def test_bounds_by_hand(rig: Rig) -> None:
    parameters = rig.router.machine.parameters
    # Worst candidate: 600 ms and 255/256 of 200 ms, so a lease of 1 s; a second for the kernel.
    assert quiet_ns(parameters) == 2 * SECOND
    assert settling_ns(parameters) == DOWN


def test_bound_of_a_slow_election_is_an_interval_and_a_skew(shared: SharedState) -> None:
    slow = Rig(shared, adver_interval_ns=2 * SECOND).router.machine.parameters
    assert settling_ns(slow) == 2 * SECOND + 56 * 2 * SECOND // 256


# Before it is bound -----------------------------------------------------------------------


def test_three_probes_within_the_wait_the_first_at_once(rig: Rig) -> None:
    rig.run_until(NOW + DOWN - 1)
    assert rig.executor.probed == [NOW, NOW + DOWN // 4, NOW + DOWN // 4 * 2]
    assert rig.neighbours.watched == {VIP, SIX, PEER.address}
    assert not rig.held_back


@pytest.mark.parametrize("address", [VIP, SIX])
def test_answer_is_judged_when_the_wait_ends_and_not_before(rig: Rig, address: bytes) -> None:
    rig.see(NOW, address=address)
    assert rig.run_until(NOW + DOWN - 1) == []
    assert rig.run_until(NOW + DOWN) == [NOW + DOWN]
    assert rig.held_back
    assert rig.counted == 1
    rig.shared.set(rig.router.offset + shm.S_NAME_HASH, 1)
    found = snapshot(rig.shared)
    assert found.routers[0].last_conflict == Conflict(address, STRANGER, NOW + DOWN)


def test_answer_just_before_the_wait_ends_is_listened_for_as_an_active_router_would(
    rig: Rig,
) -> None:
    """The announcement of a peer that became Active comes before what it says in the election."""
    rig.run_until(NOW)
    rig.see(NOW + DOWN - 2 * MS)
    rig.run_until(NOW + DOWN)
    rig.handle(DeadlineReached(), NOW + DOWN)
    assert (rig.router.machine.state, rig.held_back, rig.counted) == (State.BACKUP, False, 0)
    assert not rig.hear(NOW + DOWN + 2 * MS, priority=254)
    assert rig.run_until(NOW + 20 * SECOND) == []
    assert (rig.router.machine.state, rig.counted) == (State.BACKUP, 0)


def test_answer_of_a_member_is_the_elections_for_as_long_as_it_answers(rig: Rig) -> None:
    """It was not told of us yet, or its kernel keeps the lease of an engine that died."""
    rig.run_until(NOW)
    rig.see(NOW, mac=MEMBER)
    rig.see(NOW + MS, mac=MEMBER, address=PEER.address)
    due = NOW + DOWN
    for _ in range(5):
        rig.run_until(due)
        rig.handle(DeadlineReached(), due)
        assert (rig.router.machine.state, rig.held_back, rig.counted) == (State.BACKUP, False, 0)
        rig.see(due + MS, mac=MEMBER)
        due += DOWN
    rig.run_until(due)
    rig.handle(DeadlineReached(), due)
    rig.run_until(due + DOWN)
    rig.handle(DeadlineReached(), due + DOWN)
    assert (rig.router.machine.state, rig.counted) == (State.ACTIVE, 0)


def test_member_seen_beside_an_active_router_is_no_stranger(rig: Rig) -> None:
    active = rig.become_active() + 3 * SECOND
    rig.see(active, mac=MEMBER)
    assert rig.executor.members_asked[-1] == active
    rig.see(active + MS, mac=MEMBER, address=PEER.address)
    rig.run_until(active + 10 * SECOND)
    assert rig.counted == 0


def test_answer_that_nothing_explains_is_a_strangers_once_that_has_settled(rig: Rig) -> None:
    rig.run_until(NOW)
    answered = NOW + DOWN - 2 * MS
    rig.see(answered)
    rig.see(answered + MS)  # it goes on to answer; the first time counts
    rig.run_until(NOW + DOWN)
    rig.handle(DeadlineReached(), NOW + DOWN)
    assert rig.router.machine.next_deadline_ns() == answered + DOWN
    assert rig.run_until(answered + DOWN - 1) == []
    assert rig.run_until(answered + DOWN) == [answered + DOWN]
    assert (rig.router.machine.state, rig.held_back, rig.counted) == (State.FAULT, True, 1)


@pytest.mark.parametrize("priority", [0, 100, 254])
def test_who_hears_anybody_of_the_election_asks_no_more(rig: Rig, priority: int) -> None:
    rig.run_until(NOW)
    rig.see(NOW + MS)
    assert not rig.hear(NOW + 2 * MS, priority)
    assert rig.run_until(NOW + 20 * SECOND) == []
    assert rig.executor.probed == [NOW]
    assert rig.counted == 0


def test_who_knew_a_peer_before_a_restart_does_not_ask(shared: SharedState) -> None:
    shared.set(shm.peer_offset(0, 0) + shm.PEER_LAST, NOW - SECOND)
    rig = Rig(shared)
    rig.see(NOW + MS)
    rig.run_until(NOW + DOWN)
    assert rig.executor.probed == []
    assert not rig.held_back


def test_who_knew_a_peer_long_ago_asks(shared: SharedState) -> None:
    shared.set(shm.peer_offset(0, 0) + shm.PEER_LAST, NOW - 60 * SECOND)
    rig = Rig(shared)
    rig.run_until(NOW)
    assert rig.executor.probed == [NOW]


def test_named_successor_is_not_held_up(rig: Rig) -> None:
    rig.see(NOW + MS)
    rig.handle(TakeOver(), NOW + 2 * MS)
    assert rig.run_until(NOW + DOWN) == []
    assert rig.router.machine.state is State.ACTIVE


def test_who_slept_through_the_deadline_listens_before_it_judges(rig: Rig) -> None:
    rig.see(NOW + MS)
    assert rig.conflicts.run(NOW + DOWN + INTERVAL + 1) == []
    assert not rig.held_back


@pytest.mark.parametrize(
    ("mac", "address", "link"),
    [(OURS, VIP, 2), (STRANGER, packed("192.0.2.51"), 2), (STRANGER, VIP, 3)],
)
def test_ourselves_other_addresses_and_other_links_are_no_answer(
    rig: Rig, mac: bytes, address: bytes, link: int
) -> None:
    rig.see(NOW + MS, mac, address, link)
    assert rig.run_until(NOW + DOWN) == []


def test_fault_ends_with_the_lease_that_a_peer_left_which_died_before(rig: Rig) -> None:
    rig.in_conflict()
    rig.executor.probed.clear()
    again_ns = NOW + quiet_ns(rig.router.machine.parameters)
    assert rig.run_until(again_ns + REPROBE_WAIT_NS) == [again_ns + REPROBE_WAIT_NS]
    spacing = REPROBE_WAIT_NS // 4
    assert rig.executor.probed == [
        *(again_ns + i * spacing for i in range(3)),
        again_ns + REPROBE_WAIT_NS,  # Backup again, and nobody heard yet
    ]
    assert rig.router.machine.state is State.BACKUP


def test_fault_lasts_while_the_stranger_answers(rig: Rig) -> None:
    rig.in_conflict()
    first_ns = NOW + quiet_ns(rig.router.machine.parameters)
    for turn in range(1, 4):
        again_ns = first_ns + (turn - 1) * REPROBE_NS
        rig.run_until(again_ns)
        rig.see(again_ns + MS, OTHER)
        assert rig.run_until(again_ns + REPROBE_WAIT_NS) == []
        assert rig.counted == 1 + turn
    assert rig.held_back


def test_fault_ends_when_a_peer_is_active(rig: Rig) -> None:
    since_ns = rig.in_conflict()
    assert rig.hear(since_ns + SECOND)
    assert not rig.held_back


def test_fault_ends_with_the_address(rig: Rig) -> None:
    rig.in_conflict()
    rig.router.program = router_program(PEER, probes=(announcement("2001:db8::50"),))
    rig.conflicts.sync([rig.router], NOW + 2 * SECOND)
    assert not rig.held_back
    assert rig.neighbours.watched == {SIX, PEER.address}


def test_router_that_begins_anew_asks_anew(rig: Rig) -> None:
    since_ns = rig.in_conflict()
    rig.router = new_router(rig.router.program, input_faults=False, priority=200)
    rig.router.machine.handle(Startup(), since_ns)
    rig.executor.probed.clear()
    rig.conflicts.sync([rig.router], since_ns)
    rig.run_until(since_ns)
    assert not rig.held_back
    assert rig.executor.probed == [since_ns]


def test_without_probes_nothing_is_looked_for(shared: SharedState) -> None:
    rig = Rig(shared, probes=())
    rig.see(NOW + MS)
    assert rig.conflicts.next_deadline_ns() is None
    assert rig.run_until(NOW + DOWN) == []
    assert rig.neighbours.watched == frozenset()


# Added to a router that runs ----------------------------------------------------------------


@pytest.fixture
def active(rig: Rig) -> Rig:
    """A router that is Active since long, and was asked nothing since."""
    assert rig.become_active() < LATER
    rig.run_until(LATER)
    rig.executor.probed.clear()
    rig.executor.asked.clear()
    return rig


def test_address_added_to_an_active_router_is_asked_about_alone_and_then_bound(active: Rig) -> None:
    active.add(LATER)
    assert active.run_until(LATER + REPROBE_WAIT_NS - 1) == []
    assert active.executor.probed == [LATER + i * REPROBE_WAIT_NS // 4 for i in range(3)]
    assert set(active.executor.asked) == {frozenset({PLACE})}
    assert active.executor.bound == []
    active.run_until(LATER + REPROBE_WAIT_NS)
    assert active.executor.bound == [(LATER + REPROBE_WAIT_NS, {PLACE})]
    active.run_until(LATER + 60 * SECOND)
    assert (len(active.executor.probed), len(active.executor.bound)) == (3, 1)
    assert (active.counted, active.conflicts.next_deadline_ns()) == (0, None)


def test_added_address_of_a_stranger_stays_off_until_it_is_gone(active: Rig) -> None:
    active.add(LATER)
    for turn in range(3):
        at_ns = LATER + turn * REPROBE_NS
        active.run_until(at_ns)
        active.see(at_ns + MS, address=ADDED)
        judged_ns = at_ns + MS + max(REPROBE_WAIT_NS - MS, DOWN)
        assert active.run_until(judged_ns) == ([] if turn else [judged_ns])
        assert active.conflicts.keeps_off("a", LATER)
        assert active.counted == turn + 1
    assert not active.held_back
    assert active.router.machine.state is State.ACTIVE
    assert active.executor.bound == []
    assert active.executor.defended == []
    active.shared.set(active.router.offset + shm.S_NAME_HASH, 1)
    assert snapshot(active.shared).routers[0].last_conflict == Conflict(ADDED, STRANGER, judged_ns)
    free_ns = LATER + 3 * REPROBE_NS + REPROBE_WAIT_NS
    assert active.run_until(free_ns) == [free_ns]
    assert active.executor.bound == [(free_ns, {PLACE})]
    assert not active.conflicts.keeps_off("a", LATER)


def test_one_of_two_added_addresses_is_bound_while_a_stranger_has_the_other(active: Rig) -> None:
    active.add(LATER)
    active.add(LATER, "192.0.2.52")
    active.see(LATER + MS, address=ADDED)
    active.run_until(LATER + 60 * SECOND - 1)
    assert [where for _, where in active.executor.bound] == [{(2, packed("192.0.2.52"))}, {PLACE}]


def test_our_own_hardware_address_is_no_answer_for_an_added_address(active: Rig) -> None:
    active.add(LATER)
    active.see(LATER + MS, OURS, ADDED)
    active.run_until(LATER + REPROBE_WAIT_NS)
    assert active.executor.bound == [(LATER + REPROBE_WAIT_NS, {PLACE})]


@pytest.mark.parametrize("heard_ns", [-SECOND, 10 * MS, REPROBE_WAIT_NS - 1])
def test_answer_that_a_peer_may_have_given_proves_nothing(active: Rig, heard_ns: int) -> None:
    before = heard_ns < 0
    if before:
        active.hear(LATER + heard_ns)
    active.add(LATER)
    active.see(LATER + MS, address=ADDED)
    if not before:
        active.hear(LATER + heard_ns)
    active.run_until(LATER + REPROBE_WAIT_NS)
    assert (active.executor.bound, active.counted) == ([], 0)
    active.run_until(LATER + 3 * REPROBE_WAIT_NS)
    assert active.executor.bound == [(LATER + 3 * REPROBE_WAIT_NS, {PLACE})]
    assert (len(active.executor.probed), active.counted) == (6, 0)


def test_stranger_of_an_earlier_round_is_not_held_against_a_peer(active: Rig) -> None:
    active.add(LATER)
    active.see(LATER + MS, address=ADDED)
    active.run_until(LATER + 2 * SECOND)
    assert active.counted == 1
    again_ns, quiet = LATER + REPROBE_NS, quiet_ns(active.router.machine.parameters)
    active.hear(again_ns - quiet + 2 * MS)
    active.run_until(again_ns)
    active.see(again_ns + MS, address=ADDED)  # the lease that the peer may have left ends just now
    active.run_until(again_ns + REPROBE_WAIT_NS)
    assert (active.counted, active.executor.bound) == (1, [])


def test_answer_waits_for_a_slow_peer_to_explain_it(shared: SharedState) -> None:
    slow = Rig(shared, adver_interval_ns=2 * SECOND)
    parameters = slow.router.machine.parameters
    down_ns = parameters.down_ns(2 * SECOND)
    slow.run_until(NOW + down_ns)
    slow.handle(DeadlineReached(), NOW + down_ns)
    at_ns = NOW + 60 * SECOND
    slow.add(at_ns)
    slow.see(at_ns + MS, address=ADDED)
    slow.run_until(at_ns + MS + settling_ns(parameters) - 1)
    assert slow.counted == 0
    slow.run_until(at_ns + MS + settling_ns(parameters))
    assert slow.counted == 1


def test_what_is_seen_between_rounds_answers_nothing(active: Rig) -> None:
    active.add(LATER)
    active.see(LATER + MS, address=ADDED)
    active.run_until(LATER + 2 * SECOND)
    active.see(LATER + 3 * SECOND, address=ADDED)
    free_ns = LATER + REPROBE_NS + REPROBE_WAIT_NS
    assert active.run_until(free_ns) == [free_ns]
    assert (active.counted, active.executor.defended) == (1, [])


def test_programs_that_follow_do_not_begin_the_asking_anew(active: Rig) -> None:
    active.add(LATER)
    active.run_until(LATER + 500 * MS)
    active.add(LATER + 500 * MS, "192.0.2.52")
    active.run_until(LATER + REPROBE_WAIT_NS)
    assert active.executor.bound == [(LATER + REPROBE_WAIT_NS, {PLACE})]


def test_conflict_ends_with_the_added_address(active: Rig) -> None:
    active.add(LATER)
    active.see(LATER + MS, address=ADDED)
    active.run_until(LATER + 2 * SECOND)
    before = active.router.program
    active.router.program = router_program(PEER, probes=before.probes[:2])
    active.executor.withhold(active.router, active.conflicts.unasked(active.router, before))
    active.conflicts.sync([active.router], LATER + 2 * SECOND)
    assert not active.conflicts.keeps_off("a", LATER)
    active.run_until(LATER + 60 * SECOND)
    assert active.executor.bound == []


def test_who_stops_being_active_asks_no_more_and_binds_all_when_it_takes_over(active: Rig) -> None:
    active.add(LATER)
    active.see(LATER + MS, address=ADDED)
    active.run_until(LATER + 2 * SECOND)
    active.hear(LATER + 3 * SECOND, priority=250)
    assert active.router.machine.state is State.BACKUP
    # Whoever is told what the router lacks is told that it lacks nothing any more.
    assert active.conflicts.run(LATER + 3 * SECOND) == [active.router]
    assert not active.conflicts.keeps_off("a", LATER)
    probed = len(active.executor.probed)
    active.run_until(LATER + 4 * SECOND)
    for _ in ("addresses go", "down"):
        active.handle(DeadlineReached(), active.router.machine.next_deadline_ns() or 0)
        active.executor.withhold(active.router, frozenset())  # as with addresses that go
    assert active.router.machine.holding
    assert active.conflicts.next_deadline_ns() is None
    assert len(active.executor.probed) == probed


def test_backup_that_has_asked_already_asks_about_an_added_address_once_it_is_active(
    rig: Rig,
) -> None:
    rig.run_until(NOW)
    rig.add(NOW + MS)
    assert rig.router.addresses == rig.router.program.addresses[:2]
    at_ns = rig.become_active()
    rig.executor.asked.clear()
    rig.run_until(at_ns + REPROBE_WAIT_NS)
    assert rig.executor.asked == [frozenset({PLACE})] * 3
    assert rig.executor.bound == [(at_ns + REPROBE_WAIT_NS, {PLACE})]


def test_backup_that_begins_to_wait_anew_asks_about_all_again(rig: Rig) -> None:
    rig.run_until(NOW)
    rig.add(NOW + MS)
    rig.handle(FaultChanged(True), NOW + 2 * MS)
    rig.handle(FaultChanged(False), NOW + 3 * MS)
    rig.executor.asked.clear()
    rig.run_until(NOW + 3 * MS)
    assert rig.executor.asked == [frozenset({(2, VIP), (2, SIX), PLACE})]
    assert rig.router.addresses == rig.router.program.addresses


def test_backup_that_hears_a_peer_binds_an_added_address_with_the_others(rig: Rig) -> None:
    rig.run_until(NOW)
    rig.add(NOW + MS)
    rig.hear(NOW + 2 * MS)
    assert rig.router.addresses == rig.router.program.addresses
    rig.add(NOW + 3 * MS, "192.0.2.52")
    assert rig.router.addresses == rig.router.program.addresses


def test_backup_that_has_not_begun_asks_about_an_added_address_with_the_others(rig: Rig) -> None:
    rig.add(NOW)
    rig.run_until(NOW)
    assert rig.executor.asked == [frozenset({(2, VIP), (2, SIX), PLACE})]
    assert rig.router.addresses == rig.router.program.addresses


# While Active -----------------------------------------------------------------------------


def test_stranger_is_a_conflict_unless_somebody_explains_it(rig: Rig) -> None:
    at_ns = rig.become_active() + SECOND
    rig.see(at_ns)
    rig.see(at_ns + MS)
    rig.run_until(at_ns + DOWN - 1)
    assert (rig.counted, rig.executor.defended) == (0, [])
    rig.run_until(at_ns + DOWN)
    assert rig.counted == 2
    assert rig.executor.defended == [(at_ns + DOWN, {VIP})]
    assert not rig.held_back


def test_peer_heard_after_its_frame_explains_it(rig: Rig) -> None:
    at_ns = rig.become_active() + SECOND
    rig.see(at_ns)
    rig.hear(at_ns + DOWN - MS)
    rig.run_until(at_ns + 20 * SECOND)
    assert (rig.counted, rig.executor.defended) == (0, [])


def test_last_frames_of_a_predecessor_are_no_conflict(rig: Rig) -> None:
    since_ns = rig.become_active()
    rig.see(since_ns + INTERVAL - 1)
    rig.hear(since_ns + INTERVAL)
    rig.see(since_ns + INTERVAL + 2 * SECOND - 1)
    rig.run_until(since_ns + 10 * SECOND)
    assert rig.counted == 0


def test_what_is_seen_in_the_first_interval_is_no_conflict(rig: Rig) -> None:
    since_ns = rig.become_active()
    rig.see(since_ns + INTERVAL - 1)
    rig.run_until(since_ns + 10 * SECOND)
    assert rig.counted == 0
    rig.see(since_ns + 10 * SECOND)
    rig.run_until(since_ns + 20 * SECOND)
    assert rig.counted == 1


def test_what_a_dead_predecessor_s_kernel_sent_is_not_held_against_it_later(rig: Rig) -> None:
    since_ns = rig.become_active()
    rig.hear(since_ns + SECOND)
    rig.see(since_ns + 3 * SECOND - 1)
    rig.run_until(since_ns + 10 * SECOND)
    assert rig.counted == 0
    rig.see(since_ns + 10 * SECOND)
    rig.run_until(since_ns + 20 * SECOND)
    assert rig.counted == 1


def test_defence_at_most_once_in_ten_seconds_and_none_is_forgotten(rig: Rig) -> None:
    at_ns = rig.become_active() + SECOND
    first_ns = at_ns + DOWN
    for step in range(0, 25 * SECOND, 100 * MS):
        rig.see(at_ns + step)
        rig.run_until(at_ns + step)
    moments = [moment for moment, _ in rig.executor.defended]
    assert len(moments) == 3
    assert all(b - a >= DEFEND_INTERVAL_NS for a, b in pairwise(moments))
    assert moments[0] >= first_ns
    assert rig.counted == 250


def test_known_stranger_needs_no_second_look_and_a_new_one_does(rig: Rig) -> None:
    at_ns = rig.become_active() + SECOND
    rig.see(at_ns)
    rig.run_until(at_ns + SECOND)
    rig.see(at_ns + 2 * SECOND)
    assert rig.counted == 2
    rig.see(at_ns + 3 * SECOND, OTHER)
    assert rig.counted == 2
    rig.run_until(at_ns + 4 * SECOND)
    assert rig.counted == 3
    rig.see(at_ns + 70 * SECOND, OTHER)  # not seen for a minute
    assert rig.counted == 3


def test_who_is_no_longer_active_defends_nothing(rig: Rig) -> None:
    at_ns = rig.become_active() + SECOND
    rig.see(at_ns)
    rig.handle(FaultChanged(True), at_ns + MS)
    rig.run_until(at_ns + 20 * SECOND)
    assert (rig.counted, rig.executor.defended) == (0, [])


def test_steady_state_costs_nothing(rig: Rig) -> None:
    at_ns = rig.become_active()
    rig.run_until(at_ns)
    assert rig.conflicts.next_deadline_ns() is None
