"""What a control group says of memory (version 1)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vrrp_lab.namespaces import LabError


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes in use now without pages of files that may go, and the most ever, those included.

    ``refused`` counts how often the limit was met.
    """

    resting_bytes: int
    peak_bytes: int
    refused: int


def read_memory(below: Path, name: str) -> Memory:
    """Return the memory of the group of a name somewhere below a group.

    Raises:
        LabError: there is no such group.
    """
    found = next(below.rglob(name), None)
    if found is None:
        raise LabError(f"no control group {name} below {below}")
    statistics = dict(line.split() for line in (found / "memory.stat").read_text().splitlines())
    usage = int((found / "memory.usage_in_bytes").read_text())
    return Memory(
        resting_bytes=usage - int(statistics["total_inactive_file"]),
        peak_bytes=int((found / "memory.max_usage_in_bytes").read_text()),
        refused=int((found / "memory.failcnt").read_text()),
    )
