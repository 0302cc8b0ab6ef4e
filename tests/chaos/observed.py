"""What a chaos run saw of one election, in one form for real nodes and simulated ones.

Times are nanoseconds of one clock; nodes count from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.plan import Fault

DOWN_ADVERTISEMENTS = 3
HANDOVER_GRACE_NS = 140_000_000
"""How long addresses stay after a successor was heard (architecture §4.7)."""
NOT_RUNNING = ""
"""The state of a node whose speaker was killed or has not told anything yet."""


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault as it was carried out: when it began and had its effect, and the same of the end."""

    fault: Fault
    begun_ns: int
    in_effect_ns: int
    mending_ns: int
    mended_ns: int


@dataclass(frozen=True, slots=True)
class Turn:
    """A node's Virtual Router became something; ``reason`` is empty where none was told."""

    at_ns: int
    node: int
    state: str
    reason: str = ""
    before: str = ""
    detail: str = ""
    """What a fault is, where that was seen."""


@dataclass(frozen=True, slots=True)
class Held:
    """A node gained or lost one of the addresses."""

    at_ns: int
    node: int
    address: str
    held: bool


@dataclass(frozen=True, slots=True)
class Election:
    """One VirtualIP: each node's priority, and its timers."""

    name: str
    priorities: Sequence[int]
    interval_ns: int
    unicast: bool = True
    """Whether it runs from peer to peer, whose hardware addresses have to be known."""

    # The arithmetic is RFC 9568 §6.1 and architecture §4, written out anew: a judge that asked the
    # code would believe it.

    def skew_ns(self, priority: int) -> int:
        """Return Skew_Time of a priority."""
        return (256 - priority) * self.interval_ns // 256

    def down_ns(self, node: int) -> int:
        """Return how long a node waits for an Active Router it does not hear."""
        return DOWN_ADVERTISEMENTS * self.interval_ns + self.skew_ns(self.priorities[node])

    def lease_ns(self, node: int) -> int:
        """Return how long a node has the addresses that it does not renew: whole seconds."""
        return -(-self.down_ns(node) // 1_000_000_000) * 1_000_000_000

    @property
    def handing_over_ns(self) -> int:
        """How long a node that stopped keeps the addresses for a successor."""
        return self.interval_ns + self.skew_ns(1)

    @property
    def settle_ns(self) -> int:
        """Within this the best is Active, after somebody worse was, where nothing goes wrong."""
        longest_ns = max(self.down_ns(node) for node in self.nodes)
        return 2 * longest_ns + self.interval_ns

    @property
    def nodes(self) -> range:
        """Every node."""
        return range(len(self.priorities))

    @property
    def best(self) -> int:
        """The node that has the addresses when nothing is wrong."""
        return max(self.nodes, key=lambda node: self.priorities[node])


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a world adds to the protocol's own times."""

    slack_ns: int
    """How late anything may be done, delivered or seen."""
    lease_fuzz_ns: int
    """How late the kernel notices the end of a lease."""
    install_ns: int
    """How long the kernel takes to put an IPv6 address into use, which it acknowledged before."""
    resolve_ns: int
    """How long a peer stays unknown whose hardware address was asked for in vain."""
    fork_ns: int
    """How long an engine's death lasts."""
    start_ns: int
    """How long a node takes from the end of its last fault until it takes part again."""


@dataclass(frozen=True, slots=True)
class Run:
    """One election from the moment it had settled until after the last fault was mended."""

    election: Election
    turns: Sequence[Turn]
    held: Sequence[Held]
    struck: Sequence[Struck]
    begun_ns: int
    ended_ns: int
    stalls: Sequence[tuple[int, int]] = ()
    """When the machine itself stood still."""
