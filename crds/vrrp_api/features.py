"""What speakers know beyond the oldest that is supported: the place where the next thing goes.

A speaker says in its status what it knows. The operator asks for a field of this table once the
speaker has said its feature, and never before; a field that is in no table every speaker knows.
docs/upgrade.md says what the operator does until then.
"""

from __future__ import annotations

from collections.abc import Mapping

ELECTION_KEYS = "ElectionKeys"
"""The speaker knows elections that have a key of their own."""

LEASES = "Leases"
"""The speaker renews a Lease where it is asked to."""

FIELDS: Mapping[str, str] = {
    "spec.leaseNamespace": LEASES,
    "spec.virtualRouters.authentication.electionKey": ELECTION_KEYS,
}
"""Fields of NodeConfig by path without indices, and the feature whose speakers know them."""

FEATURES = tuple(sorted(set(FIELDS.values())))
"""What a speaker of this version says."""
