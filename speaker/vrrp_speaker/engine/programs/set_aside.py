"""What engines ended under is not run again: one router, or a whole program.

An engine that ends by an exception notes it in a file beside the program, with the router that it
was busy with, if that can be told. Of what engines ended under three times within a minute the next
one runs the rest: the router waits in Fault, SetAside; a program is left for the newest one before
it that was run for a while. That holds across restarts of the node, until the router (or the
program) is another one, or the speaker is.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from vrrp_speaker import __version__
from vrrp_speaker.program_file import file_checksum, fingerprint, read_values

ENDS = 3
"""So many ends within ``WITHIN_NS`` are no accident."""
WITHIN_NS = 60_000_000_000
_FILE = ".set-aside"
_PROGRAM = ""
"""Stands for the whole program where routers are named."""
_MOST_ENDS, _MOST_PROGRAMS = 64, 16
_OF_THE_MACHINE = frozenset(
    {
        *(errno.ENOMEM, errno.ENOBUFS, errno.EMFILE, errno.ENFILE),
        *(errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS),
    }
)
"""What no program is to blame for."""


class RouterError(Exception):
    """Something in the engine failed over one router; the cause says what."""

    def __init__(self, name: str) -> None:
        super().__init__(f"virtual router {name}")
        self.name = name


@contextmanager
def over(name: str) -> Iterator[None]:
    """Have an error tell over which router it came."""
    try:
        yield
    except RouterError:
        raise
    except Exception as error:
        raise RouterError(name) from error


@dataclass(frozen=True, slots=True)
class SetAside:
    """Fingerprints of routers by name, and of programs, that are not run."""

    routers: Mapping[str, int] = field(default_factory=dict)
    programs: frozenset[int] = frozenset()

    def told(self) -> dict[str, object]:
        """Return it as fields of a log line."""
        return {"virtualRouters": sorted(self.routers), "programs": len(self.programs)}

    def concerns(self, name: str, router: Mapping[str, object]) -> bool:
        """Return whether a router's document is one that is not run."""
        known = self.routers.get(name)  # as nearly always none: then nothing is computed
        return known is not None and known == fingerprint(router)


NOTHING_ASIDE = SetAside()


def path_of(program_path: str) -> str:
    """Return the file in which ends are noted."""
    return program_path + _FILE


def read_set_aside(program_path: str) -> SetAside:
    """Return what is not run; nothing where the file is missing, damaged or another speaker's."""
    notes = _read(path_of(program_path))
    return SetAside(notes.routers, frozenset(notes.programs))


def note_end(program_path: str, error: BaseException, now_ns: int, *, proved: bool) -> None:
    """Note that an engine ends by this error; it never fails, for who calls it is ending.

    Args:
        program_path: the program that it ran.
        error: why.
        now_ns: CLOCK_MONOTONIC.
        proved: there is a program before this one that was run for a while.
    """
    with suppress(Exception):
        cause = error.__cause__ if isinstance(error, RouterError) else error
        if isinstance(cause, MemoryError) or getattr(cause, "errno", None) in _OF_THE_MACHINE:
            return
        name, mark = _blamed(program_path, error)
        notes = _read(path_of(program_path))
        recent = [end for end in notes.ends if 0 <= now_ns - end[2] <= WITHIN_NS]
        notes.ends = [*recent, (name, mark, now_ns)][-_MOST_ENDS:]
        often = sum(end[:2] == (name, mark) for end in notes.ends) >= ENDS
        if often and name:
            notes.routers[name] = mark
        elif often and proved:
            notes.programs = [*notes.programs, mark][-_MOST_PROGRAMS:]
        _write(path_of(program_path), notes)


@dataclass(slots=True)
class _Notes:
    """The file's content; an end is a router's name, its fingerprint, and when it was."""

    ends: list[tuple[str, int, int]] = field(default_factory=list)
    routers: dict[str, int] = field(default_factory=dict)
    programs: list[int] = field(default_factory=list)


def _read(path: str) -> _Notes:
    with suppress(OSError, ValueError, KeyError, TypeError), open(path, "rb") as file:
        found = json.load(file)
        if found["version"] == __version__:
            return _Notes(
                [(str(n), int(m), int(at)) for n, m, at in found["ends"]],
                {str(name): int(mark) for name, mark in found["routers"].items()},
                [int(mark) for mark in found["programs"]],
            )
    return _Notes()


def _write(path: str, notes: _Notes) -> None:
    content = {
        "version": __version__,
        "ends": notes.ends,
        "routers": notes.routers,
        "programs": notes.programs,
    }
    unfinished = path + ".tmp"
    with open(unfinished, "w", encoding="utf-8") as file:
        json.dump(content, file)
    os.replace(unfinished, path)


def _blamed(program_path: str, error: BaseException) -> tuple[str, int]:
    """Return the router that an error came over, or the program; and what tells it from others."""
    if isinstance(error, RouterError):
        with open(program_path, "rb") as file:
            values = read_values(file)
            next(values)  # the head
            for router in values:
                if router["name"] == error.name:
                    return error.name, fingerprint(router)
    return _PROGRAM, file_checksum(program_path)
