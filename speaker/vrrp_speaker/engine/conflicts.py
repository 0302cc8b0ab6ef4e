"""Hosts outside the election that have one of its addresses (architecture §4.11, RFC 5227).

*Before it is bound*: a router that has heard nobody of its election asks for the addresses while it
waits out Active_Down_Timer. If somebody answers, it listens for who that is, as long as an Active
one would; if it is a stranger, the router goes to Fault instead of becoming Active. It asks again
as soon as the lease of a peer that had died before must be over, and then every five seconds.
Whoever knows a peer does not ask: nothing delays a takeover.

*Added to a router that runs*: an Active router asks about an address that is new to it before it
binds it, and stays Active without it while a stranger has it (``additions``). In Backup a new
address is as any other; one that came when the others had been asked about is asked about alone.

*While Active*: who else is seen with an address is a stranger unless the election explains it.
Strangers are counted and remembered; we announce again, at most once in ten seconds, and stay.

What explains a sighting is another router heard: a short time after it, or before it within the
lease that a dead predecessor's kernel may keep the address for. A member's hardware address
(``kin``) explains it too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from vrrp.constants import State
from vrrp.events import Doubt
from vrrp.states import Backup
from vrrp_speaker.engine.additions import Additions
from vrrp_speaker.engine.executor import Executor
from vrrp_speaker.engine.kin import Kin
from vrrp_speaker.engine.neighbours import Neighbours, Sighting
from vrrp_speaker.engine.node_network import NodeNetwork
from vrrp_speaker.engine.probing import (
    PROBES,
    REPROBE_NS,
    REPROBE_WAIT_NS,
    Claim,
    Place,
    Round,
    places,
    quiet_ns,
    settling_ns,
)
from vrrp_speaker.engine.program import RouterProgram
from vrrp_speaker.engine.routers import RunningRouter, last_heard_ns
from vrrp_speaker.shared_state import Conflict, SharedState

_SECOND = 1_000_000_000
DEFEND_INTERVAL_NS = 10 * _SECOND
"""RFC 5227 §1.1."""
REMEMBERED_NS = 60 * _SECOND
"""So long a stranger that was seen needs no second look."""


@dataclass(slots=True)
class Defence:
    """What an Active router makes of sightings; ``active_ns`` is since when it is Active."""

    active_ns: int
    suspect: Sighting | None = None
    frames: int = 0
    settled_ns: int = 0
    stranger: bytes = b""
    stranger_ns: int = 0
    defended_ns: int | None = None
    defend_at_ns: int | None = None
    disputed: set[bytes] = field(default_factory=set)

    def seen(self, sighting: Sighting, settling: int, now_ns: int) -> int:
        """Take in a sighting that nothing explains so far; return how many conflicts that makes.

        A stranger that is known is one at once; others are looked at again after ``settling`` ns.
        """
        if sighting.mac == self.stranger and now_ns - self.stranger_ns < REMEMBERED_NS:
            self._dispute(sighting, now_ns)
            return 1
        if self.suspect is None:
            self.settled_ns, self.frames = now_ns + settling, 0
        self.suspect = sighting
        self.frames += 1
        return 0

    def settle(self, now_ns: int, *, explained: bool) -> tuple[Sighting, int] | None:
        """Judge the suspect when it is time; return who it is, and how often it was seen."""
        if self.suspect is None or now_ns < self.settled_ns:
            return None
        suspect, self.suspect = self.suspect, None
        if explained:
            return None
        self._dispute(suspect, now_ns)
        return suspect, self.frames

    def take_disputed(self, now_ns: int) -> set[bytes]:
        """Return the addresses to announce now, at most once in ``DEFEND_INTERVAL_NS``."""
        if self.defend_at_ns is None or now_ns < self.defend_at_ns:
            return set()
        disputed, self.disputed = self.disputed, set()
        self.defended_ns, self.defend_at_ns = now_ns, None
        return disputed

    def next_deadline_ns(self) -> int | None:
        """Return when something is to be judged or announced."""
        settled_ns = self.settled_ns if self.suspect is not None else None
        return min((d for d in (settled_ns, self.defend_at_ns) if d is not None), default=None)

    def _dispute(self, sighting: Sighting, now_ns: int) -> None:
        self.stranger, self.stranger_ns = sighting.mac, now_ns
        self.disputed.add(sighting.address)
        if self.defend_at_ns is None:
            after_ns = self.defended_ns
            due_ns = now_ns if after_ns is None else after_ns + DEFEND_INTERVAL_NS
            self.defend_at_ns = max(now_ns, due_ns)


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
    told: bool = False
    """Whether it was told that a stranger has one of these."""

    def knows_others(self) -> bool:
        """Return whether anybody of the election was heard, ever or just before we began."""
        quiet = quiet_ns(self.router.machine.parameters)
        return self.heard_ns is not None and self.heard_ns >= self.begun_ns - quiet

    def explained(self, now_ns: int) -> bool:
        """Return whether the election explains what is seen: others heard, or our own beginning."""
        parameters = self.router.machine.parameters
        if self.heard_ns is not None and now_ns - self.heard_ns < quiet_ns(parameters):
            return True
        active_ns = self.defence.active_ns if self.defence is not None else None
        return active_ns is not None and now_ns - active_ns < parameters.adver_interval_ns

    def lease_over_ns(self) -> int:
        """Return when nobody who died before the first probe has the addresses any more.

        A node without memory takes such a peer's kernel for a stranger, and has to look again.
        """
        begun_ns = self.waiting.begun_ns if self.waiting is not None else self.begun_ns
        return begun_ns + quiet_ns(self.router.machine.parameters)

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
        settling = settling_ns(self.router.machine.parameters)
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


class Conflicts:
    """Watches over the addresses of every router whose program has probes for them."""

    def __init__(
        self,
        shared: SharedState,
        executor: Executor,
        network: NodeNetwork,
        neighbours: Neighbours,
    ) -> None:
        self._shared = shared
        self._executor = executor
        self._network = network
        self._neighbours = neighbours
        self._watches: dict[str, Watch] = {}
        self._by_address: dict[tuple[int, bytes], Watch] = {}
        self._busy: dict[str, Watch] = {}
        self._kin = Kin()

    def filenos(self) -> tuple[int, ...]:
        """Return the descriptors to wait on."""
        return self._neighbours.filenos()

    def next_deadline_ns(self) -> int | None:
        """Return when ``run`` has something to do."""
        if not self._busy:
            return None
        deadlines = (watch.next_deadline_ns() for watch in self._busy.values())
        return min((d for d in deadlines if d is not None), default=None)

    def holds_back(self, name: str) -> bool:
        """Return whether a stranger keeps the router from being Active."""
        watch = self._watches.get(name)
        return watch is not None and watch.claim is not None

    def keeps_off(self, name: str) -> bool:
        """Return whether a stranger has an address that an Active router therefore lacks."""
        watch = self._watches.get(name)
        return watch is not None and watch.additions.taken

    def unasked(self, router: RunningRouter, before: RouterProgram) -> frozenset[Place]:
        """Return what a router whose program has changed has to ask about before it binds it.

        Whoever has not begun to ask will ask about all; whoever knows a peer asks about nothing.
        """
        watch = self._watches.get(router.program.name)
        asking = watch is not None and watch.waiting is not None and watch.waiting.sent > 0
        if router.machine.state is not State.ACTIVE and not asking:
            return frozenset()
        known = {(address.ifindex, address.address) for address in before.addresses}
        return places(router.program) - (known - router.withheld)

    # What happens ----------------------------------------------------------------------

    def sync(self, routers: Iterable[RunningRouter], now_ns: int) -> None:
        """Watch over these routers from now on; what is known of those that stay is kept."""
        before, self._watches, self._by_address = self._watches, {}, {}
        routers = [router for router in routers if router.program.probes]
        self._kin.sync(routers)
        for router in routers:
            watch = before.get(router.program.name)
            if watch is None or watch.router is not router:
                watch = Watch(router, now_ns, last_heard_ns(self._shared, router.program) or None)
                watch.enter(router.machine.state, now_ns)
            watched, claim = places(router.program), watch.claim
            if claim and (claim.sighting.ifindex, claim.sighting.address) not in watched:
                watch.claim = None
            if watch.defence is not None:
                watch.additions.keep(router.withheld, now_ns)
            self._watches[router.program.name] = watch
            self._by_address.update(dict.fromkeys(watched, watch))
        self._busy = dict(self._watches)
        self._neighbours.watch([*(a for _, a in self._by_address), *self._kin.addresses()])

    def heard(self, router: RunningRouter, now_ns: int) -> bool:
        """Note an advertisement of the election; return whether that ends a fault."""
        watch = self._watches.get(router.program.name)
        if watch is None:
            return False
        watch.heard_ns, watch.waiting = now_ns, None
        self._bind_all_next(router)
        ended, watch.claim = watch.claim is not None, None
        return ended

    def moved(self, name: str, after: State, now_ns: int) -> None:
        """Note a router's new state."""
        watch = self._watches.get(name)
        if watch is not None:
            self._bind_all_next(watch.router)
            watch.enter(after, now_ns)
            self._busy[name] = watch

    def _bind_all_next(self, router: RunningRouter) -> None:
        """Forget what is withheld from a router that holds nothing; who holds on asks on."""
        if router.withheld and not router.machine.holding:
            self._executor.withhold(router, frozenset())

    def receive(self, descriptor: int, now_ns: int) -> None:
        """Take in what neighbours said."""
        for sighting in self._neighbours.receive(descriptor):
            self.seen(sighting, now_ns)

    def seen(self, sighting: Sighting, now_ns: int) -> None:
        """Note that somebody uses an address; that it is us, or one of ours, is no news."""
        place = sighting.ifindex, sighting.address
        watch = self._by_address.get(place)
        self._kin.see(sighting)
        if watch is None or self._network.owns_mac(sighting.mac):
            return
        explained, addition = watch.explained(now_ns), watch.additions.find(place)
        if addition is not None:
            addition.see(sighting, now_ns, explained=explained)
            return
        if explained:
            return
        asked = watch.waiting or (watch.claim.round if watch.claim is not None else None)
        if watch.defence is not None:
            if watch.defence.suspect is None:
                self._executor.ask_members(watch.router, now_ns)
            if watch.defence.seen(sighting, settling_ns(watch.router.machine.parameters), now_ns):
                self._note(watch.router, sighting, 1, now_ns)
            self._busy[watch.router.program.name] = watch
        elif asked is not None:
            asked.answered(sighting, now_ns)

    def run(self, now_ns: int) -> list[RunningRouter]:
        """Send and judge what is due; return the routers whose fault began or ended."""
        changed: list[RunningRouter] = []
        if not self._busy:
            return changed  # as in nearly every turn of the loop
        for name, watch in list(self._busy.items()):
            if watch.waiting is not None or watch.claim is not None:
                if self._ask(watch, now_ns):
                    changed.append(watch.router)
            elif watch.defence is not None:
                self._defend(watch, watch.defence, now_ns)
                self._ask_for_additions(watch, now_ns)
            if watch.told is not watch.additions.taken:
                watch.told = watch.additions.taken
                changed.append(watch.router)
            if watch.waiting is None and watch.next_deadline_ns() is None:
                del self._busy[name]
        return changed

    def _ask(self, watch: Watch, now_ns: int) -> bool:
        """Probe and judge; return whether the router's fault began or ended."""
        refused = watch.refused(now_ns)
        if refused is not None and self._settles(watch, refused, now_ns):
            return True
        if refused is not None:
            watch.claim = Claim(refused, max(now_ns, watch.lease_over_ns()))
            watch.waiting = None
            self._note(watch.router, refused, 1, now_ns)
            return True
        if watch.claim is not None and not self._stands(watch.router, watch.claim, now_ns):
            watch.claim = None
            return True
        asked = watch.waiting or (watch.claim.round if watch.claim is not None else None)
        if asked is not None and asked.take_due(now_ns):
            self._executor.probe(watch.router, places(watch.router.program), now_ns)
        return False

    def _settles(self, watch: Watch, answer: Sighting, now_ns: int) -> bool:
        """Return whether whoever answered may be of the election, and is listened for yet."""
        assert watch.waiting is not None
        settling = settling_ns(watch.router.machine.parameters)
        until_ns = watch.waiting.answered_ns + settling
        if self._kin.has(watch.router, answer.mac):  # as if it advertised, while it answers
            until_ns, watch.waiting = now_ns + settling, Round(now_ns, settling // (PROBES + 1))
        if now_ns < until_ns:
            self._executor.handle(watch.router, Doubt(until_ns), now_ns)
        return now_ns < until_ns

    def _stands(self, router: RunningRouter, claim: Claim, now_ns: int) -> bool:
        judged = claim.round
        stands = not self._kin.has(router, claim.sighting.mac) and claim.proceed(now_ns)
        if stands and judged is not None and claim.round is None:
            self._note(router, claim.sighting, 1, now_ns)
        return stands

    def _defend(self, watch: Watch, defence: Defence, now_ns: int) -> None:
        suspect = defence.suspect
        member = suspect is not None and self._kin.has(watch.router, suspect.mac)
        found = defence.settle(now_ns, explained=member or watch.explained(now_ns))
        if found is not None:
            self._note(watch.router, *found, now_ns)
        disputed = defence.take_disputed(now_ns)
        if disputed:
            self._executor.defend(watch.router, disputed, now_ns)

    def _ask_for_additions(self, watch: Watch, now_ns: int) -> None:
        """Probe, judge and bind."""
        router, settling = watch.router, settling_ns(watch.router.machine.parameters)
        free, explained = set[Place](), watch.explained(now_ns)
        for place, addition in watch.additions.judged(now_ns, settling):
            if addition.seen_ns is None:
                free.add(place)
            elif addition.stranger is None or explained:
                addition.ask_again(now_ns + REPROBE_WAIT_NS)
            else:
                self._note(router, addition.stranger, 1, now_ns)
                addition.taken = True
                addition.ask_again(max(now_ns, addition.round.begun_ns + REPROBE_NS))
        if free:
            self._executor.bind_withheld(router, free, now_ns)
            watch.additions.keep(router.withheld, now_ns)
        due = watch.additions.take_due(now_ns)
        if due:
            self._executor.probe(router, due, now_ns)

    def _note(self, router: RunningRouter, sighting: Sighting, count: int, now_ns: int) -> None:
        conflict = Conflict(sighting.address, sighting.mac, now_ns)
        self._shared.note_conflict(router.program.slot, conflict, count)
