"""What the agent tells the engine, taken in by the loop and given to whom it concerns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vrrp_speaker.engine.agent_link import AgentLink
from vrrp_speaker.engine.concern import Concern
from vrrp_speaker.engine.loading import Loading
from vrrp_speaker.engine.programs.fields import ProgramError
from vrrp_speaker.engine.recorder import Recorder
from vrrp_speaker.engine.routers.inputs import InputsTaker, read_inputs
from vrrp_speaker.engine.routers.running_router import RunningRouter
from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state import layout as shm

_BATCH = 64


class AgentMessages(Concern):
    """Accepts the agent, and does what it says, in order."""

    def __init__(
        self,
        shared: SharedState,
        agent: AgentLink,
        routers: Mapping[str, RunningRouter],
        *,
        loading: Loading,
        inputs: InputsTaker,
        recorder: Recorder,
        caught_up_ns: Callable[[], int],
        is_stopping: Callable[[], bool],
    ) -> None:
        """``caught_up_ns``: handles what has passed its deadline and returns the time."""
        self._shared = shared
        self._agent = agent
        self._routers = routers
        self._loading = loading
        self._inputs = inputs
        self._recorder = recorder
        self._caught_up_ns = caught_up_ns
        self._is_stopping = is_stopping
        self._told = 0

    def filenos(self) -> tuple[int, ...]:
        """Return the descriptors to wait on; none while what the agent said last is being done."""
        return () if self._loading.under_way else self._agent.filenos()

    def receive(self, descriptor: int, _now_ns: int) -> None:
        """Take a new agent, or messages of the one there is."""
        if descriptor == self._agent.listener.fileno():
            self._agent.accept()
            return
        for _ in range(_BATCH):
            message = self._agent.receive()
            if message is None:
                return
            if message and not self._is_stopping():
                self._handle(message, self._caught_up_ns())
            if self._loading.under_way:
                return

    def run(self, _now_ns: int) -> None:
        """Have the agent look at what it reports, if some of that is not as it was."""
        if self._shared.changes != self._told:
            self._told = self._shared.changes
            self._agent.send({"type": "changed"})
        self._shared.set(shm.H_EVENTS_DROPPED, self._agent.dropped)

    def _handle(self, message: dict[str, Any], now_ns: int) -> None:
        match message.get("type"):
            case "load":
                self._loading.begin(frozenset(message.get("ended", ())))
            case "inputs":
                self._take_inputs(message.get("routers"), now_ns)
            case "record":
                routers = self._routers.items()
                self._recorder.start((name, router.machine) for name, router in routers)
            case other:
                self._refuse(f"type: {other!r} is unknown")

    def _take_inputs(self, routers: object, now_ns: int) -> None:
        try:
            inputs = read_inputs(routers)
        except ProgramError as error:
            self._refuse(str(error))
            return
        self._inputs.take(inputs, now_ns)

    def _refuse(self, error: str) -> None:
        self._agent.send({"type": "refused", "error": error})
