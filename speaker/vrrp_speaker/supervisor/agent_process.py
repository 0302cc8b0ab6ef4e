"""Starting the agent: a Python of its own, without real-time priority."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterable, Sequence

from vrrp_speaker.options import CANNOT_RUN


def start_agent(
    arguments: Sequence[str], lifeline: int, for_later: Iterable[signal.Signals]
) -> int:
    """Start the agent with the speaker's arguments; return its pid.

    Args:
        arguments: the speaker's own.
        lifeline: reads end-of-file once this process is gone; it is the agent's standard input.
        for_later: signals that it ignores until it can do something about them.

    Raises:
        OSError: there can be no more processes.
    """
    pid = os.fork()
    if pid:
        return pid
    try:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        os.dup2(lifeline, 0)
        signal.set_wakeup_fd(-1)
        for number in for_later:
            signal.signal(number, signal.SIG_IGN)
        command = [sys.executable, "-m", "vrrp_speaker.agent", *arguments]
        os.execv(command[0], command)
    finally:
        os._exit(CANNOT_RUN)
