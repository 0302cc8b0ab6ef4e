"""A router's rightful state: what RFC 9568 §6.4 and our rules beyond it make of its timers.

Written from the state table (reference §2.4) and the rules of the data plane, not from the code.
"""

from __future__ import annotations

from tests.simulation.settings import NodeConfig, with_config

from vrrp.constants import State
from vrrp.events import AdvertisementReceived, ConfigurationChanged, PriorityChanged
from vrrp.states import NAMES, Active, Backup, RouterState

GRACE_NS = 140_000_000
"""How long addresses stay after a successor was heard (architecture §4.7)."""
RELEASE = "0C"
"""Priority 0; the addresses stay until a successor has them."""


class Rightful:
    """A router's rightful state, kept beside it. Times are the node's monotonic nanoseconds."""

    __slots__ = (
        "_config",
        "_deadline_ns",
        "_faulty",
        "_first",
        "_held_until_ns",
        "_interval_ns",
        "_lateness_ns",
        "_learned_ns",
        "_loser_answered_ns",
        "_offers",
        "_preempt_at_ns",
        "_priority",
        "_release_answered_ns",
        "_repair_due",
        "_repaired_ns",
        "_rival",
        "_source",
        "_state",
        "_version",
    )

    def __init__(
        self, version: int, lateness_ns: int, config: NodeConfig, source: bytes, faulty: bool
    ) -> None:
        """Begin in Initialize; ``lateness_ns`` is how late a healthy loop turns at most."""
        self._version = version
        self._lateness_ns = lateness_ns
        self._config = config
        self._source = source
        self._priority = config.priority
        self._faulty = faulty
        self._state = State.INITIALIZE
        self._interval_ns = self._learned_ns = config.interval_ns
        self._deadline_ns = 0
        self._preempt_at_ns: int | None = None
        self._loser_answered_ns: int | None = None
        self._release_answered_ns: int | None = None
        self._repaired_ns: int | None = None
        self._repair_due = False
        """Two were Active again after that, too soon for another announcement."""
        self._rival: tuple[bytes, int] | None = None
        """Who released beside us while we offered, and when."""
        self._held_until_ns: int | None = None
        """Addresses that are being handed over go then."""
        self._offers = False
        """Active, and nothing but releases until a successor is heard."""
        self._first = False
        """In Fault, named the first to have the addresses, and nobody was heard since."""

    def take_up(self, detail: RouterState) -> None:
        """Begin in the middle of a life, believing the router's own timers once."""
        self._state = NAMES[type(detail)]
        self._held_until_ns = None
        if isinstance(detail, Active):
            self._deadline_ns = detail.adver_deadline_ns
            self._loser_answered_ns = detail.loser_answered_ns
            self._release_answered_ns = detail.release_answered_ns
            self._repaired_ns, self._repair_due = detail.repaired_ns, detail.repair_due
            return
        self._held_until_ns = detail.held_until_ns
        if isinstance(detail, Backup):
            self._deadline_ns = detail.active_down_deadline_ns
            self._learned_ns = detail.active_adver_interval_ns
            self._preempt_at_ns = detail.preempt_at_ns

    @property
    def holding(self) -> bool:
        """Whether the router may have the addresses."""
        return self._state is State.ACTIVE or self._held_until_ns is not None

    def _due_ns(self) -> int | None:
        """Return when something has to happen by itself."""
        waits = self._state in (State.BACKUP, State.ACTIVE)
        due = (self._deadline_ns if waits else None, self._held_until_ns)
        return min((at_ns for at_ns in due if at_ns is not None), default=None)

    # RFC formulas ----------------------------------------------------------------------

    def _skew_ns(self, interval_ns: int) -> int:
        scale_ns = 1_000_000_000 if self._version == 2 else interval_ns
        return (256 - self._priority) * scale_ns // 256

    def _down_ns(self, interval_ns: int) -> int:
        return self._config.down_advertisements * interval_ns + self._skew_ns(interval_ns)

    def _successor_ns(self) -> int:
        """Return how long a successor may take: an interval, and the skew of priority 1."""
        scale_ns = 1_000_000_000 if self._version == 2 else self._interval_ns
        return self._interval_ns + scale_ns * 255 // 256

    def _heard_interval_ns(self, heard: AdvertisementReceived) -> int:
        if self._version == 2:
            return self._interval_ns
        return heard.max_advertise_interval_cs * 10_000_000

    # What becomes of it ----------------------------------------------------------------

    def _rearm(self, now_ns: int, interval_ns: int, preempt_at_ns: int | None = None) -> None:
        self._learned_ns = interval_ns
        self._deadline_ns = now_ns + self._down_ns(interval_ns)
        self._preempt_at_ns = preempt_at_ns

    def _begin(self, now_ns: int, *, first: bool) -> None:
        """Stand for election; the first holder has nobody to wait for, and listens."""
        self._rearm(now_ns, self._interval_ns)
        if first:
            self._deadline_ns = now_ns + self._interval_ns + self._skew_ns(self._interval_ns)

    def _begin_as_active(self, now_ns: int) -> None:
        """The first loser and the first release are answered at once."""
        self._offers = False
        self._deadline_ns = now_ns + self._interval_ns
        self._loser_answered_ns = self._release_answered_ns = self._held_until_ns = None
        self._repaired_ns = self._rival = None
        self._repair_due = False

    def _succeeded(self, now_ns: int) -> None:
        """Somebody else has the addresses: ours go after the grace."""
        if self._held_until_ns is not None:
            self._held_until_ns = min(self._held_until_ns, now_ns + GRACE_NS)

    def _defer_or_not(self, heard: AdvertisementReceived, now_ns: int) -> None:
        """Backup: move the deadline as the table says."""
        mine = self._config
        if heard.priority == 0:
            soon_ns = now_ns + self._skew_ns(self._learned_ns)
            self._deadline_ns = min(self._deadline_ns, soon_ns)
            return
        preempt_at_ns = None
        if mine.preempt and heard.priority < self._priority:
            preempt_at_ns = self._preempt_at_ns
            if preempt_at_ns is None:
                preempt_at_ns = self._preempt_at_ns = now_ns + mine.preempt_delay_ns
            if now_ns >= preempt_at_ns:
                return
        self._rearm(now_ns, self._heard_interval_ns(heard), preempt_at_ns)

    def _stands_anew(self) -> bool:
        return self._state is State.ACTIVE and not self._offers and not self._config.preempt

    def _leave(self, wanted: State, hand_over: bool, now_ns: int) -> str:
        """Return what a router does that takes part no more."""
        if self._state is State.ACTIVE and hand_over:
            self._held_until_ns = now_ns + self._successor_ns()
            return RELEASE
        news = "C" if self._state is not wanted else ""
        if hand_over:
            return news
        deeds = "0U" if self._state is State.ACTIVE else "U" * self.holding
        self._held_until_ns = None
        return deeds + news

    def _reconfigure(self, event: PriorityChanged | ConfigurationChanged, now_ns: int) -> None:
        """A Backup's deadline moves by what the change makes of its wait, not into the past."""
        down_ns, own_ns = self._down_ns(self._learned_ns), self._interval_ns
        if isinstance(event, PriorityChanged):
            self._priority = event.priority
        else:
            if event.preempt_delay_ns != self._config.preempt_delay_ns:
                self._preempt_at_ns = None
            self._config = with_config(
                self._config,
                interval_ns=event.adver_interval_ns,
                down_advertisements=event.down_advertisements,
                preempt=event.preempt_mode,
                preempt_delay_ns=event.preempt_delay_ns,
            )
            self._interval_ns = event.adver_interval_ns
        if self._state is State.ACTIVE:
            self._deadline_ns = min(self._deadline_ns, now_ns + self._interval_ns)
        elif self._state is State.BACKUP:
            # It knows no other interval than ours, so it waits by the longer of the two; version 2
            # has none but ours.
            if self._learned_ns == own_ns:
                longer_ns = max(own_ns, self._interval_ns)
                self._learned_ns = self._interval_ns if self._version == 2 else longer_ns
            moved_ns = self._deadline_ns + self._down_ns(self._learned_ns) - down_ns
            self._deadline_ns = max(now_ns, moved_ns)
