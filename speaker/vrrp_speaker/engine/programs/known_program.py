"""The stored program, read before it is needed."""

from __future__ import annotations

import os
from contextlib import suppress

from vrrp_speaker.engine.programs.program import EngineProgram
from vrrp_speaker.engine.programs.reading import ProgramReader
from vrrp_speaker.engine.programs.set_aside import path_of
from vrrp_speaker.engine.programs.stored_program import stored_program

_Identity = tuple[tuple[int, ...], ...]


class KnownProgram:
    """What a program file says, as long as it is the file that was read.

    An engine that goes on for another must not run an older program than that one did.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.reader = ProgramReader()
        """Knows what was read, so that whatever is read next costs what differs."""
        self._program: EngineProgram | None = None
        self._identity: _Identity | None = None

    def read(self) -> EngineProgram | None:
        """Read it now, and remember it."""
        self._identity = _identity(self._path)  # first: what is replaced meanwhile is read again
        self._program = stored_program(self._path, self.reader)
        return self._program

    def take(self) -> EngineProgram | None:
        """Return the newest one that can be used, or None; it is not kept here."""
        program, self._program = self._program, None
        if program is None or self._identity is None or self._identity != _identity(self._path):
            program = stored_program(self._path, self.reader)
        return program


def _identity(path: str) -> _Identity | None:
    """Return what is another after every write, also of what is set aside; None: nobody knows."""
    try:
        found = [os.stat(path)]
    except OSError:
        return None
    with suppress(OSError):
        found.append(os.stat(path_of(path)))
    return tuple((f.st_ino, f.st_size, f.st_mtime_ns, f.st_ctime_ns) for f in found)
