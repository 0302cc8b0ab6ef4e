"""Addresses added to an Active router: left alone before they were asked about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.engine.programs import address, announcement, packed
from tests.unit.engine.rig import NOW, ONE, SECOND, TWO, Rig, rig
from tests.unit.engine.shared import snapshot

from vrrp.constants import State
from vrrp.events import DeadlineReached, FaultChanged
from vrrp_speaker.engine.neighbours.additions import FIRST_WAIT_NS
from vrrp_speaker.engine.neighbours.listening import Sighting
from vrrp_speaker.engine.neighbours.probing import REPROBE_NS, REPROBE_WAIT_NS, places
from vrrp_speaker.engine.network.netlink import AddressNews
from vrrp_speaker.engine.network.node_network import Digest
from vrrp_speaker.engine.programs.program import EngineProgram
from vrrp_speaker.engine.routers.running_router import RunningRouter
from vrrp_speaker.engine.wire.frame_sender import BURST_FRAMES
from vrrp_speaker.shared_state import EngineFault, SharedState
from vrrp_speaker.shared_state import layout as shm

__all__ = ["rig"]  # pytest finds fixtures by name
STRANGER = bytes.fromhex("02005e005364")
ADD, DELETE = f"add {TWO}".encode(), f"delete {TWO}".encode()
FRAME, PROBE = TWO.encode(), b"who has 192.0.2.51"


def load(rig: Rig, *addresses: str, at_ns: int, **changed: Any) -> RunningRouter:
    """Load a program of one router whose addresses are all to be asked about."""
    probes = tuple(announcement(text, b"who has " + text.encode()) for text in addresses)
    return rig.load(*addresses, at_ns=at_ns, **{"probes": probes, **changed})


def pass_time(rig: Rig, end_ns: int) -> None:
    """Do what the engine's loop would do about conflicts and announcements."""
    while (due_ns := rig.conflicts.next_deadline_ns()) is not None and due_ns <= end_ns:
        for router in rig.conflicts.judge(due_ns):
            rig.faults.refresh(router, due_ns)
        rig.settle(due_ns)
        rig.announce_until(due_ns)
    rig.announce_until(end_ns)


def advertise(rig: Rig, router: RunningRouter, end_ns: int) -> None:
    """Let the machine do everything that is due."""
    while (due_ns := router.machine.next_deadline_ns()) is not None and due_ns <= end_ns:
        rig.executor.handle(router, DeadlineReached(), due_ns)
        rig.settle(due_ns)


@pytest.fixture
def since_ns(rig: Rig) -> int:
    """When the second address was added to the router, which holds the first."""
    router = load(rig, ONE, at_ns=NOW)
    pass_time(rig, NOW + SECOND // 2)
    now_ns = rig.become_active(router) + SECOND + SECOND // 10
    advertise(rig, router, now_ns)
    rig.announce_until(now_ns - 1)
    rig.requests.made.clear()
    rig.wire.sent.clear()
    load(rig, ONE, TWO, at_ns=now_ns)
    return now_ns


@pytest.fixture
def router(rig: Rig, since_ns: int) -> RunningRouter:
    return rig.table.routers["a"]


def test_address_is_bound_and_announced_once_nobody_answered(rig: Rig, since_ns: int) -> None:
    pass_time(rig, since_ns + FIRST_WAIT_NS - 1)
    assert rig.requests.made == []
    assert rig.wire.sent.count(PROBE) == 3
    assert FRAME not in rig.wire.sent
    pass_time(rig, since_ns + FIRST_WAIT_NS)
    assert rig.requests.made == [ADD]
    assert FRAME in rig.wire.sent


def test_questions_of_many_are_all_asked_in_time_where_frames_are_limited(rig: Rig) -> None:
    # Twice as many as the budget has saved up; each asks anew before the last was asked once.
    many = [f"198.51.{number // 200}.{number % 200}" for number in range(2 * BURST_FRAMES)]
    probes = tuple(announcement(text, b"who has " + text.encode()) for text in many)
    router = rig.load(ONE, at_ns=NOW, probes=probes)
    for turn in range(3):
        rig.announce_until(NOW + turn * SECOND // 10)
        rig.executor.probe(router, places(router.program), NOW + turn * SECOND // 10)
    rig.announce_until(NOW + SECOND // 4 + SECOND // 100)
    assert set(rig.wire.sent) == {f"who has {text}".encode() for text in many}


def test_router_advertises_the_address_all_the_time(rig: Rig, router: RunningRouter) -> None:
    # Receivers may refuse advertisements whose addresses are not the election's.
    election = rig.parts.hearing.elections.by_id[router.program.family, router.program.vrid]
    assert election.addresses == {packed(ONE), packed(TWO)}


def test_addresses_that_are_held_go_on_and_the_added_one_is_left_alone(
    rig: Rig, router: RunningRouter, since_ns: int
) -> None:
    transitions = rig.shared.get(router.offset + shm.S_TRANSITIONS)
    advertise(rig, router, since_ns + 4 * SECOND)
    rig.executor.announce(router, since_ns)
    rig.executor.defend(router, {packed(ONE), packed(TWO)}, since_ns)
    rig.addresses.restore(AddressNews(2, packed(TWO), 24, 112, False), since_ns)
    rig.announce_until(since_ns + 100 * SECOND)
    assert set(rig.requests.made + rig.renewals.made) == {f"add {ONE}".encode()}
    assert FRAME not in rig.wire.sent
    assert ONE.encode() in rig.wire.sent
    assert rig.addresses.missing() == []
    assert rig.shared.get(router.offset + shm.S_TRANSITIONS) == transitions
    assert rig.shared.get(router.offset + shm.S_ADDRESS_PRESENT) == 1


def test_held_addresses_are_not_announced_anew_for_one_that_is_not_bound(
    rig: Rig, since_ns: int
) -> None:
    rig.frames.run(since_ns + 1)
    assert rig.wire.sent == []


def test_address_of_a_stranger_is_told_and_is_no_fault(
    rig: Rig, router: RunningRouter, since_ns: int
) -> None:
    pass_time(rig, since_ns)
    rig.conflicts.seen(Sighting(2, packed(TWO), STRANGER), since_ns + 1)
    pass_time(rig, since_ns + 2 * SECOND)
    assert told_faults(rig.shared, router) == (EngineFault.ADDRESS_CONFLICT,)
    assert router.machine.state is State.ACTIVE
    assert router.can_hand_over
    assert not router.faulty
    assert ADD not in rig.requests.made
    pass_time(rig, since_ns + REPROBE_NS + REPROBE_WAIT_NS)
    assert told_faults(rig.shared, router) == ()
    assert ADD in rig.requests.made


def told_faults(shared: SharedState, router: RunningRouter) -> tuple[str, ...]:
    """Return what others are told."""
    return snapshot(shared).routers[router.program.slot].faults


def test_address_that_was_never_bound_is_not_taken_off(rig: Rig, router: RunningRouter) -> None:
    rig.executor.handle(router, FaultChanged(True), NOW + 3 * SECOND)
    advertise(rig, router, NOW + 20 * SECOND)
    assert DELETE not in rig.requests.made
    assert rig.requests.made[-1] == f"delete {ONE}".encode()


def test_next_takeover_from_a_peer_binds_what_was_never_bound(
    rig: Rig, router: RunningRouter, since_ns: int
) -> None:
    advertise(rig, router, since_ns + SECOND // 10)
    rig.hear(router, since_ns + SECOND // 10)  # a better one
    advertise(rig, router, since_ns + SECOND // 2)
    assert router.machine.state is State.BACKUP
    assert ADD not in rig.requests.made
    advertise(rig, router, since_ns + 10 * SECOND)
    assert ADD in rig.requests.made
    assert rig.shared.get(router.offset + shm.S_WITHHELD) == 0


def test_router_whose_every_address_is_new_says_that_it_has_none(rig: Rig, since_ns: int) -> None:
    load(rig, TWO, at_ns=since_ns + 1)
    router = rig.table.routers["a"]
    advertise(rig, router, since_ns + SECOND)
    assert router.machine.state is State.ACTIVE
    assert rig.shared.get(router.offset + shm.S_ADDRESS_PRESENT) == 0
    assert rig.requests.made == [f"delete {ONE}".encode()]
    pass_time(rig, since_ns + REPROBE_WAIT_NS)
    assert rig.shared.get(router.offset + shm.S_ADDRESS_PRESENT) == 1


def test_address_that_goes_before_it_was_bound_is_not_taken_off(rig: Rig, since_ns: int) -> None:
    load(rig, ONE, at_ns=since_ns + 1)
    pass_time(rig, since_ns + 60 * SECOND)
    assert rig.requests.made == []


def test_without_detection_the_address_is_bound_at_once(rig: Rig, since_ns: int) -> None:
    load(rig, ONE, TWO, at_ns=since_ns + 1, probes=())
    assert rig.requests.made == [ADD]
    rig.frames.run(since_ns + 1)
    assert FRAME in rig.wire.sent


def test_other_prefix_length_of_a_held_address_asks_nobody(rig: Rig, since_ns: int) -> None:
    router = rig.table.routers["a"]
    pass_time(rig, since_ns + REPROBE_WAIT_NS)
    rig.requests.made.clear()
    wider = replace(address(TWO), prefix_length=16, add=ADD + b"/16")
    program = replace(router.program, addresses=(address(ONE), wider))
    rig.table.load(EngineProgram("n", 1, (program,)), since_ns + 2 * SECOND)
    assert rig.requests.made == [DELETE, ADD + b"/16"]


def test_route_to_another_network_is_taken_off_first(rig: Rig, since_ns: int) -> None:
    """A prefix that was too wide leads the node's traffic astray until its route is gone."""
    pass_time(rig, since_ns + REPROBE_WAIT_NS)

    def made_for(route: bytes) -> list[bytes]:
        rig.requests.made.clear()
        brings = replace(address(TWO), add=ADD + route, delete=DELETE + route)
        program = replace(rig.table.routers["a"].program, addresses=(address(ONE), brings))
        rig.table.load(EngineProgram("n", 1, (program,)), since_ns + 2 * SECOND)
        return list(rig.requests.made)

    assert made_for(b" 10/8 ") == [ADD + b" 10/8 "]
    assert made_for(b" 10/24") == [DELETE + b" 10/8 ", ADD + b" 10/24"]
    assert made_for(b"") == [ADD]


def test_named_successor_binds_all_at_once(rig: Rig) -> None:
    load(rig, ONE, at_ns=NOW)
    pass_time(rig, NOW)
    load(rig, ONE, TWO, at_ns=NOW + 1, take_over="node-1")
    assert ADD in rig.requests.made


def test_binding_one_does_not_put_off_the_lease_of_the_others(
    rig: Rig, router: RunningRouter, since_ns: int
) -> None:
    router.program = replace(router.program, adver_interval_ns=SECOND // 10)
    rig.executor.leases.bind(router, router.addresses, since_ns)
    due_ns = router.lease.renew_at_ns
    assert due_ns is not None
    assert due_ns > since_ns + 1
    rig.executor.bind_withheld(router, {(2, packed(TWO))}, since_ns + 1)
    assert router.lease.renew_at_ns == due_ns


@pytest.mark.parametrize("asked", [False, True])
def test_heir_asks_about_what_its_predecessor_had_not_bound(
    rig: Rig, router: RunningRouter, since_ns: int, asked: bool
) -> None:
    rig.network.learn([AddressNews(2, packed(ONE), 24, 112, True)], Digest())
    if asked:
        pass_time(rig, since_ns + REPROBE_WAIT_NS)
    rig.requests.made.clear()
    rig.shared.set(router.offset + shm.S_LAST_SENT, since_ns + SECOND)
    heir = rig.heir()
    heir.table.load(EngineProgram("n", 1, (router.program,)), since_ns + SECOND + 1)
    assert heir.table.routers["a"].machine.state is State.ACTIVE
    # What was taken away while no engine was there comes back at once, as ever.
    assert rig.requests.made == [f"add {ONE}".encode(), *([ADD] if asked else [])]
    assert bool(heir.table.routers["a"].withheld) is not asked


def test_who_begins_as_a_backup_withholds_nothing(rig: Rig, router: RunningRouter) -> None:
    heir = rig.heir()
    heir.table.load(EngineProgram("n", 1, (router.program,)), NOW + 60 * SECOND)
    assert heir.table.routers["a"].machine.state is State.BACKUP
    assert heir.table.routers["a"].addresses == router.program.addresses
    assert rig.shared.get(router.offset + shm.S_WITHHELD) == 0
