"""Which processes run under a name: proc(5), with the rules of keepalived's ``track_process``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vrrp_api.check_kinds import ProcessCheck

_COMM_BYTES = 15
"""The kernel keeps so much of a command's name."""
_COMMAND_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Pattern:
    """Whom a check counts: a command's name, or its whole command line."""

    name: str
    full_command: bool


def pattern_of(kind: ProcessCheck) -> Pattern:
    """Return whom a check counts."""
    return Pattern(kind.name, kind.full_command)


def process_ids() -> Iterator[int]:
    """Yield the process IDs of this PID namespace."""
    for name in os.listdir("/proc"):
        if name.isdecimal():
            yield int(name)


def matching(pid: int, patterns: Iterable[Pattern]) -> frozenset[Pattern]:
    """Return the patterns that a process matches; none when it is gone.

    The command line is read only where a name does not suffice: that waits for a process whose
    memory is locked.
    """
    comm = _read(pid, "comm").removesuffix(b"\n")
    words: list[bytes] | None = None
    found = set()
    for pattern in patterns:
        wanted = os.fsencode(pattern.name)
        if not pattern.full_command and wanted[:_COMM_BYTES] != comm:
            continue
        if pattern.full_command or len(wanted) > _COMM_BYTES:
            if words is None:
                words = _read(pid, "cmdline").rstrip(b"\0").split(b"\0")
            has = b" ".join(words) if pattern.full_command else os.path.basename(words[0])
            if has != wanted:
                continue
        found.add(pattern)
    return frozenset(found)


def _read(pid: int, name: str) -> bytes:
    try:
        descriptor = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, _COMMAND_BYTES)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
