"""What is odd about an accepted advertisement: counted, never a reason to discard it.

An observation is one line here: its name, which is the metric's label, and when it holds. Counters
in the shared state, the metric and its label follow from the list. New ones go to its end, because
counters are kept by their place in it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Self

from vrrp.constants import PRIORITY_OWNER, Family
from vrrp.packet import Advertisement, ChecksumForm, is_link_local

if TYPE_CHECKING:
    from vrrp.validation import Accepted, Election


class Heard(NamedTuple):
    """An advertisement that was accepted, and by what."""

    accepted: Accepted
    election: Election
    priority: int
    """The effective priority of this node."""

    @property
    def said(self) -> Advertisement:
        """What the advertisement says."""
        return self.accepted.advertisement


def _first_is_global(heard: Heard) -> bool:
    """Return whether the first IPv6 address is no link-local one (RFC 9568 §5.2.9)."""
    first = heard.said.addresses[0]
    return heard.election.family is Family.IPV6 and not is_link_local(first)


def _has_form(form: ChecksumForm) -> Callable[[Heard], bool]:
    return lambda heard: heard.accepted.checksum_form is form


_GROUP = ChecksumForm.GROUP_PSEUDO_HEADER


class Observation(StrEnum):
    """What may be observed, each with its condition."""

    sees: Callable[[Heard], bool]

    def __new__(cls, label: str, sees: Callable[[Heard], bool]) -> Self:
        """Make a member of its label and its condition."""
        member = str.__new__(cls, label)
        member._value_ = label
        member.sees = sees
        return member

    INTERVAL_DIFFERS = "interval_differs", lambda h: h.said.interval_cs != h.election.interval_cs
    ADDRESSES_DIFFER = "addresses_differ", lambda h: {*h.said.addresses} != h.election.addresses
    EQUAL_PRIORITY = "equal_priority", lambda h: h.said.priority == h.priority
    FOREIGN_OWNER = "foreign_owner", lambda h: h.said.priority == PRIORITY_OWNER
    FIRST_ADDRESS_NOT_LINK_LOCAL = "first_address_not_link_local", _first_is_global
    UNSIGNED = "unsigned", lambda h: h.election.signed and h.accepted.sequence is None
    CHECKSUM_MESSAGE_ONLY = "checksum_message_only", _has_form(ChecksumForm.MESSAGE_ONLY)
    CHECKSUM_PSEUDO_HEADER = "checksum_pseudo_header", _has_form(ChecksumForm.PSEUDO_HEADER)
    CHECKSUM_GROUP_PSEUDO_HEADER = "checksum_group_pseudo_header", _has_form(_GROUP)


def observe(accepted: Accepted, election: Election, priority: int) -> tuple[Observation, ...]:
    """Return what is odd about an accepted advertisement; ``priority`` is our effective one."""
    heard = Heard(accepted, election, priority)
    return tuple(observation for observation in Observation if observation.sees(heard))
