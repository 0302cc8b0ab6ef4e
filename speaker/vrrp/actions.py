"""What a Virtual Router asks of the world, in the order it must be done."""

from __future__ import annotations

from dataclasses import dataclass

from vrrp.constants import State, TransitionReason


@dataclass(frozen=True, slots=True)
class SendAdvertisement:
    """Send one advertisement with this priority to every peer; 0 releases."""

    priority: int


@dataclass(frozen=True, slots=True)
class BindAddresses:
    """Put the addresses on their interfaces, or renew them."""


@dataclass(frozen=True, slots=True)
class UnbindAddresses:
    """Take the addresses off."""


@dataclass(frozen=True, slots=True)
class AnnounceAddresses:
    """Queue gratuitous ARP and unsolicited NA; never ahead of an advertisement."""


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The state moved; feeds counters, status, log."""

    before: State
    after: State
    reason: TransitionReason


Action = SendAdvertisement | BindAddresses | UnbindAddresses | AnnounceAddresses | StateChanged
