"""Memory that nobody uses any more, and the C library keeps. Standard library only."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Give it to the kernel (malloc_trim(3)): after imports and large programs it is megabytes.

    A C library that has no such function gives it back by itself.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
