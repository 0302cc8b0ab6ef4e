"""The announcer: bursts, refresh, cancelling, bounded batches."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from vrrp_speaker.engine.announcer import BATCH, BURST_NS, REFRESH_NS, Announcer
from vrrp_speaker.engine.program import Announcement
from vrrp_speaker.shared_state import AnnouncementKind, SharedState

NOW = 10_000_000_000


class Wire:
    """Stands for the packet socket: remembers what was sent."""

    def __init__(self, *_: object) -> None:
        self.sent: list[bytes] = []

    def sendto(self, frame: bytes, _destination: object) -> None:
        self.sent.append(frame)

    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    wire = Wire()
    monkeypatch.setattr(socket, "socket", lambda *_: wire)
    monkeypatch.setattr(socket, "if_indextoname", lambda _: "eth0")
    return wire


@pytest.fixture
def announcer(wire: Wire, tmp_path: Path) -> Announcer:
    return Announcer(SharedState.create(str(tmp_path / "state.shm")))


def frames(*contents: bytes) -> tuple[Announcement, ...]:
    kind = AnnouncementKind.GRATUITOUS_ARP_REQUEST
    return tuple(Announcement(2, kind, content) for content in contents)


def test_burst_repeats_then_refreshes(announcer: Announcer, wire: Wire) -> None:
    announcer.announce("ingress", frames(b"a", b"b"), NOW)
    for round_number, offset_ns in enumerate(BURST_NS, start=1):
        assert announcer.next_deadline_ns() == NOW + offset_ns
        announcer.run(NOW + offset_ns)
        assert wire.sent == [b"a", b"b"] * round_number
    assert announcer.next_deadline_ns() == NOW + BURST_NS[-1] + REFRESH_NS


def test_cancelled_router_is_silent(announcer: Announcer, wire: Wire) -> None:
    announcer.announce("ingress", frames(b"a"), NOW)
    announcer.cancel("ingress")
    announcer.run(NOW + 1)
    assert wire.sent == []
    assert announcer.next_deadline_ns() is None


def test_new_burst_replaces_the_old_one(announcer: Announcer, wire: Wire) -> None:
    announcer.announce("ingress", frames(b"old"), NOW)
    announcer.announce("ingress", frames(b"new"), NOW + 1)
    announcer.run(NOW + 1)
    assert wire.sent == [b"new"]


def test_one_turn_sends_a_bounded_batch(announcer: Announcer, wire: Wire) -> None:
    for number in range(10 * BATCH):
        announcer.announce(f"vip-{number}", frames(b"x"), NOW)
    announcer.run(NOW)
    assert len(wire.sent) == BATCH
    assert announcer.next_deadline_ns() == NOW
