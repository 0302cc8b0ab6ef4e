"""Real-time scheduling for what measures: an overload must not look like a gap."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

_PRIORITY = 2


@contextlib.contextmanager
def real_time(*, inherited: bool = True) -> Iterator[bool]:
    """Have real-time scheduling in the block; False without the right to it.

    Processes and threads started there have it too if it is ``inherited``.
    """
    policy, parameter = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        own = os.SCHED_FIFO if inherited else os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, own, os.sched_param(_PRIORITY))
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        os.sched_setscheduler(0, policy, parameter)
