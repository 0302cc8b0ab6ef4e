"""What was accepted before: a rule of a later version costs nothing that runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vrrp_api.conditions import CheckConditionType, parse_conditions


def accepted_before(obj: Mapping[str, Any]) -> bool:
    """Return whether an operator, perhaps of an earlier version, accepted this generation.

    Rules that are newer than stored objects hold for what is written now: such an object stays
    accepted until somebody edits its spec.
    """
    status, metadata = obj.get("status"), obj.get("metadata")
    if not isinstance(status, Mapping) or not isinstance(metadata, Mapping):
        return False
    generation = metadata.get("generation")
    return generation is not None and any(
        condition.type == CheckConditionType.ACCEPTED
        and condition.status == "True"
        and condition.observed_generation == generation
        for condition in parse_conditions(status.get("conditions") or ())
    )
