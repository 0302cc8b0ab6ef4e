"""RFC 9568 §6.4 and §8 on real interfaces: what is sent when an address moves or is added."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conformance.lan import (
    ADDRESS,
    ADDRESS6,
    PAIR,
    SOLICITED_NODE,
    VIP,
    at_home,
    ends,
    hops,
    is_advertisement,
    is_announcement,
    is_from,
    is_member,
    mac,
    manifest,
    message,
    moved_to,
    transitions,
)
from tests.eventually import eventually
from tests.netns.inside import states
from tests.netns.observe import Capture, Frame, metric, state
from tests.unit.vrrp.wire import packed

from vrrp_lab.lab import Lab
from vrrp_lab.lan import Host
from vrrp_lab.node import Node

pytestmark = pytest.mark.netns
MANIFEST = PAIR
VRID = 51
ADDED, ADDED6, CONTESTED = "192.0.2.51", "2001:db8:0:1::51", "2001:db8:0:1::52"


def announced(capture: Capture, host: Host, address: str, since_ns: int) -> list[Frame]:
    """Return the announcements of an address that a host sent."""
    return [
        frame
        for frame in capture.frames(since_ns)
        if is_from(frame, host) and is_announcement(frame, address)
    ]


def first_announced(capture: Capture, host: Host, address: str, since_ns: int) -> Frame:
    """Wait for a host to announce an address."""
    return eventually(lambda: announced(capture, host, address, since_ns), within_s=15)[0]


def advertised(capture: Capture, host: Host, since_ns: int) -> list[Frame]:
    """Return the advertisements that a host sent."""
    return [
        frame
        for frame in capture.frames(since_ns)
        if is_from(frame, host) and is_advertisement(frame, VRID)
    ]


# A planned end ---------------------------------------------------------------------------


def test_stopped_backup_sends_no_advertisement(standalone: Lab, active: Node) -> None:
    before, backup = transitions(standalone), standalone.node("node-2")
    gone = metric(backup, "kube_vrrp_transitions_total")
    with Capture(backup.host) as capture:
        since_ns = time.monotonic_ns()
        backup.stop_speaker()
        capture.until_now(since_ns)
        assert advertised(capture, backup.host, since_ns) == []
    assert state(active, VIP) == "Active"
    assert transitions(standalone) == before - gone


def test_stopped_active_releases_to_each_peer_and_drops_the_address(
    standalone: Lab, active: Node
) -> None:
    with Capture(active.host) as capture:
        since_ns = time.monotonic_ns()
        active.stop_speaker()
        assert not active.holds(ADDRESS)
        assert not active.holds(ADDRESS6)
        capture.until_now(since_ns)
        sent = advertised(capture, active.host, since_ns)
    released = [frame for frame in sent if message(frame)[2] == 0]
    peers = [standalone.node(name).host.address for name in ("node-2", "node-3")]
    assert sorted(ends(frame) for frame in released) == [
        (active.host.address, peer) for peer in peers
    ]
    assert sent[-2:] == released
    moved_to(standalone, "node-2")


# A takeover ------------------------------------------------------------------------------


def test_new_active_advertises_before_it_announces_each_address(
    standalone: Lab, active: Node
) -> None:
    successor = standalone.node("node-2")
    with Capture(successor.host) as capture:
        since_ns = time.monotonic_ns()
        active.stop_speaker()
        moved_to(standalone, "node-2")
        arp = first_announced(capture, successor.host, ADDRESS, since_ns)
        na = first_announced(capture, successor.host, ADDRESS6, since_ns)
        first = advertised(capture, successor.host, since_ns)[0]
    assert message(first)[2] == 150
    assert first.time_ns < min(arp.time_ns, na.time_ns)
    assert arp.data[:6] == b"\xff" * 6
    assert arp.data[22:32] == mac(successor.host) + packed(ADDRESS)
    assert na.data[:6] == bytes.fromhex("333300000001")
    assert ends(na) == (ADDRESS6, "ff02::1")
    assert hops(na) == 255
    assert na.data[58] == 0x20  # override; neither router nor solicited
    assert na.data[78:86] == b"\2\1" + mac(successor.host)


def test_new_active_joins_the_solicited_node_group_and_the_old_one_leaves_it(
    standalone: Lab, active: Node
) -> None:
    active.stop_speaker()
    successor = moved_to(standalone, "node-2")
    assert is_member(successor.host, SOLICITED_NODE)
    assert not is_member(active.host, SOLICITED_NODE)


def test_neighbour_follows_the_address_to_its_new_holder(standalone: Lab, active: Node) -> None:
    """The neighbour knows the old MAC and sends nothing: only announcements can tell it."""
    client, successor = standalone.client, standalone.node("node-2")

    def known(address: str) -> bool:
        shown = client.exec("ip", "neigh", "show", address, "dev", "eth0").stdout
        return f"lladdr {successor.host.mac}" in shown

    for address in (ADDRESS, ADDRESS6):
        command = ("ip", "neigh", "replace", address, "dev", "eth0", "nud", "stale", "lladdr")
        assert client.exec(*command, active.host.mac).returncode == 0
    active.stop_speaker()
    eventually(lambda: known(ADDRESS) and known(ADDRESS6), within_s=10)


@pytest.fixture
def without_ipv6(standalone: Lab) -> Iterator[Node]:
    """node-2, whose kernel refuses IPv6 addresses since a moment; its agent has not noticed yet."""
    node = standalone.node("node-2")
    run, setting = node.host.exec, "net.ipv6.conf.eth0.disable_ipv6"
    agent = node.processes()["agent"]
    os.kill(agent, signal.SIGSTOP)
    assert run("sysctl", "-qw", f"{setting}=1").returncode == 0
    yield node
    run("sysctl", "-qw", f"{setting}=0")
    run("ip", "addr", "add", f"{node.host.address6}/64", "dev", "eth0", "nodad")
    os.kill(agent, signal.SIGCONT)


def test_refused_address_is_not_announced_and_its_router_releases(
    standalone: Lab, active: Node, without_ipv6: Node
) -> None:
    refused = without_ipv6
    with Capture(refused.host) as capture:
        since_ns = time.monotonic_ns()
        active.stop_speaker()
        eventually(lambda: states(refused)[VIP] == "Fault", within_s=10)
        moved_to(standalone, "node-3")
        capture.until_now(since_ns)
        release = advertised(capture, refused.host, since_ns)[-1]
        assert message(release)[2] == 0
        assert announced(capture, refused.host, ADDRESS6, since_ns) == []
        # The other one was there for a moment; who has both says so afterwards.
        assert announced(capture, refused.host, ADDRESS, release.time_ns) == []
    assert not refused.holds(ADDRESS)


# An address that is added ----------------------------------------------------------------


@pytest.fixture
def add(standalone: Lab, tmp_path: Path) -> Iterator[Path]:
    """A manifest to be rendered anew; afterwards the nodes run the old one."""
    path = tmp_path / "manifest.yaml"
    yield path
    path.write_text(MANIFEST)
    standalone.render([path])
    added = (ADDED, ADDED6, CONTESTED)
    eventually(lambda: not any(standalone.holders(a) for a in added), within_s=15)


def add_addresses(lab: Lab, path: Path, *added: str, spec: str = "") -> None:
    addresses = [f"{ADDRESS}/24", f"{ADDRESS6}/64", *added]
    listed = ", ".join(f'{{address: "{a}"}}' for a in addresses)
    path.write_text(manifest(VIP, VRID, listed, spec))
    lab.render([path])


def test_address_added_to_the_active_router_is_announced(
    standalone: Lab, active: Node, add: Path
) -> None:
    before = transitions(standalone)
    with Capture(active.host) as capture:
        since_ns = time.monotonic_ns()
        add_addresses(standalone, add, f"{ADDED}/24", f"{ADDED6}/64")
        for address in (ADDED, ADDED6):
            first_announced(capture, active.host, address, since_ns)
            assert active.holds(address)
    assert transitions(standalone) == before
    assert at_home(standalone) is active


_TENTATIVE = """
import socket, sys
from pyroute2 import IPRoute
with IPRoute() as ipr:
    for address in ipr.get_addr(family=socket.AF_INET6):
        if address.get_attr("IFA_ADDRESS") == sys.argv[1]:
            print(bool(address.get_attr("IFA_FLAGS") & 0x48))  # DADFAILED, TENTATIVE
"""


def test_ipv6_address_that_an_old_holder_still_has_is_bound_without_detection(
    standalone: Lab, active: Node, add: Path
) -> None:
    """As at a takeover, nobody is asked first, as an address that is added would be."""
    run, client = active.host.exec, standalone.client.exec
    assert run("sysctl", "-n", "net.ipv6.conf.eth0.accept_dad").stdout.strip() != "0"
    assert client("ip", "addr", "add", f"{CONTESTED}/64", "dev", "eth0", "nodad").returncode == 0
    try:
        with Capture(active.host) as capture:
            since_ns = time.monotonic_ns()
            add_addresses(standalone, add, f"{CONTESTED}/64", spec="conflictPolicy: Ignore")
            first_announced(capture, active.host, CONTESTED, since_ns)
            sent = [frame for frame in capture.frames(since_ns) if is_from(frame, active.host)]
        assert run(sys.executable, "-c", _TENTATIVE, CONTESTED).stdout.split() == ["False"]
        detections = [f for f in sent if f.data[12:14] == b"\x86\xdd" and f.data[54] == 135]
        assert [f for f in detections if f.data[22:38] == bytes(16)] == []
    finally:
        client("ip", "addr", "del", f"{CONTESTED}/64", "dev", "eth0")


def test_announcements_follow_the_hardware_address(standalone: Lab, active: Node) -> None:
    """A bond with fail_over_mac changes it under a running node."""
    old, new = mac(active.host), bytes.fromhex("02005e0053aa")
    run = active.host.exec
    try:
        assert run("ip", "link", "set", "eth0", "address", new.hex(":")).returncode == 0
        with Capture(standalone.client) as capture:
            since_ns = time.monotonic_ns()

            def announced() -> bool:
                return any(
                    frame.data[6:12] == new and frame.data[22:28] == new
                    for frame in capture.frames(since_ns)
                    if frame.is_arp and is_announcement(frame, ADDRESS)
                )

            eventually(announced, within_s=10)
    finally:
        run("ip", "link", "set", "eth0", "address", old.hex(":"))
