"""Exceptions that nobody expected: logged, counted and survived."""

from __future__ import annotations

import logging
from collections.abc import Callable

_log = logging.getLogger(__name__)
_MOST_KNOWN = 256

Report = Callable[[str, Exception], None]
"""Takes what was done (the label ``task``) and what went wrong with it."""


class Caught:
    """Takes exceptions from any thread; tells each once, and counts it each time."""

    def __init__(self, count: Callable[[str], None]) -> None:
        self._count = count
        self._known: set[tuple[str, str]] = set()

    def __call__(self, task: str, error: Exception) -> None:
        """Note what went wrong with a task."""
        self._count(task)
        key = (task, repr(error)[:256])
        if key in self._known:
            return
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known.add(key)
        _log.error(
            "unexpected, going on", extra={"task": task, "error": repr(error)}, exc_info=error
        )


def log_only(task: str, error: Exception) -> None:
    """Note what went wrong where nobody counts."""
    Caught(lambda _: None)(task, error)
