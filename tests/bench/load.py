"""Both cores busy: twice as many processes as cores that do nothing but compute."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator

from vrrp_lab.processes import Processes

_TIMES = 2
_LIMIT_S = 120
"""A busy process ends by itself after so long, whatever became of its parent."""
_WARM_UP_S = 0.3
_PROGRAM = f"import time\nend = time.monotonic() + {_LIMIT_S}\nwhile time.monotonic() < end: pass"


@contextlib.contextmanager
def overload(processes: Processes, *, wanted: bool) -> Iterator[None]:
    """Keep every core busy twice over while the block runs, if ``wanted``."""
    count = _TIMES * (os.cpu_count() or 1) if wanted else 0
    started = []
    try:
        for _ in range(count):
            started.append(processes.start([sys.executable, "-c", _PROGRAM]))
        if wanted:
            time.sleep(_WARM_UP_S)
        yield
    finally:
        for process in started:
            process.kill()
        for process in started:
            processes.stop(process)
