"""The program file and copies of those that were good: who comes after must not lose them.

The agent writes the file; the engine keeps a copy of what it loaded. A file that was damaged since
then costs nothing: a new engine resumes from the copy, and the last will knows whom to tell. Of
what engines ran for a while the agent keeps another copy, for when they end under what came after.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator

from vrrp_speaker.engine.programs.fields import ProgramError
from vrrp_speaker.engine.programs.program import EngineProgram
from vrrp_speaker.engine.programs.reading import ProgramReader
from vrrp_speaker.engine.programs.set_aside import read_set_aside
from vrrp_speaker.program_file import GOOD, PROVED, file_checksum


def read_and_keep(path: str, reader: ProgramReader) -> Generator[None, None, EngineProgram]:
    """Read the program, a router in each step, and keep a copy beside it.

    ``reader`` knows what was read before.

    Raises:
        ProgramError: the file is missing, damaged, wrong or set aside; the copy is as it was.
    """
    return (yield from reader.steps(path, read_set_aside(path), path + GOOD))


def stored_program(path: str, reader: ProgramReader | None = None) -> EngineProgram | None:
    """Return the newest program that can be used: the file's, else a copy's, else None."""
    reader = reader or ProgramReader()
    aside = read_set_aside(path)
    for candidate in (path, path + GOOD, path + PROVED):
        with contextlib.suppress(ProgramError):
            return reader.read(candidate, aside)
    return None


def has_other_proved(path: str) -> bool:
    """Return whether there is a proved program that is another one than the file's."""
    with contextlib.suppress(OSError, ValueError):
        return file_checksum(path) != file_checksum(path + PROVED)
    return False
