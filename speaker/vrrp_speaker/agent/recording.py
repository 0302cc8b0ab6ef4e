"""Where ``--record`` puts the engine's events, for ``kubectl-vrrp replay``."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)
MAX_BYTES = 64 << 20


class RecordingFile:
    """Appends JSON lines; at ``MAX_BYTES`` the file becomes ``FILE.1`` and the engine begins anew.

    Raises:
        OSError: the file cannot be made.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._file = path.open("w", encoding="utf-8")

    def begin(self) -> None:
        """Start the file over; the previous one is kept."""
        self._file.close()
        try:
            if self._path.stat().st_size:
                self._path.replace(self._path.with_name(self._path.name + ".1"))
            self._file = self._path.open("w", encoding="utf-8")
        except OSError as error:
            _log.error("recording not begun", extra={"error": str(error)})

    def append(self, line: Mapping[str, Any]) -> bool:
        """Write one line; return whether the file is full, so that a new one should begin."""
        try:
            self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
            self._file.flush()
            return self._file.tell() >= self._max_bytes
        except (OSError, ValueError) as error:  # ValueError: it could not be begun
            _log.error("recording ended", extra={"error": str(error)})
            return False
