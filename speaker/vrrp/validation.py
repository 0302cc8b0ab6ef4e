"""The ladder every received datagram climbs before it may become an event (RFC 9568 §7.1).

Order matters: membership first, so that a host that is no peer reaches nothing but a counter. A
rejected datagram changes a counter and nothing else (keepalived's defect D1 is the opposite).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vrrp.constants import TTL, RejectReason
from vrrp.packet import Advertisement, ChecksumForm, DecodeError, check_header, decode_advertisement

_IPV4_HEADER = 20


@dataclass(frozen=True, slots=True)
class Election:
    """Who may speak to one Virtual Router: its own packed source, and its peers'."""

    source: bytes
    peers: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class Accepted:
    """An advertisement for the Virtual Router ``vrid``, from the peer ``source``."""

    source: bytes
    advertisement: Advertisement
    checksum_form: ChecksumForm


def validate_datagram(
    datagram: bytes, elections: Mapping[int, Election], peers: frozenset[bytes]
) -> Accepted | RejectReason:
    """Climb the ladder of ``reference §2.4`` with one IPv4 datagram, header included.

    Args:
        datagram: as a raw socket delivers it.
        elections: by VRID, every Virtual Router of this node.
        peers: the union of all their peers.

    Returns:
        The accepted advertisement, or the reason of the first check that failed.
    """
    if len(datagram) < _IPV4_HEADER:
        return RejectReason.TRUNCATED
    source, destination = datagram[12:16], datagram[16:20]
    if source not in peers:
        return RejectReason.UNKNOWN_SOURCE
    if datagram[8] != TTL:
        return RejectReason.TTL
    message = datagram[(datagram[0] & 0x0F) * 4 :]
    try:
        election = elections.get(check_header(message))
        if election is None:
            return RejectReason.UNKNOWN_VRID
        if source not in election.peers:
            return RejectReason.UNKNOWN_SOURCE
        if destination != election.source:
            return RejectReason.NOT_FOR_US
        advertisement, form = decode_advertisement(message, source, destination)
    except DecodeError as error:
        return error.reason
    return Accepted(source, advertisement, form)
