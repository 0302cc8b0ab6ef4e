"""Every damage to a right datagram, in every setting: refused, and nothing is remembered of it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.unit.vrrp.settings import (
    IFINDEX,
    KEYS,
    OTHER_PEER,
    OTHER_PEER6,
    SETTINGS,
    STRANGER,
    STRANGER6,
    WALL_NS,
    WALL_S,
    Setting,
    put,
)
from tests.unit.vrrp.wire import GROUP4, GROUP6, KEY, compose, sealed, stamp, trailer

from vrrp.authentication import Mode
from vrrp.constants import Family, RejectReason
from vrrp.validation import Accepted, Datagram, Election, Elections

ALL = pytest.mark.parametrize("setting", SETTINGS.values(), ids=lambda setting: setting.name)
SIGNED = pytest.mark.parametrize("name", [name for name in SETTINGS if "signed" in name])


def refused(election: Election, datagram: Datagram) -> RejectReason:
    """Return the reason of a rejection that left no mark."""
    marks = dict(election.marks.marks)
    result = Elections([election]).validate(datagram, WALL_NS)
    assert not isinstance(result, Accepted)
    assert election.marks.marks == marks
    return result


def refuse(setting: Setting, message: bytes) -> RejectReason:
    return refused(setting.fresh(), setting.datagram._replace(message=message))


def flips(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield every message that differs in one bit, and which one."""
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 0x80 >> bit % 8
        yield bit, bytes(damaged)


# Damage on the way -----------------------------------------------------------------------


@ALL
def test_validate_every_truncation_is_refused(setting: Setting) -> None:
    whole = setting.datagram.message
    unsigned = len(whole) - 28
    for length in range(len(whole)):
        reason = refuse(setting, whole[:length])
        if length < 8:
            assert reason is RejectReason.TRUNCATED
        elif "signed" in setting.name and length == unsigned:
            assert reason is RejectReason.AUTH_MISSING
        else:
            assert reason is RejectReason.LENGTH


@ALL
def test_validate_every_flipped_bit_is_refused(setting: Setting) -> None:
    """No exception: reserved bits and unused authentication data are covered by the checksum."""
    for bit, damaged in flips(setting.datagram.message):
        reason = refuse(setting, damaged)
        if bit < 4:
            assert reason is RejectReason.VERSION
        elif bit < 8:
            assert reason is RejectReason.TYPE
        elif bit < 16:
            assert reason is RejectReason.UNKNOWN_VRID
        elif 24 <= bit < 32:
            assert reason is RejectReason.LENGTH


@ALL
def test_validate_every_flipped_bit_is_refused_in_the_lax_mode(setting: Setting) -> None:
    lax = replace(setting.fresh(), authentication=replace(KEYS, mode=Mode.RECEIVE_ONLY))
    for _, damaged in flips(setting.datagram.message):
        refused(lax, setting.datagram._replace(message=damaged))


@ALL
def test_validate_two_swapped_words_are_refused_where_signed(setting: Setting) -> None:
    """The one damage a one's complement sum cannot see, and a signature does."""
    message = setting.datagram.message
    swapped = message[:2] + message[4:6] + message[2:4] + message[6:]
    reason = refuse(setting, swapped)
    if "signed" in setting.name:
        assert reason in {RejectReason.LENGTH, RejectReason.AUTH_INVALID}


@ALL
def test_validate_every_other_length_is_refused(setting: Setting) -> None:
    whole = setting.datagram.message
    padded = whole + bytes(2000)
    allowed = {len(whole)}
    for length in {*range(2001)} - allowed:
        reason = refuse(setting, padded[:length])
        assert reason in {
            RejectReason.TRUNCATED,
            RejectReason.LENGTH,
            RejectReason.AUTH_MISSING,
            RejectReason.AUTH_MALFORMED,
        }


@ALL
def test_validate_noise_of_any_length_is_refused(setting: Setting) -> None:
    noise = random.Random(9568)
    for length in range(2001):
        refuse(setting, noise.randbytes(length))


# Right checksum and signature, wrong content ---------------------------------------------


@ALL
@pytest.mark.parametrize("version", [0, 1, *range(4, 16)])
def test_validate_unknown_version_is_refused(setting: Setting, version: int) -> None:
    changed = setting.resealed(put(0, version << 4 | 1))
    assert refused(setting.fresh(), changed) is RejectReason.VERSION


@ALL
def test_validate_the_other_version_is_refused(setting: Setting) -> None:
    other = 3 if setting.election.version == 2 else 2
    changed = setting.resealed(put(0, other << 4 | 1))
    assert refused(setting.fresh(), changed) is RejectReason.VERSION


@ALL
@pytest.mark.parametrize("kind", [0, *range(2, 16)])
def test_validate_unknown_type_is_refused(setting: Setting, kind: int) -> None:
    changed = setting.resealed(lambda m: bytes((m[0] & 0xF0 | kind,)) + m[1:])
    assert refused(setting.fresh(), changed) is RejectReason.TYPE


@ALL
def test_validate_unknown_vrid_is_refused(setting: Setting) -> None:
    for vrid in {*range(256)} - {setting.election.vrid}:
        changed = setting.resealed(put(1, vrid))
        assert refused(setting.fresh(), changed) is RejectReason.UNKNOWN_VRID


@ALL
def test_validate_count_that_does_not_fit_the_length_is_refused(setting: Setting) -> None:
    signed_ipv4 = "signed" in setting.name and setting.election.family is Family.IPV4
    for count in {*range(256)} - {1}:
        changed = setting.resealed(put(3, count))
        # With eight addresses the 28 bytes of the trailer pass for seven of them: unsigned then.
        missing = signed_ipv4 and count == 8
        expected = RejectReason.AUTH_MISSING if missing else RejectReason.LENGTH
        assert refused(setting.fresh(), changed) is expected


@ALL
def test_validate_no_addresses_is_refused(setting: Setting) -> None:
    size = setting.election.family.address_length
    changed = setting.resealed(lambda m: m[:3] + b"\0" + m[4:8] + m[8 + size :])
    assert refused(setting.fresh(), changed) is RejectReason.ADDRESS_COUNT


@ALL
def test_validate_interval_zero_is_refused(setting: Setting) -> None:
    if setting.election.version == 2:
        changed = setting.resealed(put(5, 0))
    else:
        changed = setting.resealed(lambda m: m[:4] + b"\xf0\0" + m[6:])
    assert refused(setting.fresh(), changed) is RejectReason.INTERVAL


@pytest.mark.parametrize("name", ["v2", "v2-password", "v2-signed", "v2-multicast"])
def test_validate_version_2_any_other_interval_is_refused(name: str) -> None:
    setting = SETTINGS[name]
    for seconds in {*range(1, 256)} - {1}:
        changed = setting.resealed(put(5, seconds))
        assert refused(setting.fresh(), changed) is RejectReason.INTERVAL_MISMATCH


# The wrong way here ----------------------------------------------------------------------


@ALL
@pytest.mark.parametrize("ttl", [0, 1, 64, 254])
def test_validate_ttl_other_than_255_is_refused(setting: Setting, ttl: int) -> None:
    assert refused(setting.fresh(), setting.datagram._replace(ttl=ttl)) is RejectReason.TTL


@ALL
def test_validate_another_family_is_refused(setting: Setting) -> None:
    family = Family.IPV6 if setting.election.family is Family.IPV4 else Family.IPV4
    changed = setting.datagram._replace(family=family)
    assert refused(setting.fresh(), changed) is RejectReason.UNKNOWN_VRID


@pytest.mark.parametrize("name", [name for name in SETTINGS if "multicast" not in name])
@pytest.mark.parametrize("priority", [0, 100, 255])
def test_validate_from_a_stranger_is_refused_in_unicast(name: str, priority: int) -> None:
    """Even the address owner's priority, even signed with our key."""
    setting = SETTINGS[name]
    is_ipv4 = setting.election.family is Family.IPV4
    for source in (STRANGER, OTHER_PEER) if is_ipv4 else (STRANGER6, OTHER_PEER6):
        from_them = Setting("", setting.election, setting.datagram._replace(source=source))
        changed = from_them.resealed(put(2, priority))
        assert refused(setting.fresh(), changed) is RejectReason.UNKNOWN_SOURCE


@ALL
def test_validate_from_ourselves_is_refused(setting: Setting) -> None:
    source = setting.election.source
    ours = Setting("", setting.election, setting.datagram._replace(source=source))
    changed = ours.resealed(lambda m: m)
    assert refused(setting.fresh(), changed) is RejectReason.UNKNOWN_SOURCE


@ALL
def test_validate_multicast_for_unicast_and_the_reverse_is_refused(setting: Setting) -> None:
    election = setting.election
    if election.group_ifindex:
        expected, destination = RejectReason.UNKNOWN_SOURCE, election.source
    else:
        expected, destination = RejectReason.NOT_FOR_US, election.family.group
    wrong_way = Setting("", election, setting.datagram._replace(destination=destination))
    assert refused(setting.fresh(), wrong_way.resealed(lambda m: m)) is expected


@pytest.mark.parametrize("name", [name for name in SETTINGS if "multicast" in name])
def test_validate_group_on_another_interface_is_refused(name: str) -> None:
    setting = SETTINGS[name]
    assert setting.datagram.destination in (GROUP4, GROUP6)
    changed = setting.datagram._replace(ifindex=IFINDEX + 1)
    assert refused(setting.fresh(), changed) is RejectReason.UNKNOWN_SOURCE


# Forged and replayed ---------------------------------------------------------------------


@SIGNED
def test_validate_forged_signature_is_refused(name: str) -> None:
    setting = SETTINGS[name]
    whole, source = setting.datagram.message, setting.datagram.source
    message = whole[:-28]
    fresh = stamp(WALL_S, 1)
    forged = {
        trailer(message, source, fresh, key=bytes(32)): RejectReason.AUTH_INVALID,
        trailer(message, source, fresh)[:12] + bytes(16): RejectReason.AUTH_INVALID,
        trailer(message, source, fresh)[:12] + whole[-16:]: RejectReason.AUTH_INVALID,
        trailer(message, source, fresh, key_id=9): RejectReason.AUTH_UNKNOWN_KEY,
        trailer(message, source, fresh, key=KEY, key_id=2): RejectReason.AUTH_INVALID,
        trailer(message, source, fresh, scheme=2): RejectReason.AUTH_MALFORMED,
        trailer(message, source, fresh, reserved=1): RejectReason.AUTH_MALFORMED,
        trailer(message, source, stamp(WALL_S - 31)): RejectReason.AUTH_STALE,
        trailer(message, source, stamp(WALL_S + 31)): RejectReason.AUTH_STALE,
        bytes(28): RejectReason.AUTH_MALFORMED,
    }
    for end, expected in forged.items():
        sent = sealed(message, source, setting.datagram.destination, end)
        for mode in Mode:
            election = replace(setting.fresh(), authentication=replace(KEYS, mode=mode))
            found = refused(election, setting.datagram._replace(message=sent))
            assert found is expected


@SIGNED
@pytest.mark.parametrize("earlier", [0, 1, 1 << 16, 1 << 32, 29 << 32])
def test_validate_replayed_signature_is_refused(name: str, earlier: int) -> None:
    setting = SETTINGS[name]
    election = setting.fresh()
    election.marks.remember(setting.datagram.source, stamp(WALL_S) + earlier)
    assert refused(election, setting.datagram) is RejectReason.AUTH_REPLAYED


@SIGNED
def test_validate_signature_of_another_election_is_refused(name: str) -> None:
    """The VRID is signed, so what one election said cannot be played to another."""
    setting = SETTINGS[name]
    other = replace(setting.fresh(), vrid=52)
    message = setting.datagram.message
    relabelled = message[:1] + bytes((52,)) + message[2:-28]
    source, destination = setting.datagram.source, setting.datagram.destination
    sent = sealed(relabelled, source, destination, message[-28:])
    found = refused(other, setting.datagram._replace(message=sent))
    assert found is RejectReason.AUTH_INVALID


@pytest.mark.parametrize("mode", list(Mode))
def test_validate_seven_uncounted_addresses_are_no_trailer(mode: Mode) -> None:
    """28 bytes too many have a trailer's length; they are refused as one in every mode."""
    setting = SETTINGS["v3"]
    election = replace(setting.fresh(), authentication=replace(KEYS, mode=mode))
    source, destination = setting.datagram.source, setting.datagram.destination
    message = sealed(compose(addresses=(OTHER_PEER,) * 8, count=1), source, destination)
    found = refused(election, setting.datagram._replace(message=message))
    assert found is RejectReason.AUTH_MALFORMED
