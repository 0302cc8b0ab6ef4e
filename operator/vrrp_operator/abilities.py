"""What a node's speaker can do, whatever of its statuses came late (pure).

A status that was given up may arrive after newer ones, also one of the speaker that was there
before: it lacks features that the present one has. The speaker writes it over with its next
heartbeat. Until then the node would have to leave elections that sign with keys of their own. So
the features of a status that is older, by the node's own clock, count once the node says so again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Abilities:
    """The features of the newest status, and its time; ``doubted`` is that of one behind it."""

    time: str
    features: tuple[str, ...]
    doubted: str = ""


def abilities_after(before: Abilities | None, obj: Object) -> Abilities:
    """Return what is known of a node's speaker once its NodeConfig was seen.

    A clock that was set back costs one more status, not the time until it has caught up.
    """
    status = obj.get("status") or {}
    time = str(status.get("heartbeatTime") or "")
    features = tuple((status.get("speaker") or {}).get("features") or ())
    if before is not None and time < before.time and time <= (before.doubted or time):
        return replace(before, doubted=before.doubted or time)
    return Abilities(time, features)


def with_abilities(obj: Object, known: Abilities | None) -> Object:
    """Return a NodeConfig with the features that count, where its status may have come late."""
    status = obj.get("status") or {}
    if known is None or not known.doubted or status.get("heartbeatTime", "") > known.doubted:
        return obj
    speaker = {**(status.get("speaker") or {}), "features": list(known.features)}
    return {**obj, "status": {**status, "speaker": speaker}}
