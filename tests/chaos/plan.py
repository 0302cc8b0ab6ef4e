"""Which faults a chaos seed plants: what, on which nodes, when, and for how long.

A pure function of seed and duration. ``tests/netns/test_chaos.py`` carries a plan out on real nodes
in real time, ``python -m tests.simulation --chaos-seed`` in the simulated LAN in virtual time.

Storms and calms take turns. In a storm a node is struck every half second or so, each node by one
fault at a time, and one node is always whole. In a calm everything has been mended, so that a
cluster at rest is met many times in one run.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

NODES = 4
VIRTUAL_IPS = 10
INTERVAL_MS = 200
BEST_PRIORITY, PRIORITY_STEP = 200, 25
CALM_MS = 10_000
"""A node that lost its power is back after three or four seconds; the rest is peace."""
_STORM_MS = (8_000, 16_000)
_GAP_MS = (100, 1_000)
_SHORT_MS, _LONG_MS = (300, 3_000), (3_000, 8_000)
_LONG_SHARE = 0.15
"""Short are from less than a down interval to several leases; neighbour caches outlast that."""
_LOSS_PERCENT = (10, 60)
_ENGINE_PROVES_MS = 1_000
"""Left alone so long that the supervisor does not take the next death for a crash loop."""


class Kind(StrEnum):
    """What can be done to a node."""

    KILL = "kill"
    """Every process of the speaker is killed at once."""
    ENGINE = "engine"
    """The engine alone is killed: its successor resumes."""
    STOP = "stop"
    """SIGTERM, as Kubernetes does: addresses are handed over."""
    FREEZE = "freeze"
    """No process of the speaker turns."""
    CUT = "cut"
    """The cable is pulled, and the node sees it."""
    PARTITION = "partition"
    """Nothing passes between the node and some of the others."""
    MUTE = "mute"
    """Nothing passes from the node to some of the others; it hears them."""
    LOSS = "loss"
    """A share of the node's packets is lost, each way."""
    POWER = "power"
    """The machine is gone, and boots without what it knew."""


ENDS_THE_SPEAKER = frozenset((Kind.KILL, Kind.STOP, Kind.POWER))
"""The speaker is started again when these are mended."""
DIVIDES = frozenset((Kind.PARTITION, Kind.MUTE, Kind.LOSS))
"""Nodes that live do not hear each other well."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; times are milliseconds since the chaos began, nodes count from 0."""

    kind: Kind
    node: int
    begins_ms: int
    ends_ms: int
    others: tuple[int, ...] = ()
    """The far ends of a partition."""
    percent: int = 0
    """How much is lost."""

    def __str__(self) -> str:
        """Say it in one line."""
        lasts = f" for {(self.ends_ms - self.begins_ms) / 1e3:.2f} s" * (
            self.kind is not Kind.ENGINE
        )
        others = f" from {', '.join(f'node-{n + 1}' for n in self.others)}" * bool(self.others)
        percent = f" of {self.percent} %" * bool(self.percent)
        node = f"node-{self.node + 1}"
        return f"{self.begins_ms / 1e3:7.2f} s {self.kind} {node}{others}{percent}{lasts}"


def plan(seed: int, seconds: float, nodes: int = NODES) -> tuple[Fault, ...]:
    """Return the faults of a seed that begin within so many seconds, in the order of beginning."""
    rng = random.Random(f"{seed} chaos")
    end_ms, now_ms = int(seconds * 1000), 0
    faults: list[Fault] = []
    while now_ms < end_ms:
        storm = list(_storm(rng, now_ms, nodes))
        faults += storm
        now_ms = max(fault.ends_ms for fault in storm) + CALM_MS
    return tuple(fault for fault in faults if fault.begins_ms < end_ms)


def _storm(rng: random.Random, now_ms: int, nodes: int) -> Iterator[Fault]:
    """Yield the faults of one storm, at least one."""
    end_ms = now_ms + rng.randint(*_STORM_MS)
    mended_ms = [now_ms] * nodes
    while now_ms < end_ms:
        free = [node for node in range(nodes) if mended_ms[node] <= now_ms]
        if len(free) > 1:
            fault = _fault(rng, now_ms, rng.choice(free), nodes)
            mended_ms[fault.node] = fault.ends_ms
            yield fault
        now_ms += rng.randint(*_GAP_MS)


def _fault(rng: random.Random, now_ms: int, node: int, nodes: int) -> Fault:
    kind = rng.choice(tuple(Kind))
    lasts_ms = rng.randint(*(_LONG_MS if rng.random() < _LONG_SHARE else _SHORT_MS))
    others: tuple[int, ...] = ()
    percent = 0
    match kind:
        case Kind.ENGINE:
            lasts_ms = _ENGINE_PROVES_MS
        case Kind.PARTITION | Kind.MUTE:
            far = [other for other in range(nodes) if other != node]
            others = tuple(sorted(rng.sample(far, rng.randint(1, len(far)))))
        case Kind.LOSS:
            percent = rng.randint(*_LOSS_PERCENT)
    return Fault(kind, node, now_ms, now_ms + lasts_ms, others, percent)


# The elections that are disturbed ----------------------------------------------------------


def ranks(virtual_ip: int, nodes: int = NODES) -> list[int]:
    """Return the nodes of a VirtualIP, best first."""
    return random.Random(virtual_ip).sample(range(nodes), nodes)


def priorities(virtual_ip: int, nodes: int = NODES) -> list[int]:
    """Return each node's priority for a VirtualIP."""
    order = ranks(virtual_ip, nodes)
    return [BEST_PRIORITY - PRIORITY_STEP * order.index(node) for node in range(nodes)]


def over_ipv6(virtual_ip: int) -> bool:
    """Return whether the election runs over IPv6: a third of them has no other address."""
    return virtual_ip % 3 == 2


def by_multicast(virtual_ip: int) -> bool:
    """Return whether the election runs over the group and not from peer to peer."""
    return virtual_ip % 2 == 1
