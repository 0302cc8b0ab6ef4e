"""Injects datagrams that have to be rejected, and must leave no trace (keepalived's defect D1).

Everything an attacker on the link can do without the key: garbage, foreign sources, wrong
destinations and TTLs, spoilt copies that overtake the original, replays, unknown keys. It draws
from its own random stream, so that the same seed runs the same with and without it.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.simulation.lan import SimulatedLan
from tests.simulation.node import SimulatedNode
from tests.simulation.node_clocks import EPOCH_NS
from tests.simulation.settings import IFINDEX, KEYS, OTHER_VRID, SECOND, VRID

from vrrp.authentication import TRAILER_LENGTH, HmacKeys, Mode, SimplePassword, sign
from vrrp.constants import TTL, Family
from vrrp.packet import Advertisement, ChecksumForm, checksum_cover, encode_message, seal_message
from vrrp.validation import Datagram

_MEAN_GAP_NS = SECOND // 4
_YEAR_S = 31_536_000
_KEPT = 40


class Attacker:
    """Strikes at random for as long as virtual time passes."""

    def __init__(self, lan: SimulatedLan) -> None:
        self._lan = lan
        self._rng = random.Random(f"{lan.settings.seed} attacker")
        self._accepted: dict[int, tuple[object, list[Datagram]]] = {}
        self._made: list[Datagram] = []  # keeps identities unique for as long as they matter
        self._kinds: tuple[Callable[[SimulatedNode], Datagram | None], ...] = (
            self._garbage,
            self._foreign,
            self._other_destination,
            self._low_ttl,
            self._other_vrid,
            self._other_version,
            self._spoilt,
            self._empty,
            self._replayed,
            self._unsigned,
            self._wrong_key,
            self._unknown_key,
            self._renamed,
            self._other_interval,
            self._wrong_password,
            self._bent,
            self._captured_long_ago,
        )
        lan.wiretap = self
        for node in lan.nodes:
            node.on_accept = self._remember
        self._next()

    def _next(self) -> None:
        self._lan.after(1 + int(self._rng.expovariate(1 / _MEAN_GAP_NS)), self._strike)

    def _strike(self, now_ns: int) -> None:
        node = self._rng.choice(self._lan.nodes)
        forged = self._rng.choice(self._kinds)(node)
        if forged is not None:
            self._inject(now_ns, node, forged)
        self._next()

    def _inject(self, now_ns: int, node: SimulatedNode, forged: Datagram) -> None:
        # A frozen loop's socket may overflow, which is a trace; only a turning loop is struck.
        if not node.frozen:
            self._made.append(forged)
            node.injected.add(id(forged))
            node.receive(now_ns, forged)

    def about_to_arrive(
        self, now_ns: int, arrival_ns: int, node: SimulatedNode, datagram: Datagram
    ) -> None:
        """Sometimes let a spoilt copy overtake the original: a wrong checksum, another priority."""
        chance = self._rng.random()
        if chance > 0.1:
            return
        forged = _with_wrong_checksum(datagram)
        if chance < 0.05 and isinstance(node.config.authentication, HmacKeys):
            if len(datagram.message) == self._unsigned_length:
                return
            message = bytearray(datagram.message)
            message[2] = self._rng.choice([p for p in (0, 1, 254) if p != message[2]])
            forged = self._sealed(datagram._replace(message=bytes(message)))
        self._lan.at(arrival_ns, lambda at_ns: self._inject(at_ns, node, forged))

    def _remember(self, node: SimulatedNode, datagram: Datagram) -> None:
        life, heard = self._accepted.get(node.index, (None, []))
        if life is not node.marks:
            heard = []
        heard.append(datagram)
        self._accepted[node.index] = (node.marks, heard[-_KEPT:])

    # Forgeries -------------------------------------------------------------------------

    def _genuine(self, node: SimulatedNode) -> Datagram | None:
        """Return something this node accepted in this life."""
        life, heard = self._accepted.get(node.index, (None, []))
        return self._rng.choice(heard) if heard and life is node.marks else None

    def _garbage(self, node: SimulatedNode) -> Datagram:
        data = self._rng.randbytes(self._rng.randrange(60))
        source = self._peer(node)
        return Datagram(self._family, source, node.address, TTL, IFINDEX, data)

    def _foreign(self, node: SimulatedNode) -> Datagram | None:
        genuine = self._genuine(node)
        if genuine is None or self._lan.cluster.multicast:
            return None  # on a group's link every source may speak
        return self._forge(genuine.destination, self._lan.cluster.stranger, 254)

    def _other_destination(self, node: SimulatedNode) -> Datagram | None:
        genuine = self._genuine(node)
        return genuine and genuine._replace(destination=genuine.destination[:-1] + b"\xc9")

    def _low_ttl(self, node: SimulatedNode) -> Datagram | None:
        genuine = self._genuine(node)
        return genuine and genuine._replace(ttl=254)

    def _other_vrid(self, node: SimulatedNode) -> Datagram:
        return self._forge(self._destination(node), self._peer(node), 254, vrid=OTHER_VRID + 1)

    def _other_version(self, node: SimulatedNode) -> Datagram | None:
        if self._family is Family.IPV6:
            return None
        version = 5 - self._lan.cluster.version
        return self._forge(self._destination(node), self._peer(node), 254, version=version)

    def _spoilt(self, node: SimulatedNode) -> Datagram | None:
        genuine = self._genuine(node)
        return genuine and _with_wrong_checksum(genuine)

    def _empty(self, node: SimulatedNode) -> Datagram:
        """An advertisement of no addresses, or of no interval."""
        destination, source = self._destination(node), self._peer(node)
        if self._rng.random() < 0.5:
            return self._forge(destination, source, 254, addresses=())
        return self._forge(destination, source, 254, interval_cs=0)

    def _replayed(self, node: SimulatedNode) -> Datagram | None:
        """Something accepted before; unsigned, a replay cannot be told from the original."""
        life, heard = self._accepted.get(node.index, (None, []))
        if life is not node.marks or not isinstance(node.config.authentication, HmacKeys):
            return None
        known = [d for d in heard if self._is_marked(node, d)]
        return self._rng.choice(known)._replace() if known else None

    def _is_marked(self, node: SimulatedNode, datagram: Datagram) -> bool:
        """Return whether the last accepted sequence of its sender is just this one's."""
        mark = node.marks.marks.get(datagram.source)
        signed = len(datagram.message) > self._unsigned_length
        return signed and mark == int.from_bytes(datagram.message[-24:-16], "big")

    def _unsigned(self, node: SimulatedNode) -> Datagram | None:
        keys = node.config.authentication
        if not isinstance(keys, HmacKeys) or keys.mode is not Mode.ENFORCE:
            return None
        return self._forge(self._destination(node), self._peer(node), 254)

    def _wrong_key(self, node: SimulatedNode) -> Datagram | None:
        return self._signed(node, HmacKeys({1: bytes(32)}, 1, Mode.ENFORCE))

    def _unknown_key(self, node: SimulatedNode) -> Datagram | None:
        """The right bytes under an id that nobody has; the id is part of what is signed."""
        return self._signed(node, HmacKeys({9: KEYS[1]}, 9, Mode.ENFORCE))

    def _signed(self, node: SimulatedNode, keys: HmacKeys) -> Datagram | None:
        """Sign with another key, a year ahead: a mark that moved would deafen the node."""
        if not isinstance(node.config.authentication, HmacKeys):
            return None
        sequence = (EPOCH_NS // SECOND + _YEAR_S) << 32
        return self._forge(
            self._destination(node), self._peer(node), 254, keys=keys, sequence=sequence
        )

    def _renamed(self, node: SimulatedNode) -> Datagram | None:
        """What one peer signed, as if another had sent it."""
        genuine = self._genuine(node)
        keys = node.config.authentication
        if genuine is None or not isinstance(keys, HmacKeys):
            return None
        if len(genuine.message) == self._unsigned_length:
            return None
        others = {node.address, genuine.source}
        sources = [a for a in self._lan.cluster.addresses if a not in others]
        return self._sealed(genuine._replace(source=self._rng.choice(sources))) if sources else None

    def _other_interval(self, node: SimulatedNode) -> Datagram | None:
        if self._lan.cluster.version != 2:
            return None
        return self._forge(self._destination(node), self._peer(node), 254, interval_cs=700)

    def _wrong_password(self, node: SimulatedNode) -> Datagram | None:
        if not isinstance(node.config.authentication, SimplePassword):
            return None
        return self._forge(self._destination(node), self._peer(node), 254, password=b"guessing")

    def _bent(self, node: SimulatedNode) -> Datagram | None:
        """Another type, too short, too long, a reserved field of the trailer in use."""
        genuine = self._genuine(node)
        if genuine is None:
            return None
        data = genuine.message
        choices = [bytes((data[0] + 1,)) + data[1:], data[:-1], data + b"\0"]
        if len(data) > self._unsigned_length:
            start = len(data) - TRAILER_LENGTH
            choices.append(data[: start + 2] + b"\1" + data[start + 3 :])
        return genuine._replace(message=self._rng.choice(choices))

    def _captured_long_ago(self, node: SimulatedNode) -> Datagram | None:
        """Signed by a peer a year ago, and not heard of since."""
        keys = node.config.authentication
        if not isinstance(keys, HmacKeys):
            return None
        sequence = (EPOCH_NS // SECOND - _YEAR_S) << 32
        return self._forge(
            self._destination(node), self._peer(node), 254, keys=keys, sequence=sequence
        )

    # Helpers ---------------------------------------------------------------------------

    @property
    def _family(self) -> Family:
        return self._lan.cluster.family

    @property
    def _unsigned_length(self) -> int:
        tail = 8 if self._lan.cluster.version == 2 else 0
        return 8 + 2 * self._family.address_length + tail

    def _destination(self, node: SimulatedNode) -> bytes:
        return self._family.group if self._lan.cluster.multicast else node.address

    def _peer(self, node: SimulatedNode) -> bytes:
        others = [address for address in self._lan.cluster.addresses if address != node.address]
        return self._rng.choice(others)

    def _forge(
        self,
        destination: bytes,
        source: bytes,
        priority: int,
        *,
        vrid: int = VRID,
        interval_cs: int = 100,
        addresses: tuple[bytes, ...] | None = None,
        keys: HmacKeys | None = None,
        sequence: int = 0,
        version: int | None = None,
        password: bytes | None = None,
    ) -> Datagram:
        """Return an advertisement that is right but for what the arguments make wrong."""
        cluster = self._lan.cluster
        advertisement = Advertisement(
            version or cluster.version,
            vrid,
            priority,
            interval_cs,
            cluster.virtual_addresses if addresses is None else addresses,
            auth_type=1 if password else 0,
            auth_data=password or bytes(8),
        )
        message = encode_message(advertisement)
        trailer = sign(keys, message, source, sequence) if keys else b""
        bare = Datagram(cluster.family, source, destination, TTL, IFINDEX, message + trailer)
        return self._sealed(bare, len(trailer))

    def _sealed(self, bare: Datagram, trailer_length: int = TRAILER_LENGTH) -> Datagram:
        """Return a datagram with its checksum made right."""
        length = len(bare.message) - trailer_length
        message, trailer = bare.message[:length], bare.message[length:]
        message = message[:6] + b"\0\0" + message[8:]
        form = self._lan.cluster.checksum
        if message[0] >> 4 == 2:
            form = ChecksumForm.MESSAGE_ONLY
        covered = checksum_cover(form, bare.source, bare.destination, length, trailer)
        return bare._replace(message=seal_message(message, covered, trailer))


def _with_wrong_checksum(datagram: Datagram) -> Datagram:
    data = bytearray(datagram.message)
    if len(data) > 7:
        data[6] ^= 0x55
        data[7] ^= 0xAA
    return datagram._replace(message=bytes(data))
