"""Make before break (architecture §4.7): a planned move is one that a client does not see."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import yaml
from tests.eventually import eventually
from tests.netns.observe import Capture, metric, settled, state

from vrrp_lab.lab import Lab
from vrrp_lab.lan import Lan
from vrrp_lab.node import Node
from vrrp_lab.probe import Probe
from vrrp_lab.web import WebServer

pytestmark = pytest.mark.netns
VIP, ADDRESS, ADDRESS6 = "moving", "192.0.2.50", "2001:db8:0:1::50"
MANIFEST = f"""
apiVersion: kube-vrrp.io/v1alpha1
kind: VirtualIP
metadata: {{name: {VIP}}}
spec:
  addresses: [{{address: {ADDRESS}/24}}, {{address: "{ADDRESS6}/64"}}]
  nodePriorities:
  - {{node: node-1, priority: 200}}
  - {{node: node-2, priority: 150}}
  - {{node: node-3, priority: 100}}
  healthChecks: [{{name: web}}]
---
apiVersion: kube-vrrp.io/v1alpha1
kind: HealthCheck
metadata: {{name: web}}
spec:
  http: {{url: "http://127.0.0.1:8080/"}}
  interval: 100ms
  rise: 1
  fall: 1
"""


_DELIVERS = """
import socket, subprocess, sys, time
from vrrp_speaker.engine.network.netlink import RequestSocket
requests, index = RequestSocket(), socket.if_nametoindex("eth0")
for text in sys.argv[1:]:
    packed = socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    answers = [requests.delivers(index, packed)]
    options = ["nodad", "noprefixroute"] if ":" in text else []
    subprocess.run(["ip", "addr", "add", text, "dev", "eth0", *options], check=True)
    end = time.monotonic() + 5
    while not requests.delivers(index, packed) and time.monotonic() < end:
        pass
    answers.append(requests.delivers(index, packed))
    answers.append(requests.delivers(index + 77, packed))
    print(*answers)
"""

# Wait until an address is removed, and print when that was.
_UNTIL_GONE = """
import sys, time
from pyroute2 import IPRoute
with IPRoute() as ipr:
    ipr.bind()
    print("watching", flush=True)
    while True:
        for news in ipr.get():
            if news["event"] == "RTM_DELADDR" and news.get_attr("IFA_ADDRESS") == sys.argv[1]:
                sys.exit(print(time.monotonic_ns()))
"""


@pytest.fixture(scope="module")
def servers(standalone: Lab) -> dict[str, WebServer]:
    made = {node.name: WebServer(node, standalone.lan.processes) for node in standalone.nodes}
    for server in made.values():
        server.start()
    return made


@pytest.fixture
def home(standalone: Lab, servers: dict[str, WebServer]) -> Iterator[Node]:
    """The best node, Active before and after."""
    node = standalone.node("node-1")
    eventually(lambda: settled(standalone, VIP, ADDRESS) is node, within_s=20)
    yield node
    if not node.running:
        node.start_speaker()
    eventually(lambda: settled(standalone, VIP, ADDRESS) is node, within_s=20)


def lost_during(lab: Lab, move: Callable[[], object], to: Node) -> list[int]:
    """Return the probes of each address that were lost while it moved to a node."""
    with ExitStack() as stack:
        probes: list[Probe] = []
        for address in (ADDRESS, ADDRESS6):
            probe = stack.enter_context(lab.client.probe(address))
            probe.wait_answered(30)
            probes.append(probe)
        since_ns = time.monotonic_ns()
        move()
        eventually(lambda: [n.name for n in lab.holders(ADDRESS)] == [to.name], within_s=15)
        eventually(lambda: [n.name for n in lab.holders(ADDRESS6)] == [to.name], within_s=15)
        for probe in probes:
            probe.wait_answered(30)
        return [probe.report(since_ns).lost for probe in probes]


def test_kernel_tells_whether_an_address_answers(lan: Lan) -> None:
    host = lan.hosts[0]
    told = host.exec(sys.executable, "-c", _DELIVERS, ADDRESS, ADDRESS6).stdout.split("\n")
    assert told[:2] == ["False True False"] * 2


def test_stop_and_return_lose_no_probe(standalone: Lab, home: Node) -> None:
    second = standalone.node("node-2")
    assert lost_during(standalone, home.stop_speaker, second) == [0, 0]
    assert lost_during(standalone, home.start_speaker, home) == [0, 0]


def test_supervisor_that_is_killed_alone_loses_no_probe(standalone: Lab, home: Node) -> None:
    """As the kernel does for want of memory; the engine is healthy, and nobody starts another."""

    def kill() -> None:
        os.kill(home.processes()["supervisor"], signal.SIGKILL)

    assert lost_during(standalone, kill, standalone.node("node-2")) == [0, 0]
    home.kill_speaker()


def test_failing_check_with_a_living_successor_loses_no_probe(
    standalone: Lab, home: Node, servers: dict[str, WebServer]
) -> None:
    second = standalone.node("node-2")
    assert lost_during(standalone, servers[home.name].stop, second) == [0, 0]
    eventually(lambda: state(home, VIP) == "Fault", within_s=5)
    assert lost_during(standalone, servers[home.name].start, home) == [0, 0]


def test_stop_keeps_the_address_until_the_successor_has_announced(
    standalone: Lab, home: Node
) -> None:
    watch = home.host.namespace.start(
        [sys.executable, "-c", _UNTIL_GONE, ADDRESS], stdout=subprocess.PIPE
    )
    assert watch.stdout is not None
    assert watch.stdout.readline() == b"watching\n"
    with Capture(standalone.client) as capture:
        since_ns = time.monotonic_ns()
        home.stop_speaker()
        gone_ns = int(watch.communicate(timeout=60)[0])
        eventually(lambda: standalone.holders(ADDRESS) == [standalone.node("node-2")], within_s=10)
        announced = [
            frame.time_ns
            for frame in capture.until_now(since_ns)
            if frame.is_arp and frame.data[28:32] == frame.data[38:42] == bytes([192, 0, 2, 50])
        ]
    assert announced[0] < gone_ns


def test_named_successor_takes_over_at_once_and_seen_by_nobody(standalone: Lab, home: Node) -> None:
    path = standalone.config_file("node-3")
    before = path.read_text()
    named = yaml.safe_load(before)
    named["spec"]["virtualRouters"][0].update({"takeOver": "node-3", "basePriority": 250})
    third = standalone.node("node-3")
    try:
        lost = lost_during(standalone, lambda: path.write_text(yaml.safe_dump(named)), third)
        assert lost == [0, 0]
        taken = metric(third, "kube_vrrp_transitions_total", reason="Handover")
        assert taken == 1
    finally:
        path.write_text(before)
