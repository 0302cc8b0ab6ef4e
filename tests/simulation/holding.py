"""Where the addresses are: each node's, on their lease, and all of them in a stretch of time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tests.simulation.settings import SECOND, Cluster, NodeConfig, version_of

from vrrp_speaker.lease import lease_seconds

if TYPE_CHECKING:
    from tests.simulation.node import SimulatedNode


class Addresses:
    """The addresses of one node as its kernel has them: bound until the lease ends."""

    __slots__ = ("_holding", "_renew_at_ns", "lease_end_ns", "leftover")

    def __init__(self, holding: Holding) -> None:
        self._holding = holding
        self._renew_at_ns = 0
        self.lease_end_ns = 0
        self.leftover = False
        """Whether they are those that an earlier life left on the interface."""

    def held(self, now_ns: int) -> bool:
        """Return whether the kernel still has them."""
        return now_ns < self.lease_end_ns

    def bind(self, now_ns: int, cluster: Cluster, mine: NodeConfig) -> int:
        """Put them on, or renew their lease; return how long that is."""
        self._holding.note(now_ns)
        lease_ns = SECOND * lease_seconds(
            version_of(cluster, mine), mine.priority, mine.interval_ns, mine.down_advertisements
        )
        self.lease_end_ns = now_ns + lease_ns
        self.leftover = False
        intervals_ns = (mine.down_advertisements + 2) * mine.interval_ns
        self._renew_at_ns = now_ns + max(0, min(lease_ns // 3, lease_ns - intervals_ns))
        return lease_ns

    def is_due(self, now_ns: int) -> bool:
        """Return whether the next advertisement renews the lease."""
        return now_ns >= self._renew_at_ns

    def unbind(self, now_ns: int) -> None:
        """Take them off."""
        self._holding.note(now_ns)
        self.lease_end_ns = min(self.lease_end_ns, now_ns)
        self.leftover = False


class Holding:
    """How long nobody had the addresses, and how long more than one node, since ``begin``."""

    def __init__(self, nodes: Sequence[SimulatedNode]) -> None:
        self._nodes = nodes
        self._seen_ns = 0
        self.nobody_ns = self.several_ns = 0

    def begin(self, now_ns: int) -> None:
        """Count from here."""
        self._seen_ns = now_ns
        self.nobody_ns = self.several_ns = 0

    def note(self, now_ns: int) -> None:
        """Take note of the time until now; called before anything changes, and at the end."""
        since_ns, self._seen_ns = self._seen_ns, now_ns
        ends = sorted(node.addresses.lease_end_ns for node in self._nodes)
        self.nobody_ns += max(0, now_ns - max(since_ns, ends[-1]))
        if len(ends) > 1:
            self.several_ns += max(0, min(now_ns, ends[-2]) - since_ns)
