"""When a router outside the election counts, and which sockets hear it."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.engine.programs import announcement, packed, router_program
from tests.unit.engine.shared import snapshot
from tests.unit.vrrp.wire import GROUP4, compose, sealed

from vrrp.constants import Family
from vrrp.validation import Datagram, Election, Elections
from vrrp_speaker.engine.neighbours.foreign import (
    MOST_IN_WINDOW,
    SETTLING_NS,
    WINDOW_NS,
    ForeignRouters,
    group_filter,
)
from vrrp_speaker.engine.programs.program import Peer, RouterProgram
from vrrp_speaker.engine.wire.joined_groups import JoinedGroups
from vrrp_speaker.shared_state import ForeignRouter, SharedState
from vrrp_speaker.shared_state import layout as shm

STRANGER, OTHER = packed("192.0.2.99"), packed("192.0.2.98")
ME = packed("192.0.2.11")
PEER = Peer("node-2", packed("192.0.2.12"))
NOW, SECOND, CENTISECOND = 10**12, 10**9, 10**7
PROBES = (announcement("192.0.2.50"),)


@dataclass
class Observer:
    """Stands for the sockets that only look: remembers what they are to hear."""

    vrids: set[object] = field(default_factory=set)
    groups: set[object] = field(default_factory=set)
    refuses: int = 0
    waiting: list[Datagram] = field(default_factory=list)

    def look_for(self, vrids: Iterable[object]) -> None:
        self.vrids = set(vrids)

    def join_groups(self, wanted: Iterable[object]) -> int:
        self.groups = set(wanted)
        return self.refuses

    def receive(self, _descriptor: int) -> list[Datagram]:
        return self.waiting


class Rig:
    """Foreign routers with the sockets replaced."""

    def __init__(self, shared: SharedState) -> None:
        self.shared, self.observer = shared, Observer()
        sockets: Any = self.observer
        self.foreign = ForeignRouters(shared, sockets)

    def load(self, *programs: RouterProgram) -> None:
        self.foreign.sync(programs, Elections(map(_election, programs)))

    def hear(self, at_ns: int, source: bytes = STRANGER, link: int = 2, **fields: int) -> None:
        """Let the sockets that only look hear an advertisement to the group."""
        message = sealed(compose(**fields), source, GROUP4)  # type: ignore[arg-type]  # numbers by name
        self.observer.waiting = [Datagram(Family.IPV4, source, GROUP4, 255, link, message)]
        self.foreign.receive(9, at_ns)

    def refuse(self, at_ns: int, destination: bytes = ME, version: int = 3) -> None:
        """Let the sockets of the elections refuse an advertisement."""
        message = sealed(compose(version=version), STRANGER, destination)
        datagram = Datagram(Family.IPV4, STRANGER, destination, 255, 2, message)
        self.foreign.refused(datagram, at_ns)

    @property
    def counted(self) -> int:
        return self.shared.get(shm.slot_offset(0) + shm.S_FOREIGN_COUNT)

    @property
    def last(self) -> ForeignRouter | None:
        self.shared.set(shm.slot_offset(0) + shm.S_NAME_HASH, 1)
        return snapshot(self.shared).routers[0].last_foreign


def _election(program: RouterProgram) -> Election:
    peers = frozenset(peer.address for peer in program.peers)
    return Election(3, program.family, program.vrid, program.source, peers, 20, frozenset())


def looked_for(**changed: Any) -> RouterProgram:
    return router_program(PEER, **{"probes": PROBES, **changed})


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    made = Rig(SharedState.create(str(tmp_path / "state.shm")))
    made.load(looked_for())
    return made


# Who counts ------------------------------------------------------------------------------


def test_stranger_counts_from_three_seconds_on_with_source_priority_and_time(rig: Rig) -> None:
    for tick in range(4):
        rig.hear(NOW + tick * SECOND - 1, priority=150)
    assert (rig.counted, rig.last) == (1, ForeignRouter(STRANGER, 150, NOW + 3 * SECOND - 1))
    rig.hear(NOW + 4 * SECOND, OTHER, priority=20)
    assert (rig.counted, rig.last) == (2, ForeignRouter(OTHER, 20, NOW + 4 * SECOND))


def test_stranger_of_a_moment_does_not_count(rig: Rig) -> None:
    rig.hear(NOW)
    rig.hear(NOW + SETTLING_NS - 1)
    assert (rig.counted, rig.last) == (0, None)


def test_stranger_that_missed_three_of_its_own_intervals_begins_anew(rig: Rig) -> None:
    slow_cs = 4095
    rig.hear(NOW, word=slow_cs)
    rig.hear(NOW + 3 * slow_cs * CENTISECOND, word=slow_cs)
    assert rig.counted == 1
    rig.hear(NOW + 6 * slow_cs * CENTISECOND + 1, word=slow_cs)
    assert rig.counted == 1
    rig.hear(NOW + 6 * slow_cs * CENTISECOND + SETTLING_NS + 1, word=slow_cs)
    assert rig.counted == 2


@pytest.mark.parametrize(
    "heard",
    [
        {"source": PEER.address},
        {"source": ME},
        {"link": 3},
        {"vrid": 52},
        {"priority": 0},
    ],
)
def test_what_is_none_of_the_election_s_strangers_does_not_count(
    rig: Rig, heard: dict[str, Any]
) -> None:
    for tick in range(8):
        rig.hear(NOW + tick * SECOND // 2, **heard)
    assert (rig.counted, rig.last) == (0, None)


def test_short_datagram_is_none(rig: Rig) -> None:
    for message in (b"", b"\x31"):
        rig.foreign.refused(Datagram(Family.IPV4, STRANGER, ME, 255, 2, message), NOW)
    assert rig.counted == 0


def test_another_program_forgets_no_stranger(rig: Rig) -> None:
    rig.hear(NOW)
    rig.load(looked_for(base_priority=150))
    for tick in range(1, 4):
        rig.hear(NOW + tick * SECOND)
    assert rig.counted == 1
    rig.load(looked_for(name="b"))
    rig.hear(NOW + 4 * SECOND)
    assert rig.counted == 1


# What is heard ---------------------------------------------------------------------------


def test_groups_are_heard_for_unicast_elections_that_look_for_conflicts(rig: Rig) -> None:
    six = looked_for(name="b", slot=1, vrid=61, family=Family.IPV6, ifindex=3)
    rig.load(
        looked_for(),
        six,
        looked_for(name="c", slot=2, vrid=62, multicast=True),
        looked_for(name="d", slot=3, vrid=63, probes=()),
    )
    assert rig.observer.vrids == {(Family.IPV4, 51), (Family.IPV6, 61)}
    assert rig.foreign.groups() == {(Family.IPV4, 2), (Family.IPV6, 3)}
    rig.load()
    assert rig.observer.vrids == rig.observer.groups == set()


def test_without_detection_nothing_counts(rig: Rig) -> None:
    rig.load(looked_for(probes=()))
    for tick in range(8):
        rig.hear(NOW + tick * SECOND)
    assert rig.counted == 0


def test_refused_advertisement_to_us_alone_counts(rig: Rig) -> None:
    for tick in range(4):
        rig.refuse(NOW + tick * SECOND)
    assert rig.counted == 1


def test_refused_advertisement_to_the_group_counts_in_multicast(rig: Rig) -> None:
    rig.load(looked_for(multicast=True))
    for tick in range(4):
        rig.refuse(NOW + tick * SECOND, GROUP4, version=2)
    assert rig.counted == 1


def test_what_both_kinds_of_sockets_hear_counts_once(rig: Rig) -> None:
    for tick in range(4):
        rig.hear(NOW + tick * SECOND)
        rig.refuse(NOW + tick * SECOND, GROUP4)  # another election is in mode Multicast
    assert rig.counted == 1


def hear_storm(rig: Rig, count: int, at_ns: int) -> None:
    """Let the sockets hear so many advertisements at once."""
    message = sealed(compose(), STRANGER, GROUP4)
    rig.observer.waiting = [Datagram(Family.IPV4, STRANGER, GROUP4, 255, 2, message)] * count
    rig.foreign.receive(9, at_ns)


def test_storm_is_not_heard_for_the_rest_of_a_window(rig: Rig) -> None:
    heard = {(Family.IPV4, 51)}
    hear_storm(rig, MOST_IN_WINDOW - 1, NOW)
    assert (rig.observer.vrids, rig.foreign.next_deadline_ns()) == (heard, None)
    hear_storm(rig, MOST_IN_WINDOW - 1, NOW + WINDOW_NS)  # another window
    assert (rig.observer.vrids, rig.foreign.next_deadline_ns()) == (heard, None)
    hear_storm(rig, 1, NOW + WINDOW_NS + 1)
    end_ns = NOW + 2 * WINDOW_NS
    assert (rig.observer.vrids, rig.foreign.next_deadline_ns()) == (set(), end_ns)
    hear_storm(rig, 1, NOW + WINDOW_NS + 2)  # what was in the buffer does not make it longer
    rig.foreign.run(end_ns - 1)
    assert (rig.observer.vrids, rig.foreign.next_deadline_ns()) == (set(), end_ns)
    rig.foreign.run(end_ns)
    assert (rig.observer.vrids, rig.foreign.next_deadline_ns()) == (heard, None)


def test_another_program_ends_a_pause(rig: Rig) -> None:
    hear_storm(rig, MOST_IN_WINDOW, NOW)
    assert rig.observer.vrids == set()
    rig.load(looked_for(vrid=52))
    assert (rig.observer.vrids, rig.foreign.next_deadline_ns()) == ({(Family.IPV4, 52)}, None)


def test_group_that_cannot_be_joined_is_told(rig: Rig) -> None:
    rig.foreign.note_unobserved(2)
    assert snapshot(rig.shared).unobserved_groups == 2
    rig.foreign.note_unobserved(0)
    assert snapshot(rig.shared).unobserved_groups == 0


# Groups ----------------------------------------------------------------------------------


class Memberships:
    """Stands for a raw socket: has room for some memberships, as the kernel's limit says."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.joined: list[int] = []

    def setsockopt(self, _level: int, option: int, request: bytes) -> None:
        ifindex = int.from_bytes(request[-4:], "little")
        if option == socket.IP_DROP_MEMBERSHIP:
            self.joined.remove(ifindex)
        elif len(self.joined) == self.room:
            raise OSError(errno.ENOBUFS, "no room")
        else:
            self.joined.append(ifindex)


def test_group_without_room_is_missing_until_there_is_some() -> None:
    kernel: Any = Memberships(room=2)
    groups = JoinedGroups({Family.IPV4: kernel})
    links = [(Family.IPV4, 2), (Family.IPV4, 3)]
    assert groups.join(links) == set()
    assert groups.join([*links, (Family.IPV4, 4)]) == {(Family.IPV4, 4)}
    assert groups.join([links[0], (Family.IPV4, 4)]) == set()
    assert kernel.joined == [2, 4]


def test_forgotten_link_is_joined_again() -> None:
    kernel: Any = Memberships(room=2)
    groups = JoinedGroups({Family.IPV4: kernel})
    groups.join([(Family.IPV4, 2)])
    groups.forget(2)
    assert kernel.joined == []
    assert groups.join([(Family.IPV4, 2)]) == set()
    assert kernel.joined == [2]


def test_family_that_the_kernel_has_not_is_missing() -> None:
    assert JoinedGroups({}).join([(Family.IPV6, 2)]) == {(Family.IPV6, 2)}


# The kernel's filter ---------------------------------------------------------------------

_MULTICAST = 2


def passes(program: bytes, data: bytes, kind: int = _MULTICAST) -> bool:
    """Run a filter as the kernel does (linux/filter.h)."""
    instructions = [
        (
            int.from_bytes(program[i : i + 2], "little"),
            program[i + 2],
            program[i + 3],
            int.from_bytes(program[i + 4 : i + 8], "little"),
        )
        for i in range(0, len(program), 8)
    ]
    accumulator = index = at = 0
    while True:
        code, true, false, operand = instructions[at]
        at += 1
        if code == 0x06:
            return operand > 0
        if code == 0x15:
            at += true if accumulator == operand else false
        elif code == 0xB1:
            index = 4 * (data[operand] & 0xF)
        elif code == 0x20:
            assert operand == 0xFFFFF004
            accumulator = kind
        else:
            offset = operand + (index if code == 0x50 else 0)
            if offset >= len(data):
                return False
            accumulator = data[offset]


@pytest.mark.parametrize("family", list(Family))
@pytest.mark.parametrize("wanted", [(), (51,), (1, 51, 255), tuple(range(1, 256))])
def test_filter_lets_pass_the_wanted_vrids_only(family: Family, wanted: tuple[int, ...]) -> None:
    program = group_filter(family, wanted)
    for header in (b"\x45" + bytes(19), b"\x46" + bytes(23)):
        for vrid in range(256):
            message = bytes([0x31, vrid, 100, 1])
            data = header + message if family is Family.IPV4 else message
            assert passes(program, data) is (vrid in wanted)
            assert not passes(program, data, kind=0)  # to us alone: the elections' sockets have it


def test_filter_lets_no_truncated_message_pass() -> None:
    assert not passes(group_filter(Family.IPV4, (0, 51)), b"\x45" + bytes(19) + b"\x31")
    assert not passes(group_filter(Family.IPV6, (0, 51)), b"\x31")


def test_election_that_moves_to_another_link_is_heard_there(rig: Rig) -> None:
    rig.load(replace(looked_for(), ifindex=9))
    for tick in range(4):
        rig.hear(NOW + tick * SECOND, link=9)
    assert rig.counted == 1
    assert rig.foreign.groups() == {(Family.IPV4, 9)}
