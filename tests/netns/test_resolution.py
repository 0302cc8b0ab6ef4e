"""Kernels that do not know a peer's hardware address, and whose questions for it are lost.

A kernel asks again after a second, or where it is told so after a minute. Elections do not wait for
it.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.eventually import eventually
from tests.netns.inside import all_at, engine, manifest, routers, states

from vrrp_lab.lab import Lab
from vrrp_lab.lan import INTERFACE, Lan
from vrrp_lab.node import Node

pytestmark = pytest.mark.netns
NODES = 2
MAJORITY = "splitBrainPolicy: RequireMajority"
MANIFEST = (
    manifest("four", 51, "192.0.2.50/24", ranks=(1, 2))
    + manifest("six", 52, "2001:db8:0:1::52/64", ranks=(1, 2))
    + manifest("most", 53, "192.0.2.53/24", ranks=(1, 2), spec=MAJORITY)
)
INTERVAL_S, KERNEL_S = 0.2, 60.0
QUESTIONS = {
    "four": ("ether type arp", "ARPRequest"),
    "six": ("icmpv6 type nd-neighbor-solicit", "NeighborSolicitation"),
}


@pytest.fixture
def home(sized: Lab) -> Iterator[Node]:
    """The best node, Active everywhere before and after."""
    node = sized.node("node-1")
    all_at(sized, node)
    yield node
    sized.lan.heal()
    all_at(sized, node)


def lose(lab: Lab, match: str) -> None:
    """Let the switch drop these frames from now on."""
    lab.lan.switch.run("nft", f"add rule bridge faults forward {match} drop")


def forget(node: Node, address: str) -> None:
    """Let a node's kernel know nothing of a neighbour, as after a lost link."""
    node.host.exec("ip", "neigh", "del", address, "dev", INTERFACE)


def asked_by_kernel(node: Node, address: str) -> int:
    """Return how often a node's kernel has asked for a neighbour that is unknown; 0: it is not."""
    shown = node.host.exec("ip", "-s", "neigh", "show", address).stdout
    asked = re.search(r"probes (\d+)\s+INCOMPLETE", shown)
    # It begins at ucast_solicit, as if it had asked the last known address so often.
    return int(asked[1]) - 3 if asked else 0


@contextmanager
def asking_again_after(node: Node, virtual_ip: str, seconds: float) -> Iterator[None]:
    """Let a node's kernel wait for so long from its next question on while the block runs."""
    family = "ipv4" if virtual_ip == "four" else "ipv6"
    setting = f"net.{family}.neigh.{INTERFACE}.retrans_time_ms"
    before = node.host.exec("sysctl", "-n", setting).stdout.strip()
    node.host.namespace.run("sysctl", "-qw", f"{setting}={seconds * 1000:.0f}")
    try:
        yield
    finally:
        node.host.namespace.run("sysctl", "-qw", f"{setting}={before}")


def received(node: Node, virtual_ip: str) -> int:
    """Return how many advertisements a node has accepted from the other one."""
    return sum(peer.received for peer in routers(node)[virtual_ip].peers)


@pytest.mark.parametrize("engine_dies", [False, True])
@pytest.mark.parametrize("virtual_ip", QUESTIONS)
def test_peer_hears_again_within_the_pace_of_the_election(
    sized: Lab, home: Node, virtual_ip: str, engine_dies: bool
) -> None:
    backup = sized.node("node-2")
    address = backup.host.address if virtual_ip == "four" else backup.host.address6
    match, kind = QUESTIONS[virtual_ip]
    lose(sized, match)
    forget(home, address)
    eventually(lambda: asked_by_kernel(home, address) == 1, within_s=10)
    before, since_s = engine(home), time.monotonic()
    # After its next question the kernel is silent: who is heard then was asked for by the engine.
    with asking_again_after(home, virtual_ip, KERNEL_S):
        if engine_dies:
            os.kill(before.engine_pid, signal.SIGKILL)
            eventually(lambda: engine(home).engine_starts > before.engine_starts, within_s=5)
        eventually(lambda: asked_by_kernel(home, address) == 2, within_s=10)
        heard = received(backup, virtual_ip)
        sized.lan.heal()
        healed_s = time.monotonic()
        eventually(lambda: received(backup, virtual_ip) > heard, within_s=KERNEL_S / 8)
    now_s = time.monotonic()
    print(f"heard again after {now_s - healed_s:.3f} s")
    asked = engine(home).announcements_sent[kind] - before.announcements_sent[kind]
    assert 1 <= asked <= 3 * (now_s - since_s) / INTERVAL_S


def test_known_peers_are_not_asked_for(sized: Lab, home: Node) -> None:
    backup = sized.node("node-2")
    before, heard = engine(home), received(backup, "four")
    eventually(lambda: received(backup, "four") > heard + 10, within_s=20)
    for _, kind in QUESTIONS.values():
        assert engine(home).announcements_sent[kind] == before.announcements_sent[kind]


def test_candidate_that_has_to_be_asked_for_its_vote_is_looked_for(sized: Lab, home: Node) -> None:
    backup, (match, kind) = sized.node("node-2"), QUESTIONS["four"]
    lose(sized, match)
    forget(backup, home.host.address)
    eventually(lambda: states(backup)["most"] == "Fault", within_s=10)
    assert states(backup)["four"] == "Backup"
    asked = engine(backup).announcements_sent[kind]
    # What the router may have sent before the fault is held back for 3 s, which are 15 questions.
    eventually(lambda: engine(backup).announcements_sent[kind] > asked + 20, within_s=15)


@pytest.mark.parametrize("address", ["192.0.2.{}", "2001:db8:0:1::{}"])
def test_living_peer_is_sent_to_beside_many_unknown_ones(lan: Lan, address: str) -> None:
    sender, living = lan.hosts[:2]
    dead = [address.format(number) for number in range(201, 209)]
    source, target = address.format(sender.number), address.format(living.number)
    command = (sys.executable, "-m", "tests.netns.sending", source, "600", target, *dead)
    ended = sender.exec(*command)
    assert ended.stdout == "failed: 0\n", ended
