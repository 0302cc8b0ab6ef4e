"""Routers outside the election that advertise with its VRID (condition ForeignVRRP).

They are looked for where conflicts are: among what was refused, and, as nobody joins the VRRP group
in unicast mode, on sockets that join it only to look. These are apart from those of the elections:
what arrives there can become no event, takes none of their memberships and no place in their
buffers, and is read last, a little at a time. The kernel lets pass the group's packets with VRIDs
that are looked for, so other elections on the link do not wake the engine.

A stranger counts once it has been there for three seconds: while a change of configuration goes
round, nodes of one election may not know each other yet.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vrrp.constants import NS_PER_CENTISECOND, NS_PER_SECOND, Family
from vrrp.foreign import foreign_advertisement
from vrrp.packet import Advertisement
from vrrp.validation import Datagram, Election, Elections
from vrrp_speaker.engine.concern import Concern
from vrrp_speaker.engine.programs.program import RouterProgram
from vrrp_speaker.engine.wire import bpf
from vrrp_speaker.engine.wire.joined_groups import Group, JoinedGroups
from vrrp_speaker.engine.wire.transport import open_sockets, receive_datagram
from vrrp_speaker.shared_state import ForeignRouter, SharedState
from vrrp_speaker.shared_state import layout as shm

SETTLING_NS = 3 * NS_PER_SECOND
_SHORTEST_MEMORY_NS = 1 * NS_PER_SECOND
_MISSED = 3
"""A stranger that missed so many of its own intervals is another one when it comes back."""
_RECEIVE_BUFFER = 1 << 16
"""Small on purpose: what a storm does not fit into it costs the engine nothing."""
_BATCH = 16
WINDOW_NS = NS_PER_SECOND // 10
MOST_IN_WINDOW = 50
"""After so many nothing passes for the rest of the window: a storm costs 500 looks a second."""


def group_filter(family: Family, vrids: Iterable[int]) -> bytes:
    """Return the BPF program that lets pass multicast advertisements with these VRIDs.

    A raw socket's data begins with the IP header in IPv4, behind the headers in IPv6.
    """
    wanted = sorted(set(vrids))
    load: list[bpf.Instruction] = [(bpf.LOAD_BYTE, 0, 0, 1)]
    if family is Family.IPV4:
        load = [(bpf.LOAD_HEADER_LENGTH, 0, 0, 0), (bpf.LOAD_BYTE_INDEXED, 0, 0, 1)]
    return bpf.assemble(
        [
            (bpf.LOAD_WORD, 0, 0, bpf.PACKET_TYPE),
            (bpf.JUMP_IF_EQUAL, 1, 0, bpf.PACKET_MULTICAST),
            (bpf.RETURN, 0, 0, 0),
            *load,
            # Each jumps over those that follow it and the refusal; 255 is as far as one can.
            *((bpf.JUMP_IF_EQUAL, len(wanted) - i, 0, vrid) for i, vrid in enumerate(wanted)),
            (bpf.RETURN, 0, 0, 0),
            (bpf.RETURN, 0, 0, bpf.ALL),
        ]
    )


class Observer:
    """Sockets that hear the VRRP group and never speak.

    Raises:
        PermissionError: the process may not open raw sockets (CAP_NET_RAW).
    """

    def __init__(self) -> None:
        self._sockets = open_sockets()
        self._by_descriptor = {s.fileno(): family for family, s in self._sockets.items()}
        self._groups = JoinedGroups(self._sockets)
        for open_socket in self._sockets.values():
            open_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        self.look_for(())

    def filenos(self) -> tuple[int, ...]:
        """Return the descriptors to wait on."""
        return tuple(self._by_descriptor)

    def look_for(self, vrids: Iterable[tuple[Family, int]]) -> None:
        """Let pass these VRIDs from now on, and no others."""
        wanted = set(vrids)
        for family, open_socket in self._sockets.items():
            bpf.attach(open_socket, group_filter(family, (v for f, v in wanted if f is family)))

    def join_groups(self, wanted: Iterable[Group]) -> int:
        """Hear the group there and nowhere else; return in how many places that did not work."""
        return len(self._groups.join(wanted))

    def forget_groups(self, ifindex: int) -> None:
        """An interface went, and its memberships with it."""
        self._groups.forget(ifindex)

    def receive(self, descriptor: int) -> Iterator[Datagram]:
        """Yield a bounded batch of what waits on a descriptor."""
        family = self._by_descriptor[descriptor]
        for _ in range(_BATCH):
            datagram = receive_datagram(self._sockets[family], family)
            if datagram is None:
                return
            yield datagram

    def close(self) -> None:
        """Close the sockets."""
        for open_socket in self._sockets.values():
            open_socket.close()


@dataclass(slots=True)
class UsedVrid:
    """One election that is looked after, and since when a stranger uses its VRID."""

    program: RouterProgram
    election: Election
    since_ns: int = 0
    until_ns: int = 0

    def settled(self, advertisement: Advertisement, now_ns: int) -> bool:
        """Take in a stranger's advertisement; return whether one has been there long enough."""
        if now_ns > self.until_ns:
            self.since_ns = now_ns
        interval_ns = advertisement.interval_cs * NS_PER_CENTISECOND
        self.until_ns = now_ns + max(_SHORTEST_MEMORY_NS, _MISSED * interval_ns)
        return now_ns - self.since_ns >= SETTLING_NS


class ForeignRouters(Concern):
    """Looks after every router whose program has probes: conflicts are looked for there."""

    def __init__(self, shared: SharedState, observer: Observer) -> None:
        self._shared = shared
        self._observer = observer
        self._watches: dict[tuple[Family, int], UsedVrid] = {}
        self._window_ns, self._looked = 0, 0
        self._paused_until_ns: int | None = None

    def filenos(self) -> tuple[int, ...]:
        """Return the descriptors to wait on."""
        return self._observer.filenos()

    def sync(self, programs: Iterable[RouterProgram], elections: Elections) -> None:
        """Look after these from now on; what is known of those that stay is kept."""
        before, self._watches = self._watches, {}
        for program in programs:
            if not program.probes:
                continue
            key = program.family, program.vrid
            watch = UsedVrid(program, elections.by_id[key])
            known = before.get(key)
            if known is not None and known.program.name == program.name:
                watch.since_ns, watch.until_ns = known.since_ns, known.until_ns
            self._watches[key] = watch
        self._observer.look_for(self._in_unicast())
        self._paused_until_ns = None

    def groups(self) -> frozenset[Group]:
        """Return which groups to hear: those of all elections in unicast mode."""
        watches = self._in_unicast().values()
        return frozenset((w.program.family, w.program.ifindex) for w in watches)

    def join_groups(self, wanted: Iterable[Group]) -> int:
        """Hear these groups and no others; return how many cannot be heard; not in the loop."""
        return self._observer.join_groups(wanted)

    def note_unobserved(self, missing: int) -> None:
        """Tell how many groups are not heard. That is no fault: the election does not need it."""
        self._shared.set(shm.H_UNOBSERVED, missing)

    def forget_groups(self, ifindex: int) -> None:
        """An interface went, and its memberships with it; not in the loop."""
        self._observer.forget_groups(ifindex)

    def receive(self, descriptor: int, now_ns: int) -> None:
        """Take in what the group heard; where that is too much, hear nothing for a while."""
        if now_ns - self._window_ns >= WINDOW_NS:
            self._window_ns, self._looked = now_ns, 0
        for datagram in self._observer.receive(descriptor):
            self._look_at(datagram, now_ns, observed=True)
            self._looked += 1
        if self._looked >= MOST_IN_WINDOW and self._paused_until_ns is None:
            self._observer.look_for(())
            self._paused_until_ns = self._window_ns + WINDOW_NS

    def next_deadline_ns(self) -> int | None:
        """Return when ``run`` has something to do."""
        return self._paused_until_ns

    def run(self, now_ns: int) -> None:
        """End a pause that is over."""
        if self._paused_until_ns is not None and now_ns >= self._paused_until_ns:
            self._observer.look_for(self._in_unicast())
            self._paused_until_ns = None

    def refused(self, datagram: Datagram, now_ns: int) -> None:
        """Look at a datagram that no election takes: is it a stranger's with a VRID of ours?"""
        self._look_at(datagram, now_ns, observed=False)

    def _look_at(self, datagram: Datagram, now_ns: int, *, observed: bool) -> None:
        if len(datagram.message) < 2:
            return
        watch = self._watches.get((datagram.family, datagram.message[1]))
        if watch is None or datagram.ifindex != watch.program.ifindex:
            return
        # What the group hears comes twice where another election is in mode Multicast.
        to_group = datagram.destination == datagram.family.group
        if observed is not (to_group and not watch.program.multicast):
            return
        advertisement = foreign_advertisement(datagram, watch.election)
        if advertisement is not None and watch.settled(advertisement, now_ns):
            stranger = ForeignRouter(datagram.source, advertisement.priority, now_ns)
            self._shared.note_foreign(watch.program.slot, stranger)

    def _in_unicast(self) -> dict[tuple[Family, int], UsedVrid]:
        return {key: w for key, w in self._watches.items() if not w.program.multicast}
