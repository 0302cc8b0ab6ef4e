"""What a seed of ``messages`` decides before it begins."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Draw:
    """How a cluster is made.

    ``calm``: only what may move nothing happens: Backups join, leave and move, and anybody may lose
    the API server. ``leases``: nodes are asked for Leases, as the operator can read them.
    ``own_keys``: elections may be signed with the cluster's key too, and come to their own.
    ``second``: the family of a second election; of family 6 it is on the nodes' other link, of
    family 4 beside the first one. ``across``: the first election's addresses, and its clients, are
    on the other link.
    """

    machines: int
    candidates: int
    longest_ms: int
    operators: int
    calm: bool
    preempt: bool
    signed: bool
    leases: bool
    own_keys: bool = False
    second: int | None = None
    across: bool = False


def draw(seed: int) -> Draw:
    """Return what a seed draws."""
    rng = random.Random(f"{seed} messages")
    return Draw(
        machines=rng.choice((3, 4, 4, 5)),
        candidates=rng.choice((2, 3, 5)),
        longest_ms=rng.choice((500, 5_000, 30_000)),
        operators=rng.choice((1, 1, 1, 2)),
        calm=rng.random() < 0.4,
        preempt=rng.random() < 0.7,
        signed=rng.random() < 0.5,
        leases=rng.random() < 0.8,
        own_keys=seed % 5 > 2,
        second=rng.choice((None, None, 4, 6)),
        across=rng.random() < 0.4,
    )
