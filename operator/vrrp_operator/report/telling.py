"""Lists and messages that stay within what a condition has room for (pure)."""

from __future__ import annotations

from collections.abc import Iterable

MESSAGE_ROOM = 1024
"""Characters of a condition's message, as the schemas say."""
LIST_ROOM = 600
"""What a list within a message may take, so that what follows it is read too."""
_CUT = "…"


def fitted(text: str, room: int = MESSAGE_ROOM) -> str:
    """Return a text, cut with a sign that it was where there is no room for it."""
    return text if len(text) <= room else text[: room - len(_CUT)] + _CUT


def listed(
    parts: Iterable[str], separator: str = ", ", room: int = LIST_ROOM, most: int = MESSAGE_ROOM
) -> str:
    """Return a list as a text: the first parts that have room, and how many more there are.

    The first one is always there, cut where it alone has no room. ``most``: of so many parts.
    """
    every = list(parts)
    told = fitted(every[0], room) if every else ""
    count = len(every[:1])
    for part in every[1:most]:
        longer = f"{told}{separator}{part}"
        if len(longer) > room:
            break
        told, count = longer, count + 1
    return f"{told} and {len(every) - count} more" if count < len(every) else told
