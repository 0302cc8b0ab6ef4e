"""Which VRRP groups this node is in: for elections of mode Multicast, and elsewhere only to look.

An election of mode Multicast that could not join its group hears nobody, and would take an address
that another node has: it is held in Fault. Not to be able to look is no fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic_ns

from vrrp.validation import Elections
from vrrp_speaker.engine.addresses.worker import AddressWorker
from vrrp_speaker.engine.neighbours.foreign import ForeignRouters
from vrrp_speaker.engine.programs.program import RouterProgram
from vrrp_speaker.engine.wire.joined_groups import Group
from vrrp_speaker.engine.wire.transport import Transport

REJOIN_NS = 5_000_000_000
"""How long after one attempt that failed the next one is made, without any news."""
PATIENCE_NS = 10_000_000
"""Whoever has not joined its group by then counts as deaf: the kernel has others' work to do."""


class WantedGroups:
    """Keeps both kinds of sockets in the groups that the program needs.

    To join takes the kernel's rtnl lock, so the worker does it, in the order of the calls here.
    """

    def __init__(
        self,
        transport: Transport,
        foreign: ForeignRouters,
        worker: AddressWorker,
        clock: Callable[[], int] = monotonic_ns,
    ) -> None:
        self._transport = transport
        self._foreign = foreign
        self._worker = worker
        self._clock = clock
        self._wanted: frozenset[Group] = frozenset()
        self._joined: frozenset[Group] = frozenset()
        self._missing: frozenset[Group] = frozenset()
        self._unobserved = 0
        self._calls = 0
        self._since_ns: int | None = None
        """Since when the kernel has been joining; None: it is done."""
        self._changed = False
        self._rejoin_at_ns = 0

    def sync(self, programs: Iterable[RouterProgram], elections: Elections) -> None:
        """Be in the groups of these routers and in no other."""
        programs, before = tuple(programs), (self._wanted, self._foreign.groups())
        self._wanted = frozenset(
            (p.family, p.ifindex) for p in programs if p.multicast and p.ifindex
        )
        self._foreign.sync(programs, elections)
        if before != (self._wanted, self._foreign.groups()) or self._missing or self._unobserved:
            self.join()

    def join(self) -> None:
        """Join what is not joined, as on links that have just come back."""
        wanted, observed = self._wanted, self._foreign.groups()
        self._calls += 1
        number = self._calls
        if self._since_ns is None:
            self._since_ns = self._clock()

        def do(_requests: object) -> tuple[frozenset[Group], int]:
            unobserved = self._foreign.join_groups(observed)
            return frozenset(self._transport.join_groups(wanted)), unobserved

        def then(result: tuple[frozenset[Group], int]) -> None:
            if number == self._calls:  # else a newer one is under way
                self._note(wanted, *result)

        self._worker.call(do, then)

    def _note(self, wanted: frozenset[Group], missing: frozenset[Group], unobserved: int) -> None:
        self._since_ns = None
        self._changed |= missing != self._missing
        self._joined, self._missing, self._unobserved = wanted - missing, missing, unobserved
        self._foreign.note_unobserved(unobserved)

    def forget(self, ifindex: int) -> None:
        """An interface went, and its memberships with it."""
        self._joined = frozenset(group for group in self._joined if group[1] != ifindex)

        def do(_requests: object) -> None:
            self._foreign.forget_groups(ifindex)
            self._transport.forget_groups(ifindex)

        self._worker.call(do, lambda _nothing: None)

    def is_deaf(self, program: RouterProgram) -> bool:
        """Return whether the router's election cannot hear its group."""
        return program.multicast and (program.family, program.ifindex) in self._missing

    def next_deadline_ns(self) -> int | None:
        """Return when ``retry`` has something to do that cannot wait."""
        return None if self._since_ns is None else self._since_ns + PATIENCE_NS

    def retry(self, now_ns: int) -> bool:
        """Join again what failed a while ago; return whether others may hear than before."""
        if self._since_ns is not None and now_ns - self._since_ns >= PATIENCE_NS:
            self._since_ns = None
            self._changed |= not self._wanted <= self._joined | self._missing
            self._missing |= self._wanted - self._joined
        elif now_ns >= self._rejoin_at_ns and (self._missing or self._unobserved):
            self._rejoin_at_ns = now_ns + REJOIN_NS
            self.join()
        changed, self._changed = self._changed, False
        return changed
