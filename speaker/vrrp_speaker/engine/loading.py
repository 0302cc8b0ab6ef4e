"""A program that the agent has made, loaded while the loop turns: one router in each turn.

To read a router takes a fraction of a millisecond, to replace it some more; a node may have 255 of
them. In between, advertisements leave and are heard as ever. What the agent says meanwhile waits,
because it may be about routers that are not there yet.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from time import monotonic_ns
from typing import Any

from vrrp.constants import State
from vrrp_speaker.engine.concern import Concern
from vrrp_speaker.engine.network.changes import NetworkChanges
from vrrp_speaker.engine.network.interest import interest_of
from vrrp_speaker.engine.programs.fields import ProgramError
from vrrp_speaker.engine.programs.program import EngineProgram
from vrrp_speaker.engine.programs.reading import ProgramReader
from vrrp_speaker.engine.programs.stored_program import read_and_keep
from vrrp_speaker.engine.routers.router_table import RouterTable
from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state import layout as shm


class Loading(Concern):
    """Loads programs: one step in a turn, or all of it before the loop begins."""

    def __init__(
        self,
        shared: SharedState,
        path: str,
        table: RouterTable,
        changes: NetworkChanges,
        *,
        caught_up_ns: Callable[[], int],
        is_stopping: Callable[[], bool],
        tell_supervisor: Callable[[], None],
        tell_agent: Callable[[dict[str, Any]], None],
    ) -> None:
        """``caught_up_ns``: handles what has passed its deadline and returns the time."""
        self._shared = shared
        self._path = path
        self._table = table
        self._changes = changes
        self._caught_up_ns = caught_up_ns
        self._is_stopping = is_stopping
        self._tell_supervisor = tell_supervisor
        self._tell_agent = tell_agent
        self.reader = ProgramReader()
        """Knows what was read last, so that another program costs what differs."""
        self._steps: Generator[None, None, None] | None = None

    @property
    def under_way(self) -> bool:
        """Whether a program is being loaded."""
        return self._steps is not None

    def begin(self, ended: frozenset[str]) -> None:
        """Load what the program file says, from the next turn on; ``ended`` as for the table."""
        self._be_patient()
        self._steps = self._load(ended)

    def next_deadline_ns(self) -> int | None:
        """Return when ``run`` has something to do: at once, or not at all."""
        return 0 if self.under_way else None

    def run(self, _now_ns: int) -> None:
        """Take the next step; what is refused leaves what ran before."""
        if self._steps is None:
            return
        if self._is_stopping():
            self._steps = None  # nothing is to begin any more
            return
        try:
            next(self._steps)
            return
        except StopIteration:
            pass
        except ProgramError as error:
            self._tell_agent({"type": "refused", "error": str(error)})
        self._steps = None
        self._end_patience()

    def load(self, program: EngineProgram, now_ns: int) -> None:
        """Load a program at once, before the loop turns."""
        self._table.load(program, now_ns)
        self._count()

    @contextmanager
    def patience(self) -> Iterator[None]:
        """Have the supervisor be patient: to load may take longer than a turn of the loop may."""
        self._be_patient()
        try:
            yield
        finally:
            self._end_patience()

    def _load(self, ended: frozenset[str]) -> Generator[None, None, None]:
        program = yield from read_and_keep(self._path, self.reader)
        self._changes.mind(interest_of(program))
        for step in self._table.steps(program, ended):
            step(self._caught_up_ns())
            yield
        self._count()
        self._tell_agent({"type": "loaded", "generation": program.generation})

    def _count(self) -> None:
        routers = self._table.routers.values()
        self._shared.set(shm.H_ACTIVE, sum(r.machine.state is State.ACTIVE for r in routers))
        self._shared.add(shm.H_LOADS)
        self._tell_supervisor()

    def _be_patient(self) -> None:
        self._shared.set(shm.H_SILENCE_LIMIT, 0)

    def _end_patience(self) -> None:
        self._shared.set(shm.H_HEARTBEAT, monotonic_ns())
        self._shared.set(shm.H_SILENCE_LIMIT, self._table.silence_limit_ns())
