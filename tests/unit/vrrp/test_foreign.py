"""Which refused datagrams show another router with an election's VRID."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.vrrp.settings import (
    ME,
    ME6,
    PEER,
    SETTINGS,
    STRANGER,
    STRANGER6,
    VIP6,
    VRID,
    WALL_S,
    Setting,
)
from tests.unit.vrrp.wire import GROUP4, GROUP6, compose, sealed, stamp, trailer, with_checksum

from vrrp.constants import Family
from vrrp.foreign import foreign_advertisement
from vrrp.validation import Datagram

UNICAST = SETTINGS["v3"].election
ALL = pytest.mark.parametrize("setting", SETTINGS.values(), ids=lambda setting: setting.name)


def strangers(destination: bytes = GROUP4, ttl: int = 255, **fields: int) -> Datagram:
    """Return a stranger's advertisement, fields of the message changed."""
    return wrapped(sealed(compose(**fields), STRANGER, destination), destination, ttl)  # type: ignore[arg-type]  # numbers by name


def wrapped(message: bytes, destination: bytes = GROUP4, ttl: int = 255) -> Datagram:
    return Datagram(Family.IPV4, STRANGER, destination, ttl, 7, message)


@ALL
def test_right_advertisement_of_a_stranger_is_foreign_in_every_setting(setting: Setting) -> None:
    six = setting.election.family is Family.IPV6
    source, group = (STRANGER6, GROUP6) if six else (STRANGER, GROUP4)
    message = sealed(compose(addresses=(VIP6,)) if six else compose(priority=150), source, group)
    datagram = Datagram(setting.election.family, source, group, 255, 7, message)
    found = foreign_advertisement(datagram, setting.election)
    assert found is not None
    assert (found.vrid, found.priority) == (VRID, 100 if six else 150)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("destination", [ME, GROUP4])
def test_version_and_destination_are_the_strangers_affair(version: int, destination: bytes) -> None:
    assert foreign_advertisement(strangers(destination, version=version), UNICAST) is not None


def test_signed_advertisement_of_another_cluster_is_foreign() -> None:
    message = compose()
    signed = sealed(message, STRANGER, GROUP4, trailer(message, STRANGER, stamp(WALL_S)))
    assert foreign_advertisement(wrapped(signed), UNICAST) is not None


@ALL
def test_what_the_election_accepts_is_not_foreign_to_it(setting: Setting) -> None:
    if not setting.election.group_ifindex:  # there every router of the link may take part
        assert foreign_advertisement(setting.datagram, setting.election) is None


@pytest.mark.parametrize("source", [ME, PEER])
def test_the_elections_own_routers_are_not_foreign(source: bytes) -> None:
    message = sealed(compose(version=2), source, GROUP4)  # refused: another version
    datagram = Datagram(Family.IPV4, source, GROUP4, 255, 7, message)
    assert foreign_advertisement(datagram, UNICAST) is None


@pytest.mark.parametrize(
    "datagram",
    [
        strangers(ttl=254),
        strangers(vrid=52),
        strangers(kind=2),
        strangers(version=4),
        strangers(priority=0),
        wrapped(b""),
        wrapped(bytes(7)),
        wrapped(sealed(compose(count=2), STRANGER, GROUP4)),
        wrapped(sealed(compose(), STRANGER, GROUP4) + bytes(8)),
        wrapped(with_checksum(compose())[:-1] + b"\1"),
    ],
)
def test_what_is_no_advertisement_with_our_vrid_is_no_router(datagram: Datagram) -> None:
    assert foreign_advertisement(datagram, UNICAST) is None


def test_one_that_crossed_a_router_is_foreign_where_such_are_accepted() -> None:
    far = replace(UNICAST, ttl_minimum=60)
    assert foreign_advertisement(strangers(ttl=60), far) is not None
    assert foreign_advertisement(strangers(ttl=59), far) is None


def test_the_other_family_is_another_election() -> None:
    six = SETTINGS["v6"].election
    assert foreign_advertisement(strangers(ME6[:4]), six) is None
