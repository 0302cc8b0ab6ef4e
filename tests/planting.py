"""Planting a fault: one edit of a source file, whose text must still be there."""

from __future__ import annotations

from pathlib import Path


class NotOnceError(ValueError):
    """The text to replace does not occur exactly once: the list has to move along with the code."""


def plant(file: Path, old: str, new: str) -> None:
    """Replace ``old``, which occurs once in a file, by ``new``.

    Raises:
        NotOnceError: it does not.
    """
    text = file.read_text(encoding="utf-8")
    count = text.count(old)
    if count != 1:
        raise NotOnceError(f"`{old}` occurs {count} times in {file.name}")
    file.write_text(text.replace(old, new), encoding="utf-8")
