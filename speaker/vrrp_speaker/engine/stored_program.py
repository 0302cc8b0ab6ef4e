"""The program file and the copy of the last one that was good: who comes after must not lose it.

The agent writes the file; the engine keeps a copy of what it loaded. A file that was damaged since
then costs nothing: a new engine resumes from the copy, and the last will knows whom to tell.
"""

from __future__ import annotations

import contextlib
import os

from vrrp_speaker.engine.program import EngineProgram, load_program
from vrrp_speaker.engine.program_fields import ProgramError

_GOOD = ".good"


def load_and_keep(path: str) -> EngineProgram:
    """Load the program and keep a copy beside it.

    Raises:
        ProgramError: the file is missing, damaged or wrong; the copy is as it was.
    """
    program = load_program(path)
    with contextlib.suppress(OSError):  # the copy is for worse days; the program is loaded
        _copy(path, path + _GOOD)
    return program


def stored_program(path: str) -> EngineProgram | None:
    """Return the newest program that can be used: the file's, else the copy's, else None."""
    for candidate in (path, path + _GOOD):
        with contextlib.suppress(ProgramError):
            return load_program(candidate)
    return None


def _copy(source: str, target: str) -> None:
    """Copy whole or not at all; it holds keys, so nobody else may read it."""
    unfinished = target + ".tmp"
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as copy, open(source, "rb") as file:
        copy.writelines(file)  # never all of it in memory: what the engine once took it keeps
    os.replace(unfinished, target)
