"""What is odd about an accepted advertisement: observed, counted, never a reason to discard it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.vrrp.settings import KEYS, ME, PEER, PEER6, SETTINGS, VIP, VIP6, WALL_NS
from tests.unit.vrrp.wire import compose, packed, sealed, with_checksum

from vrrp.authentication import Mode
from vrrp.observations import Observation, observe
from vrrp.validation import Accepted, Election, Elections

V3, V6 = SETTINGS["v3"], SETTINGS["v6"]
PSEUDO = Observation.CHECKSUM_PSEUDO_HEADER


def observed(election: Election, message: bytes, *, name: str = "v3") -> set[Observation]:
    """Return what a node of priority 150 observes about a message."""
    datagram = SETTINGS[name].datagram._replace(message=message)
    accepted = Elections([election]).validate(datagram, WALL_NS)
    assert isinstance(accepted, Accepted)
    return set(observe(accepted, election, 150))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (sealed(compose(), PEER, ME), (PSEUDO,)),
        (with_checksum(compose()), (Observation.CHECKSUM_MESSAGE_ONLY,)),
        (sealed(compose(word=99), PEER, ME), (PSEUDO, Observation.INTERVAL_DIFFERS)),
        (
            sealed(compose(addresses=(packed("192.0.2.51"),)), PEER, ME),
            (PSEUDO, Observation.ADDRESSES_DIFFER),
        ),
        (
            sealed(compose(addresses=(VIP, packed("192.0.2.51"))), PEER, ME),
            (PSEUDO, Observation.ADDRESSES_DIFFER),
        ),
        (sealed(compose(priority=150), PEER, ME), (PSEUDO, Observation.EQUAL_PRIORITY)),
        (sealed(compose(priority=149), PEER, ME), (PSEUDO,)),
        (sealed(compose(priority=255), PEER, ME), (PSEUDO, Observation.FOREIGN_OWNER)),
        (sealed(compose(priority=254), PEER, ME), (PSEUDO,)),
        (
            sealed(compose(priority=255, word=50, addresses=(ME,)), PEER, ME),
            (
                PSEUDO,
                Observation.INTERVAL_DIFFERS,
                Observation.ADDRESSES_DIFFER,
                Observation.FOREIGN_OWNER,
            ),
        ),
    ],
)
def test_observe_names_each_oddity(message: bytes, expected: tuple[Observation, ...]) -> None:
    assert observed(V3.fresh(), message) == set(expected)


def test_observe_addresses_in_another_order_are_the_same() -> None:
    other = packed("192.0.2.51")
    election = replace(V3.fresh(), addresses=frozenset({VIP, other}))
    for addresses in ((VIP, other), (other, VIP)):
        assert observed(election, sealed(compose(addresses=addresses), PEER, ME)) == {PSEUDO}


def test_observe_group_checksum_is_named() -> None:
    setting = SETTINGS["v3-multicast"]
    message = sealed(compose(), PEER, setting.datagram.destination)
    found = observed(V3.fresh(), message)  # received in unicast: keepalived up to 1.3.6
    assert found == {Observation.CHECKSUM_GROUP_PSEUDO_HEADER}


@pytest.mark.parametrize("mode", [Mode.PERMISSIVE, Mode.RECEIVE_ONLY])
def test_observe_unsigned_where_keys_are_configured(mode: Mode) -> None:
    election = replace(V3.fresh(), authentication=replace(KEYS, mode=mode))
    assert observed(election, V3.datagram.message) == {PSEUDO, Observation.UNSIGNED}


def test_observe_signed_is_not_odd() -> None:
    setting = SETTINGS["v3-signed"]
    assert observed(setting.fresh(), setting.datagram.message, name="v3-signed") == {PSEUDO}


@pytest.mark.parametrize(
    ("addresses", "odd"),
    [
        ((VIP6,), False),
        ((VIP6, packed("2001:db8::1")), False),
        ((packed("2001:db8::1"), VIP6), True),
    ],
)
def test_observe_first_ipv6_address_that_is_not_link_local(
    addresses: tuple[bytes, ...], odd: bool
) -> None:
    # RFC 9568 erratum 8300 wants it checked; peers in unicast send global addresses.
    election = replace(V6.fresh(), addresses=frozenset(addresses))
    message = sealed(compose(addresses=addresses), PEER6, V6.datagram.destination)
    expected = {PSEUDO, Observation.FIRST_ADDRESS_NOT_LINK_LOCAL} if odd else {PSEUDO}
    assert observed(election, message, name="v6") == expected
