"""The ladder every received datagram climbs before it may become an event (RFC 9568 §7.1).

Order matters: membership first, so that a host that is no peer reaches nothing but a counter. A
rejected datagram changes a counter and nothing else (keepalived's defect D1 is the opposite), not
even the memory of what was replayed.

Where an election has a key of its own, a source that no list names has a second way: what it says
is judged by its signature alone, and only as often as an allowance permits (``members``). Whoever
is listed, or was learned, never waits for that.

What an accepted advertisement shows that is odd, but no reason to discard it, is *observed*:
another interval, other addresses, no signature where none is required.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from vrrp.authentication import (
    TRAILER_LENGTH,
    Authentication,
    HmacKeys,
    Mode,
    ReplayMarks,
    SimplePassword,
    verify,
)
from vrrp.constants import (
    AUTH_TYPE_NONE,
    AUTH_TYPE_SIMPLE,
    TTL,
    TYPE_ADVERTISEMENT,
    VERSION_2,
    Family,
    RejectReason,
)
from vrrp.events import AdvertisementReceived
from vrrp.members import Allowance, LearnedMembers
from vrrp.packet import (
    Advertisement,
    ChecksumForm,
    DecodeError,
    check_header,
    checksum_form,
    decode_message,
    message_length,
)

_IPV4_HEADER = 20


class Datagram(NamedTuple):
    """One received IP datagram; ``message`` is what follows the IP header and its options."""

    family: Family
    source: bytes
    destination: bytes
    ttl: int
    ifindex: int
    message: bytes


def ipv4_datagram(data: bytes, ifindex: int) -> Datagram | None:
    """Return what a raw IPv4 socket delivered, header included; None if that is too short."""
    if len(data) < _IPV4_HEADER:
        return None
    header_length = (data[0] & 0x0F) * 4
    return Datagram(Family.IPV4, data[12:16], data[16:20], data[8], ifindex, data[header_length:])


@dataclass(frozen=True, slots=True)
class Election:
    """What one Virtual Router accepts, and from whom.

    ``source`` is its own packed address, ``peers`` are the others'. ``group_ifindex`` is the
    interface on which the multicast group is joined, 0 in unicast mode; in multicast mode every
    router of the link may speak. ``interval_cs`` and ``addresses`` are our own configuration.
    ``learned``: the members beyond ``peers``; None where the list is closed, as without a key of
    the election's own.
    """

    version: int
    family: Family
    vrid: int
    source: bytes
    peers: frozenset[bytes]
    interval_cs: int
    addresses: frozenset[bytes]
    group_ifindex: int = 0
    ttl_minimum: int = TTL
    authentication: Authentication = None
    marks: ReplayMarks = field(default_factory=ReplayMarks, compare=False)
    learned: LearnedMembers | None = field(default=None, compare=False)

    @property
    def signed(self) -> bool:
        """Whether members sign what they say."""
        return isinstance(self.authentication, HmacKeys)

    def lists(self, source: bytes) -> bool:
        """Return whether a source needs no signature of the election's own key."""
        return self.learned is None or source in self.peers

    def knows(self, source: bytes) -> bool:
        """Return whether a source is listed, or has proved already that it is a member."""
        learned = self.learned
        return learned is None or source in self.peers or source in learned.known_ns


class Accepted(NamedTuple):
    """An advertisement for the Virtual Router ``vrid`` of this family, from ``source``."""

    family: Family
    source: bytes
    advertisement: Advertisement
    checksum_form: ChecksumForm
    event: AdvertisementReceived
    """What the Virtual Router hears of it."""
    sequence: int | None
    """The sequence of its HMAC trailer, now remembered; None without one."""


@dataclass(frozen=True, slots=True)
class _Repeated:
    """What was said last in one election, and is said again word for word until it changes.

    Besides the signature, the ladder looks at nothing but the datagram and the election. So what it
    found once holds for the same datagram as long as the election is the same.
    """

    election: Election
    datagram: Datagram
    """Its message is without the trailer."""
    accepted: Accepted
    listed: bool
    """Whether its source has nothing more to prove, ever."""

    def accept(self, datagram: Datagram, wall_ns: int) -> Accepted | None:
        """Return what the same datagram amounts to; None for any other.

        Raises:
            DecodeError: the signature is not to be believed.
        """
        known, said = self.accepted, self.datagram.message
        if known.sequence is None:
            return known if datagram == self.datagram else None
        trailer = datagram.message[len(said) :]
        if datagram.message[: len(said)] != said or len(trailer) != TRAILER_LENGTH:
            return None
        if datagram[:-1] != self.datagram[:-1]:
            return None
        if not self.listed and not self.election.knows(datagram.source):
            return None  # it was forgotten meanwhile, and has to prove itself anew
        sequence = _check_signature(self.election, datagram.source, said, trailer, wall_ns)
        return Accepted(*known[:-1], sequence)


class Elections:
    """Every Virtual Router of this node, as the receive path looks it up.

    ``attempts`` are the node's, so whoever replaces these elections by others hands them on.
    """

    def __init__(
        self, elections: Iterable[Election] = (), attempts: Allowance | None = None
    ) -> None:
        self.attempts = attempts or Allowance()
        self.by_id: Mapping[tuple[Family, int], Election] = {
            (election.family, election.vrid): election for election in elections
        }
        # The lowest TTL that any election accepts: from a peer, and on a group's interface.
        self._peers: dict[bytes, int] = {}
        self._groups: dict[tuple[bytes, int], int] = {}
        for election in self.by_id.values():
            lowest = election.ttl_minimum
            if election.group_ifindex:
                group = (election.family.group, election.group_ifindex)
                self._groups[group] = min(lowest, self._groups.get(group, TTL))
            else:
                for peer in election.peers:
                    self._peers[peer] = min(lowest, self._peers.get(peer, TTL))
        self._repeated: dict[tuple[Family, bytes], _Repeated] = {}
        self._open = {
            (election.family, bytes((election.version << 4 | TYPE_ADVERTISEMENT, election.vrid))): (
                election
            )
            for election in self.by_id.values()
            if election.learned is not None
        }

    def validate(
        self, datagram: Datagram, wall_ns: int, now_ns: int = 0
    ) -> Accepted | RejectReason:
        """Climb the ladder of ``reference §2.4`` with one datagram.

        Args:
            datagram: as it arrived.
            wall_ns: wall clock, nanoseconds since 1970; only HMAC sequences are held against it.
            now_ns: monotonic clock; matters where members beyond the list are known.

        Returns:
            The accepted advertisement, or the reason of the first check that failed.
        """
        repeated = self._repeated.get((datagram.family, datagram.message[1:2]))
        try:
            accepted = repeated.accept(datagram, wall_ns) if repeated is not None else None
            result = accepted or self._climb(datagram, wall_ns, now_ns)
        except DecodeError as error:
            return error.reason
        if isinstance(result, Accepted) and result.sequence is not None:
            election = self.by_id[result.family, result.advertisement.vrid]
            election.marks.remember(result.source, result.sequence)
            learned = election.learned
            if learned is not None and result.source not in election.peers:
                learned.note(result.source, now_ns)
        return result

    def _climb(self, datagram: Datagram, wall_ns: int, now_ns: int) -> Accepted | RejectReason:
        lowest_ttl = self._groups.get((datagram.destination, datagram.ifindex))
        to_group = lowest_ttl is not None
        if lowest_ttl is None:
            lowest_ttl = self._peers.get(datagram.source)
        if lowest_ttl is None:
            return self._climb_unlisted(datagram, wall_ns, now_ns)
        if datagram.ttl < lowest_ttl:
            return RejectReason.TTL
        version, vrid = check_header(datagram.message)
        election = self.by_id.get((datagram.family, vrid))
        if election is None:
            return RejectReason.UNKNOWN_VRID
        if not election.lists(datagram.source):
            return self._climb_unlisted(datagram, wall_ns, now_ns)
        wrong = _check_transport(election, datagram, version, to_group)
        if wrong is not None:
            return wrong
        return self._conclude(election, datagram, wall_ns)

    def _climb_unlisted(
        self, datagram: Datagram, wall_ns: int, now_ns: int
    ) -> Accepted | RejectReason:
        """Judge by its signature what a source says that is no peer of the election.

        Whatever is not even meant for an open election costs a look-up. While there are no attempts
        left, so does the rest.
        """
        election = self._open.get((datagram.family, datagram.message[:2]))
        if election is None:
            return RejectReason.UNKNOWN_SOURCE
        proved = election.knows(datagram.source)
        if not proved and not self.attempts.left(now_ns):
            return RejectReason.UNVERIFIED
        if not _may_be_a_member(election, datagram):
            return RejectReason.UNKNOWN_SOURCE
        if datagram.ttl < election.ttl_minimum:
            return RejectReason.TTL
        if not proved:
            assert election.learned is not None
            if not election.learned.has_room(now_ns):
                return RejectReason.TOO_MANY_MEMBERS
            self.attempts.take(now_ns)
        return self._conclude(election, datagram, wall_ns)

    def _conclude(self, election: Election, datagram: Datagram, wall_ns: int) -> Accepted:
        """Check what the message holds, and remember what it amounts to."""
        accepted = _accept(election, datagram, wall_ns)
        said = datagram
        if accepted.sequence is not None:
            said = datagram._replace(message=datagram.message[:-TRAILER_LENGTH])
        # A checksum that covers the trailer is another one each time.
        if said is datagram or election.family is Family.IPV4:
            vrid_byte = datagram.message[1:2]
            self._repeated[datagram.family, vrid_byte] = _Repeated(
                election, said, accepted, election.lists(datagram.source)
            )
        return accepted


def _may_be_a_member(election: Election, datagram: Datagram) -> bool:
    """Return whether a datagram looks like a signed advertisement to us, by somebody else.

    No member has one of the election's addresses for its own.
    """
    message, source = datagram.message, datagram.source
    return (
        datagram.destination == election.source
        and source != election.source
        and source not in election.addresses
        and len(message) > TRAILER_LENGTH
        and len(message) == message_length(message, election.family) + TRAILER_LENGTH
    )


def _check_transport(
    election: Election, datagram: Datagram, version: int, to_group: bool
) -> RejectReason | None:
    """Return what keeps a datagram with our VRID from being for this election, or None."""
    if datagram.source == election.source:
        return RejectReason.UNKNOWN_SOURCE
    if election.group_ifindex:
        if not to_group or datagram.ifindex != election.group_ifindex:
            return RejectReason.NOT_FOR_US
    elif datagram.source not in election.peers:
        return RejectReason.UNKNOWN_SOURCE
    elif datagram.destination != election.source:
        return RejectReason.NOT_FOR_US
    if datagram.ttl < election.ttl_minimum:
        return RejectReason.TTL
    if version != election.version:
        return RejectReason.VERSION
    return None


def _accept(election: Election, datagram: Datagram, wall_ns: int) -> Accepted:
    """Check what the message holds; raise the first thing that is wrong."""
    length = message_length(datagram.message, election.family)
    message, trailer = datagram.message[:length], datagram.message[length:]
    expected = (0, TRAILER_LENGTH) if isinstance(election.authentication, HmacKeys) else (0,)
    if len(message) != length or len(trailer) not in expected:
        raise DecodeError(RejectReason.LENGTH)
    sequence = _check_signature(election, datagram.source, message, trailer, wall_ns)
    advertisement = decode_message(message, election.family)
    if election.version == VERSION_2:
        _check_password(election.authentication, advertisement)
    form = checksum_form(message, datagram.source, datagram.destination, trailer)
    if not advertisement.addresses:
        raise DecodeError(RejectReason.ADDRESS_COUNT)
    if advertisement.interval_cs == 0:
        raise DecodeError(RejectReason.INTERVAL)
    if election.version == VERSION_2 and advertisement.interval_cs != election.interval_cs:
        raise DecodeError(RejectReason.INTERVAL_MISMATCH)
    event = AdvertisementReceived(
        datagram.source, advertisement.priority, advertisement.interval_cs
    )
    return Accepted(election.family, datagram.source, advertisement, form, event, sequence)


def _check_signature(
    election: Election, source: bytes, message: bytes, trailer: bytes, wall_ns: int
) -> int | None:
    keys = election.authentication
    if not isinstance(keys, HmacKeys):
        return None
    if not trailer:
        if keys.mode is Mode.ENFORCE:
            raise DecodeError(RejectReason.AUTH_MISSING)
        return None
    listed = election.learned is None or source in election.peers
    sequence, wrong = verify(keys, message, source, trailer, listed=listed)
    wrong = wrong or election.marks.check(source, sequence, wall_ns, keys.window_s)
    if not (listed or wrong or election.knows(source)) and election.marks.holds(sequence):
        wrong = RejectReason.AUTH_REPLAYED  # a member by another of its addresses
    if wrong is not None:
        raise DecodeError(wrong)
    return sequence


def _check_password(authentication: Authentication, advertisement: Advertisement) -> None:
    """VRRPv2: the type must be ours, then the password (RFC 3768 §7.1)."""
    if isinstance(authentication, SimplePassword):
        if advertisement.auth_type != AUTH_TYPE_SIMPLE:
            raise DecodeError(RejectReason.AUTH_TYPE)
        if advertisement.auth_data != authentication.data:
            raise DecodeError(RejectReason.AUTH_PASSWORD)
    elif advertisement.auth_type != AUTH_TYPE_NONE:
        raise DecodeError(RejectReason.AUTH_TYPE)
