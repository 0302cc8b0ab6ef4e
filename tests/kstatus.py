"""What GitOps tools make of an object's status: kstatus, as its documentation has it.

Of sigs.k8s.io/cli-utils, ``pkg/kstatus``: the generic rules, in their order, for kinds that have no
rules of their own, and then the condition Ready.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def kstatus(obj: Mapping[str, Any]) -> str:
    """Return Current, InProgress, Failed or Terminating."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    if metadata.get("deletionTimestamp"):
        return "Terminating"
    if status.get("observedGeneration") not in (None, metadata.get("generation")):
        return "InProgress"
    said = {c["type"]: c["status"] for c in status.get("conditions") or ()}
    if said.get("Reconciling") == "True":
        return "InProgress"
    if said.get("Stalled") == "True":
        return "Failed"
    return "Current" if said.get("Ready", "True") == "True" else "InProgress"
