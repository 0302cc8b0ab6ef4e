"""The engine program: one node's configuration as ready bytes (``reading`` makes it)."""

from __future__ import annotations

from dataclasses import dataclass

from vrrp.authentication import Authentication, HmacKeys
from vrrp.constants import Family
from vrrp_speaker.shared_state import FrameKind

Place = tuple[int, bytes]
"""The index of an interface, and a packed address on it."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another router of the same election; ``address`` is packed, ``external`` not of ours."""

    node: str
    address: bytes
    external: bool = False


@dataclass(frozen=True, slots=True)
class AddressProgram:
    """One address: what it is, and the netlink requests that bind (or renew) and remove it."""

    address: bytes
    prefix_length: int
    ifindex: int
    add: bytes
    delete: bytes

    def replaces_route_of(self, before: AddressProgram) -> bool:
        """Return whether it brings a route to another network, so that the old one has to go first.

        Where a route only came or went the requests differ in length, and nothing has to go.
        """
        return self.delete != before.delete and len(self.delete) == len(before.delete)


@dataclass(frozen=True, slots=True)
class Frame:
    """One ready Ethernet frame that tells where ``address`` is, or asks who has it."""

    address: bytes
    ifindex: int
    kind: FrameKind
    data: bytes


@dataclass(frozen=True, slots=True)
class Pace:
    """How often frames are sent: rounds of a burst, one more later, then refreshes.

    ``repeat_after_ns`` and ``refresh_ns`` 0: never.
    """

    burst: int
    repeat_after_ns: int
    refresh_ns: int


@dataclass(frozen=True, slots=True)
class RouterProgram:
    """One Virtual Router; ``faults`` are those the compiler found, and hold it in Fault."""

    name: str
    slot: int
    vrid: int
    version: int
    family: Family
    ifindex: int
    source: bytes
    base_priority: int
    adver_interval_ns: int
    down_advertisements: int
    preempt: bool
    preempt_delay_ns: int
    require_majority: bool
    """Whether the router takes part only while most candidates answer."""
    take_over: str
    """Asks for ``TakeOver`` whenever it changes to something; empty asks for nothing.

    FIRST_HOLDER asks a router that comes to a running engine for no more than to listen first.
    """
    multicast: bool
    ttl_send: int
    ttl_minimum: int
    checksum: str
    authentication: Authentication
    peers: tuple[Peer, ...]
    addresses: tuple[AddressProgram, ...]
    announcements: tuple[Frame, ...]
    announcement_plan: Pace
    source_announcements: tuple[Frame, ...]
    """Tell peers where the node's own address is, when the link comes up."""
    probes: tuple[Frame, ...]
    """Ask who has the addresses; none where conflicts are not looked for."""
    faults: tuple[str, ...]
    has_checks: bool

    @property
    def open(self) -> bool:
        """Whether members beyond the list are known by their signature."""
        keys = self.authentication
        return isinstance(keys, HmacKeys) and keys.stage is not None and not self.multicast

    @property
    def identity(self) -> tuple[int, int, Family]:
        """What a running router keeps for life; where it differs, another router begins."""
        return self.vrid, self.version, self.family


@dataclass(frozen=True, slots=True)
class Concerns:
    """What the configuration names of the node: interfaces, and addresses (packed).

    These are the virtual addresses and the node's own, also of routers that could not be placed.
    ``networks``: those of virtual addresses, as (address, prefix length).
    """

    interfaces: frozenset[str]
    addresses: frozenset[bytes]
    networks: frozenset[tuple[bytes, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class EngineProgram:
    """Everything one engine runs; ``generation`` is the NodeConfig's."""

    node: str
    generation: int
    routers: tuple[RouterProgram, ...]
    concerns: Concerns | None = None
    """None: the agent was of a version that did not tell."""
