"""JSON of objects that come again and again, and differ in few entries of one long list.

A NodeConfig of 255 elections with 64 addresses each is 700 kB, and a change is one entry of it.
What is written as it was is not parsed again, and is the same value. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import reduce
from operator import getitem
from typing import Any

_decode = json.JSONDecoder().raw_decode
_HERE = "here"

_Entry = tuple[str, Any]
"""An entry's text and its value."""


class RepeatedJson:
    """Parses texts one after the other; returns what ``json.loads`` would."""

    def __init__(self) -> None:
        self._entries: Sequence[_Entry] = ()

    def loads(self, data: bytes, *path: str | int) -> Any:
        """Return the value of a text; ``path`` leads to the list, by keys and places.

        Raises:
            ValueError: it is no JSON.
        """
        text = data.decode()
        begins = f'"{path[-1]}":['
        begin = text.find(begins) + len(begins)
        try:
            entries, end = self._read_entries(text, begin)
            whole = json.loads(f'{text[:begin]}"{_HERE}"{text[end:]}')
        except (ValueError, IndexError):
            return json.loads(text)  # written otherwise, or wrong
        # A list of that name may be elsewhere, too: then that is what was taken.
        try:
            parent = reduce(getitem, path[:-1], whole)
            if parent[path[-1]] != [_HERE]:
                return json.loads(text)
        except (LookupError, TypeError):
            return json.loads(text)
        parent[path[-1]] = [value for _, value in entries]
        self._entries = entries
        return whole

    def _read_entries(self, text: str, begin: int) -> tuple[list[_Entry], int]:
        """Return the entries of the list that begins there, and where it ends.

        Raises:
            ValueError, IndexError: there is none, or none without spaces.
        """
        entries: list[_Entry] = []
        at, apart = begin, 0
        while text[at] != "]":
            place = len(entries) + apart
            # As it was; or one is gone before it, or has come.
            for step in (0, 1, -1):
                known = self._entries[place + step] if self._has(place + step) else None
                if known is not None and text.startswith(known[0], at):
                    apart += step
                    break
            else:
                value, end = _decode(text, at)
                known = text[at:end], value
            entries.append(known)
            at += len(known[0])
            if text[at] == ",":
                at += 1
            elif text[at] != "]":
                raise ValueError(f"{at}: no comma")
        return entries, at

    def _has(self, place: int) -> bool:
        return 0 <= place < len(self._entries)
