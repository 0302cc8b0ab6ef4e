"""What time it is where a time was written: nodes' clocks are not the operator's (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta


class Clocks:
    """The clocks of the nodes, as their last heartbeats tell; ``now`` is the operator's own.

    Times are RFC 3339. ``recent`` is whether anything was: it will not be, by nothing but time.
    """

    def __init__(self, heartbeats: Mapping[str, str], now: str) -> None:
        self._now = now
        self._heartbeats = heartbeats
        self.recent = False

    def is_recent(self, node: str, time: str, within: timedelta) -> bool:
        """Return whether a node wrote this time so lately, by its own last heartbeat."""
        recent = _is_recent(time, self._heartbeats.get(node, self._now), within)
        self.recent |= recent
        return recent


def _is_recent(time: str, now: str, within: timedelta) -> bool:
    try:
        age = datetime.fromisoformat(now) - datetime.fromisoformat(time)
    except (ValueError, TypeError):
        return False  # not a time, or one without a zone: not of our writing
    return age < within
