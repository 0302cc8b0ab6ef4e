"""Real-time scheduling for what measures: an overload must not look like a gap."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

_PRIORITY = 2


@contextlib.contextmanager
def real_time() -> Iterator[bool]:
    """Let processes started in the block inherit real-time scheduling; False without the right."""
    policy, parameter = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        os.sched_setscheduler(0, policy, parameter)
