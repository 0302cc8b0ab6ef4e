"""What speakers know beyond the oldest that is supported: the place where the next thing goes.

A speaker says in its status what it knows. The operator asks for a field of this table once the
speaker has said its feature, and never before; a field that is in no table every speaker knows.
docs/upgrade.md says what the operator does until then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ELECTION_KEYS = "ElectionKeys"
"""The speaker knows elections that have a key of their own."""

LEASES = "Leases"
"""The speaker renews a Lease where it is asked to."""

HEADER_VALUES = "HeaderValues"
"""The speaker has values of HTTP headers that checks name."""

ENDINGS = "Endings"
"""The speaker knows which elections ended, and gives their addresses up without a successor."""

FIELDS: Mapping[str, str] = {
    "spec.ended": ENDINGS,
    "spec.leaseNamespace": LEASES,
    "spec.healthChecks.http.headers.valueName": HEADER_VALUES,
    "spec.virtualRouters.authentication.electionKey": ELECTION_KEYS,
}
"""Fields of NodeConfig by path without indices, and the feature whose speakers know them."""

FEATURES = tuple(sorted(set(FIELDS.values())))
"""What a speaker of this version says."""


def needed(part: Any, path: str) -> frozenset[str]:
    """Return the features without which a speaker does not know a part of a NodeConfig.

    Args:
        part: the part in its API form.
        path: where it stands, without indices.
    """
    inner: frozenset[str] = frozenset()
    if isinstance(part, Mapping):
        inner = inner.union(*(needed(value, f"{path}.{name}") for name, value in part.items()))
    elif isinstance(part, list):
        inner = inner.union(*(needed(value, path) for value in part))
    return inner | {FIELDS[path]} if path in FIELDS else inner
