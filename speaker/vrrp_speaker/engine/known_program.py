"""The stored program, read before it is needed."""

from __future__ import annotations

import os

from vrrp_speaker.engine.program import EngineProgram
from vrrp_speaker.engine.stored_program import stored_program

_Identity = tuple[int, int, int, int]


class KnownProgram:
    """What a program file says, as long as it is the file that was read.

    An engine that goes on for another must not run an older program than that one did.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._program: EngineProgram | None = None
        self._identity: _Identity | None = None

    def read(self) -> EngineProgram | None:
        """Read it now, and remember it."""
        self._identity = _identity(self._path)  # first: what is replaced meanwhile is read again
        self._program = stored_program(self._path)
        return self._program

    def take(self) -> EngineProgram | None:
        """Return the newest one that can be used, or None; it is not kept here."""
        program, self._program = self._program, None
        if program is None or self._identity is None or self._identity != _identity(self._path):
            program = stored_program(self._path)
        return program


def _identity(path: str) -> _Identity | None:
    """Return what is another after every write; None where nothing can be said."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
