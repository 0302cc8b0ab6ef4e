"""The codec against messages composed by hand from RFC 9568 §5.2 and RFC 3768 §5.3."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.vrrp.wire import (
    GROUP4,
    GROUP6,
    compose,
    cover4,
    cover6,
    packed,
    slow_checksum,
    with_checksum,
)

from vrrp.constants import Family, RejectReason
from vrrp.packet import (
    Advertisement,
    ChecksumForm,
    DecodeError,
    check_header,
    checksum_cover,
    checksum_form,
    decode_message,
    encode_message,
    internet_checksum,
    is_link_local,
    message_length,
    pseudo_header,
    seal_message,
)

SOURCE, DESTINATION = packed("192.0.2.11"), packed("192.0.2.12")
SOURCE6, DESTINATION6 = packed("fe80::10"), packed("fe80::20")
VIP, VIP6, LINK_LOCAL = packed("192.0.2.50"), packed("2001:db8::50"), packed("fe80::50")
# Composed by hand after RFC 9568 §5.2: v3, VRID 51, priority 200, one address, 20 cs; the words
# 3133 c801 0014 c000 0232 add up to 1bb7a, folded bb7b, complemented 4484.
BY_HAND = bytes.fromhex("3133c80100144484c0000232")
# The same as v2, 1 s, no authentication: 2133 c801 0001 c000 0232 add up to 1ab67, folded ab68.
BY_HAND_V2 = bytes.fromhex("2133c80100015497c00002320000000000000000")


def test_family_group_is_the_one_the_rfc_assigns() -> None:
    assert (Family.IPV4.group, Family.IPV6.group) == (GROUP4, GROUP6)
    assert (Family.IPV4.address_length, Family.IPV6.address_length) == (4, 16)


def test_encode_version_3_gives_the_bytes_composed_by_hand() -> None:
    assert seal_message(encode_message(Advertisement(3, 51, 200, 20, (VIP,))), b"") == BY_HAND


def test_encode_version_2_gives_the_bytes_composed_by_hand() -> None:
    assert seal_message(encode_message(Advertisement(2, 51, 200, 100, (VIP,))), b"") == BY_HAND_V2


def test_encode_version_2_with_password_ends_with_it() -> None:
    sent = Advertisement(2, 51, 200, 200, (VIP,), auth_type=1, auth_data=b"abc\0\0\0\0\0")
    assert encode_message(sent) == compose(
        version=2, priority=200, word=0x0102, tail=b"abc\0\0\0\0\0"
    )


def test_encode_version_3_leaves_the_reserved_bits_zero() -> None:
    assert encode_message(Advertisement(3, 51, 200, 0xF014, (VIP,)))[4:6] == b"\0\x14"


def test_encode_ipv6_addresses_puts_the_first_link_local_ahead_and_keeps_the_rest() -> None:
    # RFC 9568 §5.2.9: the first address is the link-local one of the Virtual Router.
    others = (VIP6, packed("2001:db8::51"))
    message = encode_message(Advertisement(3, 51, 200, 20, (*others, LINK_LOCAL)))
    assert message[8:] == LINK_LOCAL + b"".join(others)


def test_encode_ipv4_addresses_keeps_their_order_whatever_they_look_like() -> None:
    addresses = (VIP, bytes((0xFE, 0x80, 0, 1)))
    assert encode_message(Advertisement(3, 51, 200, 20, addresses))[8:] == b"".join(addresses)


def test_seal_with_trailer_appends_it_and_leaves_it_out_of_the_sum() -> None:
    message = encode_message(Advertisement(3, 51, 200, 20, (VIP,)))
    assert seal_message(message, b"", b"trailer") == BY_HAND + b"trailer"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("fe80::1", True),
        ("febf:ffff::1", True),
        ("fec0::1", False),
        ("fe7f::1", False),
        ("2001:db8::1", False),
        ("254.128.0.1", False),
    ],
)
def test_link_local_is_the_first_ten_bits_of_sixteen_bytes(address: str, expected: bool) -> None:
    assert is_link_local(packed(address)) is expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("", 0xFFFF),
        ("ffff", 0),
        ("0001f203f4f5f6f7", 0x220D),  # RFC 1071 §3: the sum is ddf2
        ("01", 0xFEFF),  # an odd byte counts as the upper half of a word
        ("ffffffff0001", 0xFFFE),
        ("ffff" * 700 + "0001", 0xFFFE),
    ],
)
def test_internet_checksum_is_the_complement_of_the_folded_sum(data: str, expected: int) -> None:
    assert internet_checksum(bytes.fromhex(data)) == expected
    assert slow_checksum(bytes.fromhex(data)) == expected


@given(st.binary(max_size=1500))
def test_internet_checksum_any_bytes_equals_the_slow_way(data: bytes) -> None:
    assert internet_checksum(data) == slow_checksum(data)


def test_pseudo_header_of_each_family_is_laid_out_as_its_rfc_says() -> None:
    expected = SOURCE + DESTINATION + bytes((0, 112, 0xFE, 0xDC))
    assert pseudo_header(SOURCE, DESTINATION, 0xFEDC) == expected
    tail = bytes((0xFE, 0xDC, 0xBA, 0x98, 0, 0, 0, 112))
    assert pseudo_header(SOURCE6, DESTINATION6, 0xFEDCBA98) == SOURCE6 + DESTINATION6 + tail


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (ChecksumForm.MESSAGE_ONLY, b""),
        (ChecksumForm.PSEUDO_HEADER, cover4(SOURCE, DESTINATION, 12)),
        (ChecksumForm.GROUP_PSEUDO_HEADER, cover4(SOURCE, GROUP4, 12)),
    ],
)
def test_checksum_cover_over_ipv4_never_holds_the_trailer(
    form: ChecksumForm, expected: bytes
) -> None:
    assert checksum_cover(form, SOURCE, DESTINATION, 12, b"trailer!") == expected


def test_checksum_cover_over_ipv6_holds_the_trailer_and_counts_it() -> None:
    expected = cover6(SOURCE6, DESTINATION6, 24 + 8) + b"trailer!"
    form = ChecksumForm.PSEUDO_HEADER
    assert checksum_cover(form, SOURCE6, DESTINATION6, 24, b"trailer!") == expected


@pytest.mark.parametrize(
    ("version", "cover", "expected"),
    [
        (2, b"", ChecksumForm.MESSAGE_ONLY),
        (3, b"", ChecksumForm.MESSAGE_ONLY),
        (3, cover4(SOURCE, DESTINATION, 12), ChecksumForm.PSEUDO_HEADER),
        (3, cover4(SOURCE, GROUP4, 12), ChecksumForm.GROUP_PSEUDO_HEADER),
    ],
)
def test_checksum_form_over_ipv4_names_what_was_covered(
    version: int, cover: bytes, expected: ChecksumForm
) -> None:
    message = with_checksum(compose(version=version), cover)
    assert checksum_form(message, SOURCE, DESTINATION) is expected


def test_checksum_form_to_the_group_is_the_plain_pseudo_header() -> None:
    message = with_checksum(compose(), cover4(SOURCE, GROUP4, 12))
    assert checksum_form(message, SOURCE, GROUP4) is ChecksumForm.PSEUDO_HEADER


def test_checksum_form_over_ipv6_is_the_pseudo_header_with_the_trailer() -> None:
    plain = compose(addresses=(LINK_LOCAL,))
    message = with_checksum(plain, cover6(SOURCE6, DESTINATION6, 24 + 28) + bytes(27) + b"\1")
    form = checksum_form(message, SOURCE6, DESTINATION6, bytes(27) + b"\1")
    assert form is ChecksumForm.PSEUDO_HEADER


def test_checksum_form_over_ipv6_without_a_trailer_is_the_pseudo_header() -> None:
    plain = compose(addresses=(LINK_LOCAL,))
    message = with_checksum(plain, cover6(SOURCE6, DESTINATION6, 24))
    assert checksum_form(message, SOURCE6, DESTINATION6) is ChecksumForm.PSEUDO_HEADER


@pytest.mark.parametrize(
    ("message", "source", "destination"),
    [
        (with_checksum(compose(version=2), cover4(SOURCE, DESTINATION, 20)), SOURCE, DESTINATION),
        (with_checksum(compose(), cover4(SOURCE, SOURCE, 12)), SOURCE, DESTINATION),
        (compose(), SOURCE, DESTINATION),
        (with_checksum(compose(addresses=(LINK_LOCAL,))), SOURCE6, DESTINATION6),
    ],
    ids=["v2 with pseudo-header", "another destination", "zero", "v6 message only"],
)
def test_checksum_that_fits_no_form_is_refused(
    message: bytes, source: bytes, destination: bytes
) -> None:
    with pytest.raises(DecodeError) as caught:
        checksum_form(message, source, destination)
    assert caught.value.reason is RejectReason.CHECKSUM
    assert str(caught.value) == "checksum"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        *((BY_HAND[:length], RejectReason.TRUNCATED) for length in range(8)),
        *(
            (bytes((version << 4 | 1,)) + BY_HAND[1:], RejectReason.VERSION)
            for version in (0, 1, *range(4, 16))
        ),
        *(
            (bytes((version << 4 | kind,)) + BY_HAND[1:], RejectReason.TYPE)
            for version in (2, 3)
            for kind in (0, *range(2, 16))
        ),
        (bytes((0x12, 51)), RejectReason.TRUNCATED),
        (b"\x12" + BY_HAND[1:], RejectReason.VERSION),
    ],
)
def test_check_header_that_breaks_one_rule_names_it(data: bytes, reason: RejectReason) -> None:
    with pytest.raises(DecodeError) as caught:
        check_header(data)
    assert caught.value.reason is reason


def test_check_header_that_is_right_gives_version_and_vrid() -> None:
    assert check_header(BY_HAND[:8]) == (3, 51)
    assert check_header(BY_HAND_V2) == (2, 51)


@pytest.mark.parametrize(
    ("version", "family", "count", "expected"),
    [
        (2, Family.IPV4, 0, 16),
        (2, Family.IPV4, 1, 20),
        (3, Family.IPV4, 0, 8),
        (3, Family.IPV4, 255, 8 + 4 * 255),
        (3, Family.IPV6, 1, 24),
        (3, Family.IPV6, 255, 8 + 16 * 255),
    ],
)
def test_message_length_follows_from_version_family_and_count(
    version: int, family: Family, count: int, expected: int
) -> None:
    assert message_length(compose(version=version, count=count)[:8], family) == expected


def test_decode_version_3_gives_every_field() -> None:
    message = compose(vrid=1, priority=255, word=4095, addresses=(VIP, SOURCE))
    assert decode_message(message, Family.IPV4) == Advertisement(3, 1, 255, 4095, (VIP, SOURCE))


def test_decode_version_3_reserved_bits_are_ignored() -> None:
    assert decode_message(compose(word=0xF014), Family.IPV4).interval_cs == 20


def test_decode_version_2_gives_seconds_as_centiseconds_and_the_authentication() -> None:
    message = compose(version=2, word=0x01FF, addresses=(VIP, SOURCE), tail=b"password")
    expected = Advertisement(2, 51, 100, 25_500, (VIP, SOURCE), 1, b"password")
    assert decode_message(message, Family.IPV4) == expected


def test_decode_ipv6_gives_sixteen_bytes_an_address() -> None:
    message = compose(addresses=(LINK_LOCAL, VIP6))
    assert decode_message(message, Family.IPV6).addresses == (LINK_LOCAL, VIP6)


def test_decode_without_addresses_gives_none() -> None:
    assert decode_message(compose(addresses=()), Family.IPV4).addresses == ()


@given(
    st.integers(1, 255),
    st.integers(0, 255),
    st.integers(1, 4095),
    st.lists(st.binary(min_size=4, max_size=4), min_size=1, max_size=64),
)
def test_decode_encoded_version_3_gives_it_back(
    vrid: int, priority: int, interval_cs: int, addresses: list[bytes]
) -> None:
    sent = Advertisement(3, vrid, priority, interval_cs, tuple(addresses))
    assert decode_message(encode_message(sent), Family.IPV4) == sent


@given(
    st.integers(1, 255),
    st.integers(1, 255),
    st.integers(0, 1),
    st.binary(min_size=8, max_size=8),
    st.lists(st.binary(min_size=4, max_size=4), min_size=1, max_size=64),
)
def test_decode_encoded_version_2_gives_it_back(
    vrid: int, seconds: int, auth_type: int, data: bytes, addresses: list[bytes]
) -> None:
    sent = Advertisement(2, vrid, 7, seconds * 100, tuple(addresses), auth_type, data)
    assert decode_message(encode_message(sent), Family.IPV4) == sent


@given(st.lists(st.binary(min_size=16, max_size=16), min_size=1, max_size=64))
def test_decode_encoded_ipv6_gives_the_same_addresses_link_local_first(
    addresses: list[bytes],
) -> None:
    sent = encode_message(Advertisement(3, 51, 100, 100, tuple(addresses)))
    received = decode_message(sent, Family.IPV6).addresses
    assert sorted(received) == sorted(addresses)
    local = [address for address in addresses if is_link_local(address)]
    assert list(received[: len(local)]) == local
