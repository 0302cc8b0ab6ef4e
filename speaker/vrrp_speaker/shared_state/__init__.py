"""What the engine knows, in memory it shares with supervisor and agent.

The engine writes single fields in place: no system call, no message, no waiting for a reader.
The agent reads a copy at each scrape, also while the engine is stalled or being replaced, and a
replaced engine finds its own past here. ``layout`` says where what is, ``values`` what a copy says.
"""

from vrrp_speaker.shared_state.layout import AnnouncementKind, EngineFault, FencingReason
from vrrp_speaker.shared_state.reader import SharedStateReader
from vrrp_speaker.shared_state.values import (
    Conflict,
    Durations,
    EngineState,
    ForeignRouter,
    PastTransition,
    PeerState,
    RouterState,
)
from vrrp_speaker.shared_state.writer import SharedState

__all__ = [
    "AnnouncementKind",
    "Conflict",
    "Durations",
    "EngineFault",
    "EngineState",
    "FencingReason",
    "ForeignRouter",
    "PastTransition",
    "PeerState",
    "RouterState",
    "SharedState",
    "SharedStateReader",
]
