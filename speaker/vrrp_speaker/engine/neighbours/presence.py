"""Which candidates answer, asked by ICMP echo: only for elections that require a majority.

A Backup is silent, so an Active Router cannot tell a dead standby from one it is cut off from.
Under ``splitBrainPolicy: RequireMajority`` every candidate asks the others once in an advertisement
interval, and takes part only while most of them, itself included, have answered lately: within the
time that a successor waits at least before it takes over.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from vrrp.constants import Family
from vrrp.packet import internet_checksum
from vrrp_speaker.engine.concern import Concern
from vrrp_speaker.engine.programs.fields import ADDRESS_FAMILIES
from vrrp_speaker.engine.programs.program import RouterProgram
from vrrp_speaker.engine.wire.transport import TRANSIENT, enlarge_send_buffer, holds_back

_ECHO = struct.Struct("!BBHHH")
_REQUEST = {Family.IPV4: 8, Family.IPV6: 128}
_REPLY = {Family.IPV4: 0, Family.IPV6: 129}
_PROTOCOL = {Family.IPV4: socket.IPPROTO_ICMP, Family.IPV6: socket.IPPROTO_ICMPV6}
_ICMP_FILTER, _ICMP6_FILTER, _SOL_RAW = 1, 1, 255  # raw(7), icmp6.h


@dataclass(slots=True)
class _Candidate:
    """One address that is asked, how often, and when it last answered."""

    family: Family
    text: str
    interval_ns: int
    ask_at_ns: int
    answered_ns: int


class Presence(Concern):
    """Asks and remembers; costs nothing, not even a socket, until an election wants it."""

    def __init__(self) -> None:
        self._candidates: dict[bytes, _Candidate] = {}
        self._sockets: dict[Family, socket.socket] = {}
        self._identifier = os.getpid() & 0xFFFF
        self._sequence = 0

    def filenos(self) -> tuple[int, ...]:
        """Return the descriptors to wait on."""
        return tuple(open_socket.fileno() for open_socket in self._sockets.values())

    def watch(self, programs: Iterable[RouterProgram], now_ns: int) -> None:
        """Ask the candidates of these elections from now on, and no others.

        Who is new counts as present until it had time to answer: a changed configuration is no
        reason to let an address go.
        """
        wanted: dict[bytes, _Candidate] = {}
        for program in programs:
            for address in candidates(program):
                known = self._candidates.get(address)
                text = socket.inet_ntop(ADDRESS_FAMILIES[program.family], address)
                ask_at_ns = known.ask_at_ns if known is not None else now_ns
                answered_ns = known.answered_ns if known is not None else now_ns
                asked = wanted.setdefault(
                    address,
                    _Candidate(
                        program.family, text, program.adver_interval_ns, ask_at_ns, answered_ns
                    ),
                )
                asked.interval_ns = min(asked.interval_ns, program.adver_interval_ns)
        self._candidates = wanted
        for family in {candidate.family for candidate in wanted.values()} - self._sockets.keys():
            self._sockets[family] = _echo_socket(family)

    def next_deadline_ns(self) -> int | None:
        """Return when somebody is to be asked."""
        return min((c.ask_at_ns for c in self._candidates.values()), default=None)

    def run(self, now_ns: int) -> None:
        """Ask whoever is due."""
        for candidate in self._candidates.values():
            if candidate.ask_at_ns <= now_ns:
                candidate.ask_at_ns = now_ns + candidate.interval_ns
                self._ask(candidate)

    def receive(self, descriptor: int, now_ns: int) -> None:
        """Take in the answers that wait on a descriptor."""
        for family, open_socket in self._sockets.items():
            if open_socket.fileno() == descriptor:
                for _ in range(64):
                    answered = self._answer(family, open_socket)
                    if answered is None:
                        return
                    if answered in self._candidates:
                        self._candidates[answered].answered_ns = now_ns

    def holds_back(self) -> bool:
        """Return whether some of the questions have not left."""
        return any(map(holds_back, self._sockets.values()))

    def has_majority(self, program: RouterProgram, now_ns: int) -> bool:
        """Return whether most candidates of an election, this node included, answered lately."""
        others = candidates(program)
        # A successor waits this long at least after the last advertisement it heard from us.
        patience_ns = max(1, program.down_advertisements - 1) * program.adver_interval_ns
        present = 1 + sum(
            1
            for address in others
            if address in self._candidates
            and now_ns - self._candidates[address].answered_ns <= patience_ns
        )
        return 2 * present > 1 + len(others)

    def _ask(self, candidate: _Candidate) -> None:
        self._sequence = (self._sequence + 1) & 0xFFFF
        kind = _REQUEST[candidate.family]
        echo = _ECHO.pack(kind, 0, 0, self._identifier, self._sequence)
        if candidate.family is Family.IPV4:  # the kernel fills in the checksum of ICMPv6
            echo = _ECHO.pack(kind, 0, internet_checksum(echo), self._identifier, self._sequence)
        try:
            self._sockets[candidate.family].sendto(echo, socket.MSG_DONTWAIT, (candidate.text, 0))
        except OSError as error:
            if error.errno not in TRANSIENT:
                raise

    def _answer(self, family: Family, open_socket: socket.socket) -> bytes | None:
        """Return who sent the next echo reply; b"" for one that is not ours, None without any."""
        try:
            data, sender = open_socket.recvfrom(256)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:
            if error.errno in TRANSIENT:
                return None
            raise
        offset = (data[0] & 0x0F) * 4 if family is Family.IPV4 else 0
        if len(data) < offset + _ECHO.size:
            return b""
        kind, _, _, identifier, _ = _ECHO.unpack_from(data, offset)
        if (kind, identifier) != (_REPLY[family], self._identifier):
            return b""
        return socket.inet_pton(ADDRESS_FAMILIES[family], sender[0].partition("%")[0])


def candidates(program: RouterProgram) -> tuple[bytes, ...]:
    """Return the other nodes of an election; routers outside the cluster have no vote."""
    return tuple(peer.address for peer in program.peers if not peer.external)


def _echo_socket(family: Family) -> socket.socket:
    raw = socket.socket(
        ADDRESS_FAMILIES[family], socket.SOCK_RAW | socket.SOCK_NONBLOCK, _PROTOCOL[family]
    )
    enlarge_send_buffer(raw)
    # Everything but echo replies stays in the kernel.
    if family is Family.IPV4:
        mask = struct.pack("=I", ~(1 << _REPLY[family]) & 0xFFFFFFFF)
        raw.setsockopt(_SOL_RAW, _ICMP_FILTER, mask)
    else:
        blocked = [0xFFFFFFFF] * 8
        blocked[_REPLY[family] // 32] &= ~(1 << _REPLY[family] % 32)
        raw.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, struct.pack("=8I", *blocked))
    return raw
