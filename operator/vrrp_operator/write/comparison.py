"""Whether an object of the API server says what is wanted (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def says(current: Any, wanted: Any) -> bool:
    """Return whether what is there says what is wanted and nothing else.

    The schema of NodeConfig has no defaults, so the server adds nothing.
    """
    if current == wanted:
        return True
    if current is None and wanted in ([], {}):
        return True  # the server drops a list whose last entry an apply removed
    if isinstance(wanted, Mapping) and isinstance(current, Mapping):
        no_more = current.keys() <= wanted.keys()
        return no_more and all(says(current.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(current, list):
        pairs = zip(current, wanted, strict=False)
        return len(current) == len(wanted) and all(says(c, w) for c, w in pairs)
    return bool(current == wanted)
