"""What the agent says of routers – effective priority, and what the checks forbid – taken in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vrrp.constants import PRIORITY_MAXIMUM
from vrrp.events import PriorityChanged
from vrrp.priority import effective_priority
from vrrp_speaker.engine.programs.fields import Fields, ProgramError
from vrrp_speaker.engine.routers.dispatcher import Dispatcher
from vrrp_speaker.engine.routers.faults import Faults
from vrrp_speaker.engine.routers.running_router import RunningRouter
from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state import layout as shm


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the agent says of one router: effective priority 1 to 254, and what the checks forbid.

    ``base``: the base priority that the checks' points were added to; ``keeps``: the checks that
    forbid it may be failing on every node.
    """

    priority: int
    base: int
    faulty: bool
    keeps: bool = False


def read_inputs(routers: object) -> dict[str, Inputs]:
    """Return what a message of the agent says, by the routers' names.

    Raises:
        ProgramError: the first wrong field.
    """
    if not isinstance(routers, Mapping):
        raise ProgramError("inputs.routers: not an object")
    return {str(name): _read(f"inputs.routers.{name}", told) for name, told in routers.items()}


def _read(path: str, told: object) -> Inputs:
    fields = Fields(told, path, {})
    priority = fields.integer("effectivePriority", 1, PRIORITY_MAXIMUM)
    base = fields.integer("basePriority", 1, PRIORITY_MAXIMUM)
    faulty, keeps = bool(fields.raw.get("faults")), bool(fields.raw.get("keeps"))
    return Inputs(priority, base, faulty, keeps)


class InputsTaker:
    """Tells routers what the agent says of them."""

    def __init__(
        self,
        shared: SharedState,
        dispatcher: Dispatcher,
        faults: Faults,
        routers: Mapping[str, RunningRouter],
    ) -> None:
        self._shared = shared
        self._dispatcher = dispatcher
        self._faults = faults
        self._routers = routers

    def take(self, inputs: Mapping[str, Inputs], now_ns: int) -> None:
        """Take in what is said of each router; one that does not run is passed over."""
        for name, said in inputs.items():
            router = self._routers.get(name)
            if router is not None:
                self._tell(router, said, now_ns)

    def _tell(self, router: RunningRouter, said: Inputs, now_ns: int) -> None:
        # The agent may know another configuration already than the one that is loaded.
        points = said.priority - said.base
        priority = effective_priority(router.program.base_priority, [points])
        unhealthy = points < router.told.points and router.has_others
        router.told.points = points
        if priority != router.machine.parameters.priority:
            self._dispatcher.give(router, PriorityChanged(priority, unhealthy), now_ns)
            router.prepare()
            self._shared.report(router.offset + shm.S_EFFECTIVE_PRIORITY, priority)
        router.told.faulty, router.told.keeps = said.faulty, said.keeps
        self._faults.refresh(router, now_ns)
