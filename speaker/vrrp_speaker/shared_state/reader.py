"""The agent's view of the shared state."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable

from vrrp_speaker.shared_state import layout
from vrrp_speaker.shared_state.values import EngineState, decode_pages


class SharedStateReader:
    """The reader's view; maps the engine's file read-only.

    Raises:
        OSError: the file does not exist yet.
        ValueError: the file is not (yet) shared state of this version.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if os.fstat(descriptor).st_size != layout.SIZE:
                raise ValueError(f"{os.fspath(path)}: not the shared state of this version")
            self._memory = mmap.mmap(descriptor, layout.SIZE, prot=mmap.PROT_READ)
        finally:
            os.close(descriptor)
        # Integers are read in one piece, as they are written.
        self._words = memoryview(self._memory).cast("Q")
        if self._words[layout.H_MAGIC >> 3] != layout.MAGIC:
            raise ValueError(f"{os.fspath(path)}: not the shared state of this version")

    def snapshot(self, slots: Iterable[int] = range(layout.SLOTS)) -> EngineState:
        """Return a copy of what the header and these slots say.

        To look at a slot makes it take memory, a page of its own, whether it is used or not.
        """
        starts = {slot: layout.slot_offset(slot) for slot in slots}
        return decode_pages(
            self._memory[: layout.HEADER_SIZE],
            {slot: self._memory[at : at + layout.SLOT_SIZE] for slot, at in starts.items()},
        )

    def digest(self, slots: Iterable[int]) -> tuple[int, ...]:
        """Return what differs whenever a status would: generation, and each slot's state.

        A snapshot copies half a megabyte; this is cheap enough to be compared all the time.
        """
        found = [self._words[layout.H_GENERATION >> 3]]
        for slot in slots:
            start = layout.slot_offset(slot)
            found += (
                self._words[(start + field) >> 3]
                for field in (
                    layout.S_VRID,
                    layout.S_STATE,
                    layout.S_SINCE,
                    layout.S_EFFECTIVE_PRIORITY,
                    layout.S_FAULTS,
                    layout.S_LINK_DOWN,
                    layout.S_VOICES,
                    layout.S_HELD_BY,
                    layout.S_HELD + 8,
                )
            )
            found += (
                self._words[(start + last_seen) >> 3] // layout.SIGHTING_NS
                for last_seen in (layout.S_CONFLICT, layout.S_FOREIGN)
            )
        return tuple(found)

    def heartbeat_ns(self) -> int:
        """Return when the engine's loop last turned, without copying the rest."""
        return self._words[layout.H_HEARTBEAT >> 3]
