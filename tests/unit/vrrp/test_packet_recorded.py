"""The codec against every recorded advertisement of keepalived 2.2.7, 2.4.3 and FRR 8.4.4."""

from __future__ import annotations

import pytest
from tests.unit.vrrp.wire import GROUP4, Row, cover4, cover6, packed, rows, slow_checksum, trailer

from vrrp.authentication import HmacKeys, Mode, SimplePassword, sign, verify
from vrrp.constants import Family, RejectReason
from vrrp.observations import Observation, observe
from vrrp.packet import (
    Advertisement,
    ChecksumForm,
    DecodeError,
    check_header,
    checksum_cover,
    checksum_form,
    decode_message,
    encode_message,
    message_length,
    seal_message,
)
from vrrp.validation import Accepted, Datagram, Election, Elections

INVALID = "invalid: fits no known form"
FORMS = {
    "message": ChecksumForm.MESSAGE_ONLY,
    "ipv4-pseudo": ChecksumForm.PSEUDO_HEADER,
    "ipv4-pseudo-with-multicast-group": ChecksumForm.GROUP_PSEUDO_HEADER,
    "ipv6-pseudo": ChecksumForm.PSEUDO_HEADER,
    "ipv6-pseudo+trailer": ChecksumForm.PSEUDO_HEADER,
}
AUTH_TYPES = {"none": 0, "pass": 1, "ah": 2, "hmac": 0}
ADVERTS = [row for row in rows("golden-packets.jsonl") if row["kind"] == "advert"]
VALID = [row for row in ADVERTS if row["checksum_form"] != INVALID]
SIGNED = [row for row in ADVERTS if row["auth"] == "hmac"]
IFINDEX = 3


def label(row: Row) -> str:
    return f"{row['source']}:{row['name']}"


def family(row: Row) -> Family:
    return Family.IPV6 if row["family"] == "ipv6" else Family.IPV4


def split(row: Row) -> tuple[bytes, bytes]:
    """Return message and trailer of a recorded payload; the row says how long the message is."""
    payload = bytes.fromhex(row["payload_hex"])
    length = row.get("message_len", len(payload))
    return payload[:length], payload[length:]


def recorded(row: Row) -> Advertisement:
    """Return what the row says was sent."""
    return Advertisement(
        row["version"],
        row["vrid"],
        row["priority"],
        row["interval_cs"],
        tuple(packed(address) for address in row["addresses"]),
        AUTH_TYPES[row["auth"]],
        bytes.fromhex(row.get("auth_data_hex", "00" * 8)),
    )


def keys(row: Row) -> HmacKeys:
    return HmacKeys({row["key_id"]: bytes.fromhex(row["key_hex"])}, row["key_id"], Mode.ENFORCE)


def mirror(row: Row) -> Election:
    """Return the election of a node that the recorded advertisement was meant for."""
    to_peer = not packed(row["dst"]).startswith((b"\xe0", b"\xff"))
    password = bytes.fromhex(row.get("auth_data_hex", "")).rstrip(b"\0")
    authentication = {"pass": SimplePassword(password), "hmac": None}.get(row["auth"])
    other = packed("10.80.0.250") if family(row) is Family.IPV4 else packed("fe80::250")
    return Election(
        row["version"],
        family(row),
        row["vrid"],
        packed(row["dst"]) if to_peer else other,
        frozenset({packed(row["src"])}),
        row["interval_cs"],
        frozenset(packed(address) for address in row["addresses"]),
        0 if to_peer else IFINDEX,
        row["ttl"],
        keys(row) if row["auth"] == "hmac" else authentication,
    )


def datagram(row: Row) -> Datagram:
    payload = bytes.fromhex(row["payload_hex"])
    source, destination = packed(row["src"]), packed(row["dst"])
    return Datagram(family(row), source, destination, row["ttl"], IFINDEX, payload)


def validate(row: Row) -> Accepted | RejectReason:
    """Receive a recorded payload at the second in which it was sent."""
    wall_s = row["trailer"]["sec"] if row["auth"] == "hmac" else 0
    return Elections([mirror(row)]).validate(datagram(row), wall_s * 1_000_000_000)


def test_recorded_advertisements_are_all_there() -> None:
    assert len(ADVERTS) == 154
    assert len(VALID) == len(ADVERTS) - 2
    assert len(SIGNED) == 19


@pytest.mark.parametrize("row", ADVERTS, ids=label)
def test_decode_recorded_message_gives_its_configuration(row: Row) -> None:
    payload = bytes.fromhex(row["payload_hex"])
    assert check_header(payload) == (row["version"], row["vrid"])
    message, _ = split(row)
    assert message_length(payload, family(row)) == len(message)
    assert decode_message(message, family(row)) == recorded(row)


@pytest.mark.parametrize("row", VALID, ids=label)
def test_checksum_form_of_recorded_message_is_the_recorded_one(row: Row) -> None:
    message, end = split(row)
    form = checksum_form(message, packed(row["src"]), packed(row["dst"]), end)
    assert form is FORMS[row["checksum_form"]]


@pytest.mark.parametrize(
    "row", [row for row in ADVERTS if row["checksum_form"] == INVALID], ids=label
)
def test_checksum_patched_for_a_destination_it_does_not_cover_is_refused(row: Row) -> None:
    """keepalived's ``v3_checksum_as_v2`` with several peers (reference ``hmac-wire`` §13)."""
    message, _ = split(row)
    with pytest.raises(DecodeError) as caught:
        checksum_form(message, packed(row["src"]), packed(row["dst"]))
    assert caught.value.reason is RejectReason.CHECKSUM
    assert validate(row) is RejectReason.CHECKSUM


@pytest.mark.parametrize("row", VALID, ids=label)
def test_encode_recorded_configuration_gives_the_recorded_bytes(row: Row) -> None:
    """Byte for byte; of a signed one only the moment of sending is taken from the record."""
    message = encode_message(recorded(row))
    source, destination = packed(row["src"]), packed(row["dst"])
    end = b""
    if row["auth"] == "hmac":
        stamped = row["trailer"]
        sequence = stamped["sec"] << 32 | stamped["subsec"] << 16 | stamped["ctr"]
        end = sign(keys(row), message, source, sequence)
    form = FORMS[row["checksum_form"]]
    covered = checksum_cover(form, source, destination, len(message), end)
    assert seal_message(message, covered, end).hex() == row["payload_hex"]


@pytest.mark.parametrize("row", SIGNED, ids=label)
def test_verify_recorded_signature_agrees_with_its_key(row: Row) -> None:
    message, end = split(row)
    sequence, wrong = verify(keys(row), message, packed(row["src"]), end)
    assert wrong is None
    assert sequence >> 32 == row["trailer"]["sec"]
    key = bytes.fromhex(row["key_hex"])
    again = trailer(message, packed(row["src"]), sequence, key=key, key_id=row["key_id"])
    assert again == end


@pytest.mark.parametrize(
    "row",
    [
        row
        for row in VALID
        if row["auth"] != "ah" and row["addresses"] and row["dst"] != "224.0.0.200"
    ],
    ids=label,
)
def test_validate_recorded_datagram_is_accepted_with_its_form(row: Row) -> None:
    accepted = validate(row)
    assert isinstance(accepted, Accepted)
    assert accepted.advertisement == recorded(row)
    assert accepted.checksum_form is FORMS[row["checksum_form"]]
    assert accepted.source == packed(row["src"])
    seen = set(observe(accepted, mirror(row), 77))
    assert {Observation.INTERVAL_DIFFERS, Observation.ADDRESSES_DIFFER}.isdisjoint(seen)


@pytest.mark.parametrize("row", [row for row in ADVERTS if row["auth"] == "ah"], ids=label)
def test_validate_recorded_ah_message_is_refused_for_its_authentication_type(row: Row) -> None:
    """IP protocol 51 never reaches a socket of protocol 112; the message names itself too."""
    assert row["ip_proto"] == 51
    assert validate(row) is RejectReason.AUTH_TYPE


def test_validate_recorded_message_without_addresses_is_refused() -> None:
    """RFC 9568 erratum 8299; keepalived sends it with ``no_virtual_ipaddress``."""
    (row,) = [row for row in ADVERTS if not row["addresses"]]
    assert validate(row) is RejectReason.ADDRESS_COUNT


def test_validate_recorded_message_to_another_group_is_from_an_unknown_source() -> None:
    """keepalived's ``mcast_dst_ip``: we join the RFC's group only."""
    found = [row for row in ADVERTS if row["dst"] == "224.0.0.200"]
    assert found
    for row in found:
        assert validate(row) is RejectReason.UNKNOWN_SOURCE


def own_cover(row: Row, message: bytes, end: bytes) -> bytes:
    """Return what the recorded checksum form covers besides the message, without our codec."""
    source, destination = packed(row["src"]), packed(row["dst"])
    if row["family"] == "ipv6":
        return cover6(source, destination, len(message) + len(end)) + end
    if row["checksum_form"] == "message":
        return b""
    to_group = row["checksum_form"] == "ipv4-pseudo-with-multicast-group"
    return cover4(source, GROUP4 if to_group else destination, len(message))


@pytest.mark.parametrize("row", VALID, ids=label)
def test_slow_checksum_of_recorded_message_is_zero(row: Row) -> None:
    """The tests' own arithmetic holds against the wire as well."""
    message, end = split(row)
    assert slow_checksum(own_cover(row, message, end) + message) == 0
