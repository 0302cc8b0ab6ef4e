"""How a running Virtual Router follows a program that is another one: nothing of it begins anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from vrrp.constants import FIRST_HOLDER, State
from vrrp.events import ConfigurationChanged, PriorityChanged, TakeOver
from vrrp.priority import effective_priority
from vrrp_speaker.engine.neighbours.conflicts import Conflicts
from vrrp_speaker.engine.programs.program import AddressProgram, Place, RouterProgram
from vrrp_speaker.engine.routers.dispatcher import Dispatcher
from vrrp_speaker.engine.routers.executor import Executor
from vrrp_speaker.engine.routers.hearing import Hearing
from vrrp_speaker.engine.routers.members import move_counters
from vrrp_speaker.engine.routers.running_router import RunningRouter
from vrrp_speaker.engine.routers.starting import write_identity
from vrrp_speaker.shared_state import SharedState


class Changer:
    """Gives running routers other programs of the same identity."""

    def __init__(
        self,
        shared: SharedState,
        dispatcher: Dispatcher,
        executor: Executor,
        hearing: Hearing,
        conflicts: Conflicts,
    ) -> None:
        self._shared = shared
        self._dispatcher = dispatcher
        self._executor = executor
        self._hearing = hearing
        self._conflicts = conflicts

    def change(self, router: RunningRouter, after: RouterProgram, now_ns: int) -> None:
        """Have a router run another program; addresses that it has no more go first."""
        before = router.program
        self._take_off(router, after)
        held, router.program = router.addresses, after
        if before.addresses != after.addresses:
            self._executor.leases.try_anew(router)  # others may be taken
        self._executor.withhold(router, self._conflicts.unasked(router, before))
        router.encoder = router.encoder.follow(after)
        counted = self._hearing.members.counters(router)
        self._hearing.members.relist(router, before, now_ns)
        move_counters(self._shared, before, after, counted)
        self._tell(router, before, now_ns)
        router.prepare()
        write_identity(self._shared, router)
        if after.take_over not in ("", FIRST_HOLDER, before.take_over):
            if router.machine.state is State.BACKUP:  # a named successor waits for nothing
                self._executor.withhold(router, frozenset())
            self._dispatcher.give(router, TakeOver(), now_ns)
        if router.machine.state is State.ACTIVE:
            self._bind_added(router, before, held, now_ns)

    def lose(self, router: RunningRouter, place: Place) -> None:
        """Take an address off a router, because another one is about to have it."""
        self._keep_only(router, lambda a: (a.ifindex, a.address) != place)

    def _tell(self, router: RunningRouter, before: RouterProgram, now_ns: int) -> None:
        """Tell the machine what of its parameters is another."""
        after = router.program
        changed = ConfigurationChanged(
            adver_interval_ns=after.adver_interval_ns,
            down_advertisements=after.down_advertisements,
            preempt_mode=after.preempt,
            preempt_delay_ns=after.preempt_delay_ns,
            source=after.source,
        )
        self._dispatcher.give(router, changed, now_ns)
        if before.base_priority != after.base_priority:
            # The checks count as before until the agent tells anew.
            priority = effective_priority(after.base_priority, [router.told.points])
            self._dispatcher.give(router, PriorityChanged(priority), now_ns)

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

    def _take_off(self, router: RunningRouter, after: RouterProgram) -> None:
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
        self._keep_only(router, lambda address: _identity(address) in kept)

    def _keep_only(self, router: RunningRouter, is_kept: Callable[[AddressProgram], bool]) -> None:
        gone = tuple(a for a in router.addresses if not is_kept(a))
        # From here on the address is nobody's: its removal is not news to restore.
        kept = tuple(a for a in router.program.addresses if is_kept(a))
        router.program = replace(router.program, addresses=kept)
        if router.machine.holding:
            self._executor.leases.unbind(router, gone)


def _identity(address: AddressProgram) -> tuple[int, bytes, int]:
    return address.ifindex, address.address, address.prefix_length
