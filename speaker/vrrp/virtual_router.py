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
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from vrrp.actions import (
    Action,
    AnnounceAddresses,
    BindAddresses,
    SendAdvertisement,
    StateChanged,
    UnbindAddresses,
)
from vrrp.constants import (
    DOWN_ADVERTISEMENTS,
    NS_PER_CENTISECOND,
    PRIORITY_MAXIMUM,
    PRIORITY_MINIMUM,
    PRIORITY_RELEASE,
    State,
    TransitionReason,
)
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
from vrrp.timers import active_down_interval_ns, skew_time_ns

Actions = tuple[Action, ...]
NOTHING: Actions = ()


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the protocol knows of this node in this election.

    ``priority`` is the effective one, 1 to 254; ``source`` is the packed address that our
    advertisements come from.
    """

    priority: int
    adver_interval_ns: int
    preempt_mode: bool
    source: bytes

    def __post_init__(self) -> None:
        assert PRIORITY_MINIMUM <= self.priority <= PRIORITY_MAXIMUM
        assert self.adver_interval_ns >= NS_PER_CENTISECOND


@dataclass(frozen=True, slots=True)
class Initialize:
    """Not taking part yet, or no more."""


@dataclass(frozen=True, slots=True)
class Backup:
    """Watching the Active Router; takes over at ``active_down_deadline_ns``."""

    active_adver_interval_ns: int
    active_down_deadline_ns: int


@dataclass(frozen=True, slots=True)
class Active:
    """Holding the addresses; advertises at ``adver_deadline_ns``."""

    adver_deadline_ns: int
    answered_ns: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Not able to hold the addresses."""


RouterState = Initialize | Backup | Active | Fault

_NAMES = {
    Initialize: State.INITIALIZE,
    Backup: State.BACKUP,
    Active: State.ACTIVE,
    Fault: State.FAULT,
}


class VirtualRouter:
    """One election as seen by one node; see the module's theory of operation."""

    def __init__(self, parameters: Parameters, *, faulty: bool = False) -> None:
        self._parameters = parameters
        self._faulty = faulty
        self._state: RouterState = Initialize()

    @property
    def state(self) -> State:
        """The name of the current state."""
        return _NAMES[type(self._state)]

    @property
    def parameters(self) -> Parameters:
        """The parameters in force."""
        return self._parameters

    def next_deadline_ns(self) -> int | None:
        """Return when ``DeadlineReached`` is due, or None while no timer runs."""
        match self._state:
            case Backup(active_down_deadline_ns=deadline_ns):
                return deadline_ns
            case Active(adver_deadline_ns=deadline_ns):
                return deadline_ns
            case Initialize() | Fault():
                return None
            case unreachable:
                assert_never(unreachable)

    def handle(self, event: Event, now_ns: int) -> Actions:
        """Apply one event and return the actions it asks for, in order."""
        match event:
            case AdvertisementReceived():
                return self._hear(event, now_ns)
            case DeadlineReached():
                return self._deadline_reached(now_ns)
            case Startup():
                return self._start(now_ns)
            case Resume():
                return self._resume(now_ns)
            case Shutdown(reason=reason):
                return self._leave(Initialize(), reason)
            case PriorityChanged(priority=priority):
                return self._change_priority(priority)
            case ConfigurationChanged():
                return self._change_configuration(event, now_ns)
            case FaultChanged(faulty=faulty):
                return self._change_fault(faulty, now_ns)
            case unreachable:
                assert_never(unreachable)

    # Beginning and end -----------------------------------------------------------------

    def _start(self, now_ns: int) -> Actions:
        assert isinstance(self._state, Initialize)
        if self._faulty:
            return self._enter(Fault(), TransitionReason.FAULT)
        return self._enter(self._own_backup(now_ns), TransitionReason.STARTUP)

    def _resume(self, now_ns: int) -> Actions:
        """Go on as Active (architecture §4.6): the address is still bound, nobody took over."""
        assert isinstance(self._state, Initialize)
        if self._faulty:
            return (UnbindAddresses(), *self._enter(Fault(), TransitionReason.FAULT))
        self._state = self._active(now_ns)
        return (SendAdvertisement(self._parameters.priority), BindAddresses())

    def _leave(self, state: Initialize | Fault, reason: TransitionReason) -> Actions:
        """Release what is held and enter a state without timers."""
        if isinstance(self._state, Active):
            return (
                SendAdvertisement(PRIORITY_RELEASE),
                UnbindAddresses(),
                *self._enter(state, reason),
            )
        return self._enter(state, reason)

    # Time ------------------------------------------------------------------------------

    def _deadline_reached(self, now_ns: int) -> Actions:
        match self._state:
            case Backup() as state if now_ns >= state.active_down_deadline_ns:
                return self._take_over(state, now_ns)
            case Active() as state if now_ns >= state.adver_deadline_ns:
                return self._advertise(state, now_ns)
            case _:
                return NOTHING

    def _take_over(self, state: Backup, now_ns: int) -> Actions:
        if now_ns - state.active_down_deadline_ns > self._parameters.adver_interval_ns:
            # We slept past our own deadline: the advertisements that would have kept us Backup
            # may still lie in the socket. Listen first.
            self._state = self._listening(state.active_adver_interval_ns, now_ns)
            return NOTHING
        reason = TransitionReason.ACTIVE_DOWN_TIMER_EXPIRED
        return (
            SendAdvertisement(self._parameters.priority),
            BindAddresses(),
            AnnounceAddresses(),
            *self._enter(self._active(now_ns), reason),
        )

    def _advertise(self, state: Active, now_ns: int) -> Actions:
        interval_ns = self._parameters.adver_interval_ns
        # Our last advertisement left one interval before this deadline. The best Backup waits
        # three intervals from there, so from two intervals of lateness on it may be Active.
        if now_ns - state.adver_deadline_ns >= (DOWN_ADVERTISEMENTS - 1) * interval_ns:
            return (
                UnbindAddresses(),
                *self._enter(self._listening(interval_ns, now_ns), TransitionReason.LATE_WAKE),
            )
        # Keep the rhythm: the next deadline counts from this one, unless that is past already.
        deadline_ns = max(state.adver_deadline_ns + interval_ns, now_ns + interval_ns // 2)
        self._state = replace(state, adver_deadline_ns=deadline_ns)
        return (SendAdvertisement(self._parameters.priority),)

    # Hearing others --------------------------------------------------------------------

    def _hear(self, heard: AdvertisementReceived, now_ns: int) -> Actions:
        match self._state:
            case Backup() as state:
                self._state = self._hear_as_backup(state, heard, now_ns)
                return NOTHING
            case Active() as state:
                return self._hear_as_active(state, heard, now_ns)
            case Initialize() | Fault():
                return NOTHING
            case unreachable:
                assert_never(unreachable)

    def _hear_as_backup(self, state: Backup, heard: AdvertisementReceived, now_ns: int) -> Backup:
        """Return the Backup state that follows one advertisement (RFC 9568 §6.4.2)."""
        mine = self._parameters
        if heard.priority == PRIORITY_RELEASE:
            skew_ns = skew_time_ns(mine.priority, state.active_adver_interval_ns)
            return replace(state, active_down_deadline_ns=now_ns + skew_ns)
        if mine.preempt_mode and heard.priority < mine.priority:
            return state  # Discard it: our own Active_Down_Timer will preempt the sender.
        interval_ns = heard.max_advertise_interval_cs * NS_PER_CENTISECOND
        down_ns = active_down_interval_ns(mine.priority, interval_ns)
        return Backup(interval_ns, now_ns + down_ns)

    def _hear_as_active(self, state: Active, heard: AdvertisementReceived, now_ns: int) -> Actions:
        """Yield, answer or ignore (RFC 9568 §6.4.3)."""
        mine = self._parameters
        if heard.priority == PRIORITY_RELEASE:
            self._state = replace(state, adver_deadline_ns=now_ns + mine.adver_interval_ns)
            return (SendAdvertisement(mine.priority),)
        if heard.priority > mine.priority:
            return self._yield_to(heard, TransitionReason.HIGHER_PRIORITY_ADVERTISEMENT, now_ns)
        if heard.priority == mine.priority and heard.source > mine.source:
            return self._yield_to(heard, TransitionReason.EQUAL_PRIORITY_GREATER_ADDRESS, now_ns)
        if now_ns - state.answered_ns < mine.adver_interval_ns:
            return NOTHING
        # Two are Active: tell the loser at once, and repair the neighbours' caches.
        self._state = replace(state, answered_ns=now_ns)
        return (SendAdvertisement(mine.priority), AnnounceAddresses())

    def _yield_to(
        self, heard: AdvertisementReceived, reason: TransitionReason, now_ns: int
    ) -> Actions:
        interval_ns = heard.max_advertise_interval_cs * NS_PER_CENTISECOND
        down_ns = active_down_interval_ns(self._parameters.priority, interval_ns)
        return (UnbindAddresses(), *self._enter(Backup(interval_ns, now_ns + down_ns), reason))

    # Changes from outside --------------------------------------------------------------

    def _change_priority(self, priority: int) -> Actions:
        """Move the running Active_Down_Timer by the difference, as keepalived does."""
        before = self._parameters
        self._parameters = replace(before, priority=priority)
        if isinstance(self._state, Backup):
            interval_ns = self._state.active_adver_interval_ns
            shift_ns = active_down_interval_ns(priority, interval_ns) - active_down_interval_ns(
                before.priority, interval_ns
            )
            deadline_ns = self._state.active_down_deadline_ns + shift_ns
            self._state = replace(self._state, active_down_deadline_ns=deadline_ns)
        return NOTHING

    def _change_configuration(self, changed: ConfigurationChanged, now_ns: int) -> Actions:
        self._parameters = replace(
            self._parameters,
            adver_interval_ns=changed.adver_interval_ns,
            preempt_mode=changed.preempt_mode,
            source=changed.source,
        )
        if isinstance(self._state, Active):
            # A shorter interval counts from now; a longer one is told before it is used.
            deadline_ns = min(self._state.adver_deadline_ns, now_ns + changed.adver_interval_ns)
            self._state = replace(self._state, adver_deadline_ns=deadline_ns)
        return NOTHING

    def _change_fault(self, faulty: bool, now_ns: int) -> Actions:
        self._faulty = faulty
        if isinstance(self._state, Initialize):
            return NOTHING
        if faulty and not isinstance(self._state, Fault):
            return self._leave(Fault(), TransitionReason.FAULT)
        if not faulty and isinstance(self._state, Fault):
            return self._enter(self._own_backup(now_ns), TransitionReason.FAULT_CLEARED)
        return NOTHING

    # Helpers ---------------------------------------------------------------------------

    def _active(self, now_ns: int) -> Active:
        interval_ns = self._parameters.adver_interval_ns
        return Active(now_ns + interval_ns, answered_ns=now_ns - interval_ns)

    def _own_backup(self, now_ns: int) -> Backup:
        """Backup that has heard nobody: its own interval, a full Active_Down_Interval."""
        mine = self._parameters
        down_ns = active_down_interval_ns(mine.priority, mine.adver_interval_ns)
        return Backup(mine.adver_interval_ns, now_ns + down_ns)

    def _listening(self, interval_ns: int, now_ns: int) -> Backup:
        skew_ns = skew_time_ns(self._parameters.priority, interval_ns)
        return Backup(interval_ns, now_ns + interval_ns + skew_ns)

    def _enter(self, state: RouterState, reason: TransitionReason) -> Actions:
        before = self.state
        self._state = state
        if self.state is before:
            return NOTHING
        return (StateChanged(before, self.state, reason),)
