"""The frame sender: bursts, refresh, cancelling, batches, and the budget of an interface."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import pytest
from tests.unit.engine.programs import PLAN, announcement

from vrrp_speaker.engine.programs.program import Frame, Pace
from vrrp_speaker.engine.programs.set_aside import RouterError
from vrrp_speaker.engine.wire.frame_sender import (
    BATCH,
    BURST_FRAMES,
    FRAMES_PER_SECOND,
    FrameSender,
)
from vrrp_speaker.shared_state import SharedState
from vrrp_speaker.shared_state.layout import H_ANNOUNCED, H_SEND_ERRORS, KINDS

NOW = 10_000_000_000
MS, SECOND = 1_000_000, 1_000_000_000


class Wire:
    """Stands for the packet socket: remembers what was sent."""

    def __init__(self, *_: object) -> None:
        self.sent: list[bytes] = []

    def sendto(self, frame: bytes, _destination: object) -> None:
        self.sent.append(frame)

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    wire = Wire()
    monkeypatch.setattr(socket, "socket", lambda *_: wire)
    monkeypatch.setattr(socket, "if_indextoname", lambda _: "eth0")
    return wire


@pytest.fixture
def sender(wire: Wire, tmp_path: Path) -> FrameSender:
    return FrameSender(SharedState.create(str(tmp_path / "state.shm")))


def frames(*contents: bytes) -> tuple[Frame, ...]:
    return tuple(announcement("192.0.2.50", content) for content in contents)


def run_until(sender: FrameSender, end_ns: int) -> list[int]:
    """Run every deadline up to ``end_ns``; return those at which something was due."""
    times = []
    while (due_ns := sender.next_deadline_ns()) is not None and due_ns <= end_ns:
        times.append(due_ns - NOW)
        sender.run(due_ns)
    return times


@pytest.mark.parametrize(
    ("plan", "rounds_ms"),
    [
        (Pace(5, 5 * SECOND, 0), [0, 50, 200, 1000, 2000, 5000]),
        (Pace(1, 0, 0), [0]),
        (Pace(1, 3 * SECOND, 0), [0, 3000]),
        (Pace(7, 2 * SECOND, 0), [0, 50, 200, 1000, 2000, 3000, 4000]),
    ],
)
def test_burst_has_its_rounds_and_one_more(
    sender: FrameSender, wire: Wire, plan: Pace, rounds_ms: list[int]
) -> None:
    sender.begin("ingress", frames(b"a", b"b"), plan, NOW)
    assert run_until(sender, NOW + 100 * SECOND) == [ms * MS for ms in rounds_ms]
    assert wire.sent == [b"a", b"b"] * len(rounds_ms)


def test_refresh_goes_on_for_ever_and_spreads_routers(sender: FrameSender, wire: Wire) -> None:
    plan = Pace(1, 0, 60 * SECOND)
    for name in ("one", "two"):
        sender.begin(name, frames(name.encode()), plan, NOW)
    times = run_until(sender, NOW + 600 * SECOND)
    per_router = wire.sent.count(b"one"), wire.sent.count(b"two")
    # Each refresh comes after 52.5 to 67.5 s, so ten minutes hold nine to twelve.
    assert all(9 <= count <= 12 for count in per_router)
    assert len(set(times)) > len(times) // 2


def test_cancelled_router_is_silent(sender: FrameSender, wire: Wire) -> None:
    sender.begin("ingress", frames(b"a"), PLAN, NOW)
    sender.cancel("ingress")
    sender.run(NOW + 1)
    assert wire.sent == []
    assert sender.next_deadline_ns() is None


def test_new_burst_replaces_the_old_one(sender: FrameSender, wire: Wire) -> None:
    sender.begin("ingress", frames(b"old"), PLAN, NOW)
    sender.begin("ingress", frames(b"new"), PLAN, NOW + 1)
    sender.run(NOW + 1)
    assert wire.sent == [b"new"]


def test_frames_that_are_no_longer_ours_are_not_sent(sender: FrameSender, wire: Wire) -> None:
    sender.begin("ingress", frames(b"a", b"b"), PLAN, NOW)
    sender.run(NOW)
    sender.keep_only("ingress", frames(b"a"))
    run_until(sender, NOW + 600 * SECOND)
    assert wire.sent.count(b"b") == 1
    assert wire.sent.count(b"a") > 10
    sender.keep_only("ingress", ())
    assert sender.next_deadline_ns() is None


def test_one_turn_sends_a_bounded_batch(sender: FrameSender, wire: Wire) -> None:
    for number in range(10 * BATCH):
        sender.begin(f"vip-{number}", frames(b"x"), PLAN, NOW)
    sender.run(NOW)
    assert len(wire.sent) == BATCH
    assert sender.next_deadline_ns() == NOW


def test_interface_has_a_budget_and_first_rounds_come_before_repeats(
    sender: FrameSender, wire: Wire
) -> None:
    routers = 600
    for number in range(routers):
        sender.begin(f"vip-{number}", frames(f"{number}".encode()), PLAN, NOW)
    now_ns = NOW
    while len(wire.sent) < routers:
        sender.run(now_ns)
        if (due_ns := sender.next_deadline_ns()) is not None:
            now_ns = max(now_ns, due_ns)
    assert len(set(wire.sent)) == routers
    waited_s = (now_ns - NOW) / SECOND
    assert waited_s == pytest.approx((routers - BURST_FRAMES) / FRAMES_PER_SECOND, abs=0.01)


def test_budget_of_one_interface_delays_no_other(sender: FrameSender, wire: Wire) -> None:
    crowd = tuple(announcement("192.0.2.50", b"x") for _ in range(2 * BURST_FRAMES))
    sender.begin("crowd", crowd, PLAN, NOW)
    for _ in range(2 * BURST_FRAMES // BATCH):
        sender.run(NOW)
    elsewhere = Frame(b"\xc0\0\2\x33", 3, crowd[0].kind, b"y")
    sender.begin("other", (elsewhere,), PLAN, NOW + 1)
    sender.run(NOW + 1)
    assert b"y" in wire.sent


@pytest.mark.parametrize(
    ("number", "counted"),
    [(errno.ENETDOWN, 0), (errno.ENOBUFS, 0), (errno.EMSGSIZE, 1), (errno.EPERM, 1)],
)
def test_frame_that_cannot_be_sent_keeps_no_other_back(
    wire: Wire,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    counted: int,
) -> None:
    shared = SharedState.create(str(tmp_path / "counted.shm"))
    sender = FrameSender(shared)

    def sendto(frame: bytes, _destination: object) -> None:
        if frame == b"bad":
            raise OSError(number, "refused")
        wire.sent.append(frame)

    monkeypatch.setattr(wire, "sendto", sendto)
    plan = Pace(burst=1, repeat_after_ns=0, refresh_ns=0)
    sender.begin("a", frames(b"bad", b"good"), plan, NOW)
    run_until(sender, NOW)
    assert wire.sent == [b"good"]
    assert shared.get(H_SEND_ERRORS) == counted
    assert sum(shared.get(H_ANNOUNCED + 8 * kind) for kind in range(len(KINDS))) == 1


def test_router_whose_announcements_cannot_go_on_is_named(sender: FrameSender, wire: Wire) -> None:
    wrong = Pace(burst=1, repeat_after_ns=0, refresh_ns=1)
    sender.begin("odd", frames(b"x"), wrong, NOW)
    with pytest.raises(RouterError, match="virtual router odd"):
        sender.run(NOW)
    assert wire.sent == [b"x"]
