"""The states of one Virtual Router, each with the timers it needs, and what they depend on.

A deadline is a field of the state that needs it, so a timer cannot outlive its state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from vrrp.constants import (
    NS_PER_CENTISECOND,
    PRIORITY_MAXIMUM,
    PRIORITY_MINIMUM,
    VERSION_2,
    VERSION_3,
    State,
)
from vrrp.events import AdvertisementReceived
from vrrp.timers import active_down_interval_ns, skew_time_ns

HANDOVER_GRACE_NS = 140_000_000
"""How long addresses stay after a successor was heard: it binds and announces in a few of these
milliseconds, but its kernel may put an IPv6 address into use 50 ms later. Nobody minds two holders
for that long: with the removal, less than 150 ms. It ends before the announcements 200 ms after the
takeover: they reach whoever asked for the address meanwhile and was answered by the old holder."""


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

    def release_answer_spacing_ns(self) -> int:
        """Return the least time between two answers to releases.

        Half of the shortest Skew_Time: an answer that has to wait comes before any Backup acts.
        """
        return skew_time_ns(self.version, PRIORITY_MAXIMUM, self.adver_interval_ns) // 2

    def successor_ns(self) -> int:
        """Return how long a successor may take to be heard after our release.

        The worst candidate waits a skew of one interval (version 2: a second); one interval more is
        for what is lost on the way.
        """
        return self.adver_interval_ns + skew_time_ns(
            self.version, PRIORITY_MINIMUM, self.adver_interval_ns
        )


# ``held_until_ns`` in three of the states: addresses that are still bound although the router is no
# longer Active, so that they are always somewhere (make before break, architecture §4.7).


@dataclass(frozen=True, slots=True)
class Initialize:
    """Not taking part yet, or no more."""

    held_until_ns: int | None = None

    def succeeded(self, until_ns: int) -> Initialize:
        """Return the state in which addresses stay until then at the latest."""
        return Initialize(_sooner(self.held_until_ns, until_ns))


@dataclass(frozen=True, slots=True)
class Backup:
    """Watching the Active Router; takes over at ``active_down_deadline_ns``.

    ``preempt_at_ns``: when a preemption delay ends; None while no loser was heard.
    """

    active_adver_interval_ns: int
    active_down_deadline_ns: int
    preempt_at_ns: int | None = None
    held_until_ns: int | None = None

    def succeeded(self, until_ns: int) -> Backup:
        """Return the state in which addresses stay until then at the latest."""
        if self.held_until_ns is None:
            return self
        return replace(self, held_until_ns=_sooner(self.held_until_ns, until_ns))

    def moved(self, before: Parameters, after: Parameters, now_ns: int) -> Backup:
        """Return the state with its down timer moved by what new parameters make of it.

        Source: keepalived does so for priorities. A deadline that would be past is now.
        """
        watched_ns = self.active_adver_interval_ns
        # Where the interval watched is our own, nobody was heard or the others change theirs with
        # us. A longer one counts at once, a shorter one when the Active Router tells it; version 2
        # never tells.
        ours = watched_ns == before.adver_interval_ns
        if ours and (after.version == VERSION_2 or after.adver_interval_ns > watched_ns):
            watched_ns = after.adver_interval_ns
        shift_ns = after.down_ns(watched_ns) - before.down_ns(self.active_adver_interval_ns)
        waits_otherwise = before.preempt_delay_ns != after.preempt_delay_ns
        return replace(
            self,
            active_adver_interval_ns=watched_ns,
            active_down_deadline_ns=max(now_ns, self.active_down_deadline_ns + shift_ns),
            preempt_at_ns=None if waits_otherwise else self.preempt_at_ns,
        )


@dataclass(frozen=True, slots=True)
class Active:
    """Holding the addresses; advertises at ``adver_deadline_ns``."""

    adver_deadline_ns: int
    loser_answered_ns: int | None = None
    """When a losing advertisement was last answered; None: never."""
    release_answered_ns: int | None = None
    """When a release was last answered; None: never."""
    repaired_ns: int | None = None
    """When addresses were last announced because two were Active; None: never."""
    repair_due: bool = False
    """Whether a second Active Router showed itself sooner than that may be answered again."""
    offers: bool = False
    """Whether it is faulty and every advertisement a release, until somebody takes over."""
    rival: bytes | None = None
    """Of an offering router: the greater address that a release came from last."""
    rival_ns: int = 0
    """When that was."""

    def hurried(self, until_ns: int) -> Active:
        """Return the state that advertises then at the latest."""
        return replace(self, adver_deadline_ns=min(self.adver_deadline_ns, until_ns))

    def advertised(self, due_ns: int) -> Active:
        """Return the state that advertises again then."""
        return replace(self, adver_deadline_ns=due_ns)

    def repaired(self, now_ns: int) -> Active:
        """Return the state whose addresses are announced now."""
        return replace(self, repaired_ns=now_ns, repair_due=False)

    def heard_before(self, rival: bytes, now_ns: int, mine: Parameters) -> bool:
        """Return whether this one released an interval ago as well: then it offers.

        One that leaves does so once; a copy of that comes sooner.
        """
        apart_ns, interval_ns = now_ns - self.rival_ns, mine.adver_interval_ns
        return rival == self.rival and interval_ns // 2 <= apart_ns <= 3 * interval_ns

    def heard_once(self, rival: bytes, now_ns: int, mine: Parameters) -> Active:
        """Return the state that has heard this one release."""
        copied = rival == self.rival and now_ns - self.rival_ns < mine.adver_interval_ns // 2
        return self if copied else replace(self, rival=rival, rival_ns=now_ns)

    def release_answer_due_ns(self, mine: Parameters) -> int:
        """Return from when on a release may be answered; long ago where none was."""
        if self.release_answered_ns is None:
            return 0
        return self.release_answered_ns + mine.release_answer_spacing_ns()


@dataclass(frozen=True, slots=True)
class Fault:
    """Not able to hold the addresses.

    ``first``: it was named the first to have them, and nobody was heard since.
    """

    held_until_ns: int | None = None
    first: bool = False

    def succeeded(self, until_ns: int) -> Fault:
        """Return the state in which addresses stay until then at the latest."""
        return Fault(_sooner(self.held_until_ns, until_ns))


def _sooner(held_until_ns: int | None, until_ns: int) -> int | None:
    return None if held_until_ns is None else min(held_until_ns, until_ns)


RouterState = Initialize | Backup | Active | Fault
INITIALIZE = Initialize()

NAMES = {
    Initialize: State.INITIALIZE,
    Backup: State.BACKUP,
    Active: State.ACTIVE,
    Fault: State.FAULT,
}
