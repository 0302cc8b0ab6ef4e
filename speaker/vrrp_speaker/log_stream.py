"""Standard error that nobody has to read: what cannot be written now is kept, then dropped.

A container's log is a pipe. Where its reader stands still (the runtime is stopped, its disk hangs),
a write to it would wait for ever, and with it the process that replaces dead engines. Standard
library only: it belongs to process 1.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat

_MOST_KEPT = 65_536
"""Bytes that wait for a reader; what comes after them is dropped."""


class LogStream(io.TextIOBase):
    """A text stream over a descriptor; writing to it neither waits nor fails."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = _unwaiting(descriptor)
        self._kept = bytearray()
        self.dropped = 0
        """How many lines were lost; they are told of in the log once it is read again."""
        self._told = 0

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Write now, keep for the next write, or drop; return the length of the text."""
        data = text.encode(errors="backslashreplace")
        if len(self._kept) + len(data) > _MOST_KEPT:
            self.flush()
        if len(self._kept) + len(data) > _MOST_KEPT:
            self.dropped += data.count(b"\n")
            return len(text)
        if self._told != self.dropped and not self._kept:
            self._kept += f"{self.dropped - self._told} lines of this log were dropped\n".encode()
            self._told = self.dropped
        self._kept += data
        if text.endswith("\n"):
            self.flush()
        return len(text)

    def flush(self) -> None:
        """Write as much of what is kept as is taken."""
        while self._kept:
            try:
                written = os.write(self._descriptor, self._kept)
            except BlockingIOError:
                return
            except OSError:  # the reader is gone, the terminal, or the disk is full
                self.dropped += self._kept.count(b"\n")
                self._kept.clear()
                return
            del self._kept[:written]


def _unwaiting(descriptor: int) -> int:
    """Return a descriptor of the same file that does not wait, for this process alone.

    Others that share the descriptor would have to bear it if it were made so itself. A regular file
    has its own place to write to, and a socket cannot be opened anew: these are used as they are.
    """
    with contextlib.suppress(OSError):
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            return os.open(f"/proc/self/fd/{descriptor}", flags)
    return descriptor
