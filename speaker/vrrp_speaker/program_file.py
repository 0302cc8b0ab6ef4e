"""How an engine program lies on disk: the agent writes it, the engine and the last will read it.

One JSON value a line: the checksum of all the lines below it, then what the node has once, then a
line for each router. So the engine never has more than one router's document in memory: what it
once took it keeps, and all 255 of them at once are a megabyte and a half.

The checksum (CRC-32) guards against torn and damaged files, not against an attacker, who would own
the node; a cryptographic hash costs the engine 3.7 MB of resident memory.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

FORMAT = 3
"""What a compiled program says it is; it changes with the file's form and with its fields."""

OWN_KEYS_FORMAT = 4
"""What one says with an election that signs with a key of its own: a speaker of an earlier version,
which does not know these, would run it and not be heard, so it has to refuse it."""

GOOD, PROVED = ".good", ".proved"
"""Added to a program's path: the copy of the one that was loaded last, and of the last one that
engines ran for a while."""


def encode(document: Mapping[str, Any]) -> bytes:
    """Return the file of a program document, whose ``routers`` are a list of objects."""
    head = {key: value for key, value in document.items() if key != "routers"}
    rest = b"".join(map(_line, (head, *document["routers"])))
    return _first_line(zlib.crc32(rest)) + rest


def read_values(file: BinaryIO) -> Iterator[Any]:
    """Yield what the lines below the checksum hold, one by one: the head, then each router.

    The whole file is looked at before the first is yielded.

    Raises:
        ValueError: the file is damaged, or a line is no JSON.
    """
    checksum(file)
    for line in file:
        yield json.loads(line)


def checksum(file: BinaryIO) -> int:
    """Return the checksum of a program file; then the line below it is the next to be read.

    Raises:
        ValueError: the file is damaged.
    """
    first, found = file.readline(), 0
    for line in file:
        found = zlib.crc32(line, found)
    if first != _first_line(found):
        raise ValueError("checksum: does not match the content")
    file.seek(len(first))
    return found


def file_checksum(path: str) -> int:
    """Return the checksum of the program file at ``path``.

    Raises:
        OSError, ValueError: it is missing, or damaged.
    """
    with open(path, "rb") as file:
        return checksum(file)


def fingerprint(router: object) -> int:
    """Return what tells a router's document from any other, as far as accidents go."""
    return zlib.crc32(_line(router))


def decode(file: BinaryIO) -> dict[str, Any]:
    """Return the whole document of a program file, for who has memory to spare.

    Raises:
        ValueError: the file is damaged or holds no program.
    """
    head, *routers = read_values(file)
    if not isinstance(head, dict):
        raise ValueError(f"{head!r} is not an object")
    return {**head, "routers": routers}


def copy_program(source: str, target: str) -> None:
    """Copy a file whole or not at all; it holds keys, so nobody else may read it.

    Raises:
        OSError: there is none, or the disk refuses; the target is as it was.
    """
    unfinished = target + ".tmp"
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as copy, open(source, "rb") as file:
        copy.writelines(file)  # never all of it in memory: what the engine once took it keeps
    os.replace(unfinished, target)


def _first_line(checksum: int) -> bytes:
    return _line({"checksum": f"crc32:{checksum:08x}"})


def _line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
