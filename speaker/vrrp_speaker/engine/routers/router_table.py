"""Every Virtual Router of the node, kept in step with the engine program by difference.

Loading a program never restarts what did not change (architecture §4.12): a router keeps its
state machine as long as its name and VRID stay; peers, addresses, intervals change under it.
A router that is as it was costs nothing. The others are replaced one by one, so that whoever turns
the loop in between keeps every advertisement on time, however many they are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Set
from dataclasses import replace
from functools import partial

from vrrp.constants import TransitionReason
from vrrp.events import Shutdown
from vrrp_speaker.engine.neighbours.conflicts import Conflicts
from vrrp_speaker.engine.neighbours.presence import Presence
from vrrp_speaker.engine.programs.program import EngineProgram, Place, RouterProgram
from vrrp_speaker.engine.programs.set_aside import over
from vrrp_speaker.engine.routers.changing import Changer
from vrrp_speaker.engine.routers.dispatcher import Dispatcher
from vrrp_speaker.engine.routers.faults import Faults
from vrrp_speaker.engine.routers.hearing import Hearing
from vrrp_speaker.engine.routers.running_router import RunningRouter, run_already
from vrrp_speaker.engine.routers.starting import Starter, urgency
from vrrp_speaker.engine.wire.wanted_groups import WantedGroups
from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state import layout as shm

_MIN_SILENCE_NS, _MAX_SILENCE_NS = 40_000_000, 2_000_000_000

Step = Callable[[int], None]
"""Replaces one router, at a time; then the table is whole again."""
_Wanted = Mapping[str, RouterProgram]
_Difference = Callable[[int], list[RunningRouter]]
"""Does a part of a step, and returns the router that is another one now, if there is one."""


class RouterTable:
    """Owns the running routers; ``routers`` are all of them, by name."""

    def __init__(
        self,
        shared: SharedState,
        dispatcher: Dispatcher,
        routers: dict[str, RunningRouter],
        *,
        hearing: Hearing,
        faults: Faults,
        groups: WantedGroups,
        presence: Presence,
        conflicts: Conflicts,
        starter: Starter,
        changer: Changer,
    ) -> None:
        self._shared = shared
        self._dispatcher = dispatcher
        self.routers = routers
        self._hearing = hearing
        self._faults = faults
        self._groups = groups
        self._presence = presence
        self._conflicts = conflicts
        self._starter = starter
        self._changer = changer
        self._loaded = False
        self._leaving: list[RunningRouter] = []
        self.by_place: dict[Place, RunningRouter] = {}
        """Whose address is where."""

    def everybody(self) -> list[RunningRouter]:
        """Return the routers of the program, and those removed from it that hold addresses yet."""
        self._leaving = [router for router in self._leaving if router.machine.holding]
        return [*self.routers.values(), *self._leaving]

    def load(self, program: EngineProgram, now_ns: int, ended: Set[str] = frozenset()) -> None:
        """Make the table equal the program at once (``steps``), before anything turns."""
        replaced, differs = list[RunningRouter](), not self._loaded
        for do in self._differences(program, ended):
            replaced, differs = replaced + do(now_ns), True
        if differs:
            self._follow(replaced, now_ns)
        self._finish(program, differs, now_ns)

    def steps(self, program: EngineProgram, ended: Set[str] = frozenset()) -> Iterator[Step]:
        """Yield what makes the table equal the program; what is removed goes before what is added.

        ``ended`` elections have no successor: their addresses go at once.
        """
        differs = not self._loaded
        for do in self._differences(program, ended):
            yield partial(self._step, do)
            differs = True
        yield partial(self._finish, program, differs)

    def silence_limit_ns(self) -> int:
        """Return how long the loop may be silent before the supervisor replaces the engine.

        Two thirds of what the fastest election waits for, so that the new one is in time to resume.
        """
        programs = [router.program for router in self.routers.values()]
        waits_ns = [p.down_advertisements * p.adver_interval_ns for p in programs]
        limit_ns = min(waits_ns, default=_MAX_SILENCE_NS) * 2 // 3
        return max(_MIN_SILENCE_NS, min(_MAX_SILENCE_NS, limit_ns))

    def _differences(self, program: EngineProgram, ended: Set[str]) -> Iterator[_Difference]:
        wanted = {router.name: router for router in program.routers}
        if self._loaded and run_already(self.routers, wanted):
            return
        for name, router in list(self.routers.items()):
            if name not in wanted or wanted[name].identity != router.program.identity:
                yield partial(self._remove, name, name in ended)
        moved = [
            (self.routers[name], after)
            for name, after in wanted.items()
            if name in self.routers and not self.routers[name].runs(after)
        ]
        if any(router.program.slot != after.slot for router, after in moved):
            yield partial(self._move, moved)
        for router, after in moved:
            yield partial(self._change, router, after, wanted)
        added = [after for name, after in wanted.items() if name not in self.routers]
        for after in sorted(added, key=partial(urgency, self._shared)):
            yield partial(self._add, after, wanted)

    def _step(self, do: _Difference, now_ns: int) -> None:
        self._follow(do(now_ns), now_ns)

    def _remove(self, name: str, ended: bool, now_ns: int) -> list[RunningRouter]:
        """Let a router go; its addresses may stay a moment longer than its slot."""
        router = self.routers.pop(name)
        hand_over = router.can_hand_over and not ended
        self._dispatcher.give(router, Shutdown(TransitionReason.REMOVED, hand_over), now_ns)
        router.removed = True
        self._leaving = [r for r in self._leaving if r.machine.holding] + [router]
        self._shared.clear_slot(router.program.slot)
        self._forget_places(router)
        return []

    def _move(
        self, moved: Collection[tuple[RunningRouter, RouterProgram]], _now_ns: int
    ) -> list[RunningRouter]:
        """Give routers other slots, all at once: one may have that of another."""
        slots = {router.program.slot: after.slot for router, after in moved}
        self._shared.move_slots({b: a for b, a in slots.items() if b != a})
        for router, after in moved:
            router.program = replace(router.program, slot=after.slot)
        return []

    def _change(
        self, router: RunningRouter, after: RouterProgram, wanted: _Wanted, now_ns: int
    ) -> list[RunningRouter]:
        with over(after.name):
            self._forget_places(router)
            self._take_from_others(after, wanted)
            self._changer.change(router, after, now_ns)
            self._note_places(router)
        return [router]

    def _add(self, program: RouterProgram, wanted: _Wanted, now_ns: int) -> list[RunningRouter]:
        with over(program.name):
            self._take_from_others(program, wanted)
            router = self._starter.start(program, now_ns, engine_runs=self._loaded)
            self.routers[program.name] = router
            self._note_places(router)
        return [router]

    def _take_from_others(self, program: RouterProgram, wanted: _Wanted) -> None:
        """Take a router's addresses off those that are to have them no more, at this moment."""
        for place in _places(program):
            owner = self.by_place.get(place)
            if owner is not None and place not in _places(wanted[owner.program.name]):
                self._changer.lose(owner, place)

    def _forget_places(self, router: RunningRouter) -> None:
        for place in _places(router.program):
            if self.by_place.get(place) is router:
                del self.by_place[place]

    def _note_places(self, router: RunningRouter) -> None:
        for place in _places(router.program):
            self.by_place[place] = router

    def _follow(self, replaced: Collection[RunningRouter], now_ns: int) -> None:
        """Have everybody who looks routers up find those that there are now."""
        routers = self.routers.values()
        self._hearing.follow(routers)
        self._groups.sync((r.program for r in routers), self._hearing.elections)
        voting = [r.program for r in routers if r.program.require_majority]
        self._presence.watch(voting, now_ns)
        self._conflicts.sync(routers, now_ns)
        for router in replaced:
            self._faults.refresh(router, now_ns)

    def _finish(self, program: EngineProgram, differs: bool, now_ns: int) -> None:
        # Whether a group is joined, or a majority answers, may have changed for all of them.
        for router in self.routers.values() if differs else ():
            if router.program.multicast or router.program.require_majority:
                self._faults.refresh(router, now_ns)
        self._loaded = True
        self._shared.set(shm.H_GENERATION, program.generation)
        self._shared.set(shm.H_LOADED, 1)


def _places(program: RouterProgram) -> set[Place]:
    return {(a.ifindex, a.address) for a in program.addresses}
