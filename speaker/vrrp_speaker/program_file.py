"""How an engine program lies on disk: the agent writes it, the engine and the last will read it.

One JSON value a line: the checksum of all the lines below it, then what the node has once, then a
line for each router. Whoever has read it before reads only the lines that are new. So the engine
never has more than one router's document in memory: what it once took it keeps, and all 255 of them
at once are a megabyte and a half.

The checksum (CRC-32) guards against torn and damaged files, not against an attacker, who would own
the node; a cryptographic hash costs the engine 3.7 MB of resident memory.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

FORMAT = TEMPLATES_FORMAT = 5
"""What a program says it is; it changes with the file's form and with its fields. From 5 on it has
templates for links, and addresses for routers; before, all that is sent as ready bytes."""

OLDEST_FORMAT = 3
"""What an engine still takes: it may begin with the program of an earlier agent."""

_AT_ONCE = 1 << 20

GOOD, PROVED = ".good", ".proved"
"""Added to a program's path: the copy of the one that was loaded last, and of the last one that
engines ran for a while."""


def encode(document: Mapping[str, Any]) -> bytes:
    """Return the file of a program document, whose ``routers`` are a list of objects."""
    head = {key: value for key, value in document.items() if key != "routers"}
    return b"".join(encode_lines(line_of(head), map(line_of, document["routers"])))


def encode_lines(head: bytes, routers: Iterable[bytes]) -> list[bytes]:
    """Return the lines of a program's file, whose head and routers are encoded (``line_of``)."""
    lines, found = [head, *routers], 0
    for line in lines:
        found = zlib.crc32(line, found)
    return [_first_line(found), *lines]


def read_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines below the checksum: the head, then one for each router.

    The whole file is looked at before the first is yielded.

    Raises:
        ValueError: the file is damaged.
    """
    checksum(file)
    yield from file


def read_values(file: BinaryIO) -> Iterator[Any]:
    """Yield what the lines hold, one by one (``read_lines``).

    Raises:
        ValueError: the file is damaged, or a line is no JSON.
    """
    return map(json.loads, read_lines(file))


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
    return zlib.crc32(line_of(router))


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
    with open(source, "rb") as file:
        copy_file(file, target)


def copy_file(file: BinaryIO, target: str) -> None:
    """As ``copy_program``, of a file that is open, whatever is at its path by now."""
    unfinished = target + ".tmp"
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as copy:
        sent = 0  # by the kernel, not in our memory: what the engine once took it keeps
        while more := os.sendfile(copy.fileno(), file.fileno(), sent, _AT_ONCE):
            sent += more
    os.replace(unfinished, target)


def _first_line(checksum: int) -> bytes:
    return line_of({"checksum": f"crc32:{checksum:08x}"})


def line_of(value: object) -> bytes:
    """Return a value as its line of the file."""
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
