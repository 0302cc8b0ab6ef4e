"""The engine's program on disk, where the agent puts it and whoever comes after finds it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vrrp_speaker.program_file import GOOD, PROVED, copy_program, decode, encode_lines, line_of


class ProgramStore:
    """Writes program files whole or not at all; what did not change is encoded once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: dict[str, tuple[Mapping[str, Any], bytes]] = {}
        self._texts: dict[str, tuple[object, str]] = {}

    def stored(self) -> Mapping[str, Any] | None:
        """Return the document on disk, or None; its fields are the engine's to check, not ours."""
        try:
            with self._path.open("rb") as file:
                return decode(file)
        except (OSError, ValueError):
            return None

    def ensure_stored(self, document: Mapping[str, Any]) -> None:
        """Write the program again when the file does not hold it: damaged, or lost.

        Raises:
            OSError: the disk refuses; the engine will say that it cannot read the program.
        """
        if self.stored() != document:
            self.store(document)

    def keep_proved(self) -> None:
        """Keep a copy of the program that was loaded last: engines have run it for a while.

        Raises:
            OSError: the disk refuses; the copy is as it was.
        """
        path = str(self._path)
        copy_program(path + GOOD, path + PROVED)

    def store(self, document: Mapping[str, Any]) -> None:
        """Replace the file.

        Raises:
            OSError: the disk refuses; the file is as it was.
        """
        temporary = self._path.with_suffix(".tmp")
        # The program holds keys: nobody else may read it.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:
            file.writelines(encode_lines(self._head(document), self._routers(document)))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)

    def _head(self, document: Mapping[str, Any]) -> bytes:
        before, self._texts = self._texts, {}
        for key, value in document.items():
            if key != "routers":
                known = before.get(key)
                if known is None or known[0] is not value:
                    known = value, _text(value)
                self._texts[key] = known
        members = (f"{_text(key)}:{text}" for key, (_, text) in self._texts.items())
        return f"{{{','.join(members)}}}\n".encode()

    def _routers(self, document: Mapping[str, Any]) -> list[bytes]:
        before, self._lines = self._lines, {}
        for router in document["routers"]:
            known = before.get(router["name"])
            if known is None or known[0] is not router:
                known = router, line_of(router)
            self._lines[router["name"]] = known
        return [line for _, line in self._lines.values()]


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
