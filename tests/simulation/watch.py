"""The oracle beside each router: what RFC 9568 §6.4 and our rules beyond it allow at each event.

Written from the state table (reference §2.4) and the rules of the data plane, not from the code: it
sees the events that reach a router, what it does and the name of its state, never its timers. So a
router that waits too briefly, too long or for the wrong thing is noticed at the moment it acts, or
fails to, whatever the network makes of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.simulation.settings import NodeConfig, with_config

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
    Doubt,
    Event,
    FaultChanged,
    PriorityChanged,
    Resume,
    Shutdown,
    Startup,
    TakeOver,
)
from vrrp.states import NAMES, Active, Backup, RouterState

_ROUNDING_NS = 1_000
GRACE_NS = 150_000_000
"""How long addresses stay after a successor was heard (architecture §4.7)."""
_LETTERS = {BindAddresses: "B", UnbindAddresses: "U", AnnounceAddresses: "A", StateChanged: "C"}

TAKE_OVER = "SBAC"
"""Advertisement, addresses, announcement, then the news (architecture §4.3)."""
YIELD = "SC"
"""Heard once more; the addresses stay for a moment."""
GIVE_UP = "0C"
"""The same by whoever offers, with all that it says."""
STEP_DOWN = "UC"
"""After a late wake they do not."""
RELEASE = "0C"
"""Priority 0; the addresses stay until a successor has them."""
RELEASE_AT_ONCE = "0UC"
"""Priority 0 before the addresses go, which are of no use here."""


class Watch:
    """A router's rightful state, kept beside it. Times are the node's monotonic nanoseconds."""

    __slots__ = (
        "_config",
        "_deadline_ns",
        "_faulty",
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

    def judge(self, event: Event, now_ns: int, actions: Sequence[Action], after: State) -> str:
        """Take note of an event and what was done; return what is wrong with that, or nothing."""
        due_ns = self._due_ns()
        if due_ns is not None and not isinstance(event, DeadlineReached):
            overdue_ns = now_ns - due_ns - self._lateness_ns - _ROUNDING_NS
            if overdue_ns > 0:
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

    # Deadlines -------------------------------------------------------------------------

    def _judge_deadline(self, now_ns: int, done: str, after: State) -> str:
        if self._state is State.ACTIVE:
            return self._judge_rhythm(now_ns, done, after)
        held_ns = self._held_until_ns
        if self._state is State.BACKUP and (held_ns is None or now_ns >= self._deadline_ns):
            return self._judge_silence(now_ns, done, after)
        if held_ns is None or now_ns < held_ns - _ROUNDING_NS:
            return _unless(done == "" and after is self._state, "a timer fired that does not exist")
        self._held_until_ns = None
        return _unless(done == "U" and after is self._state, f"let the addresses go by {done!r}")

    def _judge_silence(self, now_ns: int, done: str, after: State) -> str:
        """Backup: nothing was heard for so long."""
        late_ns = now_ns - self._deadline_ns
        overslept_ns = late_ns - self._learned_ns
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
            held, self._held_until_ns = "U" * self.holding, None
            return _unless(done == held and after is State.BACKUP, f"did {done}, became {after}")
        if late_ns > _ROUNDING_NS:
            return f"did not take over {late_ns} ns after its deadline"
        return _unless(done == "" and after is State.BACKUP, f"did {done}, became {after}")

    def _judge_rhythm(self, now_ns: int, done: str, after: State) -> str:
        """Active: time for the next advertisement, or much too late for it."""
        mine = self._config
        spare_ns = (mine.down_advertisements - 1) * self._interval_ns
        spare_ns = spare_ns or self._skew_ns(self._interval_ns)
        interval_ns, late_ns = self._interval_ns, now_ns - self._deadline_ns
        if after is (State.FAULT if self._offers else State.BACKUP):
            if late_ns < spare_ns - _ROUNDING_NS:
                return f"stepped down when {late_ns} ns late"
            self._learned_ns = interval_ns
            self._deadline_ns = now_ns + interval_ns + self._skew_ns(interval_ns)
            self._preempt_at_ns = None
            return _unless(done == STEP_DOWN, f"stepped down by {done}")
        if late_ns > spare_ns + _ROUNDING_NS:
            return f"goes on when {late_ns} ns late: others may be Active"
        if late_ns < -_ROUNDING_NS:
            return f"advertises {-late_ns} ns early"
        # The rhythm is kept, but nothing is caught up on.
        self._deadline_ns = max(self._deadline_ns + interval_ns, now_ns + interval_ns // 2)
        said = "0" if self._offers else "S"
        if self._repair_due:
            said += "A"
            self._repaired_ns, self._repair_due = now_ns, False
        return _unless(done == said and after is State.ACTIVE, f"advertised by {done}, not {said}")

    # Advertisements --------------------------------------------------------------------

    def _judge_heard(
        self, heard: AdvertisementReceived, now_ns: int, done: str, after: State
    ) -> str:
        if self._state is State.ACTIVE:
            return self._judge_rival(heard, now_ns, done, after)
        if heard.priority != 0:
            self._succeeded(now_ns)
        if self._state is State.BACKUP:
            self._defer_or_not(heard, now_ns)
        return _unless(done == "" and after is self._state, f"did {done} in {self._state}")

    def _heard_interval_ns(self, heard: AdvertisementReceived) -> int:
        if self._version == 2:
            return self._interval_ns
        return heard.max_advertise_interval_cs * 10_000_000

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

    def _judge_rival(
        self, heard: AdvertisementReceived, now_ns: int, done: str, after: State
    ) -> str:
        """Active: yield to the better, answer the others, seldom enough."""
        if self._offers:
            wanted = self._beside_an_offer(heard, now_ns)
            return _unless((done, after) == wanted, f"offers, and became {after} by {done!r}")
        better = heard.priority > self._priority
        better |= heard.priority == self._priority and heard.source > self._source
        if better:
            self._rearm(now_ns, self._heard_interval_ns(heard))
            self._held_until_ns = now_ns + GRACE_NS
            return _unless(done == YIELD and after is State.BACKUP, f"did not yield: {done}")
        answer = self._answer_to_release(now_ns) if heard.priority == 0 else self._answer(now_ns)
        right = done == answer and after is State.ACTIVE
        return _unless(right, f"priority {heard.priority} heard: did {done!r}, not {answer!r}")

    def _answer(self, now_ns: int) -> str:
        """Return what a loser is answered: within an interval nothing, but caches are repaired."""
        answered_ns = self._loser_answered_ns
        if answered_ns is not None and now_ns - answered_ns < self._interval_ns:
            self._repair_due = True
            return ""
        self._loser_answered_ns = self._repaired_ns = now_ns
        self._repair_due = False
        return "SA" if self._version == 3 else "A"

    def _answer_to_release(self, now_ns: int) -> str:
        """Return what a release is answered: an advertisement, now or before anybody acts.

        Nobody acts earlier than the Skew_Time of priority 254; half of it lies between answers.
        """
        scale_ns = 1_000_000_000 if self._version == 2 else self._interval_ns
        answered_ns = self._release_answered_ns
        if answered_ns is not None and now_ns < answered_ns + scale_ns * 2 // 256 // 2:
            self._deadline_ns = min(self._deadline_ns, answered_ns + scale_ns * 2 // 256 // 2)
            return ""
        self._release_answered_ns = now_ns
        self._deadline_ns = now_ns + self._interval_ns
        return "S" + self._repair(now_ns)

    def _repair(self, now_ns: int) -> str:
        """Two are Active: the neighbours are told where the addresses are, once an interval."""
        if self._repaired_ns is not None and now_ns - self._repaired_ns < self._interval_ns:
            self._repair_due = True
            return ""
        self._repaired_ns, self._repair_due = now_ns, False
        return "A"

    def _beside_an_offer(self, heard: AdvertisementReceived, now_ns: int) -> tuple[str, State]:
        """Return what an offering router does: it goes on only beside a lesser one that offers."""
        if heard.priority == 0 and heard.source < self._source:
            return self._repair(now_ns), State.ACTIVE
        if heard.priority == 0:
            who, at_ns = self._rival or (b"", 0)
            again = who == heard.source
            if again and now_ns - at_ns < self._interval_ns // 2:
                return "", State.ACTIVE  # a copy
            if not again or now_ns - at_ns > 3 * self._interval_ns:
                self._rival = heard.source, now_ns
                return "", State.ACTIVE
        self._held_until_ns = now_ns + GRACE_NS
        return GIVE_UP, State.FAULT

    # Changes from outside --------------------------------------------------------------

    def _judge_other(self, event: Event, now_ns: int, done: str, after: State) -> str:
        if isinstance(event, PriorityChanged) and event.unhealthy and self._stands_anew():
            self._priority = event.priority
            self._deadline_ns = now_ns + self._skew_ns(self._interval_ns)
            self._learned_ns, self._preempt_at_ns = self._interval_ns, None
            self._held_until_ns = now_ns + self._successor_ns()
            return _unless((done, after) == (RELEASE, State.BACKUP), f"stood anew by {done!r}")
        if isinstance(event, PriorityChanged | ConfigurationChanged):
            self._reconfigure(event, now_ns)
            return _unless(done == "" and after is self._state, f"did {done}, became {after}")
        if isinstance(event, FaultChanged):
            return self._judge_fault(event, now_ns, done, after)
        if isinstance(event, Doubt):
            if self._state is State.BACKUP:
                self._deadline_ns = max(self._deadline_ns, event.until_ns)
            return _unless(done == "" and after is self._state, f"did {done}, became {after}")
        if isinstance(event, TakeOver):
            return self._judge_named(now_ns, done, after)
        if isinstance(event, Shutdown):
            deeds = self._leave(State.INITIALIZE, event.hand_over, now_ns)
            right = after is State.INITIALIZE and done == deeds
            return _unless(right, f"ended as {after} by {done!r}, not {deeds!r}")
        return self._judge_beginning(event, now_ns, done, after)

    def _judge_beginning(self, event: Event, now_ns: int, done: str, after: State) -> str:
        if isinstance(event, Startup):
            self._rearm(now_ns, self._interval_ns)
            wanted = State.FAULT if self._faulty else State.BACKUP
            return _unless(after is wanted and done == "C", f"started as {after} by {done}")
        assert isinstance(event, Resume)
        before = self._state
        self._begin_as_active(now_ns)
        # There was no successor to wait for yet: the predecessor died just now.
        wanted, deeds = (State.FAULT, RELEASE_AT_ONCE) if self._faulty else (State.ACTIVE, "SBA")
        # Resuming is no transition: the predecessor was Active.
        self._state = State.ACTIVE if wanted is State.ACTIVE else before
        return _unless((after, done) == (wanted, deeds), f"resumed as {after} by {done}")

    def _judge_named(self, now_ns: int, done: str, after: State) -> str:
        """Named the successor: a Backup does not wait, and nobody else cares."""
        if self._state is not State.BACKUP:
            return _unless(done == "" and after is self._state, f"did {done}, became {after}")
        self._begin_as_active(now_ns)
        right = done == TAKE_OVER and after is State.ACTIVE
        return _unless(right, f"named the successor: became {after} by {done!r}")

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

    def _stands_anew(self) -> bool:
        return self._state is State.ACTIVE and not self._offers and not self._config.preempt

    def _successor_ns(self) -> int:
        """Return how long a successor may take: an interval, and the skew of priority 1."""
        scale_ns = 1_000_000_000 if self._version == 2 else self._interval_ns
        return self._interval_ns + scale_ns * 255 // 256

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

    def _judge_fault(self, event: FaultChanged, now_ns: int, done: str, after: State) -> str:
        before, self._faulty = self._state, event.faulty
        wanted, deeds = before, ""
        if before is State.ACTIVE and event.faulty and event.hand_over and event.keeps:
            deeds = "" if self._offers else "0"
            if not self._offers:
                self._begin_as_active(now_ns)
                self._offers = True
        elif before is State.ACTIVE and self._offers and not event.faulty:
            deeds = "S"
            self._begin_as_active(now_ns)
        elif event.faulty:
            wanted = State.INITIALIZE if before is State.INITIALIZE else State.FAULT
            deeds = self._leave(wanted, event.hand_over, now_ns)
        elif before is State.FAULT:
            wanted, deeds = State.BACKUP, "C"
            self._rearm(now_ns, self._interval_ns)
        return _unless((after, done) == (wanted, deeds), f"became {after} by {done!r}")


def _unless(right: bool, otherwise: str) -> str:
    return "" if right else otherwise
