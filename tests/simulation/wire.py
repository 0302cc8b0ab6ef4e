"""A simulated node's side of the wire: what it sends to each receiver, and what it accepts."""

from __future__ import annotations

from dataclasses import replace

from tests.simulation.settings import IFINDEX, OTHER_VRID, VRID, Cluster, NodeConfig

from vrrp.authentication import HmacKeys, Mode, ReplayMarks, SignatureClock, SimplePassword, sign
from vrrp.constants import AUTH_TYPE_NONE, AUTH_TYPE_SIMPLE, TTL
from vrrp.packet import Advertisement, checksum_cover, encode_message, seal_message
from vrrp.validation import Datagram, Election, Elections


class Encoder:
    """Encodes for one node and one configuration."""

    __slots__ = ("_cluster", "_config", "_messages", "_source")

    def __init__(self, cluster: Cluster, config: NodeConfig, source: bytes) -> None:
        self._cluster = cluster
        self._config = config
        self._source = source
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
            for peer in sorted(self._config.peers)
        ]

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
                    self._cluster.version,
                    VRID,
                    priority,
                    self._config.interval_cs,
                    self._cluster.virtual_addresses,
                    AUTH_TYPE_SIMPLE if simple else AUTH_TYPE_NONE,
                    password.data if isinstance(password, SimplePassword) else bytes(8),
                )
            )
        return message


def elections(cluster: Cluster, config: NodeConfig, source: bytes, marks: ReplayMarks) -> Elections:
    """Return what a node listens to: the simulated election, and another that trusts more.

    Nothing of that other one's trust may rub off.
    """
    election = Election(
        version=cluster.version,
        family=cluster.family,
        vrid=VRID,
        source=source,
        peers=frozenset(cluster.addresses[peer] for peer in config.peers),
        interval_cs=config.interval_cs,
        addresses=frozenset(cluster.virtual_addresses),
        group_ifindex=IFINDEX if cluster.multicast else 0,
        authentication=config.authentication,
        marks=marks,
    )
    other = replace(
        election,
        vrid=OTHER_VRID,
        peers=frozenset((*cluster.addresses, cluster.stranger)) - {source},
        ttl_minimum=100,
        authentication=None,
        marks=ReplayMarks(),
    )
    return Elections((election, other))
