"""What one seed draws: the cluster, its configuration, and how often which fault strikes ("swarm").

Every value comes from ``random.Random(seed)``. Most faults are off in any one seed, and those that
are on differ in weight, so that rare combinations are met by themselves.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from vrrp.authentication import Authentication, HmacKeys, Mode, SimplePassword
from vrrp.constants import NS_PER_CENTISECOND, NS_PER_SECOND, VERSION_2, VERSION_3, Family
from vrrp.packet import ChecksumForm

MS = 1_000_000
SECOND = NS_PER_SECOND
VRID, OTHER_VRID = 51, 52
IFINDEX = 7
FIRST_KEY, SECOND_KEY = 1, 2
KEYS = {1: bytes(range(32)), 2: bytes(range(100, 140)), 3: bytes(range(50, 100))}


@dataclass(frozen=True, slots=True)
class Cluster:
    """What stays as it is during one simulation."""

    version: int
    family: Family
    multicast: bool
    checksum: ChecksumForm
    addresses: tuple[bytes, ...]
    """The source address of each node, by its index."""
    latency_ns: int
    """The longest delay of a healthy LAN."""
    lateness_ns: int
    """How late a healthy loop turns at most."""

    @property
    def stranger(self) -> bytes:
        """An address on the link that is no node's."""
        return self.addresses[0][:-1] + b"\xc8"

    @property
    def virtual_addresses(self) -> tuple[bytes, ...]:
        """The addresses the election is about."""
        if self.family is Family.IPV4:
            return (bytes((192, 0, 2, 100)), bytes((192, 0, 2, 101)))
        return (b"\x20\x01\x0d\xb8" + bytes(11) + b"\x64", b"\xfe\x80" + bytes(13) + b"\x64")


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """What one node is told; a roll-out replaces it node by node."""

    priority: int
    interval_ns: int
    down_advertisements: int
    preempt: bool
    preempt_delay_ns: int
    peers: frozenset[int]
    authentication: Authentication
    take_over: int = 0
    """A number it did not have before: it is named the successor."""
    version: int | None = None
    """Of the protocol; None: the cluster's."""
    first: bool = False
    """Where it comes to the election by this: it is named the first to have the addresses."""

    @property
    def interval_cs(self) -> int:
        """The interval as the wire has it."""
        return self.interval_ns // NS_PER_CENTISECOND


@dataclass(frozen=True, slots=True)
class FaultRates:
    """How bad the LAN is, and which faults strike how often, until everything heals."""

    loss: float
    duplicate: float
    reorder: float
    reorder_ns: int
    mean_gap_ns: int
    weights: dict[str, int]


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything one seed decides before virtual time begins."""

    seed: int
    cluster: Cluster
    configs: tuple[NodeConfig, ...]
    rates: FaultRates
    late_joiner: bool
    """The last node is in nobody's configuration until a roll-out adds it."""
    wrong_at_boot: bool = False
    """Whether nodes come back from a loss of power with a wrong wall clock, put right later."""

    @property
    def size(self) -> int:
        """How many nodes there are, one that joins late included."""
        return len(self.configs)


FAULTS = (
    "split",
    "one_way",
    "crash",
    "power_off",
    "replace_engine",
    "freeze",
    "clock_step",
    "node_fault",
    "priority_change",
    "release",
    "reconfigure",
    "rotate_keys",
    "name_successor",
)


def draw(seed: int) -> Settings:
    """Return the settings of a seed."""
    rng = random.Random(f"{seed} settings")
    size = rng.choice((2, 3, 3, 3, 4, 5))
    version = rng.choice((VERSION_2, VERSION_3, VERSION_3, VERSION_3))
    family = Family.IPV4 if version == VERSION_2 else rng.choice((Family.IPV4, Family.IPV6))
    interval_ns = draw_interval(rng, version)
    down_advertisements = rng.choice((1, 2, 3, 3, 3, 3, 5))
    # Where one lost advertisement is a takeover, skew is all the room that delays have.
    shortest_ns = (SECOND if version == VERSION_2 else 100 * MS) // (
        500 if down_advertisements == 1 else 100
    )
    cluster = Cluster(
        version=version,
        family=family,
        multicast=rng.random() < 0.25,
        checksum=_draw_checksum(rng, version, family),
        addresses=node_addresses(rng, family, size),
        latency_ns=rng.randint(MS // 10, shortest_ns),
        lateness_ns=rng.randint(0, shortest_ns),
    )
    late_joiner = size > 2 and rng.random() < 0.15
    founders = frozenset(range(size - 1 if late_joiner else size))
    common = NodeConfig(
        priority=100,
        interval_ns=interval_ns,
        down_advertisements=down_advertisements,
        preempt=rng.random() < 0.65,
        preempt_delay_ns=rng.choice((0, 0, 0, 700 * MS, 2_300 * MS)),
        peers=founders,
        authentication=_draw_authentication(rng, version),
    )
    configs = tuple(
        with_config(common, priority=priority, peers=founders - {index})
        for index, priority in enumerate(_draw_priorities(rng, size))
    )
    rates = _draw_rates(rng)
    return Settings(seed, cluster, configs, rates, late_joiner, rng.random() < 0.3)


def with_config(
    config: NodeConfig,
    *,
    priority: int | None = None,
    interval_ns: int | None = None,
    down_advertisements: int | None = None,
    preempt: bool | None = None,
    preempt_delay_ns: int | None = None,
    peers: frozenset[int] | None = None,
    authentication: Authentication = None,
    take_over: int = 0,
) -> NodeConfig:
    """Return a configuration with what is given replaced."""
    return NodeConfig(
        priority or config.priority,
        interval_ns or config.interval_ns,
        down_advertisements or config.down_advertisements,
        config.preempt if preempt is None else preempt,
        config.preempt_delay_ns if preempt_delay_ns is None else preempt_delay_ns,
        config.peers if peers is None else peers,
        authentication or config.authentication,
        take_over or config.take_over,
        config.version,
    )


def version_of(cluster: Cluster, config: NodeConfig) -> int:
    """Return the version of the protocol that a node speaks."""
    return config.version or cluster.version


def draw_interval(rng: random.Random, version: int) -> int:
    """Return an advertisement interval that the version can carry."""
    if version == VERSION_2:
        return SECOND
    return rng.choice((100, 200, 300, 500, 500, 700, 1000, 1000)) * MS


def node_addresses(rng: random.Random, family: Family, size: int) -> tuple[bytes, ...]:
    """Return an address for each node, in no order that the priorities know."""
    hosts = rng.sample(range(1, 90), size)
    if family is Family.IPV4:
        return tuple(bytes((192, 0, 2, host)) for host in hosts)
    return tuple(b"\xfe\x80" + bytes(13) + bytes((host,)) for host in hosts)


def _draw_priorities(rng: random.Random, size: int) -> list[int]:
    """Return priorities far apart; in some seeds close together, or equal."""
    if rng.random() < 0.2:
        return [rng.choice((1, 99, 100, 101, 254)) for _ in range(size)]
    return rng.sample(range(20, 255, 40), size)


def _draw_checksum(rng: random.Random, version: int, family: Family) -> ChecksumForm:
    if version == VERSION_2:
        return ChecksumForm.MESSAGE_ONLY
    if family is Family.IPV6:
        return ChecksumForm.PSEUDO_HEADER
    return rng.choice(tuple(ChecksumForm))


def _draw_authentication(rng: random.Random, version: int) -> Authentication:
    if version == VERSION_2 and rng.random() < 0.3:
        return SimplePassword(b"secret")
    if rng.random() < 0.25:
        return None
    mode = rng.choice((Mode.RECEIVE_ONLY, Mode.PERMISSIVE, Mode.ENFORCE, Mode.ENFORCE))
    return HmacKeys({FIRST_KEY: KEYS[FIRST_KEY]}, FIRST_KEY, mode)


def _draw_rates(rng: random.Random) -> FaultRates:
    return FaultRates(
        loss=rng.choice((0.0, 0.0, 0.02, 0.1, 0.3)),
        duplicate=rng.choice((0.0, 0.05, 0.3)),
        reorder=rng.choice((0.0, 0.05, 0.2)),
        reorder_ns=rng.choice((20, 200, 1500)) * MS,
        mean_gap_ns=rng.choice((500, 1500, 4000)) * MS,
        weights={kind: rng.choice((0, 0, 1, 1, 4)) for kind in FAULTS},
    )
