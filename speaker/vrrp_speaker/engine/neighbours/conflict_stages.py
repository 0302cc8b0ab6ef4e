"""Where a router stands with its addresses: nothing to ask, asking, held back, or holding them.

As ``vrrp.states``: what a stage needs is a field of it, so nothing of one stage outlives it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import assert_never

from vrrp.constants import State
from vrrp.states import Backup, Parameters
from vrrp_speaker.engine.neighbours.additions import Additions
from vrrp_speaker.engine.neighbours.defence import Defence
from vrrp_speaker.engine.neighbours.listening import Sighting
from vrrp_speaker.engine.neighbours.probing import (
    PROBES,
    REPROBE_NS,
    REPROBE_WAIT_NS,
    Round,
    places,
    quiet_ns,
    settling_ns,
)
from vrrp_speaker.engine.programs.program import Place, RouterProgram
from vrrp_speaker.engine.routers.running_router import RunningRouter
from vrrp_speaker.shared_state import EngineFault, HeldByMember


@dataclass(frozen=True, slots=True)
class Idle:
    """The router has nothing to ask: it knows of others, or takes no part."""


@dataclass(slots=True)
class Asking:
    """A Backup that has heard nobody asks about all addresses while Active_Down_Timer runs."""

    round: Round


class Verdict(Enum):
    """What a stranger's claim to an address comes to."""

    STANDS = auto()
    SEEN_AGAIN = auto()
    GONE = auto()


@dataclass(slots=True)
class HeldBack:
    """A stranger has an address: the router is in Fault, and asks about all of them again."""

    sighting: Sighting
    """Who has which address."""
    reprobe_at_ns: int
    round: Round | None = None
    """The round of probes that runs, if one does."""

    @property
    def place(self) -> Place:
        """Where the address is."""
        return self.sighting.ifindex, self.sighting.address

    def next_deadline_ns(self) -> int:
        """Return when something is to be sent or judged."""
        if self.round is None:
            return self.reprobe_at_ns
        judged_ns = self.round.begun_ns + REPROBE_WAIT_NS
        due_ns = self.round.due_ns()
        return judged_ns if due_ns is None else min(due_ns, judged_ns)

    def proceed(self, now_ns: int) -> Verdict:
        """Begin or judge a round; say what that comes to."""
        if self.round is None:
            if now_ns >= self.reprobe_at_ns:
                self.round = Round(now_ns, REPROBE_WAIT_NS // (PROBES + 1))
            return Verdict.STANDS
        if now_ns < self.round.begun_ns + REPROBE_WAIT_NS:
            return Verdict.STANDS
        if self.round.answer is None:
            return Verdict.GONE
        self.sighting = self.round.answer
        self.reprobe_at_ns = self.round.begun_ns + REPROBE_NS
        self.round = None
        return Verdict.SEEN_AGAIN


@dataclass(slots=True)
class Holding:
    """The router is Active: it defends what it holds, and asks about what is new to it."""

    defence: Defence
    additions: Additions = field(default_factory=Additions)


Stage = Idle | Asking | HeldBack | Holding
IDLE = Idle()


@dataclass(slots=True)
class Watched:
    """One router whose addresses are watched over, and the stage that it is in."""

    router: RunningRouter
    begun_ns: int
    heard_ns: int | None
    """When anybody of its election was heard; None: never."""
    stage: Stage = IDLE
    told: frozenset[EngineFault] = frozenset()
    """What was told of addresses that the router goes without."""
    told_held: HeldByMember | None = None
    """Which address was told to be a member's, and whose."""
    program: RouterProgram | None = None
    """The program that ``places`` are of."""
    places: frozenset[Place] = frozenset()
    """Where the router has addresses that are watched over."""

    def follow(self) -> None:
        """Follow the router's program."""
        if self.program is self.router.program:
            return
        self.program = self.router.program
        self.places = places(self.program)
        if isinstance(self.stage, HeldBack) and self.stage.place not in self.places:
            self.stage = IDLE

    def enter(self, state: State, now_ns: int) -> None:
        """Begin the stage that a router's new state asks for."""
        if state is State.ACTIVE:
            self.stage = Holding(Defence(now_ns))
            self.stage.additions.keep(self.router.withheld, now_ns)
        elif not isinstance(self.stage, HeldBack):  # else it is in Fault until that is over
            self.stage = self._waiting(now_ns)

    def _waiting(self, now_ns: int) -> Stage:
        detail = self.router.machine.detail
        if not isinstance(detail, Backup) or self._knows_others():
            return IDLE
        wait_ns = max(0, detail.active_down_deadline_ns - now_ns)
        return Asking(Round(now_ns, wait_ns // (PROBES + 1)))

    @property
    def parameters(self) -> Parameters:
        """What the protocol knows of this node in the election."""
        return self.router.machine.parameters

    @property
    def asked(self) -> Round | None:
        """The round of probes that runs for all the addresses, if one does."""
        match self.stage:
            case Asking(round=asked) | HeldBack(round=asked):
                return asked
            case Idle() | Holding():
                return None
            case unreachable:
                assert_never(unreachable)

    @property
    def over(self) -> bool:
        """Whether nothing is to be done until something happens to the router."""
        # Who asks is looked at until the timer ends: then somebody may have answered.
        return not isinstance(self.stage, Asking) and self.next_deadline_ns() is None

    def next_deadline_ns(self) -> int | None:
        """Return when there is something to do; None while there is not."""
        match self.stage:
            case Idle():
                return None
            case Asking(round=asked):
                return asked.due_ns()
            case HeldBack():
                return self.stage.next_deadline_ns()
            case Holding(defence=defence, additions=additions):
                settling = settling_ns(self.parameters)
                deadlines = defence.next_deadline_ns(), additions.next_deadline_ns(settling)
                return min((d for d in deadlines if d is not None), default=None)
            case unreachable:
                assert_never(unreachable)

    def lacks(self, now_ns: int) -> frozenset[EngineFault]:
        """Return why an Active router goes without one of its addresses."""
        if not isinstance(self.stage, Holding):
            return frozenset()
        faults = {
            EngineFault.ADDRESS_CONFLICT: self.stage.additions.taken,
            EngineFault.ADDRESS_HELD_BY_MEMBER: self.held_by_member(now_ns) is not None,
        }
        return frozenset(fault for fault, there in faults.items() if there)

    def held_by_member(self, now_ns: int) -> tuple[bytes, bytes] | None:
        """Return an address that a member has for longer than a lease, and its hardware address.

        A member that died is silent by then.
        """
        found = self.stage.additions.longest_held() if isinstance(self.stage, Holding) else None
        if found is None:
            return None
        (_, address), addition, since_ns = found
        if addition.holder is None or now_ns - since_ns < quiet_ns(self.parameters):
            return None
        return address, addition.holder

    def explained(self, now_ns: int) -> bool:
        """Return whether the election explains a sighting: others heard, or its own beginning."""
        parameters = self.parameters
        if self.heard_ns is not None and now_ns - self.heard_ns < quiet_ns(parameters):
            return True
        if not isinstance(self.stage, Holding):
            return False
        return now_ns - self.stage.defence.active_ns < parameters.adver_interval_ns

    def lease_over_ns(self, asked: Round) -> int:
        """Return when nobody who died before the first probe has the addresses any more.

        A node without memory takes such a peer's kernel for a stranger, and has to look again.
        """
        return asked.begun_ns + quiet_ns(self.parameters)

    def refused(self, asked: Round, now_ns: int) -> Sighting | None:
        """Return who answered, when the router is about to become Active all the same.

        A router that slept past its deadline listens again first; then there is time yet.
        """
        detail = self.router.machine.detail
        if not isinstance(detail, Backup):
            return None
        late_ns = now_ns - detail.active_down_deadline_ns
        return asked.answer if 0 <= late_ns <= detail.active_adver_interval_ns else None

    def _knows_others(self) -> bool:
        """Return whether anybody of the election was heard, ever or just before the watch began."""
        quiet = quiet_ns(self.parameters)
        return self.heard_ns is not None and self.heard_ns >= self.begun_ns - quiet
