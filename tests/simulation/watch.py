"""The oracle beside each router: what RFC 9568 §6.4 and our rules beyond it allow at each event.

Written from the state table (reference §2.4) and the rules of the data plane, not from the code: it
sees the events that reach a router, what it does and the name of its state, never its timers. So a
router that waits too briefly, too long or for the wrong thing is noticed at the moment it acts, or
fails to, whatever the network makes of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.simulation.settings import Cluster, NodeConfig

from vrrp.actions import (
    Action,
    AnnounceAddresses,
    BindAddresses,
    SendAdvertisement,
    StateChanged,
    UnbindAddresses,
)
from vrrp.constants import State
from vrrp.events import (
    AdvertisementReceived,
    ConfigurationChanged,
    DeadlineReached,
    Event,
    FaultChanged,
    PriorityChanged,
    Resume,
    Shutdown,
    Startup,
)

_ROUNDING_NS = 1_000
_RELEASE_ANSWERS = 100
_LETTERS = {BindAddresses: "B", UnbindAddresses: "U", AnnounceAddresses: "A", StateChanged: "C"}

TAKE_OVER = "SBAC"
"""Advertisement, addresses, announcement, then the news (architecture §4.3)."""
YIELD = "UC"
RELEASE = "0UC"
"""Priority 0 before the addresses go."""


class Watch:
    """A router's rightful state, kept beside it. Times are the node's monotonic nanoseconds."""

    __slots__ = (
        "_answered_ns",
        "_changed_ns",
        "_config",
        "_deadline_ns",
        "_faulty",
        "_interval_ns",
        "_lateness_ns",
        "_learned_ns",
        "_preempt_at_ns",
        "_priority",
        "_source",
        "_state",
        "_version",
    )

    def __init__(self, cluster: Cluster, config: NodeConfig, source: bytes, faulty: bool) -> None:
        self._version = cluster.version
        self._lateness_ns = cluster.lateness_ns
        self._config = config
        self._source = source
        self._priority = config.priority
        self._faulty = faulty
        self._state = State.INITIALIZE
        self._interval_ns = self._learned_ns = config.interval_ns
        self._deadline_ns = 0
        self._preempt_at_ns: int | None = None
        self._answered_ns = 0
        self._changed_ns = 0
        """When a change from outside may have moved the deadline into the past."""

    def judge(self, event: Event, now_ns: int, actions: Sequence[Action], after: State) -> str:
        """Take note of an event and what was done; return what is wrong with that, or nothing."""
        due_ns = max(self._deadline_ns, self._changed_ns)
        overdue_ns = now_ns - due_ns - self._lateness_ns - _ROUNDING_NS
        waits = self._state in (State.BACKUP, State.ACTIVE)
        if waits and overdue_ns > 0 and not isinstance(event, DeadlineReached):
            return f"waits {overdue_ns} ns too long as {self._state}"
        done = self._letters(actions)
        if isinstance(event, AdvertisementReceived):
            wrong = self._judge_heard(event, now_ns, done, after)
        elif isinstance(event, DeadlineReached):
            wrong = self._judge_deadline(now_ns, done, after)
        else:
            wrong = self._judge_other(event, now_ns, done, after)
        if not wrong and (("C" in done) is not (self._state is not after)):
            wrong = f"{self._state} → {after} does not fit the actions {done}"
        self._state = after
        return wrong

    def _letters(self, actions: Sequence[Action]) -> str:
        """Return the actions, a letter each; S is an advertisement of our priority, 0 a release."""
        letters = []
        for action in actions:
            if isinstance(action, SendAdvertisement):
                ours = action.priority == self._priority
                letters.append("S" if ours else str(action.priority))
            else:
                letters.append(_LETTERS[type(action)])
        return "".join(letters)

    # RFC formulas ----------------------------------------------------------------------

    def _skew_ns(self, interval_ns: int) -> int:
        scale_ns = 1_000_000_000 if self._version == 2 else interval_ns
        return (256 - self._priority) * scale_ns // 256

    def _down_ns(self, interval_ns: int) -> int:
        return self._config.down_advertisements * interval_ns + self._skew_ns(interval_ns)

    def _rearm(self, now_ns: int, interval_ns: int, preempt_at_ns: int | None = None) -> None:
        self._learned_ns = interval_ns
        self._deadline_ns = now_ns + self._down_ns(interval_ns)
        self._preempt_at_ns = preempt_at_ns

    def _begin_as_active(self, now_ns: int) -> None:
        """The first loser may be answered at once."""
        self._deadline_ns = now_ns + self._interval_ns
        self._answered_ns = now_ns - self._interval_ns

    # Deadlines -------------------------------------------------------------------------

    def _judge_deadline(self, now_ns: int, done: str, after: State) -> str:
        if self._state is State.BACKUP:
            return self._judge_silence(now_ns, done, after)
        if self._state is State.ACTIVE:
            return self._judge_rhythm(now_ns, done, after)
        return _unless(done == "" and after is self._state, "a timer fired that does not exist")

    def _judge_silence(self, now_ns: int, done: str, after: State) -> str:
        """Backup: nothing was heard for so long."""
        late_ns = now_ns - self._deadline_ns
        overslept_ns = late_ns - self._interval_ns
        if after is State.ACTIVE:
            if late_ns < -_ROUNDING_NS:
                return f"took over {-late_ns} ns before its deadline"
            if overslept_ns > _ROUNDING_NS:
                return f"took over {late_ns} ns late, without listening first"
            self._begin_as_active(now_ns)
            return _unless(done == TAKE_OVER, f"took over by {done}")
        if overslept_ns > -_ROUNDING_NS:
            self._deadline_ns = now_ns + self._learned_ns + self._skew_ns(self._learned_ns)
            self._preempt_at_ns = None  # whom it waited for may be gone: it begins to watch anew
        elif late_ns > _ROUNDING_NS:
            return f"did not take over {late_ns} ns after its deadline"
        return _unless(done == "" and after is State.BACKUP, f"did {done}, became {after}")

    def _judge_rhythm(self, now_ns: int, done: str, after: State) -> str:
        """Active: time for the next advertisement, or much too late for it."""
        mine = self._config
        spare_ns = (mine.down_advertisements - 1) * self._interval_ns
        spare_ns = spare_ns or self._skew_ns(self._interval_ns)
        interval_ns, late_ns = self._interval_ns, now_ns - self._deadline_ns
        if after is State.BACKUP:
            if late_ns < spare_ns - _ROUNDING_NS:
                return f"stepped down when {late_ns} ns late"
            self._learned_ns = interval_ns
            self._deadline_ns = now_ns + interval_ns + self._skew_ns(interval_ns)
            self._preempt_at_ns = None
            return _unless(done == YIELD, f"stepped down by {done}")
        if late_ns > spare_ns + _ROUNDING_NS:
            return f"goes on when {late_ns} ns late: others may be Active"
        if late_ns < -_ROUNDING_NS:
            return f"advertises {-late_ns} ns early"
        # The rhythm is kept, but nothing is caught up on.
        self._deadline_ns = max(self._deadline_ns + interval_ns, now_ns + interval_ns // 2)
        return _unless(done == "S" and after is State.ACTIVE, f"advertised by {done}")

    # Advertisements --------------------------------------------------------------------

    def _judge_heard(
        self, heard: AdvertisementReceived, now_ns: int, done: str, after: State
    ) -> str:
        if self._state is State.BACKUP:
            self._defer_or_not(heard, now_ns)
            return _unless(done == "" and after is State.BACKUP, f"did {done}, became {after}")
        if self._state is State.ACTIVE:
            return self._judge_rival(heard, now_ns, done, after)
        return _unless(done == "" and after is self._state, f"did {done} in {self._state}")

    def _heard_interval_ns(self, heard: AdvertisementReceived) -> int:
        if self._version == 2:
            return self._interval_ns
        return heard.max_advertise_interval_cs * 10_000_000

    def _defer_or_not(self, heard: AdvertisementReceived, now_ns: int) -> None:
        """Backup: move the deadline as the table says."""
        mine = self._config
        if heard.priority == 0:
            self._deadline_ns = now_ns + self._skew_ns(self._learned_ns)
            return
        preempt_at_ns = None
        if mine.preempt and heard.priority < self._priority:
            preempt_at_ns = self._preempt_at_ns
            if preempt_at_ns is None:
                preempt_at_ns = self._preempt_at_ns = now_ns + mine.preempt_delay_ns
            if now_ns >= preempt_at_ns:
                return
        self._rearm(now_ns, self._heard_interval_ns(heard), preempt_at_ns)

    def _judge_rival(
        self, heard: AdvertisementReceived, now_ns: int, done: str, after: State
    ) -> str:
        """Active: yield to the better, answer the others, seldom enough."""
        better = heard.priority > self._priority
        better |= heard.priority == self._priority and heard.source > self._source
        if better:
            self._rearm(now_ns, self._heard_interval_ns(heard))
            return _unless(done == YIELD and after is State.BACKUP, f"did not yield: {done}")
        wait_ns = self._interval_ns // (_RELEASE_ANSWERS if heard.priority == 0 else 1)
        answer = "S" if heard.priority == 0 else "SA" if self._version == 3 else "A"
        if now_ns - self._answered_ns < wait_ns:
            answer = ""
        else:
            self._answered_ns = now_ns
            if heard.priority == 0:
                self._deadline_ns = now_ns + self._interval_ns
        right = done == answer and after is State.ACTIVE
        return _unless(right, f"priority {heard.priority} heard: did {done!r}, not {answer!r}")

    # Changes from outside --------------------------------------------------------------

    def _judge_other(self, event: Event, now_ns: int, done: str, after: State) -> str:
        before = self._state
        self._changed_ns = now_ns
        if isinstance(event, PriorityChanged):
            down_ns = self._down_ns(self._learned_ns)
            self._priority = event.priority
            if before is State.BACKUP:
                self._deadline_ns += self._down_ns(self._learned_ns) - down_ns
        elif isinstance(event, ConfigurationChanged):
            self._reconfigure(event, now_ns)
        elif isinstance(event, Startup):
            self._rearm(now_ns, self._interval_ns)
            wanted = State.FAULT if self._faulty else State.BACKUP
            return _unless(after is wanted and done == "C", f"started as {after} by {done}")
        elif isinstance(event, Resume):
            self._begin_as_active(now_ns)
            wanted, deeds = (State.FAULT, "UC") if self._faulty else (State.ACTIVE, "SB")
            # Resuming is no transition: the predecessor was Active.
            self._state = State.ACTIVE if wanted is State.ACTIVE else before
            return _unless((after, done) == (wanted, deeds), f"resumed as {after} by {done}")
        elif isinstance(event, FaultChanged):
            return self._judge_fault(event, now_ns, done, after)
        elif isinstance(event, Shutdown):
            deeds = RELEASE if before is State.ACTIVE else "C"
            right = after is State.INITIALIZE and done == deeds
            return _unless(right, f"ended as {after} by {done}")
        return _unless(done == "" and after is before, f"did {done} at a change, became {after}")

    def _reconfigure(self, event: ConfigurationChanged, now_ns: int) -> None:
        down_ns = self._down_ns(self._learned_ns)
        if event.preempt_delay_ns != self._config.preempt_delay_ns:
            self._preempt_at_ns = None
        self._config = NodeConfig(
            self._config.priority,
            event.adver_interval_ns,
            event.down_advertisements,
            event.preempt_mode,
            event.preempt_delay_ns,
            self._config.peers,
            self._config.authentication,
        )
        self._interval_ns = event.adver_interval_ns
        if self._state is State.ACTIVE:
            self._deadline_ns = min(self._deadline_ns, now_ns + self._interval_ns)
        elif self._state is State.BACKUP:
            self._deadline_ns += self._down_ns(self._learned_ns) - down_ns

    def _judge_fault(self, event: FaultChanged, now_ns: int, done: str, after: State) -> str:
        before, self._faulty = self._state, event.faulty
        wanted, deeds = before, ""
        if event.faulty and before is not State.FAULT:
            wanted, deeds = State.FAULT, RELEASE if before is State.ACTIVE else "C"
        elif not event.faulty and before is State.FAULT:
            wanted, deeds = State.BACKUP, "C"
            self._rearm(now_ns, self._interval_ns)
        return _unless((after, done) == (wanted, deeds), f"became {after} by {done!r}")


def _unless(right: bool, otherwise: str) -> str:
    return "" if right else otherwise
