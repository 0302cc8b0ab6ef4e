"""What the engine itself finds wrong with a Virtual Router's holding its addresses.

A router needs the link of its election, those of its addresses, and the one that its advertisements
leave by (architecture §4.22). Addresses move together: a node where one of these does not run holds
none of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from vrrp.events import FaultChanged
from vrrp_speaker.engine.addresses.leases import Leases
from vrrp_speaker.engine.concern import Concern
from vrrp_speaker.engine.neighbours.conflicts import Conflicts
from vrrp_speaker.engine.neighbours.presence import Presence
from vrrp_speaker.engine.network.node_network import NodeNetwork
from vrrp_speaker.engine.routers.dispatcher import Dispatcher
from vrrp_speaker.engine.routers.running_router import RunningRouter
from vrrp_speaker.engine.wire.wanted_groups import WantedGroups
from vrrp_speaker.shared_state import EngineFault, SharedState
from vrrp_speaker.shared_state import layout as shm


class Faults(Concern):
    """Looks at what routers depend on, and tells them when faults appear or go."""

    def __init__(
        self,
        shared: SharedState,
        dispatcher: Dispatcher,
        routers: Mapping[str, RunningRouter],
        *,
        network: NodeNetwork,
        groups: WantedGroups,
        presence: Presence,
        conflicts: Conflicts,
        leases: Leases,
    ) -> None:
        self._shared = shared
        self._dispatcher = dispatcher
        self._routers = routers
        self._network = network
        self._groups = groups
        self._presence = presence
        self._conflicts = conflicts
        self._leases = leases

    def refresh(self, router: RunningRouter, now_ns: int) -> None:
        """Look at one router, and tell its machine what is found."""
        router.found.faults = self.of(router, now_ns)
        # What keeps one address off is told, and is no fault: the others are held.
        told = router.found.faults | self._conflicts.keeps_off(router.program.name, now_ns)
        bits = sum(1 << shm.FAULTS.index(fault) for fault in told)
        self._shared.report(router.offset + shm.S_FAULTS, bits)
        self._shared.report(router.offset + shm.S_LINK_DOWN, router.found.link_down)
        hand_over = router.can_hand_over or router.keeps
        changed = FaultChanged(router.faulty, hand_over, router.keeps)
        self._dispatcher.give(router, changed, now_ns)

    def refresh_all(self, now_ns: int) -> None:
        """Look at every router, as after a change of links or addresses."""
        for router in self._routers.values():
            self.refresh(router, now_ns)

    def begin(self, router: RunningRouter, now_ns: int) -> None:
        """Look at a router that is about to start, and tell its machine."""
        router.found.faults = self.of(router, now_ns)
        self._dispatcher.give(router, FaultChanged(router.faulty), now_ns)

    def judge_conflicts(self, now_ns: int) -> bool:
        """Judge who else has our addresses; return whether that began or ended a fault."""
        changed = self._conflicts.judge(now_ns)
        for router in changed:
            self.refresh(router, now_ns)
        return bool(changed)

    def heard(self, router: RunningRouter, now_ns: int) -> None:
        """Note that somebody of a router's election was heard, which ends a conflict."""
        if self._conflicts.heard(router, now_ns):
            self.refresh(router, now_ns)

    def run(self, now_ns: int) -> None:
        """Look at what changes by itself: majorities, and what is to be tried again."""
        if self._presence.filenos():
            self._refresh_majorities(now_ns)
        if self._groups.retry(now_ns):
            self.refresh_all(now_ns)
        for router in self._leases.due_again(now_ns):
            if self._routers.get(router.program.name) is router:
                self.refresh(router, now_ns)

    def next_deadline_ns(self) -> int | None:
        """Return when ``run`` has something to do that cannot wait."""
        return self._groups.next_deadline_ns()

    def of(self, router: RunningRouter, now_ns: int) -> frozenset[EngineFault]:
        """Return the faults of a router now; notes the link that does not run."""
        program = router.program
        if EngineFault.SET_ASIDE in program.faults:
            return frozenset({EngineFault.SET_ASIDE})
        if program.faults:
            return frozenset()  # the compiler has named the reason already
        faults = set()
        router.found.link_down = self._link_down(router)
        if router.found.link_down:
            faults.add(EngineFault.INTERFACE_DOWN)
        elif self._groups.is_deaf(program):
            faults.add(EngineFault.GROUP_NOT_JOINED)
        if not self._network.has_address(program.source):
            faults.add(EngineFault.SOURCE_ADDRESS_MISSING)
        if now_ns < router.lease.retry_ns:
            faults.add(EngineFault.ADDRESS_INSTALL_FAILED)
        if program.require_majority and not self._presence.has_majority(program, now_ns):
            faults.add(EngineFault.NO_MAJORITY)
        if self._conflicts.holds_back(program.name):
            faults.add(EngineFault.ADDRESS_CONFLICT)
        return frozenset(faults)

    def _refresh_majorities(self, now_ns: int) -> None:
        """Tell the machines when the candidates that answer became too few, or enough again."""
        for router in self._routers.values():
            if router.program.require_majority:
                alone = not self._presence.has_majority(router.program, now_ns)
                if alone is not (EngineFault.NO_MAJORITY in router.found.faults):
                    self.refresh(router, now_ns)

    def _link_down(self, router: RunningRouter) -> int:
        """Return the index of the first link that is needed and does not run; 0: none."""
        program, network = router.program, self._network
        for ifindex in dict.fromkeys((program.ifindex, *(a.ifindex for a in program.addresses))):
            if not network.running(ifindex):
                return ifindex
        # Nobody is to hear who is alone. Group advertisements leave on the router's own interface.
        if program.multicast or not router.has_others:
            return 0
        carriers = network.holders(program.source)
        if not carriers or any(map(network.running, carriers)):
            return 0
        return min(carriers)
