"""Authentication of advertisements: VRRPv2's password, and keepalived's HMAC trailer.

The trailer follows the VRRP message: scheme, key id, two reserved bytes, a 64-bit sequence made of
the sender's wall clock, and the first 16 bytes of an HMAC-SHA-256 (keepalived 2.4.2 and newer;
reference ``hmac-wire``). One tag serves every peer, because the destination is not in it.

Clock steps. keepalived compares every stamp with its own clock, so a node whose clock steps by more
than the window is no longer heard, and two routers are Active. Here a clock is trusted only where
there is nothing better. Every node reads its wall clock once and carries that time on by the
monotonic clock (``SignatureClock``), for what it sends and for what it holds others against. A
receiver remembers the last sequence of each sender (its *mark*) and takes whatever is later; only a
sender without a mark has to be within the window.

A virtual machine that is put back to a snapshot signs with the time of then, and every mark of it
is later. Nothing on the machine tells: both of its clocks may go on from there. But it hears
members that are far ahead. One member alone may be wrong; where a clock of its own that is
maintained by others, wall or hardware, agrees with what a member has just signed, it follows that
one. It never goes back so: an old signature, played again, is ahead of nobody who is right.

Election keys. A key that many elections share says that a sender is of the cluster. A key derived
from it for one election says more: whoever signs with that is of this election, listed or not, and
nothing that another election or cluster says can count, whatever virtual router ID it uses. The
trailer is the same. Elections come to it in three steps (``Stage``), so that routers that are told
of it at different times always understand each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from vrrp.constants import NS_PER_SECOND, Family, RejectReason
from vrrp.hmac_sha256 import equal_digests, hmac_sha256

TRAILER_LENGTH = 28
WINDOW_S = 30
"""How far the clock of a sender may be from ours when we first hear it, in seconds.

keepalived's default is 5. Wider, because nodes without a time server must still agree on one Active
Router; a captured advertisement can be played once to a node that never heard its sender since.
"""
SETTLING_NS = 600 * NS_PER_SECOND
"""How long after boot a step of the wall clock is taken for its being put right."""
MAX_MARKS = 96
"""All that an election may list, and those that it learns."""
PASSWORD_LENGTH = 8
KEY_LENGTHS = range(32, 65)
"""Bytes of an HMAC key (keepalived's bounds)."""

_ELECTION_KEY_LABEL = b"kube-vrrp.io/election"
_SCHEME_HMAC_SHA256 = 1
_TAG_LENGTH = 16
_NO_TAG = bytes(_TAG_LENGTH)
_SEQUENCE_MASK = 2**64 - 1
_REMEMBERED = 512
"""Messages: what 255 elections say and hear."""


class Mode(StrEnum):
    """How strictly a missing trailer is taken; a wrong one is refused in every mode."""

    RECEIVE_ONLY = "ReceiveOnly"
    """Do not sign; accept unsigned."""
    PERMISSIVE = "Permissive"
    """Sign; accept unsigned."""
    ENFORCE = "Enforce"
    """Sign; refuse unsigned."""


class Stage(StrEnum):
    """How far an election has come with a key of its own; two neighbouring steps always agree."""

    ACCEPT = "Accept"
    """Sign with the shared key; believe that of listed peers, and the election's of anybody."""
    BOTH = "Both"
    """Say all twice, signed with the one and the other; believe as in ``ACCEPT``. No operator asks
    for it: a node whose key is taken away goes this way, as others may know the shared one only."""
    SIGN = "Sign"
    """Sign with the election's key; believe as in ``ACCEPT``."""
    REQUIRE = "Require"
    """Sign with the election's key; believe no other."""


@dataclass(frozen=True, slots=True)
class SimplePassword:
    """VRRPv2 authentication type 1: up to 8 bytes in clear text, a guard against mistakes only."""

    password: bytes

    @property
    def data(self) -> bytes:
        """The authentication data of a message: the password, padded with zeros."""
        return self.password.ljust(PASSWORD_LENGTH, b"\0")


@dataclass(frozen=True, slots=True)
class HmacKeys:
    """The keys of one election: ``keys`` by id (1 to 255), of which ``active`` signs.

    ``election_keys`` are those derived for this election, with the same ids; there are some if and
    only if there is a ``stage``.
    """

    keys: Mapping[int, bytes]
    active: int
    mode: Mode
    window_s: int = WINDOW_S
    stage: Stage | None = None
    election_keys: Mapping[int, bytes] = field(default_factory=dict)

    @property
    def signing(self) -> Mapping[int, bytes]:
        """The keys of which one signs what we say."""
        shared = self.stage is None or self.stage is Stage.ACCEPT
        return self.keys if shared else self.election_keys


Authentication = SimplePassword | HmacKeys | None


@dataclass(slots=True)
class SignatureClock:
    """Wall time that no clock step moves: read once, carried on by the monotonic clock.

    One for the whole node: marks are kept for each sender and election, so any growing sequence
    does. ``offset_ns`` is wall time minus monotonic time, 0 while not read. A node without a good
    real-time clock boots with a wrong time and is put right soon after: until ``SETTLING_NS`` of
    monotonic time the wall clock is followed.
    """

    offset_ns: int = 0
    last: int = 0
    """The sequence given last; a replaced engine is given its predecessor's."""

    def read(self, now_ns: int, wall_ns: int) -> int:
        """Return the time to hold sequences against, in nanoseconds since 1970.

        Args:
            now_ns: monotonic clock, counted from boot.
            wall_ns: what the wall clock says now.
        """
        if not self.offset_ns or now_ns < SETTLING_NS:
            self.offset_ns = max(0, wall_ns - now_ns)
        return now_ns + self.offset_ns

    def is_behind(self, sequence: int, now_ns: int) -> bool:
        """Return whether a member's sequence, its signature checked, is far ahead of this time."""
        seconds = (now_ns + self.offset_ns) // NS_PER_SECOND
        return _seconds_between(sequence >> 32, seconds) > WINDOW_S

    def put_forward(self, sequence: int, now_ns: int, clock_ns: int) -> bool:
        """Follow another clock from now on, if it agrees with a sequence that this is behind.

        Args:
            sequence: a member's, its signature checked.
            now_ns: monotonic clock.
            clock_ns: what the other clock says now.
        """
        if abs(_seconds_between(clock_ns // NS_PER_SECOND, sequence >> 32)) > WINDOW_S:
            return False
        self.offset_ns = max(0, clock_ns - now_ns)
        return True

    def next(self, now_ns: int, wall_ns: int) -> int:
        """Return the 64-bit sequence of the next advertisement: seconds, 1/65536 s, counter."""
        seconds, rest_ns = divmod(self.read(now_ns, wall_ns), NS_PER_SECOND)
        stamp = (seconds & 0xFFFFFFFF) << 32 | (rest_ns * 65536 // NS_PER_SECOND) << 16
        ahead = _difference(stamp, self.last)
        # Receivers forget a mark that is further than the window from their clock. They compare
        # whole seconds, by a clock that may be a little ahead of ours.
        put_right = ahead < -((WINDOW_S + 2) << 32)
        if ahead > 0 or put_right or not self.last:
            self.last = stamp
        else:
            self.last = (self.last + 1) & _SEQUENCE_MASK
        return self.last


def election_key(key: bytes, election: str) -> bytes:
    """Return the key of one election, derived from the key that all of them share."""
    return hmac_sha256(key, _ELECTION_KEY_LABEL + b"\0" + election.encode())


def sequence_of(message: bytes) -> int:
    """Return the sequence of a message that ends with a trailer."""
    start = len(message) - TRAILER_LENGTH + 4
    return int.from_bytes(message[start : start + 8], "big")


def sign(
    keys: HmacKeys, message: bytes, source: bytes, sequence: int, *, shared: bool = False
) -> bytes:
    """Return the trailer for a message (its checksum is left out of the tag).

    ``shared``: with the key that elections share, whatever the stage signs with.
    """
    head = bytes((_SCHEME_HMAC_SHA256, keys.active, 0, 0)) + sequence.to_bytes(8, "big")
    signing = keys.keys if shared else keys.signing
    return head + _tag(signing[keys.active], message, source, head)


def verify(
    keys: HmacKeys, message: bytes, source: bytes, trailer: bytes, *, listed: bool = True
) -> tuple[int, RejectReason | None]:
    """Return the sequence of a trailer, and why it cannot be believed or None.

    Freshness is not looked at: ``ReplayMarks`` knows what was heard before. A source that is not
    ``listed`` has to sign with the election's own key.
    """
    sequence = int.from_bytes(trailer[4:12], "big")
    if trailer[0] != _SCHEME_HMAC_SHA256 or trailer[2:4] != b"\0\0":
        return sequence, RejectReason.AUTH_MALFORMED
    stage = keys.stage
    key = (keys.keys if stage is None else keys.election_keys).get(trailer[1])
    if key is None:
        return sequence, RejectReason.AUTH_UNKNOWN_KEY
    if equal_digests(_tag(key, message, source, trailer[:12]), trailer[12:]):
        return sequence, None
    if listed and stage is not None and stage is not Stage.REQUIRE:
        shared = _tag(keys.keys[trailer[1]], message, source, trailer[:12])
        if equal_digests(shared, trailer[12:]):
            return sequence, None
    return sequence, RejectReason.AUTH_INVALID


@dataclass(slots=True)
class ReplayMarks:
    """The last sequence accepted from each of at most ``MAX_MARKS`` senders of one election."""

    marks: dict[bytes, int] = field(default_factory=dict)

    def check(
        self, source: bytes, sequence: int, wall_ns: int, window_s: int
    ) -> RejectReason | None:
        """Return why a verified sequence is not fresh, or None. Nothing is remembered yet."""
        mark = self.marks.get(source)
        if mark is not None and _difference(sequence, mark) > 0:
            return None
        now_s = wall_ns // NS_PER_SECOND
        near = abs(_seconds_between(now_s, sequence >> 32)) <= window_s
        if mark is None:
            return None if near else RejectReason.AUTH_STALE
        # A sender whose clock was ahead and that began anew with a right one: its mark lies where
        # our clock is not, so nothing that we would have believed is played back.
        if near and abs(_seconds_between(now_s, mark >> 32)) > window_s:
            return None
        return RejectReason.AUTH_REPLAYED

    def holds(self, sequence: int) -> bool:
        """Return whether some sender said its last with this very sequence."""
        return sequence in self.marks.values()

    def remember(self, source: bytes, sequence: int) -> None:
        """Move the mark of a sender whose advertisement was accepted."""
        self.marks.pop(source, None)
        self.marks[source] = sequence
        if len(self.marks) > MAX_MARKS:
            del self.marks[next(iter(self.marks))]


def _tag(key: bytes, message: bytes, source: bytes, head: bytes) -> bytes:
    """Return the truncated HMAC over pseudo-header, message without checksum, head, empty tag."""
    signed = b"".join((_covered(message, source), head, _NO_TAG))
    return hmac_sha256(key, signed)[:_TAG_LENGTH]


@lru_cache(_REMEMBERED)
def _covered(message: bytes, source: bytes) -> bytes:
    """Return pseudo-header and message without checksum: the same each time it is said again."""
    family = Family.IPV4 if len(source) == Family.IPV4.address_length else Family.IPV6
    return b"".join(
        (
            bytes((family, message[0] >> 4, message[1], 0)),
            source.ljust(16, b"\0"),
            message[:6],
            b"\0\0",
            message[8:],
        )
    )


def _difference(left: int, right: int) -> int:
    """Return left − right as a signed 64-bit number (RFC 1982 order)."""
    return ((left - right + 2**63) & _SEQUENCE_MASK) - 2**63


def _seconds_between(left: int, right: int) -> int:
    """Return left − right as a signed 32-bit number of seconds."""
    return ((left - right + 2**31) & 0xFFFFFFFF) - 2**31
