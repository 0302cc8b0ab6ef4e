"""Where each number of the shared state is, and the names that indices stand for.

Layout: one header page, then ``SLOTS`` fixed slots, one for each Virtual Router. Integers are
little-endian and aligned, so a reader sees each one either before or after a write. All times are
CLOCK_MONOTONIC nanoseconds; 0 means never. The history alone has wall time: it is for people, and
a reader that starts anew must find the same moments.
"""

from __future__ import annotations

import struct
from enum import StrEnum

from vrrp.constants import RejectReason, State, TransitionReason
from vrrp.members import MAX_LEARNED
from vrrp.observations import Observation

MAGIC = 0x4B56525031000004
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

DURATION_BOUNDS_NS = tuple(
    ms * 1_000_000 for ms in (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000)
)
"""Upper bounds of the histograms of takeovers and hand-overs; a last bucket follows."""


SIGHTING_NS = 10_000_000_000
"""How often a stranger that is seen all the time is worth a report."""


class FrameKind(StrEnum):
    """The kinds of announcement frames, as in ``announcements_sent_total{kind}``."""

    GRATUITOUS_ARP_REQUEST = "GratuitousARPRequest"
    GRATUITOUS_ARP_REPLY = "GratuitousARPReply"
    UNSOLICITED_NA = "UnsolicitedNA"
    ARP_PROBE = "ARPProbe"
    NEIGHBOR_PROBE = "NeighborProbe"
    ARP_REQUEST = "ARPRequest"
    NEIGHBOR_SOLICITATION = "NeighborSolicitation"


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
    GROUP_NOT_JOINED = "GroupNotJoined"
    ADDRESS_HELD_BY_MEMBER = "AddressHeldByMember"
    SET_ASIDE = "SetAside"


FAULTS = tuple(EngineFault)
STATES = tuple(State)
REASONS = tuple(TransitionReason)
REJECTIONS = tuple(RejectReason)
OBSERVATIONS = tuple(Observation)
KINDS = tuple(FrameKind)
IPV6_KINDS = (
    FrameKind.UNSOLICITED_NA,
    FrameKind.NEIGHBOR_PROBE,
    FrameKind.NEIGHBOR_SOLICITATION,
)
FENCINGS = tuple(FencingReason)

# Header: offsets of unsigned 64-bit integers.
H_MAGIC = 0
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
H_ACTIVE = 480  # how many routers are Active
H_LOADS = 488  # how many programs were loaded, by all engines
H_HEIR = 496  # pid of the next engine, once it is ready
H_UNOBSERVED = 504  # groups that could not be joined to look for foreign routers
H_LINK_CHANGES = 2048  # of links and addresses that a program may depend on
H_REJECTED = 512  # by index in REJECTIONS
H_OBSERVED = 768  # by index in OBSERVATIONS
H_ANNOUNCED = 1024  # by index in KINDS
H_FENCED = 1280  # by index in FENCINGS
# Histograms: the sum, then len(DURATION_BOUNDS_NS) + 1 counters.
H_TAKEOVERS = 1536
H_HANDOVERS = 1792

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
S_HELD_BY = 120  # the member that has an address of ours, by the hash of its own one; 0: none
S_CONFLICTS = 128
S_CONFLICT = 136  # the last one, as CONFLICT
S_FOREIGN_COUNT = 176
S_FOREIGN = 184  # the last one, as FOREIGN
S_WITHHELD = 224  # how many addresses an Active router does not bind before it has asked
S_VOICES = 232  # how often another router of the election spoke than before
S_HELD = 240  # that address, as 16 bytes
S_TRANSITION_COUNTS = 256  # unsigned 32-bit [from][to][reason]
S_PEERS = 1024  # MAX_PEERS × (received, last heard, replay mark)
PEER_SIZE = 24
PEER_RECEIVED, PEER_LAST, PEER_MARK = 0, 8, 16
# MAX_LEARNED × (as a peer, when it was last heard or dropped from the list, its address); 0: free.
S_LEARNED = S_PEERS + MAX_PEERS * PEER_SIZE
LEARNED_SIZE = 48
LEARNED_KNOWN, LEARNED_ADDRESS = 24, 32
assert S_LEARNED + MAX_LEARNED * LEARNED_SIZE <= 3304
S_LINK_DOWN = 3304  # index of a link that is needed and does not run
# What happened lately: two rings of TRANSITION entries, oldest overwritten, and how many each took.
# What others may do often (a check that flaps in Backup) cannot push out who held the addresses.
S_TENURES = 3328  # into and out of Active
TENURES = 24
S_OTHERS = S_TENURES + 24 * TENURES
OTHERS = 8
S_TENURE_COUNT = 3312
S_OTHER_COUNT = 3320

U64 = struct.Struct("<Q")
U32 = struct.Struct("<I")
TRANSITION = struct.Struct("<QQQ")  # sequence, wall time in ns, before << 16 | after << 8 | reason
CONFLICT = struct.Struct("<QQ16s6s")  # when, length of the address, address, hardware address
FOREIGN = struct.Struct("<QQQ16s")  # when, priority, length of the address, address


def name_hash(name: str) -> int:
    """Return a stable non-zero 64-bit number for a router's name (FNV-1a)."""
    return bytes_hash(name.encode())


def bytes_hash(content: bytes) -> int:
    """Return a stable non-zero 64-bit number for a name or a packed address (FNV-1a)."""
    value = 0xCBF29CE484222325
    for byte in content:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value or 1


def slot_offset(slot: int) -> int:
    """Return where a slot starts; ``slot`` is 0 to SLOTS − 1."""
    return HEADER_SIZE + slot * SLOT_SIZE


def peer_offset(slot: int, index: int) -> int:
    """Return where the counters of one peer start; ``index`` is its place in the program."""
    return slot_offset(slot) + S_PEERS + PEER_SIZE * index


_IPV4_MAPPED = bytes(10) + b"\xff\xff"


def mapped(address: bytes) -> bytes:
    """Return a packed address of either family as 16 bytes (IPv4-mapped, RFC 4291 §2.5.5.2)."""
    return address if len(address) == 16 else _IPV4_MAPPED + address


def unmapped(address: bytes) -> bytes:
    """Return the packed address that 16 bytes stand for."""
    return address.removeprefix(_IPV4_MAPPED)


def learned_offset(slot: int, index: int) -> int:
    """Return where one learned member's place starts; ``index`` is 0 to MAX_LEARNED − 1."""
    return slot_offset(slot) + S_LEARNED + LEARNED_SIZE * index


def transition_offset(before: State, after: State, reason: TransitionReason) -> int:
    """Return the offset of one transition counter from the start of its slot."""
    row = STATES.index(before) * len(STATES) + STATES.index(after)
    return S_TRANSITION_COUNTS + 4 * (row * len(REASONS) + REASONS.index(reason))
