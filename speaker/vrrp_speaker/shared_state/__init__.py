"""What the engine knows, in memory it shares with supervisor and agent.

The engine writes single fields in place: no system call, no message, no waiting for a reader.
The agent reads a copy at each scrape, also while the engine is stalled or being replaced, and a
replaced engine finds its own past here. ``layout`` says where what is, ``values`` what a copy says.

Here is what the writers need. Who reads a copy imports ``reader`` and ``values``: half a megabyte
that the engine has no use for.
"""

from vrrp_speaker.shared_state.layout import EngineFault, FencingReason, FrameKind
from vrrp_speaker.shared_state.sightings import Conflict, ForeignRouter, HeldByMember
from vrrp_speaker.shared_state.writer import SharedState

__all__ = [
    "Conflict",
    "EngineFault",
    "FencingReason",
    "ForeignRouter",
    "FrameKind",
    "HeldByMember",
    "SharedState",
]
