"""What users write on objects beside a spec: annotations of ours, and Kubernetes' own taints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vrrp_api import GROUP

HANDOVER_TO = f"{GROUP}/handover-to"
"""On a VirtualIP: the name of the node that is to hold it for as long as the annotation stays."""
MAINTENANCE = f"{GROUP}/maintenance"
"""On a Node, "true": it takes no part in elections where another node can."""
OUT_OF_SERVICE_TAINTS = frozenset(
    {"node.kubernetes.io/out-of-service", "node.cloudprovider.kubernetes.io/shutdown"}
)
"""Taints, with any effect, that say as much as ``MAINTENANCE``. Cordoning is not among them."""


def unknown_annotations(virtual_ip: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the annotations of a VirtualIP object that must be meant for us and are not known.

    Those of our group, and those that name a hand-over of another one, sorted.
    """
    keys = virtual_ip["metadata"].get("annotations") or {}
    return tuple(sorted(key for key in keys if key != HANDOVER_TO and _is_meant_for_us(key)))


def _is_meant_for_us(key: str) -> bool:
    group, _, name = key.rpartition("/")
    return group == GROUP or _letters(name) == _letters(HANDOVER_TO.rpartition("/")[2])


def _letters(name: str) -> str:
    return "".join(filter(str.isalpha, name)).lower()
