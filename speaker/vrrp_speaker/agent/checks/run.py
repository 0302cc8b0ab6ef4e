"""One run of a check, shared by the one who began it and the thread that is in it."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from dataclasses import dataclass, field

from vrrp_api.health_check import HealthCheck


@dataclass(slots=True)
class Run:
    """One run; ``deadline_s`` is CLOCK_MONOTONIC, ``previous`` the number a file had before."""

    number: int
    check: HealthCheck
    previous: int
    begun_s: float
    deadline_s: float
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _connection: socket.socket | None = None
    _given_up: bool = False

    def remaining_s(self) -> float:
        """Return the seconds until the deadline.

        Raises:
            TimeoutError: it has passed.
        """
        remaining_s = self.deadline_s - time.monotonic()
        if remaining_s <= 0 or self._given_up:
            raise TimeoutError
        return remaining_s

    @property
    def given_up(self) -> bool:
        """Whether nobody waits for it any more."""
        return self._given_up

    def connected(self, connection: socket.socket) -> None:
        """Let ``give_up`` end what waits for this connection."""
        duplicate = socket.socket(fileno=os.dup(connection.fileno()))
        with self._lock:
            self._connection, before = duplicate, self._connection
            given_up = self._given_up
        if before is not None:
            before.close()
        if given_up:
            self.give_up()

    def give_up(self) -> None:
        """End the run: a peer that sends one byte now and then would keep it for ever."""
        with self._lock:
            self._given_up = True
            if self._connection is not None:
                with contextlib.suppress(OSError):  # not connected any more: nothing waits
                    self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
