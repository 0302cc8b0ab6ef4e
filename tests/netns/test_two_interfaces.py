"""Nodes with two interfaces, and with pods: every link that matters is watched, and no other.

``pair`` has an address on each interface. ``far`` is on the second one, while its advertisements
come from the node's own address on the first.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from functools import partial

import pytest
from tests.conftest import lab_or_skip
from tests.eventually import eventually
from tests.netns.inside import addresses, all_at, engine, faults, manifest, states, transitions
from tests.netns.observe import metric

from vrrp_lab.lab import Lab, LabOptions
from vrrp_lab.node import Node

pytestmark = pytest.mark.netns
FAR, NEAR, BESIDE = "198.51.100.51", "192.0.2.50", "198.51.100.50"
MANIFEST = manifest("far", 51, f"{FAR}/24", ranks=(1, 2), spec="interface: eth1") + manifest(
    "pair", 52, NEAR, ranks=(1, 2)
).replace(f'{{address: "{NEAR}"}}', f"{{address: {NEAR}}}, {{address: {BESIDE}, interface: eth1}}")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two nodes and a client, each on two LANs."""
    path = tmp_path_factory.mktemp("manifest") / "manifest.yaml"
    path.write_text(MANIFEST)
    options = LabOptions(nodes=2, standalone=(path,), start_speakers=False)
    for started in lab_or_skip(options):
        _second_lan(started)
        for node in started.nodes:
            node.start_speaker()
        yield started


def _second_lan(lab: Lab) -> None:
    switch = lab.lan.switch
    switch.run("ip", "link", "add", "br1", "type", "bridge")
    switch.run("ip", "link", "set", "br1", "up")
    for host in (*(node.host for node in lab.nodes), lab.client):
        port, run = f"q{host.number}", host.namespace.run
        peer = ("type", "veth", "peer", "name", port, "netns", str(switch.holder))
        run("ip", "link", "add", "eth1", *peer)
        switch.run("ip", "link", "set", port, "master", "br1", "up")
        run("ip", "link", "set", "eth1", "up")
        run("ip", "addr", "add", f"198.51.100.{host.number}/24", "dev", "eth1")


@pytest.fixture
def home(lab: Lab) -> Iterator[Node]:
    """The best node, Active for both before and after."""
    node = lab.node("node-1")
    all_at(lab, node)
    yield node
    all_at(lab, node)


def told(node: Node) -> dict[str, Sequence[str]]:
    """Return what a node tells of each of its routers that has a fault."""
    found = node.host.exec(
        sys.executable, "-m", "vrrp_speaker", "dump", "--run-dir", str(node.run_dir)
    )
    routers = json.loads(found.stdout)["virtualRouters"]
    return {router["name"]: router["faults"] for router in routers if router["faults"]}


def moved(home: Node, other: Node) -> bool:
    """Whether one node is in Fault for both, and the other Active."""
    return set(states(home).values()) == {"Fault"} and set(states(other).values()) == {"Active"}


# Whoever has the address says that no such port is open.
_ASK = """
import socket, sys
asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asked.settimeout(1)
asked.connect((sys.argv[1], 9))
asked.send(b"?")
try:
    asked.recv(1)
except ConnectionRefusedError:
    sys.exit(0)
"""


def answers(lab: Lab, address: str) -> bool:
    """Whether the client has an answer from an address."""
    return lab.client.exec(sys.executable, "-c", _ASK, address).returncode == 0


def answered(lab: Lab, *listed: str) -> None:
    """Wait until the client has an answer from each address."""
    for address in listed:
        eventually(partial(answers, lab, address), within_s=20)


def test_link_of_one_address_takes_all_addresses_along(lab: Lab, home: Node) -> None:
    other, port = lab.node("node-2"), f"q{home.host.number}"
    lab.lan.switch.run("ip", "link", "set", port, "down")
    try:
        eventually(lambda: moved(home, other), within_s=20)
        assert faults(home, "pair") == faults(home, "far") == {"InterfaceDown"}
        told_of = f"InterfaceDown: eth1 of {BESIDE}"
        eventually(lambda: told(home) == {"pair": [told_of], "far": ["InterfaceDown"]}, within_s=10)
        answered(lab, NEAR, BESIDE, FAR)
    finally:
        lab.lan.switch.run("ip", "link", "set", port, "up")


def test_link_that_the_advertisements_leave_by_is_watched(lab: Lab, home: Node) -> None:
    other, port = lab.node("node-2"), home.host.port
    lab.lan.switch.run("ip", "link", "set", port, "down")
    try:
        eventually(lambda: moved(home, other), within_s=20)
        assert not {FAR, NEAR, BESIDE} & set(addresses(home.host))  # each is at one node
        assert faults(home, "far") == {"InterfaceDown"}
        eventually(lambda: home.host.address in told(home)["far"][0], within_s=10)
        answered(lab, FAR)
    finally:
        lab.lan.switch.run("ip", "link", "set", port, "up")


def test_pods_that_come_and_go_are_no_news(lab: Lab, home: Node) -> None:
    before, changes, handled = engine(home), transitions(lab.nodes), _deadlines(home)
    for _ in range(5):
        home.host.namespace.run(
            "sh",
            "-ec",
            "ip link add pod0 type veth peer name pod1; ip link set pod0 up; ip link set pod1 up;"
            "ip addr add 10.1.2.3/32 dev pod0; ip addr add fe80::7/64 dev pod0 nodad;"
            "ip link del pod0",
        )
    # What is news comes after them: the kernel keeps the order.
    home.host.namespace.run("ip", "link", "add", "eth2", "type", "veth", "peer", "name", "eth3")
    home.host.namespace.run("ip", "addr", "add", "198.51.100.130/26", "dev", "eth1")
    try:
        eventually(lambda: engine(home).link_changes > before.link_changes, within_s=10)
        eventually(lambda: _deadlines(home) > handled + 10, within_s=10)
        assert engine(home).link_changes == before.link_changes + 1
        assert metric(home, "kube_vrrp_link_changes_total") == before.link_changes + 1
        assert transitions(lab.nodes) == changes
        assert set(states(home).values()) == {"Active"}
    finally:
        home.host.namespace.run("ip", "addr", "del", "198.51.100.130/26", "dev", "eth1")
        home.host.namespace.run("ip", "link", "del", "eth2")


def _deadlines(node: Node) -> int:
    """Return how many deadlines the engine has handled."""
    return sum(engine(node).lateness_counts)
