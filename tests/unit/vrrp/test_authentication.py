"""Signatures and replay marks, against the trailer's format (``hmac-wire`` §2 to §9)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.vrrp.wire import KEY, compose, hmac_sha256, packed, stamp, trailer

from vrrp.authentication import (
    KEY_LENGTHS,
    MAX_MARKS,
    TRAILER_LENGTH,
    HmacKeys,
    Mode,
    ReplayMarks,
    SimplePassword,
    sign,
    verify,
)
from vrrp.constants import NS_PER_SECOND, RejectReason

OTHER_KEY = bytes(range(64, 128))
KEYS = HmacKeys({1: KEY, 255: OTHER_KEY}, active=1, mode=Mode.ENFORCE)
SOURCE, SOURCE6 = packed("198.51.100.10"), packed("fe80::10")
SEQUENCE = 0x6800000080000000
# Reference ``hmac-wire`` §9, from the format's own test: key 00 … 1f, id 1, VRID 51, priority 200.
VECTOR4 = bytes.fromhex(
    "3133c80100644402c0000264"
    "010100006800000080000000"
    "1b84bc4e8e43892dc6d98448f8ee2265"
)  # fmt: skip
VECTOR6 = bytes.fromhex(
    "3133c8010064a2e9fe800000000000000000000000000100"
    "010100006800000080000000"
    "c8c56146ebfd66ee10ec4d8186461b78"
)  # fmt: skip
VECTORS = [(VECTOR4, SOURCE), (VECTOR6, SOURCE6)]


@pytest.mark.parametrize(("whole", "source"), VECTORS, ids=["ipv4", "ipv6"])
def test_sign_published_message_gives_the_published_trailer(whole: bytes, source: bytes) -> None:
    message, end = whole[:-28], whole[-28:]
    assert sign(KEYS, message, source, SEQUENCE) == end
    assert trailer(message, source, SEQUENCE) == end
    assert verify(KEYS, message, source, end) == (SEQUENCE, None)


def test_hmac_sha256_from_the_hash_alone_gives_the_rfc_4231_vector() -> None:
    # RFC 4231 §4.3, the key "Jefe": the tests' own arithmetic.
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert hmac_sha256(b"Jefe", b"what do ya want for nothing?").hex() == expected


@given(
    st.sampled_from([2, 3]),
    st.binary(min_size=32, max_size=64),
    st.integers(1, 255),
    st.integers(0, 2**64 - 1),
    st.sampled_from([SOURCE, SOURCE6]),
    st.lists(st.binary(min_size=4, max_size=4), max_size=20),
)
def test_sign_any_message_gives_what_the_format_says(
    version: int, key: bytes, key_id: int, sequence: int, source: bytes, addresses: list[bytes]
) -> None:
    message = compose(version=version, addresses=tuple(addresses))
    keys = HmacKeys({key_id: key}, key_id, Mode.PERMISSIVE)
    signed = sign(keys, message, source, sequence)
    assert signed == trailer(message, source, sequence, key=key, key_id=key_id)
    assert len(signed) == TRAILER_LENGTH
    assert verify(keys, message, source, signed) == (sequence, None)


def test_sign_uses_the_active_key_and_verify_takes_any() -> None:
    message = compose()
    second = replace(KEYS, active=255)
    signed = sign(second, message, SOURCE, SEQUENCE)
    assert signed == trailer(message, SOURCE, SEQUENCE, key=OTHER_KEY, key_id=255)
    assert verify(KEYS, message, SOURCE, signed) == (SEQUENCE, None)


def test_verify_any_checksum_is_accepted_because_the_tag_reads_it_as_zero() -> None:
    message, end = VECTOR4[:-28], VECTOR4[-28:]
    other = message[:6] + b"\xab\xcd" + message[8:]
    assert verify(KEYS, other, SOURCE, end) == (SEQUENCE, None)


@pytest.mark.parametrize(("whole", "source"), VECTORS, ids=["ipv4", "ipv6"])
def test_verify_with_any_flipped_bit_but_the_checksum_is_refused(
    whole: bytes, source: bytes
) -> None:
    checksum = range(6 * 8, 8 * 8)
    for bit in set(range(8 * len(whole))) - set(checksum):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        message, end = bytes(damaged[:-28]), bytes(damaged[-28:])
        assert verify(KEYS, message, source, end)[1] is not None, bit


@pytest.mark.parametrize("bit", range(32))
def test_verify_from_another_source_is_refused(bit: int) -> None:
    source = (int.from_bytes(SOURCE, "big") ^ 1 << bit).to_bytes(4, "big")
    message, end = VECTOR4[:-28], VECTOR4[-28:]
    assert verify(KEYS, message, source, end) == (SEQUENCE, RejectReason.AUTH_INVALID)


def test_verify_from_an_ipv6_source_that_begins_alike_is_refused() -> None:
    message, end = VECTOR4[:-28], VECTOR4[-28:]
    source = SOURCE + bytes(12)
    assert verify(KEYS, message, source, end)[1] is RejectReason.AUTH_INVALID


@pytest.mark.parametrize(
    ("scheme", "reserved", "key_id", "key", "reason"),
    [
        (1, 0, 1, KEY, None),
        (1, 0, 1, OTHER_KEY, RejectReason.AUTH_INVALID),
        (1, 0, 0, KEY, RejectReason.AUTH_UNKNOWN_KEY),
        (1, 0, 9, KEY, RejectReason.AUTH_UNKNOWN_KEY),
        (0, 0, 1, KEY, RejectReason.AUTH_MALFORMED),
        (2, 0, 1, KEY, RejectReason.AUTH_MALFORMED),
        (1, 0x0001, 1, KEY, RejectReason.AUTH_MALFORMED),
        (1, 0x0100, 1, KEY, RejectReason.AUTH_MALFORMED),
        (2, 0, 9, KEY, RejectReason.AUTH_MALFORMED),  # malformed before unknown key
        (1, 1, 9, OTHER_KEY, RejectReason.AUTH_MALFORMED),
    ],
)
def test_verify_trailer_names_the_first_thing_that_is_wrong(
    scheme: int, reserved: int, key_id: int, key: bytes, reason: RejectReason | None
) -> None:
    message = compose()
    end = trailer(
        message, SOURCE, SEQUENCE, key=key, key_id=key_id, scheme=scheme, reserved=reserved
    )
    assert verify(KEYS, message, SOURCE, end) == (SEQUENCE, reason)


@pytest.mark.parametrize(
    ("password", "data"), [(b"", bytes(8)), (b"abc", b"abc" + bytes(5)), (b"secret12", b"secret12")]
)
def test_simple_password_is_padded_with_zeros_to_eight_bytes(password: bytes, data: bytes) -> None:
    assert SimplePassword(password).data == data


def test_key_lengths_are_those_that_keepalived_takes() -> None:
    assert (min(KEY_LENGTHS), max(KEY_LENGTHS)) == (32, 64)
    assert HmacKeys({}, 1, Mode.ENFORCE).window_s == 30


# The receiver's marks --------------------------------------------------------------------

WALL_S = 1_750_000_000
NOW_NS = WALL_S * NS_PER_SECOND + 999_999_999
WINDOW_S = 30


def verdict(marks: ReplayMarks, sequence: int, *, wall_ns: int = NOW_NS) -> RejectReason | None:
    return marks.check(SOURCE, sequence, wall_ns, WINDOW_S)


def marked(sequence: int) -> ReplayMarks:
    marks = ReplayMarks()
    marks.remember(SOURCE, sequence)
    return marks


@pytest.mark.parametrize(
    ("offset_s", "reason"),
    [
        (0, None),
        (-30, None),
        (30, None),
        (-31, RejectReason.AUTH_STALE),
        (31, RejectReason.AUTH_STALE),
        (86_400, RejectReason.AUTH_STALE),
    ],
)
def test_check_first_of_a_sender_compares_whole_seconds_with_the_window(
    offset_s: int, reason: RejectReason | None
) -> None:
    assert verdict(ReplayMarks(), stamp(WALL_S + offset_s, 65_535)) is reason


@pytest.mark.parametrize("offset_s", [-86_400, -30, 0, 30, 86_400 * 365])
def test_check_later_than_the_mark_is_fresh_whatever_the_clock(offset_s: int) -> None:
    sequence = stamp(WALL_S + offset_s, 7, 7)
    assert verdict(marked(sequence), sequence + 1) is None
    assert verdict(marked(sequence), sequence + stamp(86_400)) is None


@pytest.mark.parametrize("back", [0, 1, stamp(0, 1), stamp(30)])
def test_check_not_later_than_a_near_mark_is_a_replay(back: int) -> None:
    mark = stamp(WALL_S, 7, 7)
    assert verdict(marked(mark), mark - back) is RejectReason.AUTH_REPLAYED


@pytest.mark.parametrize(
    ("mark_s", "sequence_s", "reason"),
    [
        (WALL_S + 31, WALL_S, None),  # the sender's clock was ahead and is right now
        (WALL_S + 31, WALL_S + 30, None),
        (WALL_S + 31, WALL_S - 30, None),
        (WALL_S + 30, WALL_S, RejectReason.AUTH_REPLAYED),  # we could have believed that mark
        (WALL_S + 31, WALL_S + 31, RejectReason.AUTH_REPLAYED),
        (WALL_S + 31, WALL_S - 31, RejectReason.AUTH_REPLAYED),
        (WALL_S + 86_400, WALL_S + 86_399, RejectReason.AUTH_REPLAYED),
        (WALL_S - 31, WALL_S - 32, RejectReason.AUTH_REPLAYED),
    ],
)
def test_check_earlier_than_a_mark_outside_our_window_is_fresh_inside_it(
    mark_s: int, sequence_s: int, reason: RejectReason | None
) -> None:
    assert verdict(marked(stamp(mark_s)), stamp(sequence_s)) is reason


@pytest.mark.parametrize(
    ("mark", "sequence", "reason"),
    [
        (2**64 - 1, 0, None),
        (0, 2**63 - 1, None),
        (0, 2**63, RejectReason.AUTH_REPLAYED),
        (5, 4, RejectReason.AUTH_REPLAYED),
    ],
)
def test_check_order_is_that_of_rfc_1982_over_64_bits(
    mark: int, sequence: int, reason: RejectReason | None
) -> None:
    assert verdict(marked(mark), sequence) is reason


@pytest.mark.parametrize(
    ("wall_s", "sequence_s", "reason"),
    [
        (2**32 + 10, 2**32 - 10, None),
        (2**32 - 10, 10, None),
        (2**32 + 10, 2**32 - 21, RejectReason.AUTH_STALE),
        (2**31, 0, RejectReason.AUTH_STALE),
    ],
)
def test_check_window_goes_over_the_end_of_32_bit_seconds(
    wall_s: int, sequence_s: int, reason: RejectReason | None
) -> None:
    assert verdict(ReplayMarks(), stamp(sequence_s), wall_ns=wall_s * NS_PER_SECOND) is reason


def test_check_remembers_nothing() -> None:
    marks = ReplayMarks()
    assert verdict(marks, stamp(WALL_S)) is None
    assert marks.marks == {}


def test_marks_of_two_senders_do_not_meet() -> None:
    assert marked(stamp(WALL_S, 9)).check(SOURCE6, stamp(WALL_S), NOW_NS, WINDOW_S) is None


def test_remember_one_sender_more_forgets_the_one_silent_for_longest() -> None:
    marks = ReplayMarks()
    senders = [number.to_bytes(4, "big") for number in range(MAX_MARKS)]
    for sender in senders:
        marks.remember(sender, 1)
    marks.remember(senders[0], 2)
    assert len(marks.marks) == MAX_MARKS == 96
    marks.remember(SOURCE, 1)
    assert list(marks.marks) == [*senders[2:], senders[0], SOURCE]
    assert marks.marks[senders[0]] == 2
