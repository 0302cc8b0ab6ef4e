"""Waiting for descriptors and for time, finer than a millisecond.

``epoll_wait`` counts in milliseconds, and several Backups of a fast election have their turns
within one. An epoll descriptor can be waited for like any other, and ``select`` counts in
microseconds; the descriptors themselves are looked at only where there is something.
"""

from __future__ import annotations

import contextlib
import select
from collections.abc import Iterable

_MOST = 16


class Waits:
    """A set of descriptors that the loop waits on."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._registered: set[int] = set()

    def follow(self, descriptors: Iterable[int]) -> None:
        """Wait on these from now on and on no others; whoever closes one has it dropped before."""
        wanted = set(descriptors)
        for descriptor in self._registered - wanted:
            with contextlib.suppress(OSError):  # closed already, and then the kernel forgot it
                self._epoll.unregister(descriptor)
        for descriptor in wanted - self._registered:
            self._epoll.register(descriptor, select.EPOLLIN)
        self._registered = wanted

    def wait(self, seconds: float) -> set[int]:
        """Wait so long at most; return the descriptors with something to read."""
        if not select.select((self._epoll,), (), (), seconds)[0]:
            return set()
        return {descriptor for descriptor, _ in self._epoll.poll(0, _MOST)}

    def close(self) -> None:
        """Forget all of it."""
        self._epoll.close()
