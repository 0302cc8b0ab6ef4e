"""A host outside the election has the address (architecture §4.11): found, told, never fought."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
import yaml
from tests.eventually import eventually
from tests.netns.inside import engine, program, routers
from tests.netns.observe import Capture, Frame, metric, settled, state
from tests.netns.strangers import CLAIM, claimed_by

from vrrp_lab.lab import Lab
from vrrp_lab.lan import Host
from vrrp_lab.node import Node

pytestmark = pytest.mark.netns
VIP, ADDRESS, ADDRESS6 = "wanted", "192.0.2.50", "2001:db8:0:1::50"
CONFLICTS, TRANSITIONS = "kube_vrrp_address_conflicts_total", "kube_vrrp_transitions_total"
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
  announcements: {{burst: 1, repeatAfter: 0s, refresh: 0s}}
"""


@pytest.fixture
def home(standalone: Lab) -> Iterator[Node]:
    """The best node, Active before and after."""
    node = standalone.node("node-1")
    eventually(lambda: settled(standalone, VIP, ADDRESS) is node, within_s=20)
    yield node
    for other in standalone.nodes:
        if not other.running:
            other.start_speaker()
    eventually(lambda: settled(standalone, VIP, ADDRESS) is node, within_s=30)


def total(lab: Lab, name: str, **labels: str) -> float:
    return sum(metric(node, name, **labels) for node in lab.nodes)


def boot(lab: Lab) -> None:
    """Start every speaker as after a boot: none knows of another."""
    for node in lab.nodes:
        for path in node.run_dir.iterdir():
            path.unlink()
        node.start_speaker()


def stop_all(lab: Lab) -> None:
    for node in lab.nodes:
        node.stop_speaker()


def last_stranger(node: Node) -> str:
    """Return the hardware address that the node remembers."""
    listed = engine(node).routers.values()
    found = [router.last_conflict.mac.hex(":") for router in listed if router.last_conflict]
    return found[0] if found else ""


def nobody_heard(node: Node, ns: int) -> bool:
    """Return whether no peer was heard for so long; what is seen until then, peers explain."""
    heard = [peer.last_ns for router in routers(node).values() for peer in router.peers]
    return time.monotonic_ns() - max(heard, default=0) > ns


@contextmanager
def owned_by_client(lab: Lab, address: str) -> Iterator[None]:
    """The client has the address while the block runs, and nobody was asked."""
    flags = ["nodad"] if ":" in address else []
    assert lab.client.exec("ip", "addr", "add", address, "dev", "eth0", *flags).returncode == 0
    try:
        yield
    finally:
        lab.client.exec("ip", "addr", "del", address, "dev", "eth0")


def claims_of(frames: list[Frame], mac: str) -> list[Frame]:
    """Return the ARP frames in which a host says that it has the address."""
    sender = bytes.fromhex(mac.replace(":", "")) + bytes([192, 0, 2, 50])
    return [frame for frame in frames if frame.is_arp and frame.data[22:32] == sender]


def looks(node: Node) -> bool:
    """Return whether the node's program looks for conflicts."""
    return all(r["addresses"] and r["detectConflicts"] for r in program(node).values())


def in_fault(node: Node) -> bool:
    return state(node, VIP) == "Fault"


# Before it is bound -----------------------------------------------------------------------


@pytest.mark.parametrize("address", [f"{ADDRESS}/24", f"{ADDRESS6}/64"])
def test_address_of_a_stranger_is_bound_once_the_stranger_is_gone(
    standalone: Lab, home: Node, address: str
) -> None:
    stop_all(standalone)
    with owned_by_client(standalone, address):
        boot(standalone)
        for node in standalone.nodes:
            eventually(partial(in_fault, node), within_s=15)
            assert last_stranger(node) == standalone.client.mac
        # It asks again, and stays where it is.
        before = eventually(lambda: metric(home, CONFLICTS), within_s=5)
        eventually(lambda: metric(home, CONFLICTS) > before, within_s=15)
        assert [state(node, VIP) for node in standalone.nodes] == ["Fault"] * 3
        assert standalone.holders(ADDRESS) == standalone.holders(ADDRESS6) == []
    eventually(lambda: settled(standalone, VIP, ADDRESS) is home, within_s=20)


def test_nobody_on_the_address_is_no_conflict(standalone: Lab, home: Node) -> None:
    stop_all(standalone)
    with Capture(standalone.client) as capture:
        since_ns = time.monotonic_ns()
        boot(standalone)
        eventually(lambda: settled(standalone, VIP, ADDRESS) is home, within_s=20)
        probes = [
            frame
            for frame in capture.until_now(since_ns)
            if frame.is_arp
            and frame.data[28:32] == bytes(4)
            and frame.data[38:42] == bytes([192, 0, 2, 50])
        ]
    assert probes
    assert total(standalone, CONFLICTS) == 0
    assert total(standalone, TRANSITIONS, to="Fault") == 0


# Added to a router that runs --------------------------------------------------------------

ADDED, ADDED6 = "192.0.2.51", "2001:db8:0:1::51"


@pytest.fixture
def added(standalone: Lab, home: Node) -> Iterator[Callable[[str], None]]:
    """What adds an address to the VirtualIP on every node; it goes again in the end."""
    configs = {node: standalone.config_file(node.name) for node in standalone.nodes}
    before = {node: path.read_text() for node, path in configs.items()}

    def add(address: str) -> None:
        for node, path in configs.items():
            changed = yaml.safe_load(before[node])
            changed["spec"]["virtualRouters"][0]["addresses"].append({"address": address})
            path.write_text(yaml.safe_dump(changed))
        text = address.partition("/")[0]
        eventually(lambda: all(asks_about(node, text) for node in standalone.nodes), within_s=10)

    yield add
    for node, path in configs.items():
        path.write_text(before[node])
    eventually(lambda: not standalone.holders(ADDED) + standalone.holders(ADDED6), within_s=10)


def asks_about(node: Node, address: str) -> bool:
    """Return whether the node's program has the address, and conflicts are looked for."""
    routers = [router for router in program(node).values() if router["detectConflicts"]]
    return any(own["address"] == address for router in routers for own in router["addresses"])


def told_faults(node: Node) -> tuple[str, ...]:
    """Return what the engine tells of its only router."""
    (router,) = engine(node).routers.values()
    return router.faults


def is_probe_of(frame: Frame, host: Host, address: bytes) -> bool:
    return (
        frame.is_arp
        and frame.data[22:28].hex(":") == host.mac
        and frame.data[28:32] == bytes(4)
        and frame.data[38:42] == address
    )


def test_added_address_is_asked_about_before_it_is_bound(
    standalone: Lab, home: Node, added: Callable[[str], None]
) -> None:
    before, packed = total(standalone, TRANSITIONS), bytes([192, 0, 2, 51])
    with Capture(standalone.client) as capture:
        since_ns = time.monotonic_ns()
        added(f"{ADDED}/24")
        eventually(lambda: standalone.holders(ADDED) == [home], within_s=10)
        frames = capture.until_now(since_ns)
    probes = [f.time_ns for f in frames if is_probe_of(f, home.host, packed)]
    announced = [f.time_ns for f in frames if f.is_arp and f.data[28:32] == packed]
    assert len(probes) == 3
    assert announced
    assert probes[-1] < announced[0]
    assert total(standalone, TRANSITIONS) == before


@pytest.mark.parametrize("address", [f"{ADDED}/24", f"{ADDED6}/64"])
def test_added_address_of_a_stranger_stays_off_and_the_others_go_on(
    standalone: Lab, home: Node, added: Callable[[str], None], address: str
) -> None:
    before, text = total(standalone, TRANSITIONS), address.partition("/")[0]
    with owned_by_client(standalone, address), Capture(standalone.node("node-2").host) as capture:
        since_ns = time.monotonic_ns()
        added(address)
        eventually(lambda: told_faults(home) == ("AddressConflict",), within_s=10)
        assert last_stranger(home) == standalone.client.mac
        # It asks again, and an engine that follows another asks as well.
        counted = metric(home, CONFLICTS)
        eventually(lambda: metric(home, CONFLICTS) > counted, within_s=15)
        pid = home.processes()["engine"]
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: home.processes().get("engine") not in (None, pid), within_s=10)
        counted = metric(home, CONFLICTS)
        eventually(lambda: metric(home, CONFLICTS) > counted, within_s=15)
        assert standalone.holders(text) == []
        assert standalone.holders(ADDRESS) == standalone.holders(ADDRESS6) == [home]
        frames = capture.until_now(since_ns)
    spoke = {f.data[26:30] for f in frames if f.is_vrrp and f.data[36]}
    assert spoke == {bytes([192, 0, 2, 11])}  # nobody took over
    assert not [f for f in frames if f.is_arp and f.data[22:32] == mac_and_address(home)]
    eventually(lambda: standalone.holders(text) == [home], within_s=15)
    eventually(lambda: told_faults(home) == (), within_s=5)
    assert total(standalone, TRANSITIONS) == before


def mac_and_address(node: Node) -> bytes:
    """Return how an ARP frame would say that the node has the added address."""
    return bytes.fromhex(node.host.mac.replace(":", "")) + bytes([192, 0, 2, 51])


def test_added_address_is_bound_by_a_successor_at_once(
    standalone: Lab, home: Node, added: Callable[[str], None]
) -> None:
    second = standalone.node("node-2")
    added(f"{ADDED}/24")
    eventually(lambda: standalone.holders(ADDED) == [home], within_s=10)
    with Capture(standalone.client) as capture:
        since_ns = time.monotonic_ns()
        home.stop_speaker()
        eventually(lambda: standalone.holders(ADDED) == [second], within_s=10)
        frames = capture.until_now(since_ns)
    assert not [f for f in frames if is_probe_of(f, second.host, bytes([192, 0, 2, 51]))]


# While Active -----------------------------------------------------------------------------


def test_stranger_is_counted_and_answered_once_in_ten_seconds(standalone: Lab, home: Node) -> None:
    before, counted = total(standalone, TRANSITIONS), metric(home, CONFLICTS)
    with Capture(standalone.node("node-2").host) as capture:
        since_ns = time.monotonic_ns()
        with claimed_by(standalone.client, ADDRESS):
            eventually(lambda: metric(home, CONFLICTS) >= counted + 10, within_s=15)
            # Each time in the form of a request and of a reply.
            eventually(
                lambda: len(claims_of(capture.frames(since_ns), home.host.mac)) >= 4, within_s=30
            )
        sent = claims_of(capture.frames(since_ns), home.host.mac)
    assert (sent[2].time_ns - sent[0].time_ns) / 1e9 >= 9.9
    assert last_stranger(home) == standalone.client.mac
    assert total(standalone, TRANSITIONS) == before
    assert standalone.holders(ADDRESS) == [home]


def test_stranger_that_is_seen_once_is_counted_once(standalone: Lab, home: Node) -> None:
    eventually(lambda: nobody_heard(home, 3 * 10**9), within_s=10)
    stranger, counted = "02:00:5e:00:53:fe", metric(home, CONFLICTS)
    claim = (sys.executable, "-c", CLAIM, stranger, ADDRESS, "once")
    assert standalone.client.exec(*claim).returncode == 0
    eventually(lambda: last_stranger(home) == stranger, within_s=10)
    eventually(lambda: metric(home, CONFLICTS) > counted, within_s=5)
    assert metric(home, CONFLICTS) == counted + 1


def test_stranger_with_the_ipv6_address_is_counted(standalone: Lab, home: Node) -> None:
    before, counted = total(standalone, TRANSITIONS), metric(home, CONFLICTS)
    with claimed_by(standalone.client, ADDRESS6):
        eventually(lambda: metric(home, CONFLICTS) >= counted + 12, within_s=15)
    assert last_stranger(home) == standalone.client.mac
    assert total(standalone, TRANSITIONS) == before


# What is none -----------------------------------------------------------------------------


def test_moves_between_nodes_are_no_conflict(standalone: Lab, home: Node) -> None:
    second = standalone.node("node-2")
    faults, counted = total(standalone, TRANSITIONS, to="Fault"), total(standalone, CONFLICTS)

    def moved(node: Node) -> bool:
        standalone.client.exec("ip", "neigh", "flush", "all")  # so that everybody is asked
        return state(node, VIP) == "Active" and standalone.holders(ADDRESS) == [node]

    with standalone.client.probe(ADDRESS):
        for stop in (home.stop_speaker, home.kill_speaker):
            stop()
            eventually(partial(moved, second), within_s=15)
            home.start_speaker()
            eventually(partial(moved, home), within_s=15)
        home.host.cut_link()
        eventually(partial(moved, second), within_s=15)
        home.host.restore_link()
        eventually(partial(moved, home), within_s=15)
    assert total(standalone, CONFLICTS) == counted
    assert total(standalone, TRANSITIONS, to="Fault") == faults + 1  # the link


def test_dead_node_that_still_has_the_address_is_no_conflict(standalone: Lab, home: Node) -> None:
    counted = total(standalone, CONFLICTS)
    with Capture(standalone.client) as capture, claimed_by(home.host, ADDRESS, "while-held"):
        eventually(lambda: claims_of(capture.frames(), home.host.mac), within_s=10)
        home.kill_speaker()
        second = standalone.node("node-2")
        eventually(lambda: state(second, VIP) == "Active", within_s=10)
        eventually(lambda: standalone.holders(ADDRESS) == [second], within_s=10)
    home.start_speaker()
    eventually(lambda: settled(standalone, VIP, ADDRESS) is home, within_s=20)
    assert total(standalone, CONFLICTS) == counted


def test_without_detection_nobody_looks(standalone: Lab, home: Node) -> None:
    configs = {node: standalone.config_file(node.name) for node in standalone.nodes}
    before = {node: path.read_text() for node, path in configs.items()}
    try:
        for node, path in configs.items():
            changed = yaml.safe_load(before[node])
            changed["spec"]["virtualRouters"][0]["conflictDetection"] = False
            path.write_text(yaml.safe_dump(changed))
        eventually(lambda: not any(map(looks, standalone.nodes)), within_s=10)
        stop_all(standalone)
        with owned_by_client(standalone, f"{ADDRESS}/24"), Capture(home.host) as capture:
            boot(standalone)
            eventually(lambda: settled(standalone, VIP, ADDRESS) is home, within_s=20)
            since_ns = time.monotonic_ns()
            with claimed_by(standalone.client, ADDRESS):
                eventually(
                    lambda: len(claims_of(capture.frames(since_ns), standalone.client.mac)) >= 20,
                    within_s=15,
                )
        assert total(standalone, CONFLICTS) == 0
    finally:
        for node, path in configs.items():
            path.write_text(before[node])
        eventually(lambda: all(map(looks, standalone.nodes)), within_s=10)
