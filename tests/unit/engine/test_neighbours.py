"""What neighbours say: parsers fed with recorded and with any bytes, and the kernel's filter."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.engine.programs import packed

from vrrp_speaker.engine.neighbours.listening import (
    _MAX_FILTERED,
    arp_filter,
    parse_arp,
    parse_neighbor_advertisement,
)

_VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "golden-packets.jsonl"
_PACKET_TYPE = 0xFFFFF000 + 4  # SKF_AD_OFF + SKF_AD_PKTTYPE, linux/filter.h
_OTHER_HOST = 3  # PACKET_OTHERHOST, linux/if_packet.h
MAC = bytes.fromhex("02005e005364")
# RFC 826: Ethernet, IPv4, 6 and 4 bytes, request; 02:00:5e:00:53:64 has 192.0.2.50.
ARP = bytes.fromhex("0001080006040001" + "02005e005364" + "c0000232" + "000000000000" + "c0000232")
# RFC 4861 §4.4: override set, target 2001:db8::50, target link-layer address.
NA = bytes.fromhex(
    "88000000" + "20000000" + "20010db8000000000000000000000050" + "0201" + "02005e005364"
)


def _recorded(kind: str) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in _VECTORS.read_text().splitlines()]
    return [row for row in rows if row.get("kind") == kind]


@pytest.mark.parametrize("row", _recorded("garp"), ids=lambda r: f"{r['source']} {r['name']}")
def test_recorded_gratuitous_arp_tells_its_sender(row: dict[str, Any]) -> None:
    frame = bytes.fromhex(row["frame_hex"])
    assert parse_arp(frame[14:]) == (frame[28:32], frame[6:12])


@pytest.mark.parametrize(
    "row", _recorded("unsolicited-na"), ids=lambda r: f"{r['source']} {r['name']}"
)
def test_recorded_neighbor_advertisement_tells_its_sender(row: dict[str, Any]) -> None:
    frame = bytes.fromhex(row["frame_hex"])
    # The target is the packet's source in what keepalived and FRR send.
    assert parse_neighbor_advertisement(frame[54:]) == (frame[22:38], frame[6:12])


def test_request_and_reply_claim_alike() -> None:
    assert parse_arp(ARP) == (packed("192.0.2.50"), MAC)
    assert parse_arp(ARP[:7] + b"\2" + ARP[8:]) == (packed("192.0.2.50"), MAC)


@pytest.mark.parametrize(
    "data",
    [
        ARP[:27],
        ARP[:14] + bytes(4) + ARP[18:],  # a probe claims nothing
        b"\0\x06" + ARP[2:],  # IEEE 802 hardware type
        ARP[:2] + b"\x86\xdd" + ARP[4:],
        ARP[:4] + b"\x08\x04" + ARP[6:],
        ARP[:8] + bytes(6) + ARP[14:],
        ARP[:8] + b"\x03" + ARP[9:],  # a group's address
    ],
)
def test_what_is_no_claim_over_arp(data: bytes) -> None:
    assert parse_arp(data) is None


@pytest.mark.parametrize(
    "data",
    [
        NA[:23],
        NA[:24],  # says what, and not who
        NA[:31],
        b"\x87" + NA[1:],  # a solicitation
        NA[:1] + b"\1" + NA[2:],
        NA[:25] + b"\0" + NA[26:],  # an option of no length
        NA[:24] + b"\1" + NA[25:],  # source link-layer address
        NA[:26] + bytes(6),
    ],
)
def test_what_is_no_claim_over_neighbor_discovery(data: bytes) -> None:
    assert parse_neighbor_advertisement(data) is None


def test_option_is_found_behind_others() -> None:
    other = bytes.fromhex("0e01") + bytes(6)
    assert parse_neighbor_advertisement(NA[:24] + other + NA[24:]) == (packed("2001:db8::50"), MAC)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_claim_of_the_right_shape_or_none(data: bytes) -> None:
    for parse, length in ((parse_arp, 4), (parse_neighbor_advertisement, 16)):
        claim = parse(data)
        assert claim is None or (len(claim[0]), len(claim[1])) == (length, 6)


@given(st.binary(min_size=4, max_size=4), st.binary(min_size=6, max_size=6))
def test_filter_and_parser_agree(sender: bytes, mac: bytes) -> None:
    data = ARP[:8] + mac + sender + ARP[18:]
    claims = parse_arp(data) is not None
    assert not claims or passes(arp_filter([packed("192.0.2.50"), sender]), data)
    if sender != packed("192.0.2.50"):
        assert not passes(arp_filter([packed("192.0.2.50")]), data)


def test_filter_passes_nothing_unasked_and_nothing_else() -> None:
    address = packed("192.0.2.50")
    assert passes(arp_filter([address]), ARP)
    assert not passes(arp_filter([]), ARP)
    assert not passes(arp_filter([address]), b"\0\x06" + ARP[2:])
    assert not passes(arp_filter([address]), ARP[:4] + b"\x08\x04" + ARP[6:])


def test_filter_of_very_many_addresses_stays_small() -> None:
    many = [struct.pack("!I", number) for number in range(1, _MAX_FILTERED + 2)]
    assert len(arp_filter(many[:-1])) // 8 < 4096  # BPF_MAXINSNS
    assert len(arp_filter(many)) < 100
    assert passes(arp_filter(many), ARP)


def test_filter_passes_nothing_that_is_for_others() -> None:
    """A frame of a VLAN that the node has no interface for comes as one for another host."""
    address = packed("192.0.2.50")
    assert not passes(arp_filter([address]), ARP, packet_type=_OTHER_HOST)


def passes(program: bytes, data: bytes, *, packet_type: int = 0) -> bool:
    """Run a classic BPF program as bpf(4) says; return whether it lets the packet pass."""
    instructions: list[tuple[int, ...]] = list(struct.iter_unpack("=HBBI", program))
    accumulator, at = 0, 0
    while True:
        code, when_true, when_false, value = instructions[at]
        at += 1
        if code == 0x20:  # BPF_LD | BPF_W | BPF_ABS
            at_data = int.from_bytes(data[value : value + 4])
            accumulator = packet_type if value == _PACKET_TYPE else at_data
        elif code == 0x28:  # BPF_LD | BPF_H | BPF_ABS
            accumulator = int.from_bytes(data[value : value + 2])
        elif code == 0x15:  # BPF_JMP | BPF_JEQ | BPF_K
            at += when_true if accumulator == value else when_false
        else:
            assert code == 0x06  # BPF_RET | BPF_K
            return value > 0
