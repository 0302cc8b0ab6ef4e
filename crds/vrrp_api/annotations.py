"""What users write on objects beside a spec: annotations of ours, and Kubernetes' own taints."""

from __future__ import annotations

from vrrp_api import GROUP

HANDOVER_TO = f"{GROUP}/handover-to"
"""On a VirtualIP: the name of the node that is to hold it for as long as the annotation stays."""
MAINTENANCE = f"{GROUP}/maintenance"
"""On a Node, "true": it takes no part in elections where another node can."""
OUT_OF_SERVICE_TAINTS = frozenset(
    {"node.kubernetes.io/out-of-service", "node.cloudprovider.kubernetes.io/shutdown"}
)
"""Taints, with any effect, that say as much as ``MAINTENANCE``. Cordoning is not among them."""
