"""Whom the engine asks for, when, and how often."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import pytest
from tests.unit.engine.programs import packed, router_program

from vrrp.constants import State
from vrrp.events import Resume, Shutdown, Startup
from vrrp_speaker.engine.neighbours.resolution import (
    LEAST_PACE_NS,
    LOOK_EVERY_NS,
    LOOKUPS,
    QUESTIONS,
    Resolution,
)
from vrrp_speaker.engine.programs.program import Frame, Pace, Peer
from vrrp_speaker.engine.routers.running_router import RunningRouter, new_router

MS = 1_000_000
NOW = 10**12
INTERVAL_NS = 200 * MS
INCOMPLETE, REACHABLE, STALE, DELAY, PROBE, FAILED, NOARP, PERMANENT = (
    1 << bit for bit in range(8)
)
IFINDEX, MAC = 2, bytes.fromhex("02005e005301")


class Rig:
    """A node whose kernel knows its neighbours by ``states``; all others are unknown to it."""

    def __init__(self, *routers: RunningRouter) -> None:
        self.by_name = {str(number): router for number, router in enumerate(routers)}
        self.held = True
        self.states: dict[bytes, int] = {}
        self.macs = {IFINDEX: MAC}
        self.looks = 0
        self.looked_up: list[bytes] = []
        self.asked: list[Frame] = []
        self.lock_held = False
        """Whether the worker waits for the kernel."""
        self.waiting: list[Callable[[], None]] = []
        self.resolution = Resolution(
            cast("Any", self),
            cast("Any", self),
            cast("Any", self),
            (lambda: False, self.holds),
            self.by_name,
        )

    def holds(self) -> bool:
        self.looks += 1
        return self.held

    def call(self, do: Callable[[Any], Any], then: Callable[[Any], None]) -> None:
        """Stand for the worker: do it beside the loop, as soon as the kernel lets it."""
        self.waiting.append(lambda: then(do(self)))

    def neighbour_state(self, ifindex: int, address: bytes) -> int:
        assert ifindex == IFINDEX
        self.looked_up.append(address)
        return self.states.get(address, INCOMPLETE)

    def mac(self, ifindex: int) -> bytes:
        return self.macs.get(ifindex, b"")

    def begin(self, _name: str, frames: tuple[Frame, ...], plan: Pace, begun_ns: int) -> None:
        assert (plan.burst, plan.repeat_after_ns, plan.refresh_ns) == (1, 0, 0)
        assert begun_ns < NOW  # ahead of every announcement
        self.asked += frames

    def turn(self, now_ns: int) -> list[bytes]:
        """Turn the loop once; return who was asked for."""
        self.asked.clear()
        self.resolution.woken(now_ns)
        self.resolution.run(now_ns)
        while self.waiting and not self.lock_held:
            self.waiting.pop(0)()
            self.resolution.run(now_ns)
        return [frame.address for frame in self.asked]

    def turns(
        self, *, until_ns: int, from_ns: int = 0, every_ns: int = 5 * MS
    ) -> dict[bytes, list[int]]:
        """Turn the loop for a time; return when each was asked for."""
        found: dict[bytes, list[int]] = {}
        for now_ns in range(NOW + from_ns, NOW + until_ns, every_ns):
            for address in self.turn(now_ns):
                found.setdefault(address, []).append((now_ns - NOW) // MS)
        return found


def peers(*numbers: int) -> tuple[Peer, ...]:
    return tuple(Peer(f"node-{n}", packed(f"192.0.2.{n}")) for n in numbers)


def router(*numbers: int, state: State = State.ACTIVE, **changed: Any) -> RunningRouter:
    """Return a router with these peers in a state."""
    made = new_router(router_program(*peers(*numbers), **changed), input_faults=False, priority=200)
    made.machine.handle(Resume() if state is State.ACTIVE else Startup(), NOW)
    assert made.machine.state is state
    return made


def test_nothing_is_looked_up_while_nothing_is_held_back() -> None:
    rig = Rig(router(12))
    rig.held = False
    assert rig.turns(until_ns=1000 * MS, every_ns=MS) == {}
    assert not rig.looked_up
    assert rig.looks == 1000 * MS // LOOK_EVERY_NS
    assert rig.resolution.next_deadline_ns() is None


def test_unknown_peer_is_asked_for_once_an_interval_from_our_address() -> None:
    rig = Rig(router(12))
    times = rig.turns(until_ns=1000 * MS)[packed("192.0.2.12")]
    assert times[0] == 0
    assert len(times) == 5
    assert all(after - before >= 200 for before, after in pairwise(times))
    rig.turn(NOW + 1000 * MS)
    [question] = rig.asked
    assert question.data[6:12] == MAC
    assert packed("192.0.2.11") in question.data


def test_short_interval_asks_no_more_often_than_the_least_pace() -> None:
    rig = Rig(router(12, adver_interval_ns=20 * MS))
    times = rig.turns(until_ns=1000 * MS, every_ns=MS)[packed("192.0.2.12")]
    assert min(b - a for a, b in pairwise(times)) * MS >= LEAST_PACE_NS
    assert len(times) >= 14


def test_loop_is_woken_for_the_next_question_only() -> None:
    rig = Rig(router(12))
    rig.turn(NOW)
    assert rig.resolution.next_deadline_ns() == NOW + INTERVAL_NS
    rig.held = False
    rig.turn(NOW + 60 * MS)
    assert rig.resolution.next_deadline_ns() is None


@pytest.mark.parametrize("state", [0, REACHABLE, STALE, DELAY, PROBE, FAILED, NOARP, PERMANENT])
def test_peer_that_the_kernel_knows_or_is_about_to_ask_for_is_left_alone(state: int) -> None:
    rig = Rig(router(12, 13))
    rig.states[packed("192.0.2.12")] = state
    assert set(rig.turns(until_ns=500 * MS)) == {packed("192.0.2.13")}


@pytest.mark.parametrize(
    "silent",
    [
        router(12, state=State.BACKUP),
        router(12, multicast=True),
        router(),
        router(12, state=State.BACKUP, multicast=True),
    ],
)
def test_whoever_sends_nothing_to_peers_asks_for_none(silent: RunningRouter) -> None:
    rig = Rig(silent)
    assert rig.turns(until_ns=500 * MS) == {}
    assert not rig.looked_up


def test_candidates_are_asked_for_where_a_majority_is_needed() -> None:
    rig = Rig(router(12, state=State.BACKUP, require_majority=True))
    assert set(rig.turns(until_ns=100 * MS)) == {packed("192.0.2.12")}


def test_router_that_turns_is_taken_in() -> None:
    turning = router(12, state=State.BACKUP)
    rig = Rig(turning)
    rig.turn(NOW)
    turning.machine.handle(Shutdown(), NOW)
    turning.machine.handle(Resume(), NOW)
    assert rig.turn(NOW + 100 * MS) == [packed("192.0.2.12")]


def test_program_that_changes_is_taken_in_and_keeps_the_pace() -> None:
    changing = router(12)
    rig = Rig(changing)
    assert rig.turn(NOW) == [packed("192.0.2.12")]
    changing.program = router_program(*peers(12, 13))
    assert rig.turn(NOW + 100 * MS) == [packed("192.0.2.13")]


def test_peers_of_many_routers_are_asked_for_once_at_the_fastest_pace() -> None:
    slow = router(12, name="slow", adver_interval_ns=1000 * MS)
    rig = Rig(slow, router(12, name="fast"), slow)
    assert len(rig.turns(until_ns=1000 * MS)[packed("192.0.2.12")]) == 5


def test_questions_and_lookups_are_bounded_and_everybody_has_a_turn() -> None:
    rig = Rig(router(*range(100, 160)))
    assert len(rig.turn(NOW)) == QUESTIONS
    unknown = packed("192.0.2.105")
    rig.states = dict.fromkeys((packed(f"192.0.2.{n}") for n in range(100, 160)), REACHABLE)
    rig.states[unknown] = INCOMPLETE
    rig.looked_up.clear()
    rig.turn(NOW + 1000 * MS)
    assert len(rig.looked_up) == LOOKUPS
    # Four times sixteen: everybody.
    assert unknown in rig.turns(from_ns=1000 * MS, until_ns=1400 * MS)


@pytest.mark.parametrize("mac", [b"", bytes(20)])
def test_link_without_an_ethernet_address_is_left_to_the_kernel(mac: bytes) -> None:
    rig = Rig(router(12))
    rig.macs = {IFINDEX: mac}
    assert rig.turns(until_ns=500 * MS) == {}


def test_lookup_that_waits_for_the_kernels_lock_keeps_nothing_waiting() -> None:
    rig = Rig(router(12))
    rig.turn(NOW)
    rig.lock_held = True
    assert rig.turns(from_ns=200 * MS, until_ns=3000 * MS) == {}
    assert len(rig.waiting) == 1
    assert rig.resolution.next_deadline_ns() is None  # nothing to come back for meanwhile
    rig.lock_held = False
    assert rig.turn(NOW + 3000 * MS) == [packed("192.0.2.12")]
    assert rig.resolution.next_deadline_ns() == NOW + 3000 * MS + INTERVAL_NS


def test_peer_that_went_while_it_was_looked_up_is_not_asked_for() -> None:
    changing = router(12)
    rig = Rig(changing, router(13))
    rig.lock_held = True
    rig.turn(NOW)
    rig.by_name["0"] = router(14)
    rig.resolution.woken(NOW + 100 * MS)
    rig.waiting.pop(0)()
    rig.lock_held = False
    assert set(rig.turn(NOW + 200 * MS)) == {packed("192.0.2.13"), packed("192.0.2.14")}
