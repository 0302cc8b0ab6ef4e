"""What the engine knows, in memory it shares with supervisor and agent.

The engine writes single fields in place: no system call, no message, no waiting for a reader.
The agent reads a copy at each scrape, also while the engine is stalled or being replaced, and a
replaced engine finds its own past here. Integers are little-endian and aligned, so a reader sees
each one either before or after a write.

Layout: one header page, then ``SLOTS`` fixed slots, one for each Virtual Router. All times are
CLOCK_MONOTONIC nanoseconds; 0 means never.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from vrrp.constants import Observation, RejectReason, State, TransitionReason

MAGIC = 0x4B56525031000003
SLOTS = 256
MAX_PEERS = 79
"""63 other candidates and 16 routers outside the cluster."""
HEADER_SIZE = 4096
SLOT_SIZE = 4096
SIZE = HEADER_SIZE + SLOTS * SLOT_SIZE

LATENESS_BOUNDS_NS = tuple(
    int(ms * 1_000_000) for ms in (0.25, 0.5, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)
)
"""Upper bounds of the lateness histogram; a last bucket without bound follows."""


class AnnouncementKind(StrEnum):
    """The kinds of announcement frames, as in ``announcements_sent_total{kind}``."""

    GRATUITOUS_ARP_REQUEST = "GratuitousARPRequest"
    GRATUITOUS_ARP_REPLY = "GratuitousARPReply"
    UNSOLICITED_NA = "UnsolicitedNA"
    ARP_PROBE = "ARPProbe"
    NEIGHBOR_PROBE = "NeighborProbe"


class FencingReason(StrEnum):
    """Why addresses were taken off outside the protocol, as in ``fencing_total{reason}``."""

    LATE_WAKE = "late_wake"
    LAST_WILL = "last_will"
    LEFT_OVER = "left_over"


class EngineFault(StrEnum):
    """What the engine itself finds wrong with holding an address; names as in NodeConfig status."""

    INTERFACE_DOWN = "InterfaceDown"
    SOURCE_ADDRESS_MISSING = "SourceAddressMissing"
    ADDRESS_INSTALL_FAILED = "AddressInstallFailed"
    NO_MAJORITY = "NoMajority"
    ADDRESS_CONFLICT = "AddressConflict"


FAULTS = tuple(EngineFault)
STATES = tuple(State)
REASONS = tuple(TransitionReason)
REJECTIONS = tuple(RejectReason)
OBSERVATIONS = tuple(Observation)
KINDS = tuple(AnnouncementKind)
IPV6_KINDS = (AnnouncementKind.UNSOLICITED_NA, AnnouncementKind.NEIGHBOR_PROBE)
FENCINGS = tuple(FencingReason)

# Header: offsets of unsigned 64-bit integers.
_H_MAGIC = 0
H_HEARTBEAT = 8
H_ENGINE_PID = 16
H_ENGINE_STARTS = 24
H_GENERATION = 32
H_QUEUE_LENGTH = 40
H_LATENESS_SUM = 48
H_REAL_TIME = 56
H_EVENTS_DROPPED = 64
H_SEND_ERRORS = 72
H_SEQUENCE = 80
H_LOADED = 88
H_CLOCK_OFFSET = 96  # of the sender's sequence: wall time minus monotonic time
H_SILENCE_LIMIT = 104  # how long the loop may be silent before it is replaced
H_MEMORY_LOCKED = 112
H_CLOCK_LAST = 120  # the sequence that signed last
H_LATENESS = 128  # len(LATENESS_BOUNDS_NS) + 1 counters
H_REJECTED = 512  # by index in REJECTIONS
H_OBSERVED = 768  # by index in OBSERVATIONS
H_ANNOUNCED = 1024  # by index in KINDS
H_FENCED = 1280  # by index in FENCINGS

# Slot: offsets of unsigned 64-bit integers, from the start of the slot.
S_NAME_HASH = 0  # 0: free
S_STATE = 8  # index in STATES
S_SINCE = 16
S_EFFECTIVE_PRIORITY = 24
S_BASE_PRIORITY = 32
S_TRANSITIONS = 40
S_SENT = 48
S_LAST_SENT = 56
S_ADDRESS_PRESENT = 64
S_RESTORED = 72
S_DUAL_ACTIVE = 80
S_VRID = 88
S_FAULTS = 96  # bit set, by index in FAULTS
S_UNLISTED = 104  # received, last heard: multicast routers that are no configured peers
S_CONFLICTS = 128
S_CONFLICT = 136  # the last one, as _CONFLICT
S_TRANSITION_COUNTS = 256  # unsigned 32-bit [from][to][reason]
S_PEERS = 1024  # MAX_PEERS × (received, last heard, replay mark)
PEER_SIZE = 24
PEER_RECEIVED, PEER_LAST, PEER_MARK = 0, 8, 16

_U64 = struct.Struct("<Q")
_U32 = struct.Struct("<I")
_CONFLICT = struct.Struct("<QQ16s6s")  # when, length of the address, address, hardware address


@dataclass(frozen=True, slots=True)
class PeerState:
    """What was heard from one peer: advertisements accepted, and when the last one came."""

    received: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class Conflict:
    """The host outside the election that was last seen with one of the addresses (packed)."""

    address: bytes
    mac: bytes
    seen_ns: int


@dataclass(frozen=True, slots=True)
class RouterState:
    """One Virtual Router as the engine last wrote it; peers in the order of the program."""

    state: str
    since_ns: int
    effective_priority: int
    base_priority: int
    transitions: int
    advertisements_sent: int
    last_sent_ns: int
    address_present: bool
    addresses_restored: int
    dual_active_ns: int
    vrid: int
    faults: tuple[str, ...]
    peers: tuple[PeerState, ...]
    unlisted: PeerState
    transition_counts: tuple[tuple[str, str, str, int], ...]
    conflicts: int
    last_conflict: Conflict | None


@dataclass(frozen=True, slots=True)
class EngineState:
    """One copy of everything the engine shares; ``routers`` by slot, used slots only."""

    heartbeat_ns: int
    engine_pid: int
    engine_starts: int
    generation: int
    loaded: bool
    real_time: bool
    memory_locked: bool
    lateness_bounds_ns: tuple[int, ...]
    lateness_counts: tuple[int, ...]
    lateness_sum_ns: int
    rejected: dict[str, int]
    observed: dict[str, int]
    unknown_vrid: int
    announcements_sent: dict[str, int]
    announcement_queue_length: int
    fencing: dict[str, int]
    events_dropped: int
    send_errors: int
    routers: dict[int, RouterState]


def name_hash(name: str) -> int:
    """Return a stable non-zero 64-bit number for a router's name (FNV-1a)."""
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value or 1


def slot_offset(slot: int) -> int:
    """Return where a slot starts; ``slot`` is 0 to SLOTS − 1."""
    return HEADER_SIZE + slot * SLOT_SIZE


def peer_offset(slot: int, index: int) -> int:
    """Return where the counters of one peer start; ``index`` is its place in the program."""
    return slot_offset(slot) + S_PEERS + PEER_SIZE * index


def transition_offset(before: State, after: State, reason: TransitionReason) -> int:
    """Return the offset of one transition counter from the start of its slot."""
    row = STATES.index(before) * len(STATES) + STATES.index(after)
    return S_TRANSITION_COUNTS + 4 * (row * len(REASONS) + REASONS.index(reason))


class SharedState:
    """The writer's view: plain integers at fixed offsets of a shared mapping."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory

    @classmethod
    def create(cls, path: str) -> SharedState:
        """Make or reopen the file at ``path`` and map it; old content with our magic is kept.

        Raises:
            OSError: the file cannot be made; nothing is left mapped.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if os.fstat(descriptor).st_size != SIZE:
                os.ftruncate(descriptor, 0)
                os.ftruncate(descriptor, SIZE)
            memory = mmap.mmap(descriptor, SIZE)
        finally:
            os.close(descriptor)
        shared = cls(memory)
        if shared.get(_H_MAGIC) != MAGIC:
            memory[:] = bytes(SIZE)
            shared.set(_H_MAGIC, MAGIC)
        return shared

    def get(self, offset: int) -> int:
        """Return the unsigned 64-bit integer at ``offset``."""
        value: int = _U64.unpack_from(self._memory, offset)[0]
        return value

    def set(self, offset: int, value: int) -> None:
        """Write an unsigned 64-bit integer at ``offset``."""
        _U64.pack_into(self._memory, offset, value)

    def add(self, offset: int, amount: int = 1) -> int:
        """Add to the integer at ``offset`` and return the new value (one writer only)."""
        value = self.get(offset) + amount
        _U64.pack_into(self._memory, offset, value)
        return value

    def add32(self, offset: int) -> None:
        """Count one in the unsigned 32-bit integer at ``offset``."""
        value = _U32.unpack_from(self._memory, offset)[0]
        _U32.pack_into(self._memory, offset, (value + 1) & 0xFFFFFFFF)

    def note_conflict(self, slot: int, conflict: Conflict, count: int) -> None:
        """Count sightings of a stranger and keep the last one."""
        fields = conflict.seen_ns, len(conflict.address), conflict.address, conflict.mac
        _CONFLICT.pack_into(self._memory, slot_offset(slot) + S_CONFLICT, *fields)
        self.add(slot_offset(slot) + S_CONFLICTS, count)

    def clear_slot(self, slot: int) -> None:
        """Free a slot: all of it becomes zero."""
        start = slot_offset(slot)
        self._memory[start : start + SLOT_SIZE] = bytes(SLOT_SIZE)

    def snapshot(self) -> EngineState:
        """Return a copy for a reader in this process."""
        return _decode(bytes(self._memory))


class SharedStateReader:
    """The reader's view; maps the engine's file read-only.

    Raises:
        OSError: the file does not exist yet.
        ValueError: the file is not (yet) shared state of this version.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if os.fstat(descriptor).st_size != SIZE:
                raise ValueError(f"{os.fspath(path)}: not the shared state of this version")
            self._memory = mmap.mmap(descriptor, SIZE, prot=mmap.PROT_READ)
        finally:
            os.close(descriptor)
        if _U64.unpack_from(self._memory, _H_MAGIC)[0] != MAGIC:
            raise ValueError(f"{os.fspath(path)}: not the shared state of this version")

    def snapshot(self) -> EngineState:
        """Return one copy of everything."""
        return _decode(bytes(self._memory))

    def digest(self, slots: Iterable[int]) -> tuple[int, ...]:
        """Return what differs whenever a status would: generation, and each slot's state.

        A snapshot copies half a megabyte; this is cheap enough to be compared all the time.
        """
        found = [_U64.unpack_from(self._memory, H_GENERATION)[0]]
        for slot in slots:
            start = slot_offset(slot)
            found += (
                _U64.unpack_from(self._memory, start + field)[0]
                for field in (S_VRID, S_STATE, S_SINCE, S_EFFECTIVE_PRIORITY, S_FAULTS)
            )
            # A stranger that goes on is news every ten seconds.
            found.append(_U64.unpack_from(self._memory, start + S_CONFLICT)[0] // 10**10)
        return tuple(found)

    def heartbeat_ns(self) -> int:
        """Return when the engine's loop last turned, without copying the rest."""
        value: int = _U64.unpack_from(self._memory, H_HEARTBEAT)[0]
        return value


def _counters(data: bytes, offset: int, count: int) -> tuple[int, ...]:
    return struct.unpack_from(f"<{count}Q", data, offset)


def _decode(data: bytes) -> EngineState:
    rejected = dict(zip(REJECTIONS, _counters(data, H_REJECTED, len(REJECTIONS)), strict=True))
    header = _counters(data, 0, H_LATENESS // 8)
    return EngineState(
        heartbeat_ns=header[H_HEARTBEAT // 8],
        engine_pid=header[H_ENGINE_PID // 8],
        engine_starts=header[H_ENGINE_STARTS // 8],
        generation=header[H_GENERATION // 8],
        loaded=bool(header[H_LOADED // 8]),
        real_time=bool(header[H_REAL_TIME // 8]),
        memory_locked=bool(header[H_MEMORY_LOCKED // 8]),
        lateness_bounds_ns=LATENESS_BOUNDS_NS,
        lateness_counts=_counters(data, H_LATENESS, len(LATENESS_BOUNDS_NS) + 1),
        lateness_sum_ns=header[H_LATENESS_SUM // 8],
        rejected={str(reason): count for reason, count in rejected.items()},
        observed=dict(
            zip(map(str, OBSERVATIONS), _counters(data, H_OBSERVED, len(OBSERVATIONS)), strict=True)
        ),
        unknown_vrid=rejected[RejectReason.UNKNOWN_VRID],
        announcements_sent=dict(
            zip(map(str, KINDS), _counters(data, H_ANNOUNCED, len(KINDS)), strict=True)
        ),
        announcement_queue_length=header[H_QUEUE_LENGTH // 8],
        fencing=dict(
            zip(map(str, FENCINGS), _counters(data, H_FENCED, len(FENCINGS)), strict=True)
        ),
        events_dropped=header[H_EVENTS_DROPPED // 8],
        send_errors=header[H_SEND_ERRORS // 8],
        routers={
            slot: _decode_router(data, slot_offset(slot))
            for slot in range(SLOTS)
            if _U64.unpack_from(data, slot_offset(slot) + S_NAME_HASH)[0]
        },
    )


def _decode_router(data: bytes, start: int) -> RouterState:
    fields = _counters(data, start, S_CONFLICTS // 8 + 1)
    numbers = _counters(data, start + S_PEERS, MAX_PEERS * PEER_SIZE // 8)
    return RouterState(
        state=str(STATES[fields[S_STATE // 8]]),
        since_ns=fields[S_SINCE // 8],
        effective_priority=fields[S_EFFECTIVE_PRIORITY // 8],
        base_priority=fields[S_BASE_PRIORITY // 8],
        transitions=fields[S_TRANSITIONS // 8],
        advertisements_sent=fields[S_SENT // 8],
        last_sent_ns=fields[S_LAST_SENT // 8],
        address_present=bool(fields[S_ADDRESS_PRESENT // 8]),
        addresses_restored=fields[S_RESTORED // 8],
        dual_active_ns=fields[S_DUAL_ACTIVE // 8],
        vrid=fields[S_VRID // 8],
        faults=tuple(str(f) for bit, f in enumerate(FAULTS) if fields[S_FAULTS // 8] >> bit & 1),
        peers=tuple(PeerState(*numbers[i : i + 2]) for i in range(0, len(numbers), PEER_SIZE // 8)),
        unlisted=PeerState(*fields[S_UNLISTED // 8 : S_UNLISTED // 8 + 2]),
        transition_counts=_decode_transitions(data, start),
        conflicts=fields[S_CONFLICTS // 8],
        last_conflict=_decode_conflict(data, start),
    )


def _decode_conflict(data: bytes, start: int) -> Conflict | None:
    seen_ns, length, address, mac = _CONFLICT.unpack_from(data, start + S_CONFLICT)
    return Conflict(address[:length], mac, seen_ns) if seen_ns else None


def _decode_transitions(data: bytes, start: int) -> tuple[tuple[str, str, str, int], ...]:
    found = []
    for before in STATES:
        for after in STATES:
            for reason in REASONS:
                offset = start + transition_offset(before, after, reason)
                count = _U32.unpack_from(data, offset)[0]
                if count:
                    found.append((str(before), str(after), str(reason), count))
    return tuple(found)
