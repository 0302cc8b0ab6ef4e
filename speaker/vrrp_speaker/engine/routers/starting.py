"""How a Virtual Router begins: anew, or where an engine before this one left it (``resuming``)."""

from __future__ import annotations

from vrrp.constants import FIRST_HOLDER, State
from vrrp.events import Resume, Startup
from vrrp.priority import effective_priority
from vrrp_speaker.engine.neighbours.probing import places
from vrrp_speaker.engine.network.node_network import NodeNetwork
from vrrp_speaker.engine.programs.program import RouterProgram
from vrrp_speaker.engine.routers.dispatcher import Dispatcher
from vrrp_speaker.engine.routers.executor import Executor
from vrrp_speaker.engine.routers.faults import Faults
from vrrp_speaker.engine.routers.members import recall_marks
from vrrp_speaker.engine.routers.resuming import left_active, left_backup, left_points
from vrrp_speaker.engine.routers.running_router import RunningRouter, new_router
from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state import layout as shm


class Starter:
    """Makes running routers of programs."""

    def __init__(
        self,
        shared: SharedState,
        dispatcher: Dispatcher,
        executor: Executor,
        network: NodeNetwork,
        faults: Faults,
    ) -> None:
        self._shared = shared
        self._dispatcher = dispatcher
        self._executor = executor
        self._network = network
        self._faults = faults

    def start(self, program: RouterProgram, now_ns: int, *, engine_runs: bool) -> RunningRouter:
        """Start a router; one that an engine left Active or Backup a moment ago goes on.

        ``engine_runs``: the program came to an engine that had one; what an engine begins with may
        have been asked for long ago.
        """
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
        router.told.points = points
        router.course.was_backup = backup
        recall_marks(shared, router)
        self._executor.begin(router)
        write_identity(shared, router)
        # Whoever goes on has bound all, unless it was asking about some.
        asking = resume and shared.get(offset + shm.S_WITHHELD)
        unbound = {p for p in places(program) if asking and not self._network.on_interface(*p)}
        self._executor.withhold(router, frozenset(unbound))
        if not resume and not backup:
            shared.set(offset + shm.S_STATE, shm.STATES.index(State.INITIALIZE))
            shared.set(offset + shm.S_SINCE, now_ns)
        self._faults.begin(router, now_ns)
        first = program.take_over == FIRST_HOLDER and engine_runs
        self._dispatcher.give(router, Resume() if resume else Startup(first), now_ns)
        return router


def write_identity(shared: SharedState, router: RunningRouter) -> None:
    """Have the router's slot say whose it is."""
    offset, program = router.offset, router.program
    shared.set(offset + shm.S_NAME_HASH, shm.name_hash(program.name))
    shared.set(offset + shm.S_VRID, program.vrid)
    shared.set(offset + shm.S_BASE_PRIORITY, program.base_priority)
    shared.report(offset + shm.S_EFFECTIVE_PRIORITY, router.machine.parameters.priority)


def urgency(shared: SharedState, program: RouterProgram) -> tuple[bool, int]:
    """Order routers by when their advertisements are due, of those that were left Active."""
    offset = shm.slot_offset(program.slot)
    active = shared.get(offset + shm.S_STATE) == shm.STATES.index(State.ACTIVE)
    return not active, shared.get(offset + shm.S_LAST_SENT) + program.adver_interval_ns
