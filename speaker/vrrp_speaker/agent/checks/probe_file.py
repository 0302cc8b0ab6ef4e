"""File checks: the number in a file, as keepalived's ``track_file`` reads it.

Whoever may write a HealthCheck names the path, and whoever may write the folder puts something
there: neither can make the agent wait, open a device, or read outside the allowed folders.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence

from vrrp_api.check_kinds import FileCheck
from vrrp_api.health_check import HealthCheck
from vrrp_api.trackers import FILE_BYTES_READ, file_effect, file_value
from vrrp_speaker.agent.checks.beneath import find_beneath
from vrrp_speaker.agent.checks.verdict import Result

_KINDS = {
    stat.S_IFIFO: "FIFO",
    stat.S_IFDIR: "folder",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


class _Refused(Exception):
    """The path leads to something that is not read; the message says to what."""


def probe_file(check: HealthCheck, previous: int, folders: Sequence[str]) -> Result:
    """Read a file; it passes unless its number alone makes a Fault of the check's own weight.

    ``previous`` is the number it had before. A missing file is a 0; what may not be read fails.
    """
    assert isinstance(check.kind, FileCheck)
    try:
        content = _read(check.kind.path, folders)
    except _Refused as refused:
        return Result(False, str(refused), unreadable=True)
    except OSError as error:
        return Result(False, str(error.strerror), unreadable=True)
    value = file_value(content, previous)
    passed = not file_effect(check.weight, value, check.reverse).fault
    return Result(passed, _remark(content, value, passed), value)


def allowed(path: str, folders: Sequence[str]) -> tuple[str, str] | None:
    """Return the allowed folder that a path is in and the rest of the path; None outside all."""
    for folder in folders:
        start = folder.rstrip("/") + "/"
        if path.startswith(start):
            return folder, path[len(start) :]
    return None


def _read(path: str, folders: Sequence[str]) -> bytes | None:
    """Return the beginning of a file, None when it is missing.

    Raises:
        _Refused: it is not to be read; OSError: it cannot be.
    """
    place = allowed(path, folders)
    if place is None:
        raise _Refused(f"outside the speaker's --file-folders ({':'.join(folders) or 'none'})")
    try:
        found = find_beneath(*place)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        if error.errno in (errno.EXDEV, errno.ELOOP):
            raise _Refused(f"a symbolic link leads out of {place[0]}") from error
        raise
    try:
        kind = stat.S_IFMT(os.fstat(found).st_mode)
        if kind != stat.S_IFREG:
            raise _Refused(f"a {_KINDS.get(kind, 'special file')}, not a file")
        descriptor = os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return os.read(descriptor, FILE_BYTES_READ)
        finally:
            os.close(descriptor)
    finally:
        os.close(found)


def _remark(content: bytes | None, value: int, passed: bool) -> str:
    """Return what people should know; nothing of the content but its number."""
    if content is None:
        return "missing: counts as 0"
    if file_value(content, 0) != file_value(content, 1):
        return f"the number does not fit 32 bits: {value} stays"
    digits = content.lstrip(b" \t\n\v\f\r").lstrip(b"+-")[:1]
    if not digits.isdigit():
        return "no number in it: counts as 0"
    return "" if passed else f"it says {value}"
