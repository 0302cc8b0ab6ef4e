"""What a node may be configured to hear, each with a datagram that is right for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.unit.vrrp.wire import GROUP4, GROUP6, KEY, compose, packed, sealed, stamp, trailer

from vrrp.authentication import HmacKeys, Mode, ReplayMarks, SimplePassword
from vrrp.constants import NS_PER_SECOND, Family
from vrrp.validation import Datagram, Election

WALL_S = 1_750_000_000
WALL_NS = WALL_S * NS_PER_SECOND
IFINDEX = 7
VRID = 51

ME, PEER, OTHER_PEER, STRANGER = (packed(f"192.0.2.{n}") for n in (11, 12, 13, 99))
ME6, PEER6, OTHER_PEER6, STRANGER6 = (packed(f"2001:db8::{n}") for n in (11, 12, 13, 99))
VIP, VIP6 = packed("192.0.2.50"), packed("fe80::50")
KEYS = HmacKeys({1: KEY, 2: bytes(range(64, 128))}, active=1, mode=Mode.ENFORCE)
PASSWORD = b"secret"


@dataclass(frozen=True)
class Setting:
    """An election, and a datagram of its peer that it accepts."""

    name: str
    election: Election
    datagram: Datagram

    def fresh(self) -> Election:
        """Return the election as it is before it heard anybody."""
        return replace(self.election, marks=ReplayMarks())

    def resealed(self, change: Callable[[bytes], bytes]) -> Datagram:
        """Return the datagram with a changed message, its signature and checksum right for it."""
        whole = self.datagram.message
        signed = isinstance(self.election.authentication, HmacKeys)
        message = change(whole[:-28] if signed else whole)
        end = trailer(message, self.datagram.source, stamp(WALL_S)) if signed else b""
        sent = sealed(message, self.datagram.source, self.datagram.destination, end)
        return self.datagram._replace(message=sent)


def put(index: int, value: int) -> Callable[[bytes], bytes]:
    """Return a change of one byte of a message."""
    return lambda message: message[:index] + bytes((value,)) + message[index + 1 :]


def _setting(
    name: str, election: Election, destination: bytes, message: bytes, *, sign: bool = False
) -> Setting:
    peer = PEER if election.family is Family.IPV4 else PEER6
    end = trailer(message, peer, stamp(WALL_S)) if sign else b""
    sent = sealed(message, peer, destination, end)
    return Setting(name, election, Datagram(election.family, peer, destination, 255, IFINDEX, sent))


def _settings() -> tuple[Setting, ...]:
    v2 = Election(2, Family.IPV4, VRID, ME, frozenset({PEER}), 100, frozenset({VIP}))
    v3 = replace(v2, version=3)
    v6 = Election(3, Family.IPV6, VRID, ME6, frozenset({PEER6}), 100, frozenset({VIP6}))
    password = replace(v2, authentication=SimplePassword(PASSWORD))
    old, new, new6 = compose(version=2), compose(), compose(addresses=(VIP6,))
    with_password = compose(version=2, word=0x0101, tail=b"secret\0\0")

    def keyed(election: Election) -> Election:
        return replace(election, authentication=KEYS)

    def grouped(election: Election) -> Election:
        return replace(election, group_ifindex=IFINDEX, peers=frozenset())

    return (
        _setting("v2", v2, ME, old),
        _setting("v2-password", password, ME, with_password),
        _setting("v2-signed", keyed(v2), ME, old, sign=True),
        _setting("v2-multicast", grouped(v2), GROUP4, old),
        _setting("v3", v3, ME, new),
        _setting("v3-signed", keyed(v3), ME, new, sign=True),
        _setting("v3-multicast", grouped(v3), GROUP4, new),
        _setting("v3-multicast-signed", grouped(keyed(v3)), GROUP4, new, sign=True),
        _setting("v6", v6, ME6, new6),
        _setting("v6-signed", keyed(v6), ME6, new6, sign=True),
        _setting("v6-multicast", grouped(v6), GROUP6, new6),
        _setting("v6-multicast-signed", grouped(keyed(v6)), GROUP6, new6, sign=True),
    )


SETTINGS = {setting.name: setting for setting in _settings()}
"""By name: version or family, and what is special."""
