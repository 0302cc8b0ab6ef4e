"""The ladder every received datagram climbs before it may become an event (RFC 9568 §7.1).

Order matters: membership first, so that a host that is no peer reaches nothing but a counter. A
rejected datagram changes a counter and nothing else (keepalived's defect D1 is the opposite), not
even the memory of what was replayed.

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
    PRIORITY_OWNER,
    TTL,
    VERSION_2,
    Family,
    Observation,
    RejectReason,
)
from vrrp.events import AdvertisementReceived
from vrrp.packet import (
    Advertisement,
    ChecksumForm,
    DecodeError,
    check_header,
    checksum_form,
    decode_message,
    is_link_local,
    message_length,
)

_IPV4_HEADER = 20
_OBSERVED_FORMS = {
    ChecksumForm.MESSAGE_ONLY: Observation.CHECKSUM_MESSAGE_ONLY,
    ChecksumForm.PSEUDO_HEADER: Observation.CHECKSUM_PSEUDO_HEADER,
    ChecksumForm.GROUP_PSEUDO_HEADER: Observation.CHECKSUM_GROUP_PSEUDO_HEADER,
}


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
        sequence = _check_signature(self.election, datagram.source, said, trailer, wall_ns)
        return Accepted(*known[:-1], sequence)


class Elections:
    """Every Virtual Router of this node, as the receive path looks it up."""

    def __init__(self, elections: Iterable[Election] = ()) -> None:
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

    def validate(self, datagram: Datagram, wall_ns: int) -> Accepted | RejectReason:
        """Climb the ladder of ``reference §2.4`` with one datagram.

        Args:
            datagram: as it arrived.
            wall_ns: wall clock, nanoseconds since 1970; only HMAC sequences are held against it.

        Returns:
            The accepted advertisement, or the reason of the first check that failed.
        """
        repeated = self._repeated.get((datagram.family, datagram.message[1:2]))
        try:
            accepted = repeated.accept(datagram, wall_ns) if repeated is not None else None
            result = accepted or self._climb(datagram, wall_ns)
        except DecodeError as error:
            return error.reason
        if isinstance(result, Accepted) and result.sequence is not None:
            election = self.by_id[result.family, result.advertisement.vrid]
            election.marks.remember(result.source, result.sequence)
        return result

    def _climb(self, datagram: Datagram, wall_ns: int) -> Accepted | RejectReason:
        lowest_ttl = self._groups.get((datagram.destination, datagram.ifindex))
        to_group = lowest_ttl is not None
        if lowest_ttl is None:
            lowest_ttl = self._peers.get(datagram.source)
        if lowest_ttl is None:
            return RejectReason.UNKNOWN_SOURCE
        if datagram.ttl < lowest_ttl:
            return RejectReason.TTL
        version, vrid = check_header(datagram.message)
        election = self.by_id.get((datagram.family, vrid))
        if election is None:
            return RejectReason.UNKNOWN_VRID
        wrong = _check_transport(election, datagram, version, to_group)
        if wrong is not None:
            return wrong
        accepted = _accept(election, datagram, wall_ns)
        said = datagram
        if accepted.sequence is not None:
            said = datagram._replace(message=datagram.message[:-TRAILER_LENGTH])
        # A checksum that covers the trailer is another one each time.
        if said is datagram or election.family is Family.IPV4:
            vrid_byte = datagram.message[1:2]
            self._repeated[datagram.family, vrid_byte] = _Repeated(election, said, accepted)
        return accepted


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
    sequence, wrong = verify(keys, message, source, trailer)
    wrong = wrong or election.marks.check(source, sequence, wall_ns, keys.window_s)
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


def observe(accepted: Accepted, election: Election, priority: int) -> tuple[Observation, ...]:
    """Return what is odd about an accepted advertisement; ``priority`` is our effective one."""
    advertisement = accepted.advertisement
    found = [_OBSERVED_FORMS[accepted.checksum_form]]
    if isinstance(election.authentication, HmacKeys) and accepted.sequence is None:
        found.append(Observation.UNSIGNED)
    if advertisement.interval_cs != election.interval_cs:
        found.append(Observation.INTERVAL_DIFFERS)
    if frozenset(advertisement.addresses) != election.addresses:
        found.append(Observation.ADDRESSES_DIFFER)
    if advertisement.priority == priority:
        found.append(Observation.EQUAL_PRIORITY)
    if advertisement.priority == PRIORITY_OWNER:
        found.append(Observation.FOREIGN_OWNER)
    if election.family is Family.IPV6 and not is_link_local(advertisement.addresses[0]):
        found.append(Observation.FIRST_ADDRESS_NOT_LINK_LOCAL)
    return tuple(found)
