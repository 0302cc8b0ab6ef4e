"""What the agent tells the engine, taken in by the loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vrrp_speaker.engine.agent_link import AgentLink
from vrrp_speaker.engine.concern import Concern
from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state import layout as shm

_BATCH = 64


class AgentMessages(Concern):
    """Accepts the agent, and passes its messages on."""

    def __init__(
        self,
        shared: SharedState,
        agent: AgentLink,
        caught_up_ns: Callable[[], int],
        handle: Callable[[dict[str, Any], int], None],
    ) -> None:
        """``caught_up_ns``: handles what has passed its deadline and returns the time."""
        self._shared = shared
        self._agent = agent
        self._caught_up_ns = caught_up_ns
        self._handle = handle
        self._told = 0

    def filenos(self) -> tuple[int, ...]:
        """Return the descriptors to wait on."""
        return self._agent.filenos()

    def receive(self, descriptor: int, _now_ns: int) -> None:
        """Take a new agent, or messages of the one there is."""
        if descriptor == self._agent.listener.fileno():
            self._agent.accept()
            return
        for _ in range(_BATCH):
            message = self._agent.receive()
            if message is None:
                return
            if message:
                self._handle(message, self._caught_up_ns())

    def run(self, _now_ns: int) -> None:
        """Have the agent look at what it reports, if some of that is not as it was."""
        if self._shared.changes != self._told:
            self._told = self._shared.changes
            self._agent.send({"type": "changed"})
        self._shared.set(shm.H_EVENTS_DROPPED, self._agent.dropped)
