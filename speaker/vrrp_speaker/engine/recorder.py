"""Tells the agent every event of every router, for ``kubectl-vrrp replay``; off unless asked for.

The engine writes no file: a recording is news like any other, dropped and counted when the agent
is too slow, and then it says so.
"""

from __future__ import annotations

from collections.abc import Iterable

from vrrp.events import Event
from vrrp.recording import event_object, router_object
from vrrp.virtual_router import VirtualRouter
from vrrp_speaker.engine.agent_link import AgentLink


class Recorder:
    """Sends one message for each event while recording."""

    def __init__(self, agent: AgentLink) -> None:
        self._agent = agent
        self.recording = False
        self._dropped = 0

    def start(self, routers: Iterable[tuple[str, VirtualRouter]]) -> None:
        """Begin with what each router is now."""
        self.recording = True
        self._dropped = self._agent.dropped
        for name, router in routers:
            self.began(name, router)

    def began(self, name: str, router: VirtualRouter) -> None:
        """Note a router that events are about to reach."""
        if self.recording:
            self._send({"router": name, "begins": router_object(router)})

    def event(self, name: str, event: Event, now_ns: int) -> None:
        """Note one event, before the router handles it."""
        if self.recording:
            self._send({"router": name, "atNs": now_ns, "event": event_object(event)})

    def _send(self, line: dict[str, object]) -> None:
        missing = self._agent.dropped - self._dropped
        if missing:
            line["missingBefore"] = missing
        self._dropped = self._agent.dropped
        self._agent.send({"type": "recorded", "line": line})
