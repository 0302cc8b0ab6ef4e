"""Waiting in tests: poll for a fact instead of sleeping and hoping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(check: Callable[[], T], *, within_s: float, every_s: float = 0.02) -> T:
    """Return the first truthy value of ``check``, polled until ``within_s`` seconds have passed.

    Raises:
        AssertionError: the last exception raised by ``check``, or its last falsy value, at the end.
    """
    deadline = time.monotonic() + within_s
    while True:
        failure: Exception | None = None
        value: T | None = None
        try:
            value = check()
        except (AssertionError, LookupError, OSError) as error:
            failure = error
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(
                f"not within {within_s} s; last: {failure or value!r}"
            ) from failure
        time.sleep(every_s)
