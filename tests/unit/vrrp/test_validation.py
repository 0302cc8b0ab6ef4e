"""The ladder, rung by rung: each refuses for its own reason, membership first."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.vrrp.settings import (
    IFINDEX,
    KEYS,
    ME,
    ME6,
    OTHER_PEER,
    PASSWORD,
    PEER,
    PEER6,
    SETTINGS,
    STRANGER,
    STRANGER6,
    VIP,
    VRID,
    WALL_NS,
    WALL_S,
    Setting,
    put,
)
from tests.unit.vrrp.wire import (
    GROUP4,
    GROUP6,
    compose,
    cover4,
    sealed,
    stamp,
    trailer,
    with_checksum,
)

from vrrp.authentication import Mode, SimplePassword
from vrrp.constants import Family, RejectReason
from vrrp.events import AdvertisementReceived
from vrrp.packet import Advertisement, ChecksumForm
from vrrp.validation import Accepted, Datagram, Election, Elections, ipv4_datagram

ALL = pytest.mark.parametrize("setting", SETTINGS.values(), ids=lambda setting: setting.name)
V3 = SETTINGS["v3"]


def validate(election: Election, datagram: Datagram) -> Accepted | RejectReason:
    return Elections([election]).validate(datagram, WALL_NS)


def plain(**fields: object) -> Datagram:
    """Return the version 3 unicast datagram with some fields of the IP header changed."""
    return V3.datagram._replace(**fields)  # type: ignore[arg-type]  # fields by name, of several types


# What is accepted ------------------------------------------------------------------------


@ALL
def test_validate_advertisement_that_is_right_is_accepted(setting: Setting) -> None:
    accepted = validate(setting.fresh(), setting.datagram)
    assert isinstance(accepted, Accepted)
    assert accepted.family is setting.election.family
    assert accepted.source == setting.datagram.source
    assert accepted.advertisement.vrid == VRID
    assert accepted.advertisement.addresses == tuple(setting.election.addresses)
    signed = "signed" in setting.name
    assert accepted.sequence == (stamp(WALL_S) if signed else None)


def test_validate_accepted_says_all_that_was_heard() -> None:
    assert validate(V3.fresh(), V3.datagram) == Accepted(
        Family.IPV4,
        PEER,
        Advertisement(3, VRID, 100, 100, (VIP,)),
        ChecksumForm.PSEUDO_HEADER,
        AdvertisementReceived(PEER, 100, 100),
        None,
    )


@pytest.mark.parametrize(
    ("cover", "form"),
    [
        (b"", ChecksumForm.MESSAGE_ONLY),
        (cover4(PEER, ME, 12), ChecksumForm.PSEUDO_HEADER),
        (cover4(PEER, GROUP4, 12), ChecksumForm.GROUP_PSEUDO_HEADER),
    ],
)
def test_validate_any_checksum_form_over_ipv4_is_accepted_and_named(
    cover: bytes, form: ChecksumForm
) -> None:
    accepted = validate(V3.fresh(), plain(message=with_checksum(compose(), cover)))
    assert isinstance(accepted, Accepted)
    assert accepted.checksum_form is form


@pytest.mark.parametrize("priority", [0, 1, 254, 255])
def test_validate_any_priority_of_a_peer_is_accepted(priority: int) -> None:
    message = sealed(compose(priority=priority), PEER, ME)
    accepted = validate(V3.fresh(), plain(message=message))
    assert isinstance(accepted, Accepted)
    assert accepted.advertisement.priority == priority


def test_validate_version_3_another_interval_and_other_addresses_are_no_reason() -> None:
    message = sealed(compose(word=4095, addresses=(STRANGER, ME)), PEER, ME)
    assert isinstance(validate(V3.fresh(), plain(message=message)), Accepted)


def test_validate_version_2_garbage_in_unused_authentication_data_is_no_reason() -> None:
    # RFC 3768 §5.3.10: ignored on receipt when the authentication type is 0.
    setting = SETTINGS["v2"]
    message = sealed(compose(version=2, tail=b"whatever"), PEER, ME)
    found = validate(setting.fresh(), setting.datagram._replace(message=message))
    assert isinstance(found, Accepted)


def test_validate_multicast_from_any_source_of_the_link_is_accepted() -> None:
    setting = SETTINGS["v3-multicast"]
    message = sealed(compose(), STRANGER, GROUP4)
    found = setting.datagram._replace(source=STRANGER, message=message)
    assert isinstance(validate(setting.fresh(), found), Accepted)


@pytest.mark.parametrize("mode", [Mode.RECEIVE_ONLY, Mode.PERMISSIVE])
@pytest.mark.parametrize("name", ["v2", "v3", "v6", "v3-multicast", "v6-multicast"])
def test_validate_unsigned_is_accepted_in_the_lax_modes(name: str, mode: Mode) -> None:
    election = replace(SETTINGS[name].fresh(), authentication=replace(KEYS, mode=mode))
    accepted = validate(election, SETTINGS[name].datagram)
    assert isinstance(accepted, Accepted)
    assert accepted.sequence is None
    assert election.marks.marks == {}


@pytest.mark.parametrize("mode", list(Mode))
def test_validate_accepted_signature_moves_the_mark_of_its_sender_only(mode: Mode) -> None:
    setting = SETTINGS["v3-signed"]
    election = replace(setting.fresh(), authentication=replace(KEYS, mode=mode))
    election.marks.remember(OTHER_PEER, 5)
    assert isinstance(validate(election, setting.datagram), Accepted)
    assert election.marks.marks == {OTHER_PEER: 5, PEER: stamp(WALL_S)}


# What is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (plain(source=STRANGER), RejectReason.UNKNOWN_SOURCE),
        (plain(source=STRANGER, ttl=1, message=b""), RejectReason.UNKNOWN_SOURCE),
        (plain(source=ME), RejectReason.UNKNOWN_SOURCE),
        (plain(destination=GROUP4), RejectReason.NOT_FOR_US),
        (plain(destination=OTHER_PEER), RejectReason.NOT_FOR_US),
        (plain(ttl=254), RejectReason.TTL),
        (plain(ttl=0, message=b""), RejectReason.TTL),
        (plain(message=b""), RejectReason.TRUNCATED),
        (plain(message=compose(vrid=50)), RejectReason.UNKNOWN_VRID),
        (plain(family=Family.IPV6), RejectReason.UNKNOWN_VRID),
        (plain(message=compose(version=2)), RejectReason.VERSION),
        (plain(message=compose(vrid=50, version=4)), RejectReason.VERSION),
        (plain(message=compose(vrid=50, kind=2)), RejectReason.TYPE),
        (plain(message=compose(count=2)), RejectReason.LENGTH),
        (plain(message=compose(tail=b"\0\0")), RejectReason.LENGTH),
        (plain(message=compose(word=0)), RejectReason.CHECKSUM),
        (plain(message=sealed(compose(addresses=()), PEER, ME)), RejectReason.ADDRESS_COUNT),
        (
            plain(message=sealed(compose(addresses=(), word=0), PEER, ME)),
            RejectReason.ADDRESS_COUNT,
        ),
        (plain(message=sealed(compose(word=0), PEER, ME)), RejectReason.INTERVAL),
        (plain(message=sealed(compose(word=0xF000), PEER, ME)), RejectReason.INTERVAL),
    ],
)
def test_validate_datagram_that_breaks_one_rule_names_it(
    datagram: Datagram, reason: RejectReason
) -> None:
    assert validate(V3.fresh(), datagram) is reason


@pytest.mark.parametrize(
    ("word", "tail", "reason"),
    [
        (0x0002, bytes(8), RejectReason.INTERVAL_MISMATCH),
        (0x0000, bytes(8), RejectReason.INTERVAL),
        (0x0101, bytes(8), RejectReason.AUTH_TYPE),
        (0x0201, bytes(8), RejectReason.AUTH_TYPE),
    ],
)
def test_validate_version_2_that_breaks_one_rule_names_it(
    word: int, tail: bytes, reason: RejectReason
) -> None:
    """RFC 3768 §7.1: authentication type, interval; the order is the ladder's."""
    for name in ("v2", "v2-signed"):
        setting = SETTINGS[name]
        changed = setting.resealed(lambda _: compose(version=2, word=word, tail=tail))
        assert validate(setting.fresh(), changed) is reason


@pytest.mark.parametrize(
    ("word", "tail", "reason"),
    [
        (0x0001, b"secret\0\0", RejectReason.AUTH_TYPE),
        (0x0201, b"secret\0\0", RejectReason.AUTH_TYPE),
        (0x0101, b"secret\0\1", RejectReason.AUTH_PASSWORD),
        (0x0101, b"Secret\0\0", RejectReason.AUTH_PASSWORD),
        (0x0101, bytes(8), RejectReason.AUTH_PASSWORD),
        (0x0102, b"secret\0\0", RejectReason.INTERVAL_MISMATCH),
    ],
)
def test_validate_password_that_is_not_ours_is_refused(
    word: int, tail: bytes, reason: RejectReason
) -> None:
    setting = SETTINGS["v2-password"]
    assert setting.election.authentication == SimplePassword(PASSWORD)
    changed = setting.resealed(lambda _: compose(version=2, word=word, tail=tail))
    assert validate(setting.fresh(), changed) is reason


def test_validate_wrong_password_is_named_before_a_wrong_checksum() -> None:
    setting = SETTINGS["v2-password"]
    message = compose(version=2, word=0x0101)
    found = validate(setting.fresh(), setting.datagram._replace(message=message))
    assert found is RejectReason.AUTH_PASSWORD


@pytest.mark.parametrize("name", ["v2", "v2-password", "v3", "v6"])
def test_validate_signed_where_no_keys_are_configured_is_too_long(name: str) -> None:
    setting = SETTINGS[name]
    message = setting.datagram.message
    end = trailer(message, setting.datagram.source, stamp(WALL_S))
    found = validate(setting.fresh(), setting.datagram._replace(message=message + end))
    assert found is RejectReason.LENGTH


def test_validate_wrong_signature_is_named_before_what_the_message_holds() -> None:
    setting = SETTINGS["v3-signed"]
    message = compose(addresses=(), word=0)
    end = trailer(message, PEER, stamp(WALL_S), key=bytes(32))
    found = validate(setting.fresh(), setting.datagram._replace(message=message + end))
    assert found is RejectReason.AUTH_INVALID


@pytest.mark.parametrize("name", [name for name in SETTINGS if "signed" in name])
def test_validate_signed_again_is_a_replay(name: str) -> None:
    election = SETTINGS[name].fresh()
    assert isinstance(validate(election, SETTINGS[name].datagram), Accepted)
    assert validate(election, SETTINGS[name].datagram) is RejectReason.AUTH_REPLAYED


@pytest.mark.parametrize("name", [name for name in SETTINGS if "signed" in name])
def test_validate_unsigned_is_refused_where_signatures_are_required(name: str) -> None:
    setting = SETTINGS[name]
    whole = setting.datagram
    message = sealed(whole.message[:-28], whole.source, whole.destination)
    found = validate(setting.fresh(), whole._replace(message=message))
    assert found is RejectReason.AUTH_MISSING


def test_validate_window_is_that_of_the_election() -> None:
    setting = SETTINGS["v3-signed"]
    narrow = replace(setting.fresh(), authentication=replace(KEYS, window_s=0))
    late_ns = WALL_NS + 1_000_000_000
    assert Elections([narrow]).validate(setting.datagram, late_ns) is RejectReason.AUTH_STALE
    assert isinstance(Elections([narrow]).validate(setting.datagram, late_ns - 1), Accepted)


# Whose it is -----------------------------------------------------------------------------

OURS = (
    V3.fresh(),
    replace(V3.election, vrid=52, peers=frozenset({OTHER_PEER})),
    replace(SETTINGS["v3-multicast"].election, vrid=53),
    replace(SETTINGS["v3-multicast"].election, vrid=54, group_ifindex=IFINDEX + 1),
    SETTINGS["v6"].fresh(),
    replace(SETTINGS["v6-multicast"].election, vrid=56),
)


@pytest.mark.parametrize(
    ("source", "destination", "vrid", "ifindex", "reason"),
    [
        (PEER, ME, 51, IFINDEX, None),
        (OTHER_PEER, ME, 52, IFINDEX, None),
        (OTHER_PEER, ME, 51, IFINDEX, RejectReason.UNKNOWN_SOURCE),
        (STRANGER, ME, 51, IFINDEX, RejectReason.UNKNOWN_SOURCE),
        (STRANGER, GROUP4, 53, IFINDEX, None),
        (STRANGER, GROUP4, 54, IFINDEX + 1, None),
        (STRANGER, GROUP4, 54, IFINDEX, RejectReason.NOT_FOR_US),
        (STRANGER, GROUP4, 53, IFINDEX + 1, RejectReason.NOT_FOR_US),
        (STRANGER, GROUP4, 53, IFINDEX + 2, RejectReason.UNKNOWN_SOURCE),
        (ME, GROUP4, 53, IFINDEX, RejectReason.UNKNOWN_SOURCE),
        (STRANGER, ME, 53, IFINDEX, RejectReason.UNKNOWN_SOURCE),
        (PEER, ME, 53, IFINDEX, RejectReason.NOT_FOR_US),
        (PEER, GROUP4, 51, IFINDEX, RejectReason.NOT_FOR_US),
        (STRANGER, GROUP4, 51, IFINDEX, RejectReason.UNKNOWN_SOURCE),
        (PEER, GROUP4, 51, IFINDEX + 2, RejectReason.NOT_FOR_US),
        (PEER, ME, 99, IFINDEX, RejectReason.UNKNOWN_VRID),
        (PEER, ME, 56, IFINDEX, RejectReason.UNKNOWN_VRID),
        (PEER6, ME6, 51, IFINDEX, None),
        (STRANGER6, GROUP6, 56, IFINDEX, None),
        (STRANGER6, GROUP6, 56, IFINDEX + 1, RejectReason.UNKNOWN_SOURCE),
        (ME6, GROUP6, 56, IFINDEX, RejectReason.UNKNOWN_SOURCE),
        (PEER6, ME6, 52, IFINDEX, RejectReason.UNKNOWN_VRID),
    ],
)
def test_validate_among_several_elections_finds_whose_it_is(
    source: bytes, destination: bytes, vrid: int, ifindex: int, reason: RejectReason | None
) -> None:
    family = Family.IPV4 if len(source) == 4 else Family.IPV6
    addresses = (VIP,) if family is Family.IPV4 else (ME6,)
    message = sealed(compose(vrid=vrid, addresses=addresses), source, destination)
    datagram = Datagram(family, source, destination, 255, ifindex, message)
    result = Elections(OURS).validate(datagram, WALL_NS)
    if reason is None:
        assert isinstance(result, Accepted)
        assert (result.family, result.advertisement.vrid) == (family, vrid)
    else:
        assert result is reason


def test_validate_without_elections_knows_nobody() -> None:
    assert Elections().validate(V3.datagram, WALL_NS) is RejectReason.UNKNOWN_SOURCE


def test_elections_are_found_by_family_and_vrid() -> None:
    assert set(Elections(OURS).by_id) == {
        *((Family.IPV4, vrid) for vrid in (51, 52, 53, 54)),
        *((Family.IPV6, vrid) for vrid in (51, 56)),
    }


@pytest.mark.parametrize("name", ["v3", "v3-multicast", "v6", "v6-multicast"])
@pytest.mark.parametrize("order", [1, -1])
def test_validate_lower_ttl_of_one_election_leaves_the_others_strict(name: str, order: int) -> None:
    """The same peers and group in two elections, of which one accepts a lower TTL."""
    setting = SETTINGS[name]
    lax = replace(setting.fresh(), vrid=VRID + 1, ttl_minimum=64)
    elections = Elections((setting.fresh(), lax)[::order])
    for vrid, ttl, accepted in [(51, 64, False), (52, 64, True), (52, 63, False), (51, 255, True)]:
        changed = setting.resealed(put(1, vrid))
        result = elections.validate(changed._replace(ttl=ttl), WALL_NS)
        assert isinstance(result, Accepted) is accepted
        assert accepted or result is RejectReason.TTL


# The IPv4 header -------------------------------------------------------------------------


def ipv4(options: bytes = b"") -> bytes:
    """Return a whole IPv4 packet as a raw socket delivers it (RFC 791 §3.1)."""
    head = bytes((0x45 + len(options) // 4, 0xC0, 0, 0, 1, 2, 0x40, 0, 255, 112, 0xAB, 0xCD))
    return head + PEER + ME + options + V3.datagram.message


@pytest.mark.parametrize("options", [b"", bytes(4), bytes(40)])
def test_ipv4_datagram_is_split_behind_its_options(options: bytes) -> None:
    assert ipv4_datagram(ipv4(options), IFINDEX) == V3.datagram


@pytest.mark.parametrize("length", range(20))
def test_ipv4_datagram_shorter_than_a_header_is_none(length: int) -> None:
    assert ipv4_datagram(ipv4()[:length], IFINDEX) is None


def test_ipv4_datagram_that_is_a_header_only_has_an_empty_message() -> None:
    found = ipv4_datagram(ipv4()[:20], IFINDEX)
    assert found == V3.datagram._replace(message=b"")
    assert validate(V3.fresh(), found) is RejectReason.TRUNCATED


def test_ipv4_datagram_whose_options_are_cut_has_an_empty_message() -> None:
    found = ipv4_datagram(ipv4(bytes(40))[:40], IFINDEX)
    assert found == V3.datagram._replace(message=b"")
