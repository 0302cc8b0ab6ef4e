"""The states of one Virtual Router, each with the timers it needs, and what they depend on.

A deadline is a field of the state that needs it, so a timer cannot outlive its state.
"""

from __future__ import annotations

from dataclasses import dataclass

from vrrp.constants import (
    NS_PER_CENTISECOND,
    PRIORITY_MAXIMUM,
    PRIORITY_MINIMUM,
    VERSION_3,
    State,
)
from vrrp.events import AdvertisementReceived
from vrrp.timers import active_down_interval_ns, skew_time_ns


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the protocol knows of this node in this election.

    ``priority`` is the effective one, 1 to 254; ``source`` is the packed address that our
    advertisements come from; ``down_advertisements`` may be missed before a takeover.
    """

    version: int
    priority: int
    adver_interval_ns: int
    down_advertisements: int
    preempt_mode: bool
    preempt_delay_ns: int
    source: bytes

    def __post_init__(self) -> None:
        assert PRIORITY_MINIMUM <= self.priority <= PRIORITY_MAXIMUM
        assert self.adver_interval_ns >= NS_PER_CENTISECOND
        assert self.down_advertisements >= 1

    def skew_ns(self, interval_ns: int) -> int:
        """Return our Skew_Time while the Active Router advertises at this interval."""
        return skew_time_ns(self.version, self.priority, interval_ns)

    def down_ns(self, interval_ns: int) -> int:
        """Return our Active_Down_Interval while the Active Router advertises at this interval."""
        return active_down_interval_ns(
            self.version, self.priority, interval_ns, self.down_advertisements
        )

    def heard_interval_ns(self, heard: AdvertisementReceived) -> int:
        """Return the interval to wait by: the sender's, which version 2 does not learn."""
        if self.version == VERSION_3:
            return heard.max_advertise_interval_cs * NS_PER_CENTISECOND
        return self.adver_interval_ns

    def late_wake_ns(self) -> int:
        """Return from which lateness of our Adver_Timer on another router may be Active.

        Our last advertisement left one interval before the deadline; the best Backup waits
        ``down_advertisements`` intervals and its Skew_Time from there. Where that is a single
        interval, its skew is all the room there is; ours stands for it.
        """
        spare_ns = (self.down_advertisements - 1) * self.adver_interval_ns
        return spare_ns or self.skew_ns(self.adver_interval_ns)


@dataclass(frozen=True, slots=True)
class Initialize:
    """Not taking part yet, or no more."""


@dataclass(frozen=True, slots=True)
class Backup:
    """Watching the Active Router; takes over at ``active_down_deadline_ns``.

    ``preempt_at_ns``: when a preemption delay ends; None while no loser was heard.
    """

    active_adver_interval_ns: int
    active_down_deadline_ns: int
    preempt_at_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Active:
    """Holding the addresses; advertises at ``adver_deadline_ns``."""

    adver_deadline_ns: int
    answered_ns: int
    """When a loser or a release was last answered out of turn."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Not able to hold the addresses."""


RouterState = Initialize | Backup | Active | Fault
INITIALIZE = Initialize()

NAMES = {
    Initialize: State.INITIALIZE,
    Backup: State.BACKUP,
    Active: State.ACTIVE,
    Fault: State.FAULT,
}
