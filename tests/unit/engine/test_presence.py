"""Which candidates answer: whom it asks and when, whom it believes, and what a majority is."""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import Any

import pytest
from tests.unit.engine.programs import packed, router_program

from vrrp.constants import Family
from vrrp.packet import internet_checksum
from vrrp_speaker.engine.neighbours.presence import Presence, candidates
from vrrp_speaker.engine.programs.program import Peer, RouterProgram

NOW, SECOND, MS = 10**12, 10**9, 10**6
INTERVAL = 200 * MS
PATIENCE = 2 * INTERVAL
"""Three missed advertisements less one: a successor waits so long at least."""
TWO, THREE, FOUR = "192.0.2.12", "192.0.2.13", "192.0.2.14"
IDENTIFIER = os.getpid() & 0xFFFF


class Wire:
    """Stands for a raw socket: remembers what was sent and set, and gives out what is queued."""

    made: list[Wire]

    def __init__(self, family: int, kind: int, protocol: int) -> None:
        self.family, self.kind, self.protocol = family, kind, protocol
        self.sent: list[tuple[bytes, str]] = []
        self.options: dict[tuple[int, int], bytes] = {}
        self.queued: list[tuple[bytes, str]] = []
        self.refuses = 0
        self.made.append(self)

    def fileno(self) -> int:
        return 100 + self.made.index(self)

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        self.options[level, option] = value

    def sendto(self, data: bytes, _flags: int, to: tuple[str, int]) -> None:
        if self.refuses:
            raise OSError(self.refuses, "refused")
        self.sent.append((data, to[0]))

    def recvfrom(self, _size: int) -> tuple[bytes, tuple[str, int]]:
        if not self.queued:
            raise BlockingIOError
        data, sender = self.queued.pop(0)
        if not data:
            raise OSError(int(sender), "refused")
        return data, (sender, 0)


@pytest.fixture
def wires(monkeypatch: pytest.MonkeyPatch) -> list[Wire]:
    monkeypatch.setattr(Wire, "made", [], raising=False)
    monkeypatch.setattr(socket, "socket", Wire)
    return Wire.made


@pytest.fixture
def presence(wires: list[Wire]) -> Presence:
    """Two other candidates are asked from now on."""
    presence = Presence()
    presence.watch([voting(TWO, THREE)], NOW)
    return presence


def voting(*texts: str, **changed: Any) -> RouterProgram:
    """Return an election with these other candidates."""
    peers = (Peer(f"node-{text}", packed(text)) for text in texts)
    return router_program(*peers, **{"require_majority": True, **changed})


def reply(
    kind: int = 0, identifier: int = IDENTIFIER, options: bytes = b"", *, six: bool = False
) -> bytes:
    """Return an echo reply as a raw socket delivers it: in IPv4 behind its header."""
    echo = struct.pack("!BBHHH", kind, 0, 0, identifier, 1)
    header = bytes([0x45 + len(options) // 4]) + bytes(19) + options
    return echo if six else header + echo


def answer(presence: Presence, wire: Wire, at_ns: int, sender: str, data: bytes = b"") -> None:
    """Let a candidate answer."""
    wire.queued.append((data or reply(), sender))
    presence.receive(wire.fileno(), at_ns)


# Asking ----------------------------------------------------------------------------------


def test_nothing_is_opened_until_an_election_wants_a_majority(wires: list[Wire]) -> None:
    presence = Presence()
    presence.watch([], NOW)
    presence.run(NOW)
    assert (wires, presence.filenos(), presence.next_deadline_ns()) == ([], (), None)
    presence.watch([voting(TWO)], NOW)
    assert presence.filenos() == (100,)


def test_each_candidate_is_asked_at_once_and_once_in_an_interval(
    presence: Presence, wires: list[Wire]
) -> None:
    for at_ns in (NOW, NOW + INTERVAL - 1, NOW + INTERVAL):
        presence.run(at_ns)
    assert [to for _, to in wires[0].sent] == [TWO, THREE, TWO, THREE]
    assert presence.next_deadline_ns() == NOW + 2 * INTERVAL


def test_question_is_an_icmp_echo_with_a_new_sequence_each_time(
    presence: Presence, wires: list[Wire]
) -> None:
    presence.run(NOW)
    (first, _), (second, _) = wires[0].sent
    # RFC 792: type 8, code 0; the checksum over all of it is 0.
    assert first[:2] == second[:2] == b"\x08\x00"
    assert internet_checksum(first) == internet_checksum(second) == 0
    assert struct.unpack("!HH", first[4:]) == (IDENTIFIER, 1)
    assert struct.unpack("!HH", second[4:]) == (IDENTIFIER, 2)


def test_ipv6_candidates_are_asked_over_icmpv6(wires: list[Wire]) -> None:
    presence = Presence()
    presence.watch([voting(TWO), voting("2001:db8::12", family=Family.IPV6)], NOW)
    presence.run(NOW)
    four, six = wires if wires[0].family == socket.AF_INET else wires[::-1]
    assert (six.family, six.protocol) == (socket.AF_INET6, socket.IPPROTO_ICMPV6)
    # RFC 4443 §4.1: type 128; the kernel fills in the checksum.
    assert [(data[:4], to) for data, to in six.sent] == [(b"\x80\x00\x00\x00", "2001:db8::12")]
    assert [to for _, to in four.sent] == [TWO]
    answer(presence, six, NOW + MS, "2001:db8::12%eth0", reply(129, six=True))
    program = voting("2001:db8::12", family=Family.IPV6)
    assert presence.has_majority(program, NOW + MS + PATIENCE)


def test_kernel_lets_pass_echo_replies_only(wires: list[Wire]) -> None:
    Presence().watch([voting(TWO), voting("2001:db8::12", family=Family.IPV6)], NOW)
    four, six = wires if wires[0].family == socket.AF_INET else wires[::-1]
    # raw(7) and icmp6.h: a bit that is set blocks its type.
    (blocked,) = struct.unpack("=I", four.options[255, 1])
    assert [kind for kind in range(32) if not blocked >> kind & 1] == [0]
    words = struct.unpack("=8I", six.options[socket.IPPROTO_ICMPV6, 1])
    assert [kind for kind in range(256) if not words[kind // 32] >> kind % 32 & 1] == [129]


def test_candidate_of_two_elections_is_asked_as_often_as_the_faster_wants(
    wires: list[Wire],
) -> None:
    presence = Presence()
    slow = voting(TWO, THREE, adver_interval_ns=SECOND)
    presence.watch([slow, voting(TWO)], NOW)
    for step in range(6):
        presence.run(NOW + step * INTERVAL)
    asked = [to for _, to in wires[0].sent]
    assert (asked.count(TWO), asked.count(THREE)) == (6, 2)


def test_who_is_no_candidate_any_more_is_not_asked(presence: Presence, wires: list[Wire]) -> None:
    presence.watch([voting(THREE)], NOW)
    presence.run(NOW)
    assert [to for _, to in wires[0].sent] == [THREE]
    assert len(wires) == 1


@pytest.mark.parametrize("number", [errno.ENETDOWN, errno.EPERM, errno.EACCES])
def test_question_that_cannot_leave_is_asked_again_later(
    presence: Presence, wires: list[Wire], number: int
) -> None:
    wires[0].refuses = number
    presence.run(NOW)
    assert presence.next_deadline_ns() == NOW + INTERVAL
    wires[0].refuses = 0
    presence.run(NOW + INTERVAL)
    assert [to for _, to in wires[0].sent] == [TWO, THREE]


def test_error_that_nothing_explains_is_no_secret(presence: Presence, wires: list[Wire]) -> None:
    wires[0].refuses = errno.EBADF
    with pytest.raises(OSError, match="refused"):
        presence.run(NOW)
    wires[0].queued.append((b"", str(errno.EBADF)))
    with pytest.raises(OSError, match="refused"):
        presence.receive(100, NOW)


# Believing -------------------------------------------------------------------------------


def test_who_is_new_counts_until_it_had_time_to_answer(presence: Presence) -> None:
    program = voting(TWO, THREE)
    assert presence.has_majority(program, NOW + PATIENCE)
    assert not presence.has_majority(program, NOW + PATIENCE + 1)


def test_answer_counts_for_as_long_as_a_successor_waits_at_least(
    presence: Presence, wires: list[Wire]
) -> None:
    program, at_ns = voting(TWO, THREE), NOW + 10 * SECOND
    assert not presence.has_majority(program, at_ns)
    answer(presence, wires[0], at_ns, TWO)
    assert presence.has_majority(program, at_ns + PATIENCE)
    assert not presence.has_majority(program, at_ns + PATIENCE + 1)


def test_patience_is_one_interval_at_least(presence: Presence, wires: list[Wire]) -> None:
    hasty, at_ns = voting(TWO, THREE, down_advertisements=1), NOW + 10 * SECOND
    answer(presence, wires[0], at_ns, TWO)
    assert presence.has_majority(hasty, at_ns + INTERVAL)
    assert not presence.has_majority(hasty, at_ns + INTERVAL + 1)


@pytest.mark.parametrize(
    ("data", "sender"),
    [
        (reply(identifier=IDENTIFIER ^ 1), TWO),
        (reply(kind=8), TWO),
        (reply()[:-1], TWO),
        (reply(), FOUR),
    ],
    ids=["of another ping", "a question", "cut short", "of a stranger"],
)
def test_what_is_no_answer_of_a_candidate(
    presence: Presence, wires: list[Wire], data: bytes, sender: str
) -> None:
    at_ns = NOW + 10 * SECOND
    answer(presence, wires[0], at_ns, sender, data)
    assert not presence.has_majority(voting(TWO, THREE), at_ns)
    answer(presence, wires[0], at_ns, TWO)
    assert presence.has_majority(voting(TWO, THREE), at_ns)


def test_answer_behind_ip_options_counts(presence: Presence, wires: list[Wire]) -> None:
    at_ns = NOW + 10 * SECOND
    answer(presence, wires[0], at_ns, TWO, reply(options=bytes(8)))
    assert presence.has_majority(voting(TWO, THREE), at_ns)


def test_answers_that_wait_are_taken_in_together_and_not_without_end(
    presence: Presence, wires: list[Wire]
) -> None:
    wires[0].queued = [(reply(), FOUR)] * 100
    presence.receive(100, NOW)
    assert len(wires[0].queued) == 36
    presence.receive(99, NOW)  # somebody else's descriptor
    assert len(wires[0].queued) == 36


def test_answer_behind_somebody_else_s_is_read_as_well(
    presence: Presence, wires: list[Wire]
) -> None:
    at_ns = NOW + 10 * SECOND
    wires[0].queued = [(reply(identifier=IDENTIFIER ^ 1), THREE), (reply(), TWO)]
    presence.receive(100, at_ns)
    assert presence.has_majority(voting(TWO, THREE), at_ns)


def test_error_of_a_lost_link_ends_the_reading_and_nothing_else(
    presence: Presence, wires: list[Wire]
) -> None:
    wires[0].queued = [(b"", str(errno.ENETDOWN)), (reply(), TWO)]
    at_ns = NOW + 10 * SECOND
    presence.receive(100, at_ns)
    assert not presence.has_majority(voting(TWO, THREE), at_ns)
    presence.receive(100, at_ns)
    assert presence.has_majority(voting(TWO, THREE), at_ns)


def test_other_program_forgets_no_answer_and_no_silence(
    presence: Presence, wires: list[Wire]
) -> None:
    at_ns, program = NOW + 10 * SECOND, voting(TWO, THREE, FOUR)
    answer(presence, wires[0], at_ns, TWO)
    presence.watch([program], at_ns + MS)
    # Itself, one that answered and one that is new.
    assert presence.has_majority(program, at_ns + PATIENCE)
    assert not presence.has_majority(program, at_ns + PATIENCE + 1)


# Majorities ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("others", "answering", "enough"),
    [
        (0, 0, True),
        (1, 0, False),  # half is no majority: the other one may think the same
        (1, 1, True),
        (2, 0, False),
        (2, 1, True),
        (3, 1, False),
        (3, 2, True),
        (4, 1, False),
        (4, 2, True),
        (62, 30, False),
        (62, 31, True),
    ],
)
def test_majority_is_more_than_half_of_all_candidates_with_this_node(
    wires: list[Wire], others: int, answering: int, enough: bool
) -> None:
    texts = [f"192.0.2.{100 + number}" for number in range(others)]
    presence, program, at_ns = Presence(), voting(*texts), NOW + 10 * SECOND
    presence.watch([program], NOW)
    for text in texts[:answering]:
        answer(presence, wires[0], at_ns, text)
    assert presence.has_majority(program, at_ns) is enough


def test_routers_outside_the_cluster_have_no_vote(wires: list[Wire]) -> None:
    external = Peer("gateway", packed(FOUR), external=True)
    program = router_program(Peer("node-2", packed(TWO)), external)
    assert candidates(program) == (packed(TWO),)
    presence = Presence()
    presence.watch([program], NOW)
    presence.run(NOW)
    assert [to for _, to in wires[0].sent] == [TWO]


def test_election_that_is_not_watched_has_nobody_s_answers(presence: Presence) -> None:
    assert not presence.has_majority(voting(FOUR, "192.0.2.15"), NOW)
