"""Opening a file below a folder whatever anybody puts there: openat2(2), over libc."""

from __future__ import annotations

import ctypes
import os

_SYS_OPENAT2 = 437
"""The same on every architecture."""
_NO_MAGIC_LINKS, _BENEATH = 0x02, 0x08


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def find_beneath(folder: str, name: str) -> int:
    """Return a descriptor (O_PATH) of what a relative path leads to without leaving the folder.

    Symbolic links are followed while they stay in the folder, as those of a mounted ConfigMap do.
    Nothing is opened by this: not a FIFO, not a device.

    Raises:
        OSError: EXDEV: it leads out of the folder; others as of open(2).
    """
    directory = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        how = _OpenHow(os.O_PATH | os.O_CLOEXEC, 0, _BENEATH | _NO_MAGIC_LINKS)
        found: int = _libc.syscall(
            ctypes.c_long(_SYS_OPENAT2),
            ctypes.c_int(directory),
            ctypes.c_char_p(os.fsencode(name)),
            ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        )
        if found < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return found
    finally:
        os.close(directory)
