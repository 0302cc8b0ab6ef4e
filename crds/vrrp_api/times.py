"""Times as the API has them."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache

_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


@lru_cache(maxsize=4096)
def is_date_time(text: str) -> bool:
    """Return whether a text is a time that the schemas' format ``date-time`` takes (RFC 3339)."""
    if not _DATE_TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
