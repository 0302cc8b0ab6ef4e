"""Announcements, byte for byte as keepalived and FRR send them."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vrrp_speaker.compiler.frames import arp_probe, gratuitous_arp, neighbor_probe, unsolicited_na

_VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "golden-packets.jsonl"


def _recorded(kind: str, source: str = "") -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in _VECTORS.read_text().splitlines()]
    return [r for r in rows if r.get("kind") == kind and r["source"].startswith(source)]


@pytest.mark.parametrize("row", _recorded("garp"), ids=lambda r: f"{r['source']} {r['name']}")
def test_gratuitous_arp_request_is_the_recorded_one(row: dict[str, Any]) -> None:
    recorded = bytes.fromhex(row["frame_hex"])
    mac, address = recorded[6:12], socket.inet_ntoa(recorded[28:32])
    assert gratuitous_arp(address, mac, reply=False) == recorded


@pytest.mark.parametrize(
    "row", _recorded("unsolicited-na"), ids=lambda r: f"{r['source']} {r['name']}"
)
def test_unsolicited_na_is_the_recorded_one(row: dict[str, Any]) -> None:
    recorded = bytes.fromhex(row["frame_hex"])
    mac, address = recorded[6:12], socket.inet_ntop(socket.AF_INET6, recorded[22:38])
    # FRR's addresses belong to routers, keepalived's here to a host: the flag is the difference.
    router = row["source"].startswith("frr")
    assert unsolicited_na(address, mac, router=router) == recorded


def test_the_reply_form_differs_from_the_request_in_its_operation_only() -> None:
    mac = bytes.fromhex("02005e005311")
    request = gratuitous_arp("192.0.2.50", mac, reply=False)
    reply = gratuitous_arp("192.0.2.50", mac, reply=True)
    assert [i for i, (a, b) in enumerate(zip(request, reply, strict=True)) if a != b] == [21]
    assert (request[20:22], reply[20:22]) == (b"\0\1", b"\0\2")


def test_arp_probe_is_the_one_of_rfc_5227() -> None:
    mac = bytes.fromhex("02005e005311")
    # A broadcast request from our hardware address and 0.0.0.0, for an address of nobody known.
    assert arp_probe("192.0.2.50", mac) == bytes.fromhex(
        "ffffffffffff" + "02005e005311" + "0806"
        "0001080006040001" + "02005e005311" + "00000000" + "000000000000" + "c0000232"
    )


def test_neighbor_probe_is_the_one_of_duplicate_address_detection() -> None:
    frame = neighbor_probe("2001:db8::1:50", bytes.fromhex("02005e005311"))
    # RFC 4862 §5.4.2: from :: to ff02::1:ff01:50, hop limit 255, no option; RFC 2464 §7: the MAC.
    assert frame[:14] == bytes.fromhex("3333ff010050" + "02005e005311" + "86dd")
    assert (frame[18:20], frame[20], frame[21]) == (b"\0\x18", 58, 255)
    assert frame[22:38] == bytes(16)
    assert frame[38:54] == bytes.fromhex("ff0200000000000000000001ff010050")
    assert (frame[54:56], frame[58:62]) == (b"\x87\0", bytes(4))
    assert frame[62:] == socket.inet_pton(socket.AF_INET6, "2001:db8::1:50")
    pseudo = frame[22:54] + bytes.fromhex("000000180000003a")
    words = struct.unpack("!32H", pseudo + frame[54:])
    assert sum(words) % 0xFFFF == 0


def test_nothing_of_the_host_is_read_to_build_frames() -> None:
    """A node has thousands of addresses and routes that are nobody's VirtualIP."""
    asked = (
        "import vrrp_speaker.compiler.frames\n"
        "from scapy.config import conf\n"
        "print(len(conf.ifaces.data), len(conf.route.routes), len(conf.route6.routes))"
    )
    ran = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["0", "0", "0"]
    assert socket.if_nameindex()  # there was something to read
