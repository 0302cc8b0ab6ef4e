"""Both cores busy: twice as many processes as cores that do nothing but compute."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator

from vrrp_lab.processes import Processes

TIMES = 2
"""Busy processes for each core."""
_LIMIT_S = 120
_WARM_UP_S = 0.3
_PROGRAM = "import time\nend = time.monotonic() + {}\nwhile time.monotonic() < end: pass"


@contextlib.contextmanager
def overload(
    processes: Processes, *, wanted: bool = True, limit_s: float = _LIMIT_S
) -> Iterator[None]:
    """Keep every core busy twice over while the block runs, if ``wanted``.

    A busy process ends by itself after ``limit_s`` seconds, whatever became of its parent.
    """
    count = TIMES * (os.cpu_count() or 1) if wanted else 0
    started = []
    try:
        for _ in range(count):
            started.append(processes.start([sys.executable, "-c", _PROGRAM.format(limit_s)]))
        if wanted:
            time.sleep(_WARM_UP_S)
        yield
    finally:
        for process in started:
            process.kill()
        for process in started:
            processes.stop(process)
