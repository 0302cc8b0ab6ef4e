"""Holds the kernel's rtnl lock, as a slow driver or the end of many namespaces does.

It is the whole machine's lock: nobody adds a link or an address meanwhile, in whatever namespace.

How: setsockopt(IP_ADD_MEMBERSHIP) takes the lock and then reads its argument, which lies in a page
that userfaultfd(2) provides only when the time is over. Source: ioctl_userfaultfd(2).
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import select
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_libc = ctypes.CDLL(None, use_errno=True)
_USERFAULTFD = {"x86_64": 323, "aarch64": 282}
_API, _REGISTER, _ZEROPAGE = 0xC018AA3F, 0xC020AA00, 0xC020AA04
_VERSION, _MISSING = 0xAA, 1
_IP_ADD_MEMBERSHIP, _MREQN_SIZE = 35, 12
_PATIENCE_MS = 30_000
_LONGEST_S = 20.0
"""Whatever becomes of the block: others on the machine wait."""


@contextmanager
def rtnl_held() -> Iterator[None]:
    """Hold the lock until the block ends, and for 20 s at the longest.

    Raises:
        OSError: the kernel has no userfaultfd, or not for this user.
        AssertionError: somebody else had it all the time, or the block took longer.
    """
    descriptor = _libc.syscall(_USERFAULTFD[os.uname().machine], os.O_CLOEXEC | os.O_NONBLOCK)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "userfaultfd")
    page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    start = ctypes.addressof(ctypes.c_char.from_buffer(page))
    fcntl.ioctl(descriptor, _API, struct.pack("QQQ", _VERSION, 0, 0))
    fcntl.ioctl(descriptor, _REGISTER, struct.pack("QQQQ", start, mmap.PAGESIZE, _MISSING, 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asks:
        arguments = (asks.fileno(), 0, _IP_ADD_MEMBERSHIP, ctypes.c_void_p(start), _MREQN_SIZE)
        waiter = threading.Thread(target=_libc.setsockopt, args=arguments)
        waiter.start()
        over = threading.Event()
        keeper = threading.Thread(target=_release, args=(descriptor, start, over))
        try:
            asked = select.poll()
            asked.register(descriptor, select.POLLIN)
            assert asked.poll(_PATIENCE_MS), "somebody else holds the kernel's rtnl lock"
            keeper.start()
            yield
            assert keeper.is_alive(), f"what was to be seen took longer than {_LONGEST_S} s"
        finally:
            over.set()
            if keeper.ident is None:
                keeper.start()
            keeper.join()
            waiter.join()
            os.close(descriptor)


def _release(descriptor: int, start: int, over: threading.Event) -> None:
    """Provide the page, and so end the hold, when it is over or has lasted for long enough."""
    over.wait(_LONGEST_S)
    fcntl.ioctl(descriptor, _ZEROPAGE, struct.pack("QQQq", start, mmap.PAGESIZE, 0, 0))
