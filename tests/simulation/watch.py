"""The oracle beside each router: what RFC 9568 §6.4 and our rules beyond it allow at each event.

Written from the state table (reference §2.4) and the rules of the data plane, not from the code: it
sees the events that reach a router, what it does and the name of its state, never its timers. So a
router that waits too briefly, too long or for the wrong thing is noticed at the moment it acts, or
fails to, whatever the network makes of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.simulation.rightful import GRACE_NS, RELEASE, Rightful

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
    OthersAdvertise,
    PriorityChanged,
    Resume,
    Shutdown,
    Startup,
    TakeOver,
)

_ROUNDING_NS = 1_000
_LETTERS = {BindAddresses: "B", UnbindAddresses: "U", AnnounceAddresses: "A", StateChanged: "C"}

TAKE_OVER = "SBAC"
"""Advertisement, addresses, announcement, then the news (architecture §4.3)."""
YIELD = "SC"
"""Heard once more; the addresses stay for a moment."""
GIVE_UP = "0C"
"""The same by whoever offers, with all that it says."""
STEP_DOWN = "UC"
"""After a late wake they do not."""
RELEASE_AT_ONCE = "0UC"
"""Priority 0 before the addresses go, which are of no use here."""


class Watch(Rightful):
    """Judges each event by a router's rightful state, and keeps that."""

    __slots__ = ()

    def judge(
        self,
        event: Event,
        now_ns: int,
        actions: Sequence[Action],
        after: State,
        *,
        woke_ns: int | None = None,
    ) -> str:
        """Take note of an event and what was done; return what is wrong with that, or nothing.

        ``woke_ns``: when the process last woke after it had stood still, where that is known.
        """
        due_ns = self._due_ns()
        if due_ns is not None and not isinstance(event, DeadlineReached):
            overdue_ns = now_ns - due_ns - self._lateness_ns - _ROUNDING_NS
            if overdue_ns > 0 and not self._hears_first(event, now_ns, due_ns, woke_ns):
                return f"waits {overdue_ns} ns too long as {self._state}"
        done = self._letters(actions)
        if isinstance(event, AdvertisementReceived):
            wrong = self._judge_heard(event, now_ns, done, after)
        elif isinstance(event, DeadlineReached):
            wrong = self._judge_deadline(now_ns, done, after)
        elif isinstance(event, OthersAdvertise):
            wrong = self._judge_ahead(now_ns, done, after)
        else:
            wrong = self._judge_other(event, now_ns, done, after)
        if not wrong and (("C" in done) is not (self._state is not after)):
            wrong = f"{self._state} → {after} does not fit the actions {done}"
        self._state = after
        return wrong

    def _hears_first(self, event: Event, now_ns: int, due_ns: int, woke_ns: int | None) -> bool:
        """Return whether a Backup takes in what came while it stood still, before it acts."""
        if self._state is not State.BACKUP or not isinstance(event, AdvertisementReceived):
            return False
        return woke_ns is not None and due_ns <= woke_ns and now_ns - woke_ns <= self._lateness_ns

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

    def _judge_ahead(self, now_ns: int, done: str, after: State) -> str:
        """Others advertise: an Active router may go along, and goes on from there."""
        if self._state is not State.ACTIVE:
            return _unless(done == "" and after is self._state, f"did {done}, became {after}")
        self._deadline_ns = min(self._deadline_ns, now_ns)
        return self._judge_rhythm(now_ns, done, after)

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
        self._first = False
        if heard.priority != 0:
            self._succeeded(now_ns)
        if self._state is State.BACKUP:
            self._defer_or_not(heard, now_ns)
        return _unless(done == "" and after is self._state, f"did {done} in {self._state}")

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
            self._begin(now_ns, first=event.first)
            self._first = event.first and self._faulty
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
            self._begin(now_ns, first=self._first)
            self._first = False
        return _unless((after, done) == (wanted, deeds), f"became {after} by {done!r}")


def _unless(right: bool, otherwise: str) -> str:
    return "" if right else otherwise
