"""Announcements, byte for byte as keepalived and FRR send them."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from vrrp_speaker.compiler.frames import gratuitous_arp, unsolicited_na

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
