"""The packet codec against packets of real keepalived and FRR, and against damage."""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vrrp.constants import RejectReason
from vrrp.packet import (
    Advertisement,
    ChecksumForm,
    DecodeError,
    decode_advertisement,
    encode_advertisement,
)

VECTORS = Path(__file__).parents[2] / "vectors" / "golden-packets.jsonl"
SOURCE = socket.inet_aton("192.0.2.11")
DESTINATION = socket.inet_aton("192.0.2.12")
# Composed by hand after RFC 9568 §5.2: v3, VRID 51, priority 200, one address, 20 cs; the words
# 3133 c801 0014 c000 0232 add up to 1bb7a, folded bb7b, complemented 4484.
BY_HAND = bytes.fromhex("3133c80100144484c0000232")


def _recorded() -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in VECTORS.read_text().splitlines()]
    return [
        row
        for row in rows
        if row["kind"] == "advert"
        and (row["version"], row["family"]) == (3, "ipv4")
        and row["auth"] == "none"
        and row["addresses"]
        and row["checksum_form"] in ("message", "ipv4-pseudo")
    ]


def test_recorded_packets_are_not_forgotten() -> None:
    assert len(_recorded()) > 20


@pytest.mark.parametrize("row", _recorded(), ids=lambda row: row["name"])
def test_decode_packet_of_a_real_router_gives_its_configuration(row: dict[str, Any]) -> None:
    advertisement, form = decode_advertisement(
        bytes.fromhex(row["payload_hex"]),
        socket.inet_aton(row["src"]),
        socket.inet_aton(row["dst"]),
    )
    assert advertisement == Advertisement(
        vrid=row["vrid"],
        priority=row["priority"],
        max_advertise_interval_cs=row["interval_cs"],
        addresses=tuple(socket.inet_aton(a) for a in row["addresses"]),
    )
    is_message = row["checksum_form"] == "message"
    assert form is (ChecksumForm.MESSAGE_ONLY if is_message else ChecksumForm.PSEUDO_HEADER)
    if is_message:
        assert encode_advertisement(advertisement) == bytes.fromhex(row["payload_hex"])


def test_encode_advertisement_gives_the_bytes_composed_by_hand() -> None:
    advertisement = Advertisement(51, 200, 20, (socket.inet_aton("192.0.2.50"),))
    assert encode_advertisement(advertisement) == BY_HAND


@pytest.mark.parametrize("length", range(len(BY_HAND)))
def test_decode_truncated_message_is_refused(length: int) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_advertisement(BY_HAND[:length], SOURCE, DESTINATION)
    assert caught.value.reason is (RejectReason.TRUNCATED if length < 8 else RejectReason.LENGTH)


@pytest.mark.parametrize("bit", range(8 * len(BY_HAND)))
def test_decode_message_with_one_flipped_bit_is_refused(bit: int) -> None:
    damaged = bytearray(BY_HAND)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DecodeError):
        decode_advertisement(bytes(damaged), SOURCE, DESTINATION)


def _with_checksum(message: bytes) -> bytes:
    """Return the message with a right checksum, computed the slow way."""
    body = message[:6] + b"\0\0" + message[8:]
    total = sum(int.from_bytes(body[i : i + 2], "big") for i in range(0, len(body), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return body[:6] + (~total & 0xFFFF).to_bytes(2, "big") + body[8:]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("2133c8010014000000000000", RejectReason.VERSION),
        ("4133c8010014000000000000", RejectReason.VERSION),
        ("3233c80100140000c0000232", RejectReason.TYPE),
        ("3133c80000140000", RejectReason.ADDRESS_COUNT),
        ("3133c80100000000c0000232", RejectReason.INTERVAL),
        ("3133c801f0000000c0000232", RejectReason.INTERVAL),
        ("3133c80200140000c0000232", RejectReason.LENGTH),
        ("3133c80100140000c0000232c0000233", RejectReason.LENGTH),
    ],
)
def test_decode_message_that_breaks_one_rule_names_it(message: str, reason: RejectReason) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_advertisement(_with_checksum(bytes.fromhex(message)), SOURCE, DESTINATION)
    assert caught.value.reason is reason


def test_decode_reserved_bits_are_ignored() -> None:
    message = _with_checksum(bytes.fromhex("3133c801f0140000c0000232"))
    advertisement, _ = decode_advertisement(message, SOURCE, DESTINATION)
    assert advertisement.max_advertise_interval_cs == 20


@given(
    st.integers(1, 255),
    st.integers(0, 255),
    st.integers(1, 4095),
    st.lists(st.binary(min_size=4, max_size=4), min_size=1, max_size=64),
)
def test_decode_encoded_advertisement_gives_it_back(
    vrid: int, priority: int, interval: int, addresses: list[bytes]
) -> None:
    sent = Advertisement(vrid, priority, interval, tuple(addresses))
    assert decode_advertisement(encode_advertisement(sent), SOURCE, DESTINATION)[0] == sent


@given(st.binary(max_size=200))
def test_decode_any_bytes_gives_a_value_or_a_reason(data: bytes) -> None:
    with contextlib.suppress(DecodeError):  # anything else would end the engine's loop
        decode_advertisement(data, SOURCE, DESTINATION)
