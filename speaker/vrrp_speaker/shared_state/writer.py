"""The engine's and the supervisor's view of the shared state."""

from __future__ import annotations

import mmap
import os
from bisect import bisect_left
from collections.abc import Iterator, Mapping

from vrrp.actions import StateChanged
from vrrp.constants import State
from vrrp.members import MAX_LEARNED
from vrrp_speaker.shared_state import layout
from vrrp_speaker.shared_state.sightings import Conflict, ForeignRouter, HeldByMember


class SharedState:
    """The writer's view: plain integers at fixed offsets of a shared mapping.

    Each is read and written in one piece. ``struct`` would zero a field before it fills it in, byte
    by byte: whoever looks meanwhile takes an engine for silent since boot, or a counter for begun
    anew.
    """

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory
        self._words = memoryview(memory).cast("Q")
        self.changes = 0
        """How often something changed that the agent reports, since this process began."""
        self._halves = memoryview(memory).cast("I")

    @classmethod
    def create(cls, path: str) -> SharedState:
        """Make or reopen the file at ``path`` and map it; old content with our magic is kept.

        Raises:
            OSError: the file cannot be made; nothing is left mapped.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            magic = os.pread(descriptor, layout.U64.size, layout.H_MAGIC)
            kept = magic == layout.U64.pack(layout.MAGIC)
            if not kept or os.fstat(descriptor).st_size != layout.SIZE:
                # Anew, not overwritten: a slot takes memory only once it is used.
                os.ftruncate(descriptor, 0)
                os.ftruncate(descriptor, layout.SIZE)
            memory = mmap.mmap(descriptor, layout.SIZE)
        finally:
            os.close(descriptor)
        shared = cls(memory)
        shared.set(layout.H_MAGIC, layout.MAGIC)
        return shared

    def get(self, offset: int) -> int:
        """Return the unsigned 64-bit integer at ``offset``, a multiple of 8."""
        return self._words[offset >> 3]

    def set(self, offset: int, value: int) -> None:
        """Write an unsigned 64-bit integer at ``offset``, a multiple of 8."""
        self._words[offset >> 3] = value

    def report(self, offset: int, value: int) -> None:
        """As ``set``, of what the agent reports: it is counted in ``changes`` if it differs."""
        if self._words[offset >> 3] != value:
            self._words[offset >> 3] = value
            self.changes += 1

    def add(self, offset: int, amount: int = 1) -> int:
        """Add to the integer at ``offset`` and return the new value (one writer only)."""
        value = self._words[offset >> 3] + amount
        self._words[offset >> 3] = value
        return value

    def add32(self, offset: int) -> None:
        """Count one in the unsigned 32-bit integer at ``offset``, a multiple of 4."""
        self._halves[offset >> 2] = (self._halves[offset >> 2] + 1) & 0xFFFFFFFF

    def note_heard(self, place: int, now_ns: int) -> None:
        """Count an advertisement of one sender, whose counters are at ``place``."""
        words, at = self._words, place >> 3
        words[at] += 1
        words[at + (layout.PEER_LAST >> 3)] = now_ns

    def learned(self, slot: int) -> Iterator[tuple[int, bytes]]:
        """Yield where each learned member of a router has its place, and its packed address."""
        for index in range(MAX_LEARNED):
            place = layout.learned_offset(slot, index)
            if self.get(place + layout.LEARNED_KNOWN):
                address = place + layout.LEARNED_ADDRESS
                yield place, layout.unmapped(self._memory[address : address + 16])

    def learn(self, slot: int, source: bytes, now_ns: int) -> int:
        """Give a learned member a free place and return it; all of it but the address is zero."""
        taken = {place for place, _ in self.learned(slot)}
        places = (layout.learned_offset(slot, index) for index in range(MAX_LEARNED))
        place = next(place for place in places if place not in taken)
        self.forget_learned(place)
        address = place + layout.LEARNED_ADDRESS
        self._memory[address : address + 16] = layout.mapped(source)
        self.set(place + layout.LEARNED_KNOWN, now_ns)  # last: who reads sees all or nothing
        return place

    def forget_learned(self, place: int) -> None:
        """Free the place of a learned member."""
        self.set(place + layout.LEARNED_KNOWN, 0)
        self._memory[place : place + layout.LEARNED_SIZE] = bytes(layout.LEARNED_SIZE)

    def note_duration(self, histogram: int, duration_ns: int) -> None:
        """Count a duration in one of the header's histograms."""
        bucket = bisect_left(layout.DURATION_BOUNDS_NS, duration_ns)
        self.add(histogram, duration_ns)
        self.add(histogram + 8 * (1 + bucket))

    def note_transition(self, slot: int, change: StateChanged, now_ns: int, wall_ns: int) -> int:
        """Write and count a state change and keep it in the history; return its sequence.

        ``wall_ns`` is nanoseconds since 1970. A reader that comes in between sees the old entry of
        the history go, never half of the new one.
        """
        sequence, start = self.add(layout.H_SEQUENCE), layout.slot_offset(slot)
        self.set(start + layout.S_STATE, layout.STATES.index(change.after))
        self.set(start + layout.S_SINCE, now_ns)
        self.add(start + layout.S_TRANSITIONS)
        self.add32(start + layout.transition_offset(change.before, change.after, change.reason))
        if State.ACTIVE in (change.before, change.after):
            count, ring, size = layout.S_TENURE_COUNT, layout.S_TENURES, layout.TENURES
        else:
            count, ring, size = layout.S_OTHER_COUNT, layout.S_OTHERS, layout.OTHERS
        place = (self.add(start + count) - 1) % size
        states = layout.STATES
        code = states.index(change.before) << 16 | states.index(change.after) << 8
        code |= layout.REASONS.index(change.reason)
        offset = start + ring + place * layout.TRANSITION.size
        self.set(offset, 0)
        layout.TRANSITION.pack_into(self._memory, offset, 0, wall_ns, code)
        self.set(offset, sequence)
        return sequence

    def note_conflict(self, slot: int, conflict: Conflict, count: int) -> None:
        """Count sightings of a stranger and keep the last one."""
        self._report_sighting(layout.slot_offset(slot) + layout.S_CONFLICT, conflict.seen_ns)
        fields = conflict.seen_ns, len(conflict.address), conflict.address, conflict.mac
        layout.CONFLICT.pack_into(
            self._memory, layout.slot_offset(slot) + layout.S_CONFLICT, *fields
        )
        self.add(layout.slot_offset(slot) + layout.S_CONFLICTS, count)

    def note_held(self, slot: int, held: HeldByMember | None) -> None:
        """Keep which address a member has; None: none that is to be told."""
        start = layout.slot_offset(slot)
        place = start + layout.S_HELD
        self.report(start + layout.S_HELD_BY, 0)
        if held is not None:
            self.changes += 1
            self._memory[place : place + 16] = layout.mapped(held.address)
            self.set(start + layout.S_HELD_BY, held.member)  # last: who reads sees all or nothing

    def note_foreign(self, slot: int, router: ForeignRouter) -> None:
        """Count an advertisement of a foreign router and keep who sent it."""
        start = layout.slot_offset(slot)
        self._report_sighting(start + layout.S_FOREIGN, router.seen_ns)
        fields = router.seen_ns, router.priority, len(router.source), router.source
        layout.FOREIGN.pack_into(self._memory, start + layout.S_FOREIGN, *fields)
        self.add(start + layout.S_FOREIGN_COUNT)

    def _report_sighting(self, place: int, seen_ns: int) -> None:
        """A stranger that goes on is worth a report every ten seconds."""
        if self.get(place) // layout.SIGHTING_NS != seen_ns // layout.SIGHTING_NS:
            self.changes += 1

    def clear_slot(self, slot: int) -> None:
        """Free a slot: all of it becomes zero."""
        start = layout.slot_offset(slot)
        self._memory[start : start + layout.SLOT_SIZE] = bytes(layout.SLOT_SIZE)

    def move_slots(self, moves: Mapping[int, int]) -> None:
        """Move what each slot has to another; what is left behind is free, also where two swap."""
        size = layout.SLOT_SIZE
        starts = {before: layout.slot_offset(before) for before in moves}
        contents = {before: self._memory[at : at + size] for before, at in starts.items()}
        for before in moves:
            self.clear_slot(before)
        for before, after in moves.items():
            start = layout.slot_offset(after)
            self._memory[start : start + size] = contents[before]
