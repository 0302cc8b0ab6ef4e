"""Router programs as the compiler would make them, one thing changed at a time."""

from __future__ import annotations

import socket
from typing import Any

from vrrp.constants import Family
from vrrp_speaker.engine.programs.program import (
    AddressProgram,
    Frame,
    Pace,
    Peer,
    RouterProgram,
)
from vrrp_speaker.shared_state import FrameKind

PLAN = Pace(burst=5, repeat_after_ns=5_000_000_000, refresh_ns=60_000_000_000)


def packed(text: str) -> bytes:
    """Return a packed address."""
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def address(text: str) -> AddressProgram:
    """Return an address on interface 2; its requests name it."""
    return AddressProgram(packed(text), 24, 2, b"add " + text.encode(), b"delete " + text.encode())


def announcement(text: str, frame: bytes = b"") -> Frame:
    """Return a frame that announces an address; by default it is the address's text."""
    kind = FrameKind.UNSOLICITED_NA if ":" in text else FrameKind.GRATUITOUS_ARP_REQUEST
    return Frame(packed(text), 2, kind, frame or text.encode())


def router_program(*peers: Peer, **changed: Any) -> RouterProgram:
    """Return a router of 192.0.2.11 with 192.0.2.50 and 2001:db8::50 after changes."""
    fields: dict[str, Any] = {
        "name": "a",
        "slot": 0,
        "vrid": 51,
        "version": 3,
        "family": Family.IPV4,
        "ifindex": 2,
        "source": packed("192.0.2.11"),
        "base_priority": 200,
        "adver_interval_ns": 200_000_000,
        "down_advertisements": 3,
        "preempt": True,
        "preempt_delay_ns": 0,
        "require_majority": False,
        "take_over": "",
        "multicast": False,
        "ttl_send": 255,
        "ttl_minimum": 255,
        "checksum": "Auto",
        "authentication": None,
        "peers": peers,
        "addresses": (address("192.0.2.50"), address("2001:db8::50")),
        "announcements": (),
        "announcement_plan": PLAN,
        "source_announcements": (),
        "probes": (),
        "faults": (),
        "has_checks": False,
    }
    return RouterProgram(**{**fields, **changed})
