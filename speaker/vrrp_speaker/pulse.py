"""What a process holds for as long as it runs code, so that others learn of its end at once.

The kernel takes 22 ms to end an engine, and tells its parent then. Two things it lets go before:
a *pipe*, as soon as the process's memory is gone (1 ms for a kill -9), which can be waited for
beside other things; and, before anything else, a *robust mutex* (pthread_mutexattr_setrobust(3)),
for whoever has nothing else to wait for.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import select

_HIGH_DESCRIPTOR = 500
"""Above every other one of an engine."""
_ENOUGH = 64
"""Bytes for a pthread_mutex_t, and for its attributes: no C library has larger ones."""
_PROCESS_SHARED, _ROBUST = 1, 1
_libc = ctypes.CDLL(None)


class Pulse:
    """The pulse of one process: made before its fork, then held by it and watched by others."""

    def __init__(self) -> None:
        self._end, self._held = os.pipe2(os.O_CLOEXEC)
        self._page = mmap.mmap(-1, mmap.PAGESIZE)
        self._mutex = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(self._page)))
        attributes = ctypes.create_string_buffer(_ENOUGH)
        _libc.pthread_mutexattr_init(attributes)
        _libc.pthread_mutexattr_setpshared(attributes, _PROCESS_SHARED)
        _libc.pthread_mutexattr_setrobust(attributes, _ROBUST)
        _libc.pthread_mutex_init(self._mutex, attributes)

    def hold(self) -> None:
        """Have the pulse end with the calling process; it must keep this object.

        Of a dead process the kernel closes the highest descriptor first. Where that many are not
        allowed, the pipe's end comes later.
        """
        os.close(self._end)
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._held, fcntl.F_DUPFD_CLOEXEC, _HIGH_DESCRIPTOR)
            os.close(self._held)
        _libc.pthread_mutex_lock(self._mutex)

    def watch(self) -> None:
        """Only look on from now on: the process's end is not to wait for ours."""
        os.close(self._held)

    def fileno(self) -> int:
        """Return what reads end-of-file once the process runs no more code."""
        return self._end

    def has_stopped(self) -> bool:
        """Return whether the process's first thread runs no more code; never waits.

        Its other threads may still sleep in the kernel, which closes the pipe only after them. Not
        for whoever shares the process with somebody that awaits the mutex.
        """
        if (error := _libc.pthread_mutex_trylock(self._mutex)) == 0:
            _libc.pthread_mutex_unlock(self._mutex)  # it was not held yet
        return error in (errno.EOWNERDEAD, errno.ENOTRECOVERABLE)

    def await_end(self, parent: int) -> bool:
        """Wait until the process runs no more code; return whether the parent still lives.

        Args:
            parent: a descriptor that reads end-of-file when the caller's parent died. Where the
                mutex tells of the end, that is looked at only then.
        """
        poll = select.poll()
        poll.register(parent, select.POLLIN)
        told = _libc.pthread_mutex_lock(self._mutex) == errno.EOWNERDEAD
        _libc.pthread_mutex_unlock(self._mutex)
        if not told:  # it was never held: there is no such mutex on this system
            poll.register(self._end, select.POLLIN)
        return all(descriptor != parent for descriptor, _ in poll.poll(0 if told else None))

    def close(self) -> None:
        """Forget the process, which is over."""
        os.close(self._end)
