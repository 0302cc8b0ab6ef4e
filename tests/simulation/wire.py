"""A simulated node's side of the wire: what it sends to each receiver, and what it accepts."""

from __future__ import annotations

from dataclasses import replace

from tests.simulation.settings import IFINDEX, OTHER_VRID, VRID, Cluster, NodeConfig, version_of

from vrrp.authentication import HmacKeys, Mode, ReplayMarks, SignatureClock, SimplePassword, sign
from vrrp.constants import AUTH_TYPE_NONE, AUTH_TYPE_SIMPLE, TTL
from vrrp.members import LearnedMembers
from vrrp.packet import Advertisement, checksum_cover, encode_message, seal_message
from vrrp.validation import Datagram, Election, Elections


class Encoder:
    """Encodes for one node and one configuration."""

    __slots__ = ("_cluster", "_config", "_learned", "_messages", "_source")

    def __init__(
        self, cluster: Cluster, config: NodeConfig, source: bytes, learned: LearnedMembers
    ) -> None:
        self._cluster = cluster
        self._config = config
        self._source = source
        self._learned = learned
        self._messages: dict[int, bytes] = {}

    def encode(
        self, priority: int, clock: SignatureClock, monotonic_ns: int, wall_ns: int
    ) -> list[tuple[int, Datagram]]:
        """Return (receiver, copy) for each receiver; a group's copy has the receiver -1."""
        cluster, keys = self._cluster, self._config.authentication
        message = self._message(priority)
        trailer = b""
        if isinstance(keys, HmacKeys) and keys.mode is not Mode.RECEIVE_ONLY:
            trailer = sign(keys, message, self._source, clock.next(monotonic_ns, wall_ns))
        if cluster.multicast:
            return [(-1, self._copy(message, trailer, cluster.family.group))]
        return [
            (peer, self._copy(message, trailer, cluster.addresses[peer]))
            for peer in sorted(self._config.peers | self._members())
        ]

    def _members(self) -> set[int]:
        """Return the nodes that the list does not have and that were learned."""
        return {self._cluster.addresses.index(address) for address in self._learned.known_ns}

    def _copy(self, message: bytes, trailer: bytes, destination: bytes) -> Datagram:
        cluster = self._cluster
        covered = checksum_cover(cluster.checksum, self._source, destination, len(message), trailer)
        data = seal_message(message, covered, trailer)
        return Datagram(cluster.family, self._source, destination, TTL, IFINDEX, data)

    def _message(self, priority: int) -> bytes:
        message = self._messages.get(priority)
        if message is None:
            password = self._config.authentication
            simple = isinstance(password, SimplePassword)
            message = self._messages[priority] = encode_message(
                Advertisement(
                    version_of(self._cluster, self._config),
                    VRID,
                    priority,
                    self._config.interval_cs,
                    self._cluster.virtual_addresses,
                    AUTH_TYPE_SIMPLE if simple else AUTH_TYPE_NONE,
                    password.data if isinstance(password, SimplePassword) else bytes(8),
                )
            )
        return message


def is_open(cluster: Cluster, config: NodeConfig) -> bool:
    """Return whether the election knows its members by signature."""
    keys = config.authentication
    return isinstance(keys, HmacKeys) and keys.stage is not None and not cluster.multicast


def elections(
    cluster: Cluster,
    config: NodeConfig,
    source: bytes,
    marks: ReplayMarks,
    learned: LearnedMembers,
) -> Elections:
    """Return what a node listens to: the simulated election, and another that trusts more.

    Nothing of that other one's trust may rub off.
    """
    election = Election(
        version=version_of(cluster, config),
        family=cluster.family,
        vrid=VRID,
        source=source,
        peers=frozenset(cluster.addresses[peer] for peer in config.peers),
        interval_cs=config.interval_cs,
        addresses=frozenset(cluster.virtual_addresses),
        group_ifindex=IFINDEX if cluster.multicast else 0,
        authentication=config.authentication,
        marks=marks,
        learned=learned if is_open(cluster, config) else None,
    )
    other = replace(
        election,
        vrid=OTHER_VRID,
        peers=frozenset((*cluster.addresses, cluster.stranger)) - {source},
        ttl_minimum=100,
        authentication=None,
        marks=ReplayMarks(),
        learned=None,
    )
    return Elections((election, other))
