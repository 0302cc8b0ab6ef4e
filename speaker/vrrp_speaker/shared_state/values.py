"""What a copy of the shared state says, as values."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vrrp.constants import RejectReason
from vrrp.members import MAX_LEARNED
from vrrp_speaker.shared_state import layout
from vrrp_speaker.shared_state.sightings import Conflict, ForeignRouter, HeldByMember

# A node may have 255 routers and is scraped often: what can be worked out once is.
_PEER_FIELDS = layout.PEER_SIZE // 8
_PEERS = struct.Struct(f"<{layout.MAX_PEERS * _PEER_FIELDS}Q")
_LEARNED = struct.Struct("<4Q16s")
_TRANSITION_NAMES = tuple(
    (str(before), str(after), str(reason))
    for before in layout.STATES
    for after in layout.STATES
    for reason in layout.REASONS
)
_TRANSITION_COUNTS = struct.Struct(f"<{len(_TRANSITION_NAMES)}I")


@dataclass(frozen=True, slots=True)
class PeerState:
    """What was heard from one peer: advertisements accepted, and when the last one came."""

    received: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class LearnedState:
    """What was heard from one member that no list names, and its packed address."""

    address: bytes
    heard: PeerState


@dataclass(frozen=True, slots=True)
class PastTransition:
    """One state change; ``sequence`` counts those of the node since its boot, from 1."""

    sequence: int
    wall_ns: int
    before: str
    after: str
    reason: str


@dataclass(frozen=True, slots=True)
class RouterState:
    """One Virtual Router as the engine last wrote it.

    ``peers`` are in the order of the program and end with the last one that was ever heard.
    """

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
    link_down: int
    """The index of a link that it needs and that does not run; 0: none."""
    peers: tuple[PeerState, ...]
    unlisted: PeerState
    learned: tuple[LearnedState, ...]
    """Also those that were dropped from the list and have said nothing since."""
    transition_counts: tuple[tuple[str, str, str, int], ...]
    conflicts: int
    last_conflict: Conflict | None
    held: HeldByMember | None
    foreign_advertisements: int
    last_foreign: ForeignRouter | None
    history: tuple[PastTransition, ...]
    """The newest ones by sequence; some older of other kinds than into and out of Active miss."""


@dataclass(frozen=True, slots=True)
class Durations:
    """A histogram; ``counts`` by bucket, each alone, the last one without bound."""

    bounds_ns: tuple[int, ...]
    counts: tuple[int, ...]
    sum_ns: int


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
    takeovers: Durations
    handovers: Durations
    rejected: dict[str, int]
    observed: dict[str, int]
    unknown_vrid: int
    announcements_sent: dict[str, int]
    announcement_queue_length: int
    fencing: dict[str, int]
    events_dropped: int
    send_errors: int
    unobserved_groups: int
    link_changes: int
    routers: dict[int, RouterState]


def _counters(data: bytes, offset: int, count: int) -> tuple[int, ...]:
    return struct.unpack_from(f"<{count}Q", data, offset)


def _by_name(data: bytes, names: Iterable[str], offset: int) -> dict[str, int]:
    """Return one counter for each name, in the order of the names from ``offset`` on."""
    listed = tuple(map(str, names))
    return dict(zip(listed, _counters(data, offset, len(listed)), strict=True))


def _durations(data: bytes, offset: int) -> Durations:
    total_ns, *counts = _counters(data, offset, len(layout.DURATION_BOUNDS_NS) + 2)
    return Durations(layout.DURATION_BOUNDS_NS, tuple(counts), total_ns)


def decode(data: bytes) -> EngineState:
    """Return what ``SIZE`` bytes of shared state say."""
    starts = {slot: layout.slot_offset(slot) for slot in range(layout.SLOTS)}
    slots = {slot: data[start : start + layout.SLOT_SIZE] for slot, start in starts.items()}
    return decode_pages(data[: layout.HEADER_SIZE], slots)


def decode_pages(data: bytes, slots: Mapping[int, bytes]) -> EngineState:
    """Return what the header of a shared state says, and some of its slots."""
    rejected = _by_name(data, layout.REJECTIONS, layout.H_REJECTED)
    header = _counters(data, 0, layout.H_LATENESS // 8)
    return EngineState(
        heartbeat_ns=header[layout.H_HEARTBEAT // 8],
        engine_pid=header[layout.H_ENGINE_PID // 8],
        engine_starts=header[layout.H_ENGINE_STARTS // 8],
        generation=header[layout.H_GENERATION // 8],
        loaded=bool(header[layout.H_LOADED // 8]),
        real_time=bool(header[layout.H_REAL_TIME // 8]),
        memory_locked=bool(header[layout.H_MEMORY_LOCKED // 8]),
        lateness_bounds_ns=layout.LATENESS_BOUNDS_NS,
        lateness_counts=_counters(data, layout.H_LATENESS, len(layout.LATENESS_BOUNDS_NS) + 1),
        lateness_sum_ns=header[layout.H_LATENESS_SUM // 8],
        takeovers=_durations(data, layout.H_TAKEOVERS),
        handovers=_durations(data, layout.H_HANDOVERS),
        rejected=rejected,
        observed=_by_name(data, layout.OBSERVATIONS, layout.H_OBSERVED),
        unknown_vrid=rejected[RejectReason.UNKNOWN_VRID],
        announcements_sent=_by_name(data, layout.KINDS, layout.H_ANNOUNCED),
        announcement_queue_length=header[layout.H_QUEUE_LENGTH // 8],
        fencing=_by_name(data, layout.FENCINGS, layout.H_FENCED),
        events_dropped=header[layout.H_EVENTS_DROPPED // 8],
        send_errors=header[layout.H_SEND_ERRORS // 8],
        unobserved_groups=layout.U64.unpack_from(data, layout.H_UNOBSERVED)[0],
        link_changes=layout.U64.unpack_from(data, layout.H_LINK_CHANGES)[0],
        routers={
            slot: _decode_router(page)
            for slot, page in slots.items()
            if layout.U64.unpack_from(page, layout.S_NAME_HASH)[0]
        },
    )


def _decode_router(data: bytes) -> RouterState:
    fields = _counters(data, 0, layout.S_CONFLICTS // 8 + 1)
    return RouterState(
        state=str(layout.STATES[fields[layout.S_STATE // 8]]),
        since_ns=fields[layout.S_SINCE // 8],
        effective_priority=fields[layout.S_EFFECTIVE_PRIORITY // 8],
        base_priority=fields[layout.S_BASE_PRIORITY // 8],
        transitions=fields[layout.S_TRANSITIONS // 8],
        advertisements_sent=fields[layout.S_SENT // 8],
        last_sent_ns=fields[layout.S_LAST_SENT // 8],
        address_present=bool(fields[layout.S_ADDRESS_PRESENT // 8]),
        addresses_restored=fields[layout.S_RESTORED // 8],
        dual_active_ns=fields[layout.S_DUAL_ACTIVE // 8],
        vrid=fields[layout.S_VRID // 8],
        faults=_faults(fields[layout.S_FAULTS // 8]),
        link_down=layout.U64.unpack_from(data, layout.S_LINK_DOWN)[0],
        peers=_decode_peers(data),
        unlisted=PeerState(*fields[layout.S_UNLISTED // 8 : layout.S_UNLISTED // 8 + 2]),
        learned=_decode_learned(data),
        transition_counts=_decode_transitions(data),
        conflicts=fields[layout.S_CONFLICTS // 8],
        last_conflict=_decode_conflict(data),
        held=_decode_held(data),
        foreign_advertisements=layout.U64.unpack_from(data, layout.S_FOREIGN_COUNT)[0],
        last_foreign=_decode_foreign(data),
        history=_decode_history(data),
    )


def _decode_peers(data: bytes) -> tuple[PeerState, ...]:
    numbers = _PEERS.unpack_from(data, layout.S_PEERS)
    received, last_ns = numbers[::_PEER_FIELDS], numbers[1::_PEER_FIELDS]
    heard = [index for index, at_ns in enumerate(last_ns) if at_ns or received[index]]
    count = heard[-1] + 1 if heard else 0
    return tuple(map(PeerState, received[:count], last_ns[:count]))


def _decode_learned(data: bytes) -> tuple[LearnedState, ...]:
    places = (layout.S_LEARNED + index * layout.LEARNED_SIZE for index in range(MAX_LEARNED))
    found = (_LEARNED.unpack_from(data, place) for place in places)
    return tuple(
        LearnedState(layout.unmapped(address), PeerState(received, last_ns))
        for received, last_ns, _, known_ns, address in found
        if known_ns
    )


def _faults(bits: int) -> tuple[str, ...]:
    return tuple(str(fault) for bit, fault in enumerate(layout.FAULTS) if bits >> bit & 1)


def _decode_conflict(data: bytes) -> Conflict | None:
    seen_ns, length, address, mac = layout.CONFLICT.unpack_from(data, layout.S_CONFLICT)
    return Conflict(address[:length], mac, seen_ns) if seen_ns else None


def _decode_held(data: bytes) -> HeldByMember | None:
    (member,) = layout.U64.unpack_from(data, layout.S_HELD_BY)
    place = layout.S_HELD
    return HeldByMember(layout.unmapped(data[place : place + 16]), member) if member else None


def _decode_foreign(data: bytes) -> ForeignRouter | None:
    seen_ns, priority, length, source = layout.FOREIGN.unpack_from(data, layout.S_FOREIGN)
    return ForeignRouter(source[:length], priority, seen_ns) if seen_ns else None


def _decode_history(data: bytes) -> tuple[PastTransition, ...]:
    states, found = layout.STATES, []
    for entry in range(layout.TENURES + layout.OTHERS):  # one ring lies behind the other
        offset = layout.S_TENURES + entry * layout.TRANSITION.size
        sequence, wall_ns, code = layout.TRANSITION.unpack_from(data, offset)
        if sequence:
            before, after, reason = code >> 16, code >> 8 & 0xFF, code & 0xFF
            names = str(states[before]), str(states[after]), str(layout.REASONS[reason])
            found.append(PastTransition(sequence, wall_ns, *names))
    return tuple(sorted(found, key=lambda past: past.sequence))


def _decode_transitions(data: bytes) -> tuple[tuple[str, str, str, int], ...]:
    counts = _TRANSITION_COUNTS.unpack_from(data, layout.S_TRANSITION_COUNTS)
    return tuple(
        (*names, count) for names, count in zip(_TRANSITION_NAMES, counts, strict=True) if count
    )
