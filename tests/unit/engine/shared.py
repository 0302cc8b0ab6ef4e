"""A reader's copy of shared state that the test itself writes."""

from __future__ import annotations

from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state.values import EngineState, decode


def snapshot(shared: SharedState) -> EngineState:
    """Return what a reader would see now."""
    return decode(bytes(shared._memory))
