"""The engine's end of the channel to the agent: JSON objects over SOCK_SEQPACKET.

The engine never waits for the agent. News that does not fit the socket's buffer is counted and
dropped; the truth is in the shared state.
"""

from __future__ import annotations

import json
import socket
from typing import Any

_MAX_MESSAGE = 1 << 20


class AgentLink:
    """Accepts one agent at a time on a listening socket that outlives the engine."""

    def __init__(self, listener: socket.socket, dropped: int = 0) -> None:
        """Listen; ``dropped`` is what engines before this one have counted."""
        self.listener = listener
        self._agent: socket.socket | None = None
        self.dropped = dropped

    def filenos(self) -> tuple[int, ...]:
        """Return the descriptors to wait on."""
        listener = self.listener.fileno()
        return (listener,) if self._agent is None else (listener, self._agent.fileno())

    def accept(self) -> None:
        """Take the newest agent; an earlier connection is dropped."""
        try:
            connection, _ = self.listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        self.disconnect()
        connection.setblocking(False)
        self._agent = connection

    def receive(self) -> dict[str, Any] | None:
        """Return one message, or None when there is none; a closed agent is let go.

        A message that is no JSON object is answered with a refusal and skipped.
        """
        if self._agent is None:
            return None
        try:
            data = self._agent.recv(_MAX_MESSAGE)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            data = b""
        if not data:
            self.disconnect()
            return None
        try:
            message = json.loads(data)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            self.send({"type": "refused", "error": "a message is one JSON object"})
            return {}
        return message

    def send(self, message: dict[str, Any]) -> None:
        """Send one message if the agent can take it now."""
        if self._agent is None:
            return
        try:
            self._agent.send(json.dumps(message, separators=(",", ":")).encode())
        except (BlockingIOError, InterruptedError):
            self.dropped += 1
        except OSError:
            self.disconnect()

    def disconnect(self) -> None:
        """Let the agent go."""
        if self._agent is not None:
            self._agent.close()
            self._agent = None
