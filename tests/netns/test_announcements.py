"""When addresses are announced, and after what (architecture §4.3, 8, 9, 10)."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from tests.eventually import eventually
from tests.netns.lone import LoneSpeaker, router
from tests.netns.observe import Frame, metric
from tests.netns.strangers import advertisement, advertising

from vrrp_lab.lan import Host, Lan

pytestmark = pytest.mark.netns
ONCE = {"burst": 1, "repeatAfter": "0s", "refresh": "0s"}
"""Nothing is announced a second time unless something happens."""
VRID, ADDRESS = 1, "10.9.0.1"
SECOND_NS = 1_000_000_000
BUDGET, PER_SECOND, ROUTERS, EACH = 250, 1000, 4, 63

# Ask for an address up to two thousand times a second, until terminated.
_ASK = """
import contextlib, os, socket, sys, time
with contextlib.suppress(PermissionError):  # as the engine does, for a machine that is busy
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("eth0", 0))
while True:
    wire.send(bytes.fromhex(sys.argv[1]))
    time.sleep(0.0005)
"""


@pytest.fixture
def speaker(lan: Lan) -> Iterator[LoneSpeaker]:
    with LoneSpeaker(lan) as made:
        yield made


def become_active(speaker: LoneSpeaker, **fields: Any) -> None:
    """Run one router and wait until it is Active and has announced its address."""
    speaker.become_active(router(VRID, 200, (), speaker.peer, **fields))
    eventually(lambda: announced(speaker, ADDRESS), within_s=5)


def announced(speaker: LoneSpeaker, address: str, since_ns: int = 0) -> list[Frame]:
    """Return the gratuitous ARP requests of the speaker's host for an address."""
    return [f for f in gratuitous(speaker, since_ns) if f.data[20:22] == b"\0\1"
            and f.data[28:32] == packed(address)]  # fmt: skip


def gratuitous(speaker: LoneSpeaker, since_ns: int = 0) -> list[Frame]:
    """Return the gratuitous ARP of the speaker's host."""
    return [
        frame
        for frame in speaker.capture.frames(since_ns)
        if frame.is_arp
        and frame.data[6:12] == mac(speaker.host)
        and frame.data[28:32] == frame.data[38:42]
    ]


def packed(address: str) -> bytes:
    return bytes(int(part) for part in address.split("."))


def mac(host: Host) -> bytes:
    return bytes.fromhex(host.mac.replace(":", ""))


def first(frames: Sequence[bool]) -> int:
    """Return the place of the first true one."""
    return frames.index(True)


# Becoming Active --------------------------------------------------------------------------


@contextmanager
def asking(host: Host, address: str) -> Iterator[None]:
    """A host asks who has an address all the time while the block runs."""
    arp = "0001080006040001" + mac(host).hex() + packed(host.address).hex() + "00" * 6
    frame = "ff" * 6 + mac(host).hex() + "0806" + arp + packed(address).hex()
    process = host.namespace.start([sys.executable, "-c", _ASK, frame])
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def test_advertisement_leaves_before_any_address_answers(speaker: LoneSpeaker) -> None:
    """Binding the other addresses takes milliseconds, in which the first one answers already."""
    listed = [{"address": f"10.9.0.{n}/32"} for n in range(1, EACH + 1)]

    def sent_by(host: Host) -> list[Frame]:
        return [f for f in speaker.capture.frames() if f.data[6:12] == mac(host)]

    def is_answer(frame: Frame) -> bool:
        to_peer = frame.is_arp and frame.data[:6] == mac(speaker.peer)
        return to_peer and frame.data[28:32] == packed(ADDRESS)

    with asking(speaker.peer, ADDRESS):
        eventually(lambda: any(f.is_arp for f in sent_by(speaker.peer)), within_s=10)
        become_active(speaker, addresses=listed, conflictDetection=False)
        eventually(lambda: any(map(is_answer, sent_by(speaker.host))), within_s=10)
    own = sent_by(speaker.host)
    assert first([f.is_vrrp for f in own]) < first([is_answer(f) for f in own])


def test_announcements_of_many_addresses_keep_to_the_budget(speaker: LoneSpeaker) -> None:
    routers = [
        router(vrid, 200, (), speaker.peer, conflictDetection=False,
               addresses=[{"address": f"10.9.{vrid}.{n}/32"} for n in range(1, EACH + 1)])
        for vrid in range(1, ROUTERS + 1)
    ]  # fmt: skip
    speaker.configure(routers, ())
    speaker.start()
    # Two frames for each address, in rounds that are due at once, after 50 and after 200 ms.
    count = 3 * 2 * ROUTERS * EACH
    eventually(lambda: len(gratuitous(speaker)) >= count, within_s=20)
    sent = gratuitous(speaker)
    took_s = (sent[count - 1].time_ns - sent[0].time_ns) / SECOND_NS
    assert took_s > (count - BUDGET) / PER_SECOND / 2


def test_new_active_router_announces_an_ipv4_address(speaker: LoneSpeaker) -> None:
    """An IPv6 address beside it would do that too, once it is in use."""
    become_active(speaker, announcements=ONCE)

    def forms() -> set[bytes]:
        return {f.data[20:22] for f in gratuitous(speaker) if f.data[28:32] == packed(ADDRESS)}

    eventually(lambda: forms() == {b"\0\1", b"\0\2"}, within_s=5)


# Afterwards -------------------------------------------------------------------------------


def test_active_router_announces_for_ever(speaker: LoneSpeaker) -> None:
    become_active(speaker, announcements={**ONCE, "refresh": "1s"})
    eventually(lambda: len(announced(speaker, ADDRESS)) >= 4, within_s=10)


def test_restored_address_is_announced(speaker: LoneSpeaker) -> None:
    become_active(speaker, announcements=ONCE)
    since_ns = time.monotonic_ns()
    speaker.host.namespace.run("ip", "addr", "del", f"{ADDRESS}/32", "dev", "eth0")
    eventually(lambda: speaker.host.holds(ADDRESS), within_s=5)
    eventually(lambda: announced(speaker, ADDRESS, since_ns), within_s=5)


def test_link_that_comes_up_announces_the_nodes_own_address(speaker: LoneSpeaker) -> None:
    become_active(speaker, announcements=ONCE)
    speaker.host.cut_link()
    eventually(lambda: speaker.states() == {f"r{VRID}": "Fault"}, within_s=5)
    since_ns = time.monotonic_ns()
    speaker.host.restore_link()
    eventually(lambda: announced(speaker, speaker.host.address, since_ns), within_s=5)
    eventually(lambda: announced(speaker, ADDRESS, since_ns), within_s=10)


# Two Active routers -----------------------------------------------------------------------


def test_winner_of_two_active_routers_counts_and_announces_again(speaker: LoneSpeaker) -> None:
    become_active(speaker, announcements=ONCE)
    since_ns = time.monotonic_ns()
    loser = advertisement(speaker.peer, VRID, priority=199, to=speaker.host)
    with advertising(speaker.peer, loser):
        eventually(lambda: announced(speaker, ADDRESS, since_ns), within_s=5)
        counted = "kube_vrrp_dual_active_seconds_total"
        eventually(lambda: metric(speaker.node, counted) > 0, within_s=5)
    assert speaker.states() == {f"r{VRID}": "Active"}
