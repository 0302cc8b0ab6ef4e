"""What a node's speaker can do, whatever of its statuses came late (pure).

Statuses that were given up may arrive after newer ones, also those of the speaker that was there
before: they lack features that the present one has. The speaker writes them over with its next
heartbeat. Until then the node would have to leave elections that sign with keys of their own. So
the features of a status that is older, by the node's own clock, do not count before everything that
was sent ahead of the newest one must have arrived. One of the same time that has fewer features is
one that somebody else wrote into.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from vrrp_api.node_status import NodeConfigStatus

Object = Mapping[str, Any]
LATE_S = 90.0
"""So late a write may be done that was given up: an API server ends requests after 60 s."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """The features of the newest status, its time, and when it was seen (monotonic, seconds).

    ``doubted``: the status that is there is an older one.
    """

    time: str
    features: tuple[str, ...]
    seen_s: float
    doubted: bool = False


def abilities_after(before: Abilities | None, obj: Object, now_s: float) -> Abilities:
    """Return what is known of a node's speaker once its NodeConfig was seen.

    A clock that was set back costs a minute and a half, not the time until it has caught up.
    """
    status = obj.get("status") or {}
    time = str(status.get("heartbeatTime") or "")
    features = tuple((status.get("speaker") or {}).get("features") or ())
    if before is not None and time < before.time and now_s - before.seen_s < LATE_S:
        return replace(before, doubted=True)
    if before is not None and time == before.time:
        if set(features) < set(before.features):
            return replace(before, doubted=True)  # nobody but the speaker knows better
        now_s = before.seen_s
    return Abilities(time, features, now_s)


def with_abilities(
    status: NodeConfigStatus | None, known: Abilities | None
) -> NodeConfigStatus | None:
    """Return a status with the features that count, where it may have come late."""
    if status is None or known is None or not known.doubted:
        return status
    return replace(status, features=known.features)
