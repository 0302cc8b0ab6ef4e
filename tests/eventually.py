"""Waiting in tests: poll for a fact instead of sleeping and hoping."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
_BUSY = 4
"""How many times as long a wait may take on a machine that had other things to do meanwhile."""


def eventually(check: Callable[[], T], *, within_s: float, every_s: float = 0.02) -> T:
    """Return the first truthy value of ``check``, polled until ``within_s`` seconds have passed.

    That is long enough for a machine with nothing else to do. One whose processors were busy for
    most of the time is given four times as long.

    Raises:
        AssertionError: the last exception raised by ``check``, or its last falsy value, at the end.
    """
    begun_s, begun_idle_s = time.monotonic(), _idle_s()
    while True:
        failure: Exception | None = None
        value: T | None = None
        try:
            value = check()
        except (AssertionError, LookupError, OSError) as error:
            failure = error
        if value:
            return value
        waited_s = time.monotonic() - begun_s
        if waited_s >= within_s and (
            waited_s >= _BUSY * within_s or _idle_s() - begun_idle_s > waited_s / 2
        ):
            raise AssertionError(
                f"not within {within_s} s; last: {failure or value!r}"
            ) from failure
        time.sleep(every_s)


def _idle_s() -> float:
    """Return for how long a processor of this machine has had nothing to do (proc(5), stat)."""
    idle = Path("/proc/stat").read_text().split(maxsplit=5)[4]
    return int(idle) / os.sysconf("SC_CLK_TCK") / (os.cpu_count() or 1)
