"""Every Virtual Router of the node, kept in step with the engine program by difference.

Loading a program never restarts what did not change (architecture §4.12): a router keeps its
state machine as long as its name and VRID stay; peers, addresses, intervals change under it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from vrrp.constants import DOWN_ADVERTISEMENTS, State, TransitionReason
from vrrp.events import (
    ConfigurationChanged,
    Event,
    FaultChanged,
    PriorityChanged,
    Resume,
    Shutdown,
    Startup,
)
from vrrp.validation import Accepted, Election
from vrrp_speaker import shared_state as shm
from vrrp_speaker.engine.netlink import AddressNews
from vrrp_speaker.engine.node_network import NodeNetwork
from vrrp_speaker.engine.program import AddressProgram, EngineProgram, RouterProgram
from vrrp_speaker.engine.routers import (
    INSTALL_RETRY_NS,
    Executor,
    RunningRouter,
    new_router,
    peer_destinations,
)
from vrrp_speaker.shared_state import EngineFault, SharedState


class RouterTable:
    """Owns the running routers; the loop asks it, the agent's messages change it."""

    def __init__(self, shared: SharedState, executor: Executor, network: NodeNetwork) -> None:
        self._shared = shared
        self._executor = executor
        self._network = network
        self._changed: set[str] = set()
        self.routers: dict[str, RunningRouter] = {}
        self.by_vrid: dict[int, RunningRouter] = {}
        self.elections: dict[int, Election] = {}
        self.peers: frozenset[bytes] = frozenset()
        self._peer_index: dict[tuple[int, bytes], int] = {}

    def take_changed(self) -> list[RunningRouter]:
        """Return the routers whose deadline may have moved since the last call."""
        changed = [self.routers[name] for name in self._changed if name in self.routers]
        self._changed.clear()
        return changed

    # Loading ---------------------------------------------------------------------------

    def load(self, program: EngineProgram, now_ns: int) -> None:
        """Make the table equal the program; what is removed goes before what is added."""
        wanted = {router.name: router for router in program.routers}
        for name in list(self.routers):
            if name not in wanted or wanted[name].vrid != self.routers[name].program.vrid:
                self._remove(name, now_ns)
        moved = [
            (self.routers[name], after)
            for name, after in wanted.items()
            if name in self.routers and self.routers[name].program != after
        ]
        for router, after in moved:
            self._remove_addresses(router, after)
        for router, after in moved:
            self._change(router, after, now_ns)
        for name, router_program in wanted.items():
            if name not in self.routers:
                self._add(router_program, now_ns)
        self._index()
        self.refresh_all_faults(now_ns)
        self._shared.set(shm.H_GENERATION, program.generation)
        self._shared.set(shm.H_LOADED, 1)

    def _index(self) -> None:
        """Rebuild what the receive path looks things up in."""
        routers = self.routers.values()
        self.by_vrid = {router.program.vrid: router for router in routers}
        self.elections = {
            vrid: Election(
                router.program.source, frozenset(peer.address for peer in router.program.peers)
            )
            for vrid, router in self.by_vrid.items()
        }
        self.peers = frozenset().union(*(e.peers for e in self.elections.values()))
        self._peer_index = {
            (router.program.vrid, peer.address): index
            for router in routers
            for index, peer in enumerate(router.program.peers)
        }

    def _remove(self, name: str, now_ns: int) -> None:
        router = self.routers.pop(name)
        self._perform(router, Shutdown(TransitionReason.REMOVED), now_ns)
        self._shared.clear_slot(router.program.slot)

    def _add(self, program: RouterProgram, now_ns: int) -> None:
        """Start a router; one that a predecessor left Active a moment ago resumes."""
        shared, offset = self._shared, shm.slot_offset(program.slot)
        known = shared.get(offset + shm.S_NAME_HASH) == shm.name_hash(program.name)
        resume = known and self.left_active(program, now_ns)
        priority = program.base_priority
        if resume:
            priority = shared.get(offset + shm.S_EFFECTIVE_PRIORITY) or priority
        if not known:
            shared.clear_slot(program.slot)
        # Until the agent has told the checks' results, a router that has checks holds nothing.
        input_faults = program.has_checks and not resume
        router = new_router(program, input_faults=input_faults, priority=priority)
        self.routers[program.name] = router
        self._write_identity(router)
        if not resume:
            shared.set(offset + shm.S_STATE, shm.STATES.index(State.INITIALIZE))
            shared.set(offset + shm.S_SINCE, now_ns)
        router.engine_faults = self._engine_faults(router, now_ns)
        self._perform(router, FaultChanged(router.faulty), now_ns)
        self._perform(router, Resume() if resume else Startup(), now_ns)

    def left_active(self, program: RouterProgram, now_ns: int) -> bool:
        """Return whether an engine before us was Active so lately that nobody took over.

        The best Backup waits three of our intervals from our last advertisement.
        """
        offset = shm.slot_offset(program.slot)
        if self._shared.get(offset + shm.S_NAME_HASH) != shm.name_hash(program.name):
            return False
        if self._shared.get(offset + shm.S_STATE) != shm.STATES.index(State.ACTIVE):
            return False
        silent_ns = now_ns - self._shared.get(offset + shm.S_LAST_SENT)
        return 0 <= silent_ns < DOWN_ADVERTISEMENTS * program.adver_interval_ns

    def _change(self, router: RunningRouter, after: RouterProgram, now_ns: int) -> None:
        before = router.program
        if before.slot != after.slot:
            self._shared.clear_slot(before.slot)
        router.program = after
        router.destinations = peer_destinations(after)
        self._forget_moved_peers(before, after)
        changed = ConfigurationChanged(after.adver_interval_ns, after.preempt, after.source)
        self._perform(router, changed, now_ns)
        if before.base_priority != after.base_priority:
            self._perform(router, PriorityChanged(after.base_priority), now_ns)
        router.prepare()
        self._write_identity(router)
        added = tuple(a for a in after.addresses if a not in before.addresses)
        if added and router.machine.state is State.ACTIVE:
            self._executor.bind(router, added, now_ns)
            self._executor.announce(router, now_ns)

    def _remove_addresses(self, router: RunningRouter, after: RouterProgram) -> None:
        """Take off what the new program no longer has on that interface."""
        if router.machine.state is not State.ACTIVE:
            return
        kept = {_identity(address) for address in after.addresses}
        gone = tuple(a for a in router.program.addresses if _identity(a) not in kept)
        # From here on the address is nobody's: its removal is not news to restore.
        router.program = replace(
            router.program,
            addresses=tuple(a for a in router.program.addresses if _identity(a) in kept),
        )
        self._executor.unbind(router, gone)

    def _forget_moved_peers(self, before: RouterProgram, after: RouterProgram) -> None:
        """Zero the counters of positions that now belong to another peer."""
        start = shm.slot_offset(after.slot) + shm.S_PEERS
        old = [peer.address for peer in before.peers]
        new = [peer.address for peer in after.peers]
        counts = {
            address: (self._shared.get(start + 16 * i), self._shared.get(start + 16 * i + 8))
            for i, address in enumerate(old)
        }
        for i in range(max(len(old), len(new))):
            received, last_ns = counts.get(new[i], (0, 0)) if i < len(new) else (0, 0)
            self._shared.set(start + 16 * i, received)
            self._shared.set(start + 16 * i + 8, last_ns)

    def _write_identity(self, router: RunningRouter) -> None:
        offset, program = router.offset, router.program
        self._shared.set(offset + shm.S_NAME_HASH, shm.name_hash(program.name))
        self._shared.set(offset + shm.S_VRID, program.vrid)
        self._shared.set(offset + shm.S_BASE_PRIORITY, program.base_priority)
        self._shared.set(offset + shm.S_EFFECTIVE_PRIORITY, router.machine.parameters.priority)

    # Inputs of the agent ---------------------------------------------------------------

    def apply_inputs(self, inputs: Mapping[str, tuple[int, bool]], now_ns: int) -> None:
        """Take in the agent's view of each router: effective priority, and whether it is faulty."""
        for name, (priority, faulty) in inputs.items():
            router = self.routers.get(name)
            if router is None:
                continue
            if priority != router.machine.parameters.priority:
                self._perform(router, PriorityChanged(priority), now_ns)
                router.prepare()
                self._shared.set(router.offset + shm.S_EFFECTIVE_PRIORITY, priority)
            router.input_faults = faulty
            self.refresh_faults(router, now_ns)

    # Faults ----------------------------------------------------------------------------

    def refresh_all_faults(self, now_ns: int) -> None:
        """Compare every router with the state of links and addresses."""
        for router in self.routers.values():
            self.refresh_faults(router, now_ns)

    def refresh_faults(self, router: RunningRouter, now_ns: int) -> None:
        """Tell the machine when faults appeared or went."""
        router.engine_faults = self._engine_faults(router, now_ns)
        bits = sum(1 << shm.FAULTS.index(fault) for fault in router.engine_faults)
        self._shared.set(router.offset + shm.S_FAULTS, bits)
        self._perform(router, FaultChanged(router.faulty), now_ns)

    def retry_installs(self, now_ns: int) -> None:
        """Let routers try again whose address the kernel refused a while ago."""
        for router in self.routers.values():
            if router.install_retry_ns and now_ns >= router.install_retry_ns:
                router.install_retry_ns = 0
                self.refresh_faults(router, now_ns)

    def _engine_faults(self, router: RunningRouter, now_ns: int) -> frozenset[EngineFault]:
        if router.program.faults:
            return frozenset()  # the compiler has named the reason already
        faults = set()
        if not self._network.running(router.program.ifindex):
            faults.add(EngineFault.INTERFACE_DOWN)
        if not self._network.has_address(router.program.source):
            faults.add(EngineFault.SOURCE_ADDRESS_MISSING)
        if now_ns < router.install_retry_ns <= now_ns + INSTALL_RETRY_NS:
            faults.add(EngineFault.ADDRESS_INSTALL_FAILED)
        return frozenset(faults)

    # Addresses -------------------------------------------------------------------------

    def restore_address(self, removed: AddressNews, now_ns: int) -> None:
        """Put back an address of an Active router that somebody else removed, and announce it."""
        if self._network.on_interface(removed.ifindex, removed.address):
            return  # it is there again: the removal was our own, before we became Active
        for router in self.routers.values():
            if router.machine.state is not State.ACTIVE:
                continue
            for address in router.program.addresses:
                if (address.ifindex, address.address) == (removed.ifindex, removed.address):
                    self._restore(router, address, now_ns)
                    return

    def missing_addresses(self) -> list[AddressNews]:
        """Return what Active routers should hold and do not, as if its removal were news."""
        return [
            AddressNews(address.ifindex, address.address, address.prefix_length, 0, present=False)
            for router in self.routers.values()
            if router.machine.state is State.ACTIVE
            for address in router.program.addresses
            if not self._network.on_interface(address.ifindex, address.address)
        ]

    def _restore(self, router: RunningRouter, address: AddressProgram, now_ns: int) -> None:
        self._executor.bind(router, (address,), now_ns)
        self._executor.announce(router, now_ns)
        self._shared.add(router.offset + shm.S_RESTORED)

    # Counting --------------------------------------------------------------------------

    def count_heard(self, router: RunningRouter, accepted: Accepted, now_ns: int) -> None:
        """Count an accepted advertisement, and the time two nodes were Active."""
        index = self._peer_index[router.program.vrid, accepted.source]
        start = router.offset + shm.S_PEERS + 16 * index
        if router.machine.state is State.ACTIVE and accepted.advertisement.priority:
            silent_ns = now_ns - self._shared.get(start + 8)
            both_ns = min(silent_ns, router.program.adver_interval_ns)
            self._shared.add(router.offset + shm.S_DUAL_ACTIVE, both_ns)
        self._shared.add(start)
        self._shared.set(start + 8, now_ns)

    def _perform(self, router: RunningRouter, event: Event, now_ns: int) -> None:
        self._executor.perform(router, router.machine.handle(event, now_ns), now_ns)
        self._changed.add(router.program.name)


def _identity(address: AddressProgram) -> tuple[int, bytes, int]:
    return address.ifindex, address.address, address.prefix_length
