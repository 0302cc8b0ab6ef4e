"""Routers that use an election's VRID without being of the election.

What they send was refused; it is looked at once more, only to tell who they are.
"""

from __future__ import annotations

from vrrp.authentication import TRAILER_LENGTH
from vrrp.constants import PRIORITY_RELEASE
from vrrp.packet import (
    Advertisement,
    DecodeError,
    check_header,
    checksum_form,
    decode_message,
    message_length,
)
from vrrp.validation import Datagram, Election


def foreign_advertisement(datagram: Datagram, election: Election) -> Advertisement | None:
    """Return the advertisement of a router outside the election that uses its VRID.

    Version and authentication are the stranger's own affair; TTL, length and checksum must hold as
    in the ladder of ``validation``, so that garbage and what crossed a router is no router.

    Args:
        datagram: one that was refused, received on the election's interface.
        election: the one of the datagram's family and VRID.

    Returns:
        None for what comes from the election itself, is no valid advertisement, or is a release:
        who sends that uses the VRID no more.
    """
    source = datagram.source
    known = source == election.source or source in election.peers
    known |= election.learned is not None and source in election.learned.known_ns
    if known or datagram.family is not election.family or datagram.ttl < election.ttl_minimum:
        return None
    try:
        _, vrid = check_header(datagram.message)
        length = message_length(datagram.message, datagram.family)
        message, trailer = datagram.message[:length], datagram.message[length:]
        if len(message) != length or len(trailer) not in (0, TRAILER_LENGTH):
            return None
        checksum_form(message, datagram.source, datagram.destination, trailer)
    except DecodeError:
        return None
    advertisement = decode_message(message, datagram.family)
    releases = advertisement.priority == PRIORITY_RELEASE
    return advertisement if vrid == election.vrid and not releases else None
