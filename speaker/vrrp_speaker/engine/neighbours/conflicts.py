"""Hosts outside the election that have one of its addresses (architecture §4.11, RFC 5227).

*Before it is bound*: a router that has heard nobody of its election asks for the addresses while it
waits out Active_Down_Timer. If somebody answers, it listens for who that is, as long as an Active
one would; if it is a stranger, the router goes to Fault instead of becoming Active. It asks again
as soon as the lease of a peer that had died before must be over, and then every five seconds.
Whoever knows a peer does not ask: nothing delays a takeover.

*Added to a router that runs*: an Active router asks about an address that is new to it before it
binds it, and stays Active without it while anybody has it (``additions``). In Backup a new
address is as any other; one that came when the others had been asked about is asked about alone.

*While Active*: who else is seen with an address is a stranger unless the election explains it.
Strangers are counted and remembered; we announce again, at most once in ten seconds, and stay.

What explains a sighting is another router heard: a short time after it, or before it within the
lease that a dead predecessor's kernel may keep the address for. A member's hardware address
(``kin``) explains it too, in each of the three, whether it was known before or is learned only by
the time that the sighting is judged.
"""

from __future__ import annotations

from collections.abc import Iterable

from vrrp.actions import StateChanged
from vrrp.constants import State
from vrrp_speaker.engine.concern import Concern
from vrrp_speaker.engine.neighbours.conflict_judge import ConflictJudge
from vrrp_speaker.engine.neighbours.conflict_stages import (
    IDLE,
    Asking,
    HeldBack,
    Holding,
    Watched,
)
from vrrp_speaker.engine.neighbours.listening import Neighbours, Sighting
from vrrp_speaker.engine.neighbours.lookout import Change, LookOut
from vrrp_speaker.engine.neighbours.probing import places
from vrrp_speaker.engine.network.node_network import NodeNetwork
from vrrp_speaker.engine.programs.program import Place, RouterProgram
from vrrp_speaker.engine.routers.dispatcher import Dispatcher
from vrrp_speaker.engine.routers.executor import Executor
from vrrp_speaker.engine.routers.running_router import RunningRouter, last_heard_ns
from vrrp_speaker.shared_state import EngineFault, SharedState


class Conflicts(Concern):
    """Watches over the addresses of every router whose program has probes for them."""

    def __init__(
        self,
        shared: SharedState,
        executor: Executor,
        dispatcher: Dispatcher,
        network: NodeNetwork,
        neighbours: Neighbours,
    ) -> None:
        self._shared = shared
        self._executor = executor
        self._network = network
        self._neighbours = neighbours
        self._watched: dict[str, Watched] = {}
        self._busy: dict[str, Watched] = {}
        """Those that something is to be done for, now or later."""
        self._lookout = LookOut(neighbours)
        self._judge = ConflictJudge(shared, executor, dispatcher, self._lookout)

    def filenos(self) -> tuple[int, ...]:
        """Return the descriptors to wait on."""
        return self._neighbours.filenos()

    def next_deadline_ns(self) -> int | None:
        """Return when ``judge`` has something to do."""
        if not self._busy:
            return None
        deadlines = (watched.next_deadline_ns() for watched in self._busy.values())
        return min((d for d in deadlines if d is not None), default=None)

    def holds_back(self, name: str) -> bool:
        """Return whether a stranger keeps the router from being Active."""
        watched = self._watched.get(name)
        return watched is not None and isinstance(watched.stage, HeldBack)

    def keeps_off(self, name: str, now_ns: int) -> frozenset[EngineFault]:
        """Return why an Active router lacks one of its addresses: who has it."""
        watched = self._watched.get(name)
        return watched.lacks(now_ns) if watched is not None else frozenset()

    def unasked(self, router: RunningRouter, before: RouterProgram) -> frozenset[Place]:
        """Return what a router whose program has changed has to ask about before it binds it.

        Whoever has not begun to ask will ask about all; whoever knows a peer asks about nothing.
        """
        watched = self._watched.get(router.program.name)
        stage = watched.stage if watched is not None else IDLE
        asking = isinstance(stage, Asking) and stage.round.sent > 0
        if router.machine.state is not State.ACTIVE and not asking:
            return frozenset()
        known = {(address.ifindex, address.address) for address in before.addresses}
        return places(router.program) - (known - router.withheld)

    # What happens ----------------------------------------------------------------------

    def sync(self, routers: Iterable[RunningRouter], now_ns: int) -> None:
        """Watch over these routers from now on; what is known of those that stay is kept."""
        before, self._watched = self._watched, {}
        changed: list[Change] = []
        for router in routers:
            if not router.program.probes:
                continue
            watched = before.get(router.program.name)
            if watched is None or watched.router is not router:
                heard_ns = last_heard_ns(self._shared, router.program) or None
                watched = Watched(router, now_ns, heard_ns)
                watched.enter(router.machine.state, now_ns)
            places_before = watched.places
            watched.follow()
            if watched.places != places_before:
                changed.append((watched, places_before))
            if isinstance(watched.stage, Holding):
                watched.stage.additions.keep(router.withheld, now_ns)
            self._watched[router.program.name] = watched
        self._busy = dict(self._watched)
        for name, watched in before.items():
            if self._watched.get(name) is not watched:
                places_before, watched.places = watched.places, frozenset()
                changed.append((watched, places_before))
        self._lookout.follow(self._watched, changed)

    def heard(self, router: RunningRouter, now_ns: int) -> bool:
        """Note an advertisement of the election; return whether that ends a fault."""
        watched = self._watched.get(router.program.name)
        if watched is None:
            return False
        watched.heard_ns = now_ns
        self._bind_all_next(router)
        before = watched.stage
        if isinstance(before, Asking | HeldBack):
            watched.stage = IDLE
        return isinstance(before, HeldBack)

    def moved(self, name: str, change: StateChanged, _sequence: int, now_ns: int) -> None:
        """Note a router's new state."""
        watched = self._watched.get(name)
        if watched is not None:
            self._bind_all_next(watched.router)
            watched.enter(change.after, now_ns)
            self._busy[name] = watched

    def _bind_all_next(self, router: RunningRouter) -> None:
        """Forget what is withheld from a router that holds nothing; who holds on asks on."""
        if router.withheld and not router.machine.holding:
            self._executor.withhold(router, frozenset())

    def receive(self, descriptor: int, now_ns: int) -> None:
        """Take in what neighbours said."""
        for sighting in self._neighbours.receive(descriptor):
            self.seen(sighting, now_ns)

    def seen(self, sighting: Sighting, now_ns: int) -> None:
        """Note that somebody uses an address; that it is this node, or one of its, is no news."""
        place = sighting.ifindex, sighting.address
        watched = self._lookout.by_place.get(place)
        self._lookout.kin.see(sighting)
        if watched is None or self._network.owns_mac(sighting.mac):
            return
        explained = watched.explained(now_ns)
        member = self._lookout.kin.has(watched.router, sighting.mac)
        stage = watched.stage
        if isinstance(stage, Holding):
            addition = stage.additions.find(place)
            if addition is not None:
                addition.see(sighting, now_ns, explained=explained, member=member)
            elif not explained and not member:
                self._judge.suspect(watched, stage.defence, sighting, now_ns)
                self._busy[watched.router.program.name] = watched
        elif watched.asked is not None and not explained:
            watched.asked.answered(sighting, now_ns)

    def judge(self, now_ns: int) -> list[RunningRouter]:
        """Ask and judge what is due; return the routers whose faults are to be looked at anew.

        The loop does so before any deadline: to look around would be late.
        """
        changed: list[RunningRouter] = []
        if not self._busy:
            return changed  # as in nearly every turn of the loop
        for name, watched in list(self._busy.items()):
            if self._judge.judge(watched, now_ns):
                changed.append(watched.router)
            if watched.over:
                del self._busy[name]
        return changed
