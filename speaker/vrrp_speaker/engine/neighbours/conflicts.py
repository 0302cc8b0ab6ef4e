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

from collections.abc import Iterable, Set

from vrrp.actions import StateChanged
from vrrp.constants import State
from vrrp.events import Doubt
from vrrp_speaker.engine.concern import Concern
from vrrp_speaker.engine.neighbours.additions import Addition
from vrrp_speaker.engine.neighbours.conflict_watch import Watch
from vrrp_speaker.engine.neighbours.defence import Defence
from vrrp_speaker.engine.neighbours.kin import Kin
from vrrp_speaker.engine.neighbours.listening import Neighbours, Sighting
from vrrp_speaker.engine.neighbours.probing import (
    PROBES,
    Claim,
    Place,
    Round,
    places,
    settling_ns,
)
from vrrp_speaker.engine.network.node_network import NodeNetwork
from vrrp_speaker.engine.programs.program import RouterProgram
from vrrp_speaker.engine.routers.dispatcher import Dispatcher
from vrrp_speaker.engine.routers.executor import Executor
from vrrp_speaker.engine.routers.running_router import RunningRouter, last_heard_ns
from vrrp_speaker.shared_state import Conflict, EngineFault, HeldByMember, SharedState
from vrrp_speaker.shared_state.layout import bytes_hash


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
        self._dispatcher = dispatcher
        self._network = network
        self._neighbours = neighbours
        self._watches: dict[str, Watch] = {}
        self._by_address: dict[tuple[int, bytes], Watch] = {}
        self._looks_out = False
        self._busy: dict[str, Watch] = {}
        self._kin = Kin()

    def filenos(self) -> tuple[int, ...]:
        """Return the descriptors to wait on."""
        return self._neighbours.filenos()

    def next_deadline_ns(self) -> int | None:
        """Return when ``judge`` has something to do."""
        if not self._busy:
            return None
        deadlines = (watch.next_deadline_ns() for watch in self._busy.values())
        return min((d for d in deadlines if d is not None), default=None)

    def holds_back(self, name: str) -> bool:
        """Return whether a stranger keeps the router from being Active."""
        watch = self._watches.get(name)
        return watch is not None and watch.claim is not None

    def keeps_off(self, name: str, now_ns: int) -> frozenset[EngineFault]:
        """Return why an Active router lacks one of its addresses: who has it."""
        watch = self._watches.get(name)
        return watch.lacks(now_ns) if watch is not None else frozenset()

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
        before, self._watches = self._watches, {}
        changed = not self._looks_out
        routers = [router for router in routers if router.program.probes]
        for router in routers:
            watch = before.get(router.program.name)
            if watch is None or watch.router is not router:
                watch = Watch(router, now_ns, last_heard_ns(self._shared, router.program) or None)
                watch.enter(router.machine.state, now_ns)
            changed |= watch.follow()
            claim = watch.claim
            if claim and (claim.sighting.ifindex, claim.sighting.address) not in watch.places:
                watch.claim = None
            if watch.defence is not None:
                watch.additions.keep(router.withheld, now_ns)
            self._watches[router.program.name] = watch
        self._busy = dict(self._watches)
        if changed or before.keys() != self._watches.keys():
            watches = self._watches.values()
            self._by_address = {place: watch for watch in watches for place in watch.places}
            changed = True
        if self._know_members() or changed:
            self._look_out()

    def _know_members(self) -> bool:
        """Know who is a member now, learned ones too; return whether that is news."""
        return self._kin.sync(watch.router for watch in self._watches.values())

    def _look_out(self) -> None:
        self._looks_out = True
        self._neighbours.watch([*(a for _, a in self._by_address), *self._kin.addresses()])

    def _ask_about(self, router: RunningRouter, about: Set[Place], now_ns: int) -> None:
        """Ask who has the addresses there, and the members who they are; their answers count."""
        if self._know_members():
            self._look_out()
        if about:
            self._executor.probe(router, about, now_ns)
        else:
            self._executor.ask_members(router, now_ns)

    def heard(self, router: RunningRouter, now_ns: int) -> bool:
        """Note an advertisement of the election; return whether that ends a fault."""
        watch = self._watches.get(router.program.name)
        if watch is None:
            return False
        watch.heard_ns, watch.waiting = now_ns, None
        self._bind_all_next(router)
        ended, watch.claim = watch.claim is not None, None
        return ended

    def moved(self, name: str, change: StateChanged, _sequence: int, now_ns: int) -> None:
        """Note a router's new state."""
        watch = self._watches.get(name)
        if watch is not None:
            self._bind_all_next(watch.router)
            watch.enter(change.after, now_ns)
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
        addition = watch.additions.find(place)
        explained, member = watch.explained(now_ns), self._kin.has(watch.router, sighting.mac)
        if addition is not None:
            addition.see(sighting, now_ns, explained=explained, member=member)
        elif explained:
            return
        elif watch.defence is not None and not member:
            self._suspect(watch, watch.defence, sighting, now_ns)
        elif watch.asked is not None:
            watch.asked.answered(sighting, now_ns)

    def _suspect(self, watch: Watch, defence: Defence, sighting: Sighting, now_ns: int) -> None:
        """Look again at who is seen beside an Active router, unless that is a known stranger."""
        if defence.suspect is None:
            self._ask_about(watch.router, frozenset(), now_ns)
        if defence.seen(sighting, settling_ns(watch.router.machine.parameters), now_ns):
            self._note(watch.router, sighting, 1, now_ns)
        self._busy[watch.router.program.name] = watch

    def judge(self, now_ns: int) -> list[RunningRouter]:
        """Ask and judge what is due; return the routers whose fault began or ended.

        The loop does so before any deadline: to look around would be late.
        """
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
            lacks = watch.lacks(now_ns)
            self._tell_held(watch, now_ns)
            if watch.told != lacks:
                watch.told = lacks
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
        asked = watch.asked
        if asked is not None and asked.take_due(now_ns):
            self._ask_about(watch.router, places(watch.router.program), now_ns)
        return False

    def _settles(self, watch: Watch, answer: Sighting, now_ns: int) -> bool:
        """Return whether whoever answered may be of the election, and is listened for yet."""
        assert watch.waiting is not None
        settling = settling_ns(watch.router.machine.parameters)
        until_ns = watch.waiting.answered_ns + settling
        if self._kin.has(watch.router, answer.mac):
            # As if it had advertised then. The kernel of one that died answers until a lease ends.
            until_ns = watch.waiting.last_ns + settling
            if now_ns >= until_ns:
                watch.waiting = None
                return True
            watch.waiting = Round(now_ns, (until_ns - now_ns) // (PROBES + 1))
        if now_ns < until_ns:
            self._dispatcher.give(watch.router, Doubt(until_ns), now_ns)
        return now_ns < until_ns

    def _stands(self, router: RunningRouter, claim: Claim, now_ns: int) -> bool:
        """Return whether a stranger has an address yet; one who is known for a member has not."""
        judged = claim.round
        if self._kin.has(router, claim.sighting.mac) or not claim.proceed(now_ns):
            return False
        if judged is not None and claim.round is None:
            if self._kin.has(router, claim.sighting.mac):
                return False
            self._note(router, claim.sighting, 1, now_ns)
        return True

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
        free = set[Place]()
        for place, addition in watch.additions.judged(now_ns, settling):
            if addition.seen_ns is None and self._executor.has_yet_to_ask(router, place):
                addition.wait_longer()
            elif addition.seen_ns is None:
                free.add(place)
            else:
                self._judge_addition(watch, addition, now_ns)
        if free:
            self._executor.bind_withheld(router, free, now_ns)
            watch.additions.keep(router.withheld, now_ns)
        due = watch.additions.take_due(now_ns)
        if due:
            self._ask_about(router, due, now_ns)

    def _judge_addition(self, watch: Watch, addition: Addition, now_ns: int) -> None:
        """Tell who answered for an added address, unless the election explains it."""
        router, stranger = watch.router, addition.stranger
        if stranger is not None and self._kin.has(router, stranger.mac):
            addition.member, stranger = stranger.mac, None
        elif watch.explained(now_ns):
            stranger = None
        if stranger is not None:
            self._note(router, stranger, 1, now_ns)
        addition.judge(stranger, now_ns)

    def _tell_held(self, watch: Watch, now_ns: int) -> None:
        """Have the shared state say which address a member has, and which member."""
        found = watch.held_by_member(now_ns)
        held = None
        if found is not None:
            address, mac = found
            member = self._kin.whose(watch.router, mac)
            held = HeldByMember(address, bytes_hash(member)) if member is not None else None
        if held != watch.told_held:
            watch.told_held = held
            self._shared.note_held(watch.router.program.slot, held)

    def _note(self, router: RunningRouter, sighting: Sighting, count: int, now_ns: int) -> None:
        conflict = Conflict(sighting.address, sighting.mac, now_ns)
        self._shared.note_conflict(router.program.slot, conflict, count)
