"""Waiting for descriptors and for time, where it matters finer than a millisecond.

``epoll_wait`` counts in milliseconds. That is well for advertisements, of which several are sent in
one turn then; but several Backups of a fast election have their turns within one. An epoll
descriptor can be waited for like any other, and ``select`` counts in microseconds.
"""

from __future__ import annotations

import contextlib
import select
from collections.abc import Iterable

_MOST = 16
_MILLISECOND = 0.001


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

    def wait(self, seconds: float, *, fine: bool = False) -> set[int]:
        """Wait so long at most; return the descriptors with something to read.

        ``fine``: not a millisecond longer; it may be less, and the rest is waited for then.
        """
        if fine and seconds < _MILLISECOND:
            select.select((self._epoll,), (), (), seconds)
            seconds = 0
        elif fine:
            seconds = int(seconds / _MILLISECOND) * _MILLISECOND
        return {descriptor for descriptor, _ in self._epoll.poll(seconds, _MOST)}

    def close(self) -> None:
        """Forget all of it."""
        self._epoll.close()
