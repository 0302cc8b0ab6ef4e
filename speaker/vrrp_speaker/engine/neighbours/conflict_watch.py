"""What one router's watch over its addresses has come to, in whatever state the router is."""

from __future__ import annotations

from dataclasses import dataclass, field

from vrrp.constants import State
from vrrp.states import Backup, Parameters
from vrrp_speaker.engine.neighbours.additions import Additions
from vrrp_speaker.engine.neighbours.defence import Defence
from vrrp_speaker.engine.neighbours.listening import Sighting
from vrrp_speaker.engine.neighbours.probing import (
    PROBES,
    Claim,
    Place,
    Round,
    places,
    quiet_ns,
    settling_ns,
)
from vrrp_speaker.engine.programs.program import RouterProgram
from vrrp_speaker.engine.routers.running_router import RunningRouter
from vrrp_speaker.shared_state import EngineFault, HeldByMember


@dataclass(slots=True)
class Watch:
    """One router; of ``waiting``, ``claim`` and ``defence`` at most one is there.

    ``additions`` come with ``defence``.
    """

    router: RunningRouter
    begun_ns: int
    heard_ns: int | None
    waiting: Round | None = None
    claim: Claim | None = None
    defence: Defence | None = None
    additions: Additions = field(default_factory=Additions)
    told: frozenset[EngineFault] = frozenset()
    """What was told of these."""
    told_held: HeldByMember | None = None
    """Which address was told to be a member's, and whose."""
    program: RouterProgram | None = None
    """What it has followed last."""
    places: frozenset[Place] = frozenset()
    """Where the router has addresses that are watched over."""

    def follow(self) -> bool:
        """Follow the router's program; return whether there is something else to watch over."""
        if self.program is self.router.program:
            return False
        before, self.program = self.places, self.router.program
        self.places = places(self.program)
        return self.places != before

    @property
    def parameters(self) -> Parameters:
        """What the protocol knows of this node in the election."""
        return self.router.machine.parameters

    @property
    def asked(self) -> Round | None:
        """The round of probes that runs for all the addresses, if one does."""
        return self.waiting or (self.claim.round if self.claim is not None else None)

    def held_by_member(self, now_ns: int) -> tuple[bytes, bytes] | None:
        """Return an address that a member has for longer than a lease, and its hardware address.

        A member that died is silent by then.
        """
        found = self.additions.longest_held()
        if found is None:
            return None
        (_, address), addition, since_ns = found
        if addition.holder is None or now_ns - since_ns < quiet_ns(self.parameters):
            return None
        return address, addition.holder

    def lacks(self, now_ns: int) -> frozenset[EngineFault]:
        """Return why an Active router goes without one of its addresses."""
        faults = {
            EngineFault.ADDRESS_CONFLICT: self.additions.taken,
            EngineFault.ADDRESS_HELD_BY_MEMBER: self.held_by_member(now_ns) is not None,
        }
        return frozenset(fault for fault, there in faults.items() if there)

    def knows_others(self) -> bool:
        """Return whether anybody of the election was heard, ever or just before we began."""
        quiet = quiet_ns(self.parameters)
        return self.heard_ns is not None and self.heard_ns >= self.begun_ns - quiet

    def explained(self, now_ns: int) -> bool:
        """Return whether the election explains what is seen: others heard, or our own beginning."""
        parameters = self.parameters
        if self.heard_ns is not None and now_ns - self.heard_ns < quiet_ns(parameters):
            return True
        active_ns = self.defence.active_ns if self.defence is not None else None
        return active_ns is not None and now_ns - active_ns < parameters.adver_interval_ns

    def lease_over_ns(self) -> int:
        """Return when nobody who died before the first probe has the addresses any more.

        A node without memory takes such a peer's kernel for a stranger, and has to look again.
        """
        begun_ns = self.waiting.begun_ns if self.waiting is not None else self.begun_ns
        return begun_ns + quiet_ns(self.parameters)

    def enter(self, state: State, now_ns: int) -> None:
        """Begin what a state asks for, and end what another one did."""
        detail = self.router.machine.detail
        self.waiting = None
        self.defence = Defence(now_ns) if state is State.ACTIVE else None
        self.additions.keep(self.router.withheld if self.defence else frozenset(), now_ns)
        if isinstance(detail, Backup) and not self.knows_others():
            wait_ns = max(0, detail.active_down_deadline_ns - now_ns)
            self.waiting = Round(now_ns, wait_ns // (PROBES + 1))

    def next_deadline_ns(self) -> int | None:
        """Return when there is something to do; None while there is not."""
        if self.waiting is not None:
            return self.waiting.due_ns()
        if self.claim is not None:
            return self.claim.next_deadline_ns()
        if self.defence is None:
            return None
        settling = settling_ns(self.parameters)
        deadlines = self.defence.next_deadline_ns(), self.additions.next_deadline_ns(settling)
        return min((d for d in deadlines if d is not None), default=None)

    def refused(self, now_ns: int) -> Sighting | None:
        """Return who answered, when the router is about to become Active all the same.

        One that slept past its deadline listens again first; so do we.
        """
        detail = self.router.machine.detail
        if self.waiting is None or not isinstance(detail, Backup):
            return None
        late_ns = now_ns - detail.active_down_deadline_ns
        return self.waiting.answer if 0 <= late_ns <= detail.active_adver_interval_ns else None
