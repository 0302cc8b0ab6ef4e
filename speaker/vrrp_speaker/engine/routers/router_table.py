"""Every Virtual Router of the node, kept in step with the engine program by difference.

Loading a program never restarts what did not change (architecture §4.12): a router keeps its
state machine as long as its name and VRID stay; peers, addresses, intervals change under it.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace

from vrrp.constants import FIRST_HOLDER, State, TransitionReason
from vrrp.events import (
    ConfigurationChanged,
    Event,
    FaultChanged,
    PriorityChanged,
    Resume,
    Shutdown,
    Startup,
    TakeOver,
)
from vrrp.priority import effective_priority
from vrrp.validation import Accepted
from vrrp_speaker.engine.concern import Concern
from vrrp_speaker.engine.neighbours.conflicts import Conflicts
from vrrp_speaker.engine.neighbours.presence import Presence
from vrrp_speaker.engine.neighbours.probing import Place, places
from vrrp_speaker.engine.network.node_network import NodeNetwork
from vrrp_speaker.engine.programs.program import AddressProgram, EngineProgram, RouterProgram
from vrrp_speaker.engine.programs.set_aside import over
from vrrp_speaker.engine.routers.executor import Executor
from vrrp_speaker.engine.routers.faults import Faults
from vrrp_speaker.engine.routers.hearing import Hearing
from vrrp_speaker.engine.routers.members import move_counters, recall_members
from vrrp_speaker.engine.routers.resuming import left_active, left_backup, left_points
from vrrp_speaker.engine.routers.running_router import (
    Inputs,
    RunningRouter,
    new_router,
    run_already,
)
from vrrp_speaker.engine.wire.memberships import Memberships
from vrrp_speaker.shared_state import EngineFault, SharedState
from vrrp_speaker.shared_state import layout as shm

_MIN_SILENCE_NS, _MAX_SILENCE_NS = 40_000_000, 2_000_000_000


class RouterTable(Concern):
    """Owns the running routers; the loop asks it, the agent's messages change it."""

    def __init__(
        self,
        shared: SharedState,
        executor: Executor,
        network: NodeNetwork,
        memberships: Memberships,
        presence: Presence,
        *,
        conflicts: Conflicts,
    ) -> None:
        self._shared = shared
        self._conflicts = conflicts
        self._presence = presence
        self.memberships = memberships
        self._executor = executor
        self._network = network
        self._loaded = False
        self._changed: dict[int, RunningRouter] = {}
        self.routers: dict[str, RunningRouter] = {}
        self.by_place: dict[Place, RunningRouter] = {}
        """Whose address is where."""
        self.hearing = Hearing(shared)
        self._faults = Faults(network, memberships, presence, conflicts)

    def take_changed(self) -> list[RunningRouter]:
        """Return the routers whose deadline may have moved since the last call."""
        changed = list(self._changed.values())
        self._changed.clear()
        return changed

    # Loading ---------------------------------------------------------------------------

    def load(self, program: EngineProgram, now_ns: int, ended: Set[str] = frozenset()) -> None:
        """Make the table equal the program; what is removed goes before what is added.

        ``ended`` elections have no successor: their addresses go at once.
        """
        wanted = {router.name: router for router in program.routers}
        if self._loaded and run_already(self.routers, wanted):
            self._shared.set(shm.H_GENERATION, program.generation)
            return
        for name, router in list(self.routers.items()):
            if name not in wanted or wanted[name].identity != router.program.identity:
                self._remove(name, now_ns, ended=name in ended)
        moved = [
            (self.routers[name], self.routers[name].program, after)
            for name, after in wanted.items()
            if name in self.routers and not self.routers[name].runs(after)
        ]
        self._shared.move_slots(
            {before.slot: after.slot for _, before, after in moved if before.slot != after.slot}
        )
        for router, _, after in moved:
            self._remove_addresses(router, after)
        for router, before, after in moved:
            with over(after.name):
                self._change(router, before, after, now_ns)
        added = [after for name, after in wanted.items() if name not in self.routers]
        for router_program in sorted(added, key=self._urgency):
            with over(router_program.name):
                self._add(router_program, now_ns)
        self._index()
        voting = [r.program for r in self.routers.values() if r.program.require_majority]
        self._presence.watch(voting, now_ns)
        self._conflicts.sync(self.routers.values(), now_ns)
        # Whether a group is joined, or a majority answers, may have changed for the others, too.
        replaced = {after.name for after in added} | {after.name for _, _, after in moved}
        for name, router in self.routers.items():
            if name in replaced or router.program.multicast or router.program.require_majority:
                self.refresh_faults(router, now_ns)
        self._loaded = True
        self._shared.set(shm.H_GENERATION, program.generation)
        self._shared.set(shm.H_LOADED, 1)

    def silence_limit_ns(self) -> int:
        """Return how long the loop may be silent before the supervisor replaces the engine.

        Two thirds of what the fastest election waits for, so that the new one is in time to resume.
        """
        programs = [router.program for router in self.routers.values()]
        waits_ns = [p.down_advertisements * p.adver_interval_ns for p in programs]
        limit_ns = min(waits_ns, default=_MAX_SILENCE_NS) * 2 // 3
        return max(_MIN_SILENCE_NS, min(_MAX_SILENCE_NS, limit_ns))

    def _index(self) -> None:
        """Rebuild what the receive path looks things up in, and join the groups it needs."""
        routers = self.routers.values()
        self.by_place = {
            (a.ifindex, a.address): router for router in routers for a in router.program.addresses
        }
        self.hearing.follow(routers)
        self.memberships.sync((router.program for router in routers), self.hearing.elections)

    def _remove(self, name: str, now_ns: int, *, ended: bool) -> None:
        """Let a router go; its addresses may stay a moment longer than its slot."""
        router = self.routers.pop(name)
        hand_over = router.can_hand_over and not ended
        self._perform(router, Shutdown(TransitionReason.REMOVED, hand_over), now_ns)
        router.removed = True
        self._shared.clear_slot(router.program.slot)

    def _urgency(self, program: RouterProgram) -> tuple[bool, int]:
        """Order routers by when their advertisements are due, of those that were left Active."""
        offset = shm.slot_offset(program.slot)
        active = self._shared.get(offset + shm.S_STATE) == shm.STATES.index(State.ACTIVE)
        return not active, self._shared.get(offset + shm.S_LAST_SENT) + program.adver_interval_ns

    def _add(self, program: RouterProgram, now_ns: int) -> None:
        """Start a router; one that a predecessor left Active or Backup a moment ago goes on."""
        shared, offset = self._shared, shm.slot_offset(program.slot)
        known = shared.get(offset + shm.S_NAME_HASH) == shm.name_hash(program.name)
        resume = known and left_active(shared, program, now_ns)
        backup = known and left_backup(shared, program, now_ns)
        points = left_points(shared, program) if resume or backup else 0
        priority = effective_priority(program.base_priority, [points])
        if not known:
            shared.clear_slot(program.slot)
        # Until the agent has told the checks' results, a router that has checks holds nothing.
        input_faults = program.has_checks and not resume and not backup
        router = new_router(program, input_faults=input_faults, priority=priority)
        router.health_points = points
        router.was_backup = backup
        self.routers[program.name] = router
        self._recall_marks(router)
        self._executor.begin(router)
        self._write_identity(router)
        # Whoever goes on has bound all, unless it was asking about some.
        asking = resume and shared.get(offset + shm.S_WITHHELD)
        unbound = {p for p in places(program) if asking and not self._network.on_interface(*p)}
        self._executor.withhold(router, frozenset(unbound))
        if not resume and not backup:
            shared.set(offset + shm.S_STATE, shm.STATES.index(State.INITIALIZE))
            shared.set(offset + shm.S_SINCE, now_ns)
        router.engine_faults = self._faults.of(router, now_ns)
        self._perform(router, FaultChanged(router.faulty), now_ns)
        # What an engine begins with may have been asked long ago.
        first = program.take_over == FIRST_HOLDER and self._loaded
        self._perform(router, Resume() if resume else Startup(first), now_ns)

    def _recall_marks(self, router: RunningRouter) -> None:
        """Take over what a predecessor heard, so that nothing can be played back to its heir."""
        for index, peer in enumerate(router.program.peers):
            mark = self._shared.get(shm.peer_offset(router.program.slot, index) + shm.PEER_MARK)
            if mark:
                router.marks.remember(peer.address, mark)
        recall_members(self._shared, router)

    def _change(
        self, router: RunningRouter, before: RouterProgram, after: RouterProgram, now_ns: int
    ) -> None:
        held, router.program = router.addresses, after
        if before.addresses != after.addresses:
            router.install_retry_ns = router.install_failures = 0  # others may be taken
        self._executor.withhold(router, self._conflicts.unasked(router, before))
        router.encoder = router.encoder.follow(after)
        counted = self.hearing.members.counters(router)
        self.hearing.members.relist(router, before, now_ns)
        move_counters(self._shared, before, after, counted)
        changed = ConfigurationChanged(
            adver_interval_ns=after.adver_interval_ns,
            down_advertisements=after.down_advertisements,
            preempt_mode=after.preempt,
            preempt_delay_ns=after.preempt_delay_ns,
            source=after.source,
        )
        self._perform(router, changed, now_ns)
        if before.base_priority != after.base_priority:
            # The checks count as before until the agent tells anew.
            priority = effective_priority(after.base_priority, [router.health_points])
            self._perform(router, PriorityChanged(priority), now_ns)
        router.prepare()
        self._write_identity(router)
        if after.take_over not in ("", FIRST_HOLDER, before.take_over):
            if router.machine.state is State.BACKUP:  # a named successor waits for nothing
                self._executor.withhold(router, frozenset())
            self._perform(router, TakeOver(), now_ns)
        if router.machine.state is State.ACTIVE:
            self._bind_added(router, before, held, now_ns)

    def _bind_added(
        self,
        router: RunningRouter,
        before: RouterProgram,
        held: tuple[AddressProgram, ...],
        now_ns: int,
    ) -> None:
        """Bind what the new program adds to an Active router, where it may at once."""
        added = tuple(a for a in router.addresses if a not in held)
        if added:
            self._executor.leases.bind(router, added, now_ns)
        # What is new is announced as it arrives.
        frames = self._executor.announceable(router)
        if any(frame not in before.announcements for frame in frames):
            self._executor.announce(router, now_ns)
        else:
            self._executor.keep_announcing(router)

    def _remove_addresses(self, router: RunningRouter, after: RouterProgram) -> None:
        """Take off what the new program no longer has on that interface."""
        if not router.machine.holding:
            return
        wanted = {_identity(address): address for address in after.addresses}
        kept = {
            _identity(address)
            for address in router.program.addresses
            if _identity(address) in wanted
            and not wanted[_identity(address)].replaces_route_of(address)
        }
        gone = tuple(a for a in router.addresses if _identity(a) not in kept)
        # From here on the address is nobody's: its removal is not news to restore.
        router.program = replace(
            router.program,
            addresses=tuple(a for a in router.program.addresses if _identity(a) in kept),
        )
        self._executor.leases.unbind(router, gone)

    def _write_identity(self, router: RunningRouter) -> None:
        offset, program = router.offset, router.program
        self._shared.set(offset + shm.S_NAME_HASH, shm.name_hash(program.name))
        self._shared.set(offset + shm.S_VRID, program.vrid)
        self._shared.set(offset + shm.S_BASE_PRIORITY, program.base_priority)
        self._shared.report(offset + shm.S_EFFECTIVE_PRIORITY, router.machine.parameters.priority)

    # Inputs of the agent ---------------------------------------------------------------

    def apply_inputs(self, inputs: Mapping[str, Inputs], now_ns: int) -> None:
        """Take in the agent's view of each router."""
        for name, told in inputs.items():
            router = self.routers.get(name)
            if router is None:
                continue
            # The agent may know another configuration already than the one that is loaded.
            points = told.priority - told.base
            priority = effective_priority(router.program.base_priority, [points])
            unhealthy = points < router.health_points and router.has_others
            router.health_points = points
            if priority != router.machine.parameters.priority:
                self._perform(router, PriorityChanged(priority, unhealthy), now_ns)
                router.prepare()
                self._shared.report(router.offset + shm.S_EFFECTIVE_PRIORITY, priority)
            router.input_faults, router.input_keeps = told.faulty, told.keeps
            self.refresh_faults(router, now_ns)

    # Faults ----------------------------------------------------------------------------

    def refresh_all_faults(self, now_ns: int) -> None:
        """Compare every router with the state of links and addresses."""
        for router in self.routers.values():
            self.refresh_faults(router, now_ns)

    def refresh_faults(self, router: RunningRouter, now_ns: int) -> None:
        """Tell the machine when faults appeared or went."""
        router.engine_faults = self._faults.of(router, now_ns)
        # What keeps one address off is told, and is no fault: the others are held.
        told = router.engine_faults | self._conflicts.keeps_off(router.program.name, now_ns)
        bits = sum(1 << shm.FAULTS.index(fault) for fault in told)
        self._shared.report(router.offset + shm.S_FAULTS, bits)
        self._shared.report(router.offset + shm.S_LINK_DOWN, router.link_down)
        hand_over = router.can_hand_over or router.keeps
        self._perform(router, FaultChanged(router.faulty, hand_over, router.keeps), now_ns)

    def judge_conflicts(self, now_ns: int) -> bool:
        """Judge who else has our addresses; return whether that began or ended a fault."""
        changed = self._conflicts.judge(now_ns)
        for router in changed:
            self.refresh_faults(router, now_ns)
        return bool(changed)

    def refresh_majorities(self, now_ns: int) -> None:
        """Tell the machines when the candidates that answer became too few, or enough again."""
        for router in self.routers.values():
            if router.program.require_majority:
                alone = not self._presence.has_majority(router.program, now_ns)
                if alone is not (EngineFault.NO_MAJORITY in router.engine_faults):
                    self.refresh_faults(router, now_ns)

    def run(self, now_ns: int) -> None:
        """Look at what changes by itself: majorities, and what is to be tried again."""
        if self._presence.filenos():
            self.refresh_majorities(now_ns)
        self.retry(now_ns)

    def next_deadline_ns(self) -> int | None:
        """Return when ``run`` has something to do that cannot wait."""
        return self.memberships.next_deadline_ns()

    def retry(self, now_ns: int) -> None:
        """Try again what the kernel refused a while ago: memberships, addresses.

        And let go of members that were silent for too long.
        """
        self.hearing.forget_silent(now_ns)
        if self.memberships.retry(now_ns):
            self.refresh_all_faults(now_ns)
        refused = self._executor.leases.refused
        for name, router in list(refused.items()):
            if now_ns >= router.install_retry_ns:
                del refused[name]
                router.install_retry_ns = 0
                if self.routers.get(name) is router:
                    self.refresh_faults(router, now_ns)

    # Hearing ---------------------------------------------------------------------------

    def heard(self, accepted: Accepted, now_ns: int) -> RunningRouter:
        """Take note of an accepted advertisement; return whose it is."""
        router = self.hearing.note(accepted, now_ns)
        if self._conflicts.heard(router, now_ns):
            self.refresh_faults(router, now_ns)
        return router

    def _perform(self, router: RunningRouter, event: Event, now_ns: int) -> None:
        self._executor.handle(router, event, now_ns)
        self._changed[id(router)] = router


def _identity(address: AddressProgram) -> tuple[int, bytes, int]:
    return address.ifindex, address.address, address.prefix_length
