"""Two hold an address on both sides of a cut; when it heals one does, and clients know which."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import pytest
from tests.eventually import eventually
from tests.netns.inside import all_at, manifest, states
from tests.netns.observe import metric

from vrrp_lab.lab import Lab
from vrrp_lab.node import Node

pytestmark = pytest.mark.netns
NODES, PORT = 3, 9999
ADDRESSES = ("192.0.2.50", "2001:db8:0:1::51")
WATCHED = "192.0.2.52"
MANIFEST = (
    manifest("four", 51, f"{ADDRESSES[0]}/24", ranks=(1, 2, 3))
    + manifest("six", 52, f"{ADDRESSES[1]}/64", ranks=(1, 2, 3))
    + manifest("watched", 53, WATCHED, ranks=(1, 2, 3), spec="healthChecks: [{name: db}]")
    + f"""---
apiVersion: kube-vrrp.io/v1alpha1
kind: HealthCheck
metadata: {{name: db}}
spec: {{tcp: {{address: '192.0.2.100:{PORT}'}}, interval: 200ms, rise: 1, fall: 2}}
"""
)
SERVER = f"""
import socket
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("", {PORT}))
server.listen(50)
while True:
    server.accept()[0].close()
"""


@pytest.fixture
def server(sized: Lab) -> Iterator[list[object]]:
    """What every node checks; a test may end it."""
    process = sized.client.namespace.start([sys.executable, "-c", SERVER])
    yield [process]
    process.terminate()
    process.wait(30)


@pytest.fixture
def home(sized: Lab, server: list[object]) -> Node:
    """The best node, alone Active everywhere."""
    assert server
    node = sized.node("node-1")
    all_at(sized, node)
    return node


def passes(node: Node) -> bool:
    return metric(node, "kube_vrrp_check_passing", check="db") == 1


def plug(lab: Lab, node: Node, *words: str) -> None:
    """Take a node's port out of the switch, or put it back; the carrier stays."""
    lab.lan.switch.run("ip", "link", "set", node.host.port, *words)


@pytest.mark.parametrize("address", ADDRESSES, ids=["four", "six"])
def test_client_is_answered_by_the_winner_whoever_hears_whom_first(
    sized: Lab, home: Node, address: str
) -> None:
    """Which side that is depends on the moment of the heal: each round has another one."""
    second = sized.node("node-2")
    for number in range(4):
        with sized.client.probe(address) as probe:
            probe.wait_answered(30)
            plug(sized, home, "nomaster")
            eventually(lambda: second.holds(address), within_s=20)
            probe.wait_answered(30)
            time.sleep(0.05 * number)
            healed_ns = time.monotonic_ns()
            plug(sized, home, "master", "br0")
            eventually(lambda: not second.holds(address), within_s=20)
            probe.wait_answered(30)
            time.sleep(1)  # what clients learn in the grace is put right after it
            report = probe.report(healed_ns)
        print(f"round {number}: {report.lost} of {report.sent} lost, {report.macs}")
        assert home.host.mac in report.macs
        assert report.lost <= report.stall_ns // 1_000_000
        all_at(sized, home)


def test_of_three_that_held_the_best_one_is_found_at_once(sized: Lab, home: Node) -> None:
    """The second loser may believe for a moment that it wins over the first, and say so."""
    second, third = (sized.node(f"node-{number}") for number in (2, 3))
    lan, parts = sized.lan, (home.host, second.host)
    for number in range(3):
        with sized.client.probe(ADDRESSES[0]) as four, sized.client.probe(ADDRESSES[1]) as six:
            for part in parts:
                for other in (*(n.host for n in sized.nodes), sized.client):
                    if other is not part:
                        lan.partition(part, other)
            eventually(lambda: all(len(sized.holders(a)) == 3 for a in ADDRESSES), within_s=20)
            assert third.host.mac in (four.report(four.wait_answered(30)).macs)
            time.sleep(0.06 * number)
            six.wait_answered(30)
            healed_ns = time.monotonic_ns()
            lan.heal()
            eventually(lambda: [sized.holders(a) for a in ADDRESSES] == [[home]] * 2, within_s=20)
            time.sleep(1)  # what clients learn in the grace is put right after it
            for probe in (four, six):
                report = probe.report(healed_ns)
                print(f"round {number}: {report.lost} of {report.sent} lost, {report.macs}")
                assert home.host.mac in report.macs
                assert report.lost <= report.stall_ns // 1_000_000
            all_at(sized, home)


def test_two_that_offer_settle_on_one_and_a_healthy_one_takes_over(
    sized: Lab, home: Node, server: list[object]
) -> None:
    """All checks fail while two hold: one goes on. Then another than that recovers."""
    process = server[0]
    plug(sized, home, "nomaster")
    others = [sized.node(f"node-{number}") for number in (2, 3)]
    eventually(lambda: states(others[0])["watched"] == "Fault" or others[0].holds(WATCHED),
               within_s=20)  # fmt: skip
    eventually(lambda: any(node.holds(WATCHED) for node in others), within_s=20)
    process.terminate()  # type: ignore[attr-defined]  # a process
    process.wait(30)  # type: ignore[attr-defined]  # a process
    eventually(lambda: not any(map(passes, sized.nodes)), within_s=20)
    plug(sized, home, "master", "br0")
    eventually(lambda: len(sized.holders(WATCHED)) == 1, within_s=20)
    time.sleep(1)
    (keeper,) = sized.holders(WATCHED)
    # Of all that are at a loss another one recovers: it serves, though it be the worst.
    healthy = next(node for node in (*others[::-1], home) if node is not keeper)
    for node in sized.nodes:
        if node is not healthy:
            node.host.namespace.run(
                "nft",
                "add table ip t; add chain ip t o { type filter hook output priority 0; };"
                f" add rule ip t o tcp dport {PORT} drop",
            )
    again = sized.client.namespace.start([sys.executable, "-c", SERVER])
    try:
        eventually(lambda: [n.name for n in sized.holders(WATCHED)] == [healthy.name], within_s=20)
    finally:
        for node in sized.nodes:
            if node is not healthy:
                node.host.namespace.run("nft", "delete table ip t")
        all_at(sized, home)
        again.terminate()
        again.wait(30)
