"""Which VRRP groups this node is in: for elections of mode Multicast, and elsewhere only to look.

An election of mode Multicast that could not join its group hears nobody, and would take an address
that another node has: it is held in Fault. Not to be able to look is no fault.
"""

from __future__ import annotations

from collections.abc import Iterable

from vrrp.validation import Elections
from vrrp_speaker.engine.neighbours.foreign import ForeignRouters
from vrrp_speaker.engine.programs.program import RouterProgram
from vrrp_speaker.engine.wire.groups import Group
from vrrp_speaker.engine.wire.transport import Transport

REJOIN_NS = 5_000_000_000
"""How long after one attempt that failed the next one is made, without any news."""


class Memberships:
    """Keeps both kinds of sockets in the groups that the program needs."""

    def __init__(self, transport: Transport, foreign: ForeignRouters) -> None:
        self._transport = transport
        self._foreign = foreign
        self._wanted: tuple[Group, ...] = ()
        self._missing: set[Group] = set()
        self._unobserved = 0
        self._rejoin_at_ns = 0

    def sync(self, programs: Iterable[RouterProgram], elections: Elections) -> None:
        """Be in the groups of these routers and in no other."""
        programs = tuple(programs)
        self._wanted = tuple((p.family, p.ifindex) for p in programs if p.multicast and p.ifindex)
        self._foreign.sync(programs, elections)
        self.join()

    def join(self) -> None:
        """Join what is not joined, as on links that have just come back."""
        self._unobserved = self._foreign.join_groups()
        self._missing = self._transport.join_groups(self._wanted)

    def forget(self, ifindex: int) -> None:
        """An interface went, and its memberships with it."""
        self._foreign.forget_groups(ifindex)
        self._transport.forget_groups(ifindex)

    def is_deaf(self, program: RouterProgram) -> bool:
        """Return whether the router's election cannot hear its group."""
        return program.multicast and (program.family, program.ifindex) in self._missing

    def retry(self, now_ns: int) -> bool:
        """Join again what failed a while ago; return whether anybody may hear now."""
        if now_ns < self._rejoin_at_ns or not (self._missing or self._unobserved):
            return False
        self._rejoin_at_ns = now_ns + REJOIN_NS
        self.join()
        return True
