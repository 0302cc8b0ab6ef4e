"""The state machine of one Virtual Router (RFC 9568 §6.4), without clock, socket or log.

Theory of operation
-------------------
``handle(event, now_ns)`` returns the actions to do, in order; ``next_deadline_ns()`` says when
to come back with ``DeadlineReached``. That is the whole interface.

A deadline is a field of the state that needs it: Backup carries Active_Down_Timer, Active carries
Adver_Timer, Initialize and Fault carry none. Leaving a state drops its timer with it, so a stale
timer cannot fire.

Rejected packets never become events (``validation``), so they touch no timer.

Three rules go beyond the RFC, all from architecture §4. A *late wake* (rule 5): whoever finds that
time jumped past the moment at which others may have acted takes its addresses off first and
listens for one interval and Skew_Time; a living Active Router would be heard by then. A *fault*
(health check, link) is a fourth state that holds nothing and sends nothing. An Active Router that
hears a loser answers at once, as RFC 9568 asks, but at most once in an interval.

Version 2 (RFC 3768) differs in three places: Skew_Time is not scaled by the interval (``timers``),
a Backup does not learn the Active Router's interval, and a loser is not answered.

Handing over is *make before break* (rule 7). A router that stops being Active in good order keeps
the addresses for a while: after a release until a successor is heard, and then, as after yielding
to a better one, for ``HANDOVER_GRACE_NS``, in which the successor binds and announces. The state
has changed by then; ``held_until_ns`` is all that is left.

Who is named the first of an election in which nobody was ever Active has no successor's wait: it
listens as a late wake does. Whoever is heard before it could begin ends that.

Two that were Active may have been so for long, cut off from each other, and the neighbours know but
the one that loses. So the loser makes itself heard before it steps down: it may be the first to
hear the other. The winner then announces, as it does for any sign of a second Active Router, a
release among them.

Health checks move an Active Router in two ways of their own. Where they lower its priority and
nobody may preempt it, it releases and stands for election anew with what is left. And where a check
that may be failing everywhere makes it faulty, it *offers* the addresses for as long as it takes:
still Active, it advertises nothing but releases, until it hears a successor. Of two that offer the
one with the greater address goes on; a release has no priority to tell by. Whoever leaves says a
release once, so it takes two to know that the other one offers.

A preemption delay (keepalived's ``preempt_delay``) runs from the first losing advertisement a
Backup hears. Until it ends the Backup defers to the loser as if it did not preempt.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from vrrp.actions import (
    Action,
    AnnounceAddresses,
    BindAddresses,
    SendAdvertisement,
    StateChanged,
    UnbindAddresses,
)
from vrrp.constants import PRIORITY_RELEASE, State, TransitionReason
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
from vrrp.rivals import hear_as_active
from vrrp.states import (
    HANDOVER_GRACE_NS,
    INITIALIZE,
    NAMES,
    Active,
    Backup,
    Fault,
    Initialize,
    Parameters,
    RouterState,
)

Actions = tuple[Action, ...]
NOTHING: Actions = ()


class VirtualRouter:
    """One election as seen by one node; see the module's theory of operation."""

    def __init__(
        self,
        parameters: Parameters,
        *,
        faulty: bool = False,
        detail: RouterState = INITIALIZE,
    ) -> None:
        self._parameters = parameters
        self._faulty = faulty
        self._state = detail

    @property
    def state(self) -> State:
        """The name of the current state."""
        return NAMES[type(self._state)]

    @property
    def detail(self) -> RouterState:
        """The current state with its timers."""
        return self._state

    @property
    def holding(self) -> bool:
        """Whether the addresses are bound: while Active, and while they are handed over."""
        return isinstance(self._state, Active) or self._state.held_until_ns is not None

    @property
    def faulty(self) -> bool:
        """Whether something keeps this node from holding the addresses."""
        return self._faulty

    @property
    def parameters(self) -> Parameters:
        """The parameters in force."""
        return self._parameters

    def next_deadline_ns(self) -> int | None:
        """Return when ``DeadlineReached`` is due, or None while no timer runs."""
        match self._state:
            case Backup(active_down_deadline_ns=deadline_ns, held_until_ns=held_ns):
                return deadline_ns if held_ns is None else min(deadline_ns, held_ns)
            case Active(adver_deadline_ns=deadline_ns):
                return deadline_ns
            case Initialize(held_until_ns=held_ns) | Fault(held_until_ns=held_ns):
                return held_ns
            case unreachable:
                assert_never(unreachable)

    def handle(self, event: Event, now_ns: int) -> Actions:  # noqa: C901, PLR0912 - one for each event
        """Apply one event and return the actions it asks for, in order."""
        match event:
            case AdvertisementReceived():
                return self._hear(event, now_ns)
            case DeadlineReached():
                return self._deadline_reached(now_ns)
            case OthersAdvertise() if isinstance(self._state, Active):
                return self._advertise(self._state.hurried(now_ns), now_ns)
            case OthersAdvertise():
                return NOTHING
            case Startup():
                return self._start(event, now_ns)
            case Resume():
                return self._resume(now_ns)
            case Shutdown():
                return self._leave(Initialize(), event.reason, event.hand_over, now_ns)
            case TakeOver():
                return self._take_over_now(now_ns)
            case Doubt():
                return self._wait_longer(event)
            case PriorityChanged():
                return self._change_priority(event, now_ns)
            case ConfigurationChanged():
                return self._change_configuration(event, now_ns)
            case FaultChanged():
                return self._change_fault(event, now_ns)
            case unreachable:
                assert_never(unreachable)

    # Beginning and end -----------------------------------------------------------------

    def _start(self, event: Startup, now_ns: int) -> Actions:
        assert isinstance(self._state, Initialize)
        held_ns = self._state.held_until_ns
        if self._faulty:
            return self._enter(Fault(held_ns, event.first), TransitionReason.FAULT)
        backup = replace(self._beginning(now_ns, first=event.first), held_until_ns=held_ns)
        return self._enter(backup, TransitionReason.STARTUP)

    def _resume(self, now_ns: int) -> Actions:
        """Go on as Active (architecture §4.6): the address is still bound, nobody took over."""
        assert isinstance(self._state, Initialize)
        if self._faulty:
            return (
                SendAdvertisement(PRIORITY_RELEASE),
                UnbindAddresses(),
                *self._enter(Fault(), TransitionReason.FAULT),
            )
        self._state = self._active(now_ns)
        return (
            SendAdvertisement(self._parameters.priority),
            BindAddresses(),
            AnnounceAddresses(),
        )

    def _leave(
        self,
        state: Initialize | Fault,
        reason: TransitionReason,
        hand_over: bool,
        now_ns: int,
    ) -> Actions:
        """Release what is held and enter a state that takes no part."""
        if isinstance(self._state, Active):
            release = SendAdvertisement(PRIORITY_RELEASE)
            if hand_over:
                held_until_ns = now_ns + self._parameters.successor_ns()
                return (release, *self._enter(replace(state, held_until_ns=held_until_ns), reason))
            return (release, UnbindAddresses(), *self._enter(state, reason))
        held_ns = self._state.held_until_ns
        if held_ns is not None and not hand_over:
            return (UnbindAddresses(), *self._enter(state, reason))
        return self._enter(replace(state, held_until_ns=held_ns), reason)

    # Time ------------------------------------------------------------------------------

    def _deadline_reached(self, now_ns: int) -> Actions:
        match self._state:
            case Backup() as state if now_ns >= state.active_down_deadline_ns:
                return self._take_over(state, now_ns)
            case Active() as state if now_ns >= state.adver_deadline_ns:
                return self._advertise(state, now_ns)
            case Active():
                return NOTHING
            case state if state.held_until_ns is not None and now_ns >= state.held_until_ns:
                self._state = replace(state, held_until_ns=None)
                return (UnbindAddresses(),)
            case _:
                return NOTHING

    def _take_over(self, state: Backup, now_ns: int) -> Actions:
        if now_ns - state.active_down_deadline_ns > state.active_adver_interval_ns:
            # We slept past our own deadline: the advertisements that would have kept us Backup
            # may still lie in the socket. Listen first.
            held = () if state.held_until_ns is None else (UnbindAddresses(),)
            self._state = self._listening(state.active_adver_interval_ns, now_ns)
            return held
        return self._become_active(TransitionReason.ACTIVE_DOWN_TIMER_EXPIRED, now_ns)

    def _take_over_now(self, now_ns: int) -> Actions:
        """Become Active without waiting: somebody decided that this node is the successor."""
        if isinstance(self._state, Backup):
            return self._become_active(TransitionReason.HANDOVER, now_ns)
        return NOTHING

    def _wait_longer(self, doubt: Doubt) -> Actions:
        """Listen for whoever has the addresses already, if the wait would end before."""
        if isinstance(self._state, Backup):
            due_ns = max(self._state.active_down_deadline_ns, doubt.until_ns)
            self._state = replace(self._state, active_down_deadline_ns=due_ns)
        return NOTHING

    def _become_active(self, reason: TransitionReason, now_ns: int) -> Actions:
        return (
            SendAdvertisement(self._parameters.priority),
            BindAddresses(),
            AnnounceAddresses(),
            *self._enter(self._active(now_ns), reason),
        )

    def _advertise(self, state: Active, now_ns: int) -> Actions:
        mine = self._parameters
        interval_ns = mine.adver_interval_ns
        if now_ns - state.adver_deadline_ns >= mine.late_wake_ns():
            after = Fault() if self._faulty else self._listening(interval_ns, now_ns)
            return (UnbindAddresses(), *self._enter(after, TransitionReason.LATE_WAKE))
        # Keep the rhythm: the next deadline counts from this one, unless that is past already.
        deadline_ns = max(state.adver_deadline_ns + interval_ns, now_ns + interval_ns // 2)
        state = state.advertised(deadline_ns)
        repair: Actions = (AnnounceAddresses(),) if state.repair_due else NOTHING
        self._state = state.repaired(now_ns) if repair else state
        return (SendAdvertisement(PRIORITY_RELEASE if state.offers else mine.priority), *repair)

    # Hearing others --------------------------------------------------------------------

    def _hear(self, heard: AdvertisementReceived, now_ns: int) -> Actions:
        state = self._state
        if isinstance(state, Active):
            return self._hear_as_active(state, heard, now_ns)
        if isinstance(state, Fault) and state.first:
            state = replace(state, first=False)  # an election has one first holder
        if heard.priority != PRIORITY_RELEASE:
            state = state.succeeded(now_ns + HANDOVER_GRACE_NS)
        if isinstance(state, Backup):
            state = self._hear_as_backup(state, heard, now_ns)
        self._state = state
        return NOTHING

    def _hear_as_backup(self, state: Backup, heard: AdvertisementReceived, now_ns: int) -> Backup:
        """Return the Backup state that follows one advertisement (RFC 9568 §6.4.2)."""
        mine = self._parameters
        if heard.priority == PRIORITY_RELEASE:
            # Never later than it was: of two that offer, one always releases anew before the end.
            due_ns = now_ns + mine.skew_ns(state.active_adver_interval_ns)
            due_ns = min(due_ns, state.active_down_deadline_ns)
            return replace(state, active_down_deadline_ns=due_ns)
        preempt_at_ns = None
        if mine.preempt_mode and heard.priority < mine.priority:
            preempt_at_ns = state.preempt_at_ns
            if preempt_at_ns is None:
                preempt_at_ns = now_ns + mine.preempt_delay_ns
            if now_ns >= preempt_at_ns:
                return state  # Discard it: our own Active_Down_Timer will preempt the sender.
        interval_ns = mine.heard_interval_ns(heard)
        return Backup(
            interval_ns, now_ns + mine.down_ns(interval_ns), preempt_at_ns, state.held_until_ns
        )

    def _hear_as_active(self, state: Active, heard: AdvertisementReceived, now_ns: int) -> Actions:
        """Yield, answer or ignore (RFC 9568 §6.4.3)."""
        outcome = hear_as_active(state, heard, self._parameters, now_ns)
        if outcome.reason is not None:
            return (*outcome.actions, *self._enter(outcome.state, outcome.reason))
        self._state = outcome.state
        return outcome.actions

    # Changes from outside --------------------------------------------------------------

    def _change_configuration(self, changed: ConfigurationChanged, now_ns: int) -> Actions:
        fields = {name: getattr(changed, name) for name in changed.__slots__}
        return self._change_parameters(replace(self._parameters, **fields), now_ns)

    def _change_priority(self, changed: PriorityChanged, now_ns: int) -> Actions:
        mine = replace(self._parameters, priority=changed.priority)
        self._change_parameters(mine, now_ns)
        active = isinstance(self._state, Active) and not self._state.offers
        if not (active and changed.unhealthy) or mine.preempt_mode:
            return NOTHING  # where there is preemption, others see to it by themselves
        due_ns = now_ns + mine.skew_ns(mine.adver_interval_ns)
        held_ns = now_ns + mine.successor_ns()
        stands = Backup(mine.adver_interval_ns, due_ns, held_until_ns=held_ns)
        release = SendAdvertisement(PRIORITY_RELEASE)
        return (release, *self._enter(stands, TransitionReason.HEALTH_LOWERED))

    def _change_parameters(self, after: Parameters, now_ns: int) -> Actions:
        """Let the running timer follow: an Active Router's Adver_Timer, a Backup's down timer."""
        before, self._parameters = self._parameters, after
        match self._state:
            case Active() as active:
                # A shorter interval counts from now; a longer one is told before it is used.
                self._state = active.hurried(now_ns + after.adver_interval_ns)
            case Backup() as backup:
                self._state = backup.moved(before, after, now_ns)
            case _:
                pass
        return NOTHING

    def _change_fault(self, changed: FaultChanged, now_ns: int) -> Actions:
        self._faulty = changed.faulty
        if isinstance(self._state, Active):
            if changed.faulty and changed.hand_over and changed.keeps:
                return self._offer(self._state, now_ns)
            if self._state.offers and not changed.faulty:
                self._state = self._active(now_ns)
                return (SendAdvertisement(self._parameters.priority),)
        if changed.faulty:
            state: Initialize | Fault = Fault()
            if isinstance(self._state, Initialize | Fault):
                state = replace(self._state, held_until_ns=None)
            return self._leave(state, TransitionReason.FAULT, changed.hand_over, now_ns)
        if isinstance(self._state, Fault):
            backup = self._beginning(now_ns, first=self._state.first)
            backup = replace(backup, held_until_ns=self._state.held_until_ns)
            return self._enter(backup, TransitionReason.FAULT_CLEARED)
        return NOTHING

    def _offer(self, state: Active, now_ns: int) -> Actions:
        if state.offers:
            return NOTHING
        self._state = replace(self._active(now_ns), offers=True)
        return (SendAdvertisement(PRIORITY_RELEASE),)

    # Helpers ---------------------------------------------------------------------------

    def _active(self, now_ns: int) -> Active:
        return Active(now_ns + self._parameters.adver_interval_ns)

    def _beginning(self, now_ns: int, *, first: bool) -> Backup:
        """Backup that has heard nobody: its own interval, a full Active_Down_Interval.

        One that was named the first to be Active has nobody to wait for, and listens only.
        """
        interval_ns = self._parameters.adver_interval_ns
        if first:
            return self._listening(interval_ns, now_ns)
        return Backup(interval_ns, now_ns + self._parameters.down_ns(interval_ns))

    def _listening(self, interval_ns: int, now_ns: int) -> Backup:
        return Backup(interval_ns, now_ns + interval_ns + self._parameters.skew_ns(interval_ns))

    def _enter(self, state: RouterState, reason: TransitionReason) -> Actions:
        before = self.state
        self._state = state
        if self.state is before:
            return NOTHING
        return (StateChanged(before, self.state, reason),)
