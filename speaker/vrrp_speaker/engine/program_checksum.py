"""The checksum of an engine program: the compiler writes it, the engine checks it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any


def checksum(document: Mapping[str, Any]) -> str:
    """Return the checksum of a program: CRC-32 of its canonical JSON without the checksum.

    It guards against torn and damaged files, not against an attacker, who would own the node;
    a cryptographic hash costs the engine 3.7 MB of resident memory.
    """
    found = 0
    for piece in _canonical(document):
        found = zlib.crc32(piece.encode(), found)
    return f"crc32:{found:08x}"


def _canonical(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the canonical JSON without the checksum in pieces: a whole one is as big as the file.

    The engine lives with the peak of its memory, because little of it is ever returned.
    """
    opened = "{"
    for key in sorted(document.keys() - {"checksum"}):
        yield f"{opened}{_dump(key)}:"
        opened, value = ",", document[key]
        if isinstance(value, list) and value:
            for index, item in enumerate(value):
                yield ("," if index else "[") + _dump(item)
            yield "]"
        else:
            yield _dump(value)
    yield "}" if opened == "," else "{}"


def _dump(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
