"""The agent's end of the channel to the engine."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any

from vrrp_speaker.agent.messages import EngineConnected, EngineMessage, Inbox

_RECONNECT_S = 0.05
_MAX_MESSAGE = 1 << 20


class EngineChannel:
    """Connects to whatever engine runs, again and again; engines are replaced, agents too."""

    def __init__(self, path: str, inbox: Inbox) -> None:
        self._path = path
        self._inbox = inbox
        self._socket: socket.socket | None = None

    def start(self) -> None:
        """Connect and receive in a thread of its own."""
        threading.Thread(target=self._run, name="engine-channel", daemon=True).start()

    @property
    def connected(self) -> bool:
        """Whether an engine is at the other end."""
        return self._socket is not None

    def send(self, message: Mapping[str, Any]) -> bool:
        """Send one message; False when no engine takes it (it will ask again by connecting)."""
        connection = self._socket
        if connection is None:
            return False
        try:
            connection.send(json.dumps(message, separators=(",", ":")).encode())
        except OSError:
            return False
        return True

    def _run(self) -> None:
        while True:
            with contextlib.suppress(OSError):  # no engine there just now
                self._serve_one_engine()
            self._socket = None
            time.sleep(_RECONNECT_S)

    def _serve_one_engine(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.connect(self._path)
            self._socket = connection
            self._inbox.put(EngineConnected())
            while True:
                data = connection.recv(_MAX_MESSAGE)
                if not data:
                    return
                self._inbox.put(EngineMessage(json.loads(data)))
