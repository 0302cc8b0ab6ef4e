"""What a service manager is told: sd_notify(3) without its library.

Nothing here fails: without a manager, or with one that does not listen, nothing is said.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import MutableMapping

_PINGS_PER_LIMIT = 4


class ServiceManager:
    """Says when the service is ready, that it is alive, and that it stops."""

    def __init__(self, environment: MutableMapping[str, str], pid: int) -> None:
        """Take the manager's address out of the environment: children are not the service.

        ``pid`` is this process's: a watchdog that is meant for another one is not ours to feed.
        """
        address = environment.pop("NOTIFY_SOCKET", "")
        # A leading @ stands for the zero byte of an abstract address (unix(7)).
        self._address = "\0" + address[1:] if address.startswith("@") else address
        limit_us, whose = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
        mine = limit_us.isdecimal() and whose in ("", str(pid))
        self._ping_every_s = int(limit_us) / 1e6 / _PINGS_PER_LIMIT if mine else None
        self._ping_at_s = 0.0
        self._told_ready = False

    def turn(self, now_s: float, *, ready: bool, alive: bool) -> None:
        """Tell what is due at this monotonic time.

        Args:
            now_s: CLOCK_MONOTONIC, seconds.
            ready: the service does its work; said once.
            alive: the watchdog may be fed.
        """
        if ready and not self._told_ready:
            self._told_ready = True
            self._say("READY=1")
        if alive and self._ping_every_s is not None and now_s >= self._ping_at_s:
            self._ping_at_s = now_s + self._ping_every_s
            self._say("WATCHDOG=1")

    def next_s(self, now_s: float) -> float | None:
        """Return when there is something to tell without news; None: never.

        Where it is due and could not be said, as nobody is alive, that is some time later.
        """
        if self._ping_every_s is None:
            return None
        return self._ping_at_s if self._ping_at_s > now_s else now_s + self._ping_every_s

    def stopping(self) -> None:
        """Tell that the service ends because it was asked to."""
        self._say("STOPPING=1")

    def _say(self, state: str) -> None:
        if not self._address:
            return
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as manager,
        ):
            manager.sendto(state.encode(), self._address)
