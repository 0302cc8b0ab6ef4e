"""What the engine itself finds wrong with a Virtual Router's holding its addresses.

A router needs the link of its election, those of its addresses, and the one that its advertisements
leave by (architecture §4.22). Addresses move together: a node where one of these does not run holds
none of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from vrrp_speaker.engine.neighbours.conflicts import Conflicts
from vrrp_speaker.engine.neighbours.presence import Presence
from vrrp_speaker.engine.network.node_network import NodeNetwork
from vrrp_speaker.engine.routers.running_router import RunningRouter
from vrrp_speaker.engine.wire.memberships import Memberships
from vrrp_speaker.shared_state import EngineFault


@dataclass(frozen=True, slots=True)
class Faults:
    """Looks at what a router depends on."""

    network: NodeNetwork
    memberships: Memberships
    presence: Presence
    conflicts: Conflicts

    def of(self, router: RunningRouter, now_ns: int) -> frozenset[EngineFault]:
        """Return the faults of a router now; notes the link that does not run."""
        program = router.program
        if EngineFault.SET_ASIDE in program.faults:
            return frozenset({EngineFault.SET_ASIDE})
        if program.faults:
            return frozenset()  # the compiler has named the reason already
        faults = set()
        router.link_down = self._link_down(router)
        if router.link_down:
            faults.add(EngineFault.INTERFACE_DOWN)
        elif self.memberships.is_deaf(program):
            faults.add(EngineFault.GROUP_NOT_JOINED)
        if not self.network.has_address(program.source):
            faults.add(EngineFault.SOURCE_ADDRESS_MISSING)
        if now_ns < router.install_retry_ns:
            faults.add(EngineFault.ADDRESS_INSTALL_FAILED)
        if program.require_majority and not self.presence.has_majority(program, now_ns):
            faults.add(EngineFault.NO_MAJORITY)
        if self.conflicts.holds_back(program.name):
            faults.add(EngineFault.ADDRESS_CONFLICT)
        return frozenset(faults)

    def _link_down(self, router: RunningRouter) -> int:
        """Return the index of the first link that is needed and does not run; 0: none."""
        program, network = router.program, self.network
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
