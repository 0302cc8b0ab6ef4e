"""The rules of the data plane, on real interfaces: three nodes, one VirtualIP, no control plane."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator

import pytest
from tests.eventually import eventually
from tests.netns.inside import engine, program
from tests.netns.observe import Capture, Frame, metric, settled, state

from vrrp_lab.lab import Lab
from vrrp_lab.node import Node

pytestmark = pytest.mark.netns
VIP, ADDRESS, ADDRESS6 = "pair", "192.0.2.50", "2001:db8:0:1::50"
MANIFEST = f"""
apiVersion: kube-vrrp.io/v1alpha1
kind: VirtualIP
metadata: {{name: {VIP}}}
spec:
  addresses: [{{address: {ADDRESS}/24}}, {{address: "{ADDRESS6}/64"}}]
  virtualRouterID: 51
  nodePriorities:
  - {{node: node-1, priority: 200}}
  - {{node: node-2, priority: 150}}
  - {{node: node-3, priority: 100}}
"""


_MARKS = """
from pyroute2 import IPRoute
with IPRoute() as ipr:
    for address in ipr.get_addr():
        if address.get_attr("IFA_PROTO") == 112:
            print(address.get_attr("IFA_LOCAL") or address.get_attr("IFA_ADDRESS"))
"""
_LEAVE_BEHIND = """
from pyroute2 import IPRoute
with IPRoute() as ipr:
    link = ipr.link_lookup(ifname="eth0")[0]
    ipr.addr("add", index=link, address="192.0.2.77", prefixlen=32, proto=112)
    ipr.addr("add", index=link, address="192.0.2.78", prefixlen=32)
"""


@pytest.fixture
def active(standalone: Lab) -> Iterator[Node]:
    """The Active node of a settled cluster; every speaker runs again afterwards."""
    yield at_home(standalone)
    for node in standalone.nodes:
        if not node.running:
            node.start_speaker()
    at_home(standalone)


def at_home(lab: Lab, *, within_s: float = 20) -> Node:
    """Wait until the best node is Active and the others are Backup; return it."""
    home = lab.node("node-1")
    eventually(lambda: settled(lab, VIP, ADDRESS) is home, within_s=within_s)
    return home


def transitions(lab: Lab) -> float:
    return sum(metric(node, "kube_vrrp_transitions_total") for node in lab.nodes)


def fenced(node: Node, reason: str) -> float:
    return metric(node, "kube_vrrp_fencing_total", reason=reason)


def moved_to(lab: Lab, name: str) -> Node:
    """Wait until this node is the only Active one and holds both addresses."""
    node = lab.node(name)

    def moved() -> bool:
        return state(node, VIP) == "Active" and node.holds(ADDRESS) and node.holds(ADDRESS6)

    eventually(moved, within_s=10)
    return node


# Steady state -------------------------------------------------------------------------


def test_one_node_holds_both_families_and_a_client_reaches_them(
    standalone: Lab, active: Node
) -> None:
    for address in (ADDRESS, ADDRESS6):
        assert standalone.holders(address) == [active]
        with standalone.client.probe(address) as probe:
            probe.wait_answered(30)


def test_advertisements_are_unicast_between_node_addresses(standalone: Lab, active: Node) -> None:
    with Capture(active.host) as capture:
        eventually(lambda: len([f for f in capture.frames() if f.is_vrrp]) >= 6, within_s=5)
        sent = [frame.data for frame in capture.frames() if frame.is_vrrp]
    for data in sent:
        assert data[22] == 255  # TTL
        assert data[26:30] == bytes([192, 0, 2, 11])
        assert data[30:34] in (bytes([192, 0, 2, 12]), bytes([192, 0, 2, 13]))
        assert data[34:37] == bytes([0x31, 51, 200])  # version 3, VRID, priority


def test_address_is_a_lease_with_our_mark(standalone: Lab, active: Node) -> None:
    listed = active.host.exec("ip", "-d", "addr", "show", "dev", "eth0").stdout
    lines = [line for line in listed.splitlines() if ADDRESS in line or ADDRESS6 in line]
    assert len(lines) == 2
    for line in lines:
        assert "deprecated" in line
        assert "noprefixroute" in line
    assert [line.split()[-1] for line in lines if ADDRESS in line] == ["eth0:vrrp"]
    lifetimes = [line for line in listed.splitlines() if "preferred_lft 0sec" in line]
    assert len(lifetimes) == 2
    assert all("forever" not in line for line in lifetimes)
    # iproute2 shows the protocol from 6.3 on only.
    marks = active.host.exec(sys.executable, "-c", _MARKS).stdout.split()
    assert sorted(marks) == sorted([ADDRESS, ADDRESS6])


def test_lease_is_renewed_before_it_ends(standalone: Lab, active: Node) -> None:
    """An address that went would be restored; and that would be counted."""
    name = "kube_vrrp_advertisements_sent_total"
    restored, sent = metric(active, "kube_vrrp_address_restored_total"), metric(active, name)
    # A lease of one second; five advertisements to two peers in each.
    eventually(lambda: metric(active, name) > sent + 30, within_s=10)
    assert standalone.holders(ADDRESS) == standalone.holders(ADDRESS6) == [active]
    assert metric(active, "kube_vrrp_address_restored_total") == restored


def test_the_node_does_not_speak_from_the_virtual_address(standalone: Lab, active: Node) -> None:
    route = active.host.exec("ip", "route", "get", standalone.client.address).stdout
    assert f"src {active.host.address}" in route
    route6 = active.host.exec("ip", "-6", "route", "get", standalone.client.address6).stdout
    assert f"src {active.host.address6}" in route6


# Rule 1 -------------------------------------------------------------------------------


def test_advertisement_of_a_stranger_changes_a_counter_and_nothing_else(
    standalone: Lab, active: Node
) -> None:
    before = transitions(standalone)
    better = "3133fe0100145f" + "00" + "c0000232"  # priority 254 for VRID 51, checksum wrong or not
    unknown = better.replace("3133", "3134", 1)  # nothing is looked at, the VRID neither
    source = (
        "import socket\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 112)\n"
        "s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)\n"
        f"for message in ['{better}', '{unknown}'] * 50:\n"
        f" s.sendto(bytes.fromhex(message), ('{active.host.address}', 0))\n"
    )
    assert standalone.client.exec(sys.executable, "-c", source).returncode == 0
    rejected = "kube_vrrp_advertisements_rejected_total"
    eventually(lambda: metric(active, rejected, reason="unknown_source") >= 100, within_s=5)
    assert transitions(standalone) == before
    assert state(active, VIP) == "Active"


# Rule 3 -------------------------------------------------------------------------------


def test_becoming_active_advertises_then_announces(standalone: Lab, active: Node) -> None:
    successor = standalone.node("node-2")
    with Capture(successor.host) as capture:
        since_ns = time.monotonic_ns()
        active.stop_speaker()
        moved_to(standalone, "node-2")
        eventually(lambda: _announced(capture.frames(since_ns), successor), within_s=5)
        own = [f for f in capture.frames(since_ns) if _is_from(f, successor)]
    first_advertisement = next(f for f in own if f.is_vrrp)
    announced = [f for f in own if _is_announcement(f)]
    assert first_advertisement.data[36] == 150
    assert first_advertisement.time_ns < announced[0].time_ns
    assert {(f.data[20:22], f.data[28:32]) for f in announced if f.is_arp} == {
        (b"\0\1", bytes([192, 0, 2, 50])),
        (b"\0\2", bytes([192, 0, 2, 50])),
    }
    assert any(f.is_neighbor_advertisement for f in announced)


def _is_from(frame: Frame, node: Node) -> bool:
    return frame.data[6:12] == bytes.fromhex(node.host.mac.replace(":", ""))


def _is_announcement(frame: Frame) -> bool:
    gratuitous = frame.is_arp and frame.data[28:32] == frame.data[38:42]
    return gratuitous or (frame.is_neighbor_advertisement and frame.data[0:2] == b"\x33\x33")


def _announced(frames: list[Frame], node: Node) -> bool:
    """Whether all forms of announcing both addresses were captured."""
    own = [f for f in frames if _is_from(f, node) and _is_announcement(f)]
    forms = {f.data[20:22] for f in own if f.is_arp}
    return len(forms) == 2 and any(not f.is_arp for f in own)


# Rules 4 to 6: engines, supervisors and whole speakers that die -----------------------


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP], ids=["dead", "silent"])
def test_engine_that_ends_is_replaced_and_resumes_as_active(
    standalone: Lab, active: Node, end: signal.Signals
) -> None:
    before, left_over = transitions(standalone), fenced(active, "left_over")
    ended = active.processes()["engine"]
    with standalone.client.probe(ADDRESS) as probe:
        probe.wait_answered(30)
        since_ns = time.monotonic_ns()
        os.kill(ended, end)
        eventually(lambda: active.processes().get("engine") not in (None, ended), within_s=5)
        sent = metric(active, "kube_vrrp_advertisements_sent_total")
        eventually(
            lambda: metric(active, "kube_vrrp_advertisements_sent_total") > sent + 4, within_s=5
        )
        assert probe.report(since_ns).lost == 0
    assert transitions(standalone) == before
    assert fenced(active, "left_over") == left_over
    assert standalone.holders(ADDRESS) == [active]
    eventually(lambda: metric(active, "kube_vrrp_engine_restarts_total") >= 1, within_s=5)


def test_dead_agent_is_replaced_and_the_engine_does_not_notice(
    standalone: Lab, active: Node
) -> None:
    before = transitions(standalone)
    processes = active.processes()
    os.kill(processes["agent"], signal.SIGKILL)
    eventually(
        lambda: (
            active.processes().get("agent") not in (None, processes["agent"])
            and active.get("/readyz") == "ok\n"
        ),
        within_s=10,
    )
    assert active.processes()["engine"] == processes["engine"]
    assert transitions(standalone) == before


def test_dead_supervisor_takes_the_address_along(standalone: Lab, active: Node) -> None:
    os.kill(active.processes()["supervisor"], signal.SIGKILL)
    moved_to(standalone, "node-2")
    eventually(lambda: not active.holds(ADDRESS) and not active.holds(ADDRESS6), within_s=5)
    active.kill_speaker()


def test_crash_loop_ends_in_the_last_will(standalone: Lab, active: Node) -> None:
    def given_up() -> bool:
        pid = active.processes().get("engine")
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        return engine(active).fencing["last_will"] > 0

    eventually(given_up, within_s=10, every_s=0.1)
    moved_to(standalone, "node-2")
    at_home(standalone, within_s=60)


def test_killed_speaker_leaves_no_address_behind(standalone: Lab, active: Node) -> None:
    active.kill_speaker()
    moved_to(standalone, "node-2")
    eventually(lambda: not active.holds(ADDRESS) and not active.holds(ADDRESS6), within_s=5)


def test_frozen_speaker_loses_the_address_and_wakes_as_backup(
    standalone: Lab, active: Node
) -> None:
    active.freeze()
    moved_to(standalone, "node-2")
    eventually(lambda: not active.holds(ADDRESS), within_s=5)
    active.thaw()
    eventually(
        lambda: metric(active, "kube_vrrp_transitions_total", reason="LateWake") == 1, within_s=5
    )
    eventually(lambda: fenced(active, "late_wake") == 1, within_s=5)


def test_stopped_speaker_releases_at_once(standalone: Lab, active: Node) -> None:
    successor = standalone.node("node-2")
    with Capture(successor.host) as capture:
        since_ns = time.monotonic_ns()
        active.stop_speaker()
        assert not active.holds(ADDRESS)
        assert not active.holds(ADDRESS6)
        moved_to(standalone, "node-2")
        heard = [f for f in capture.until_now(since_ns) if f.is_vrrp and _is_from(f, active)]
    assert [frame.data[36] for frame in heard][-1:] == [0]


def test_what_another_life_left_behind_is_removed_at_start(standalone: Lab, active: Node) -> None:
    node = standalone.node("node-3")
    node.stop_speaker()
    run = node.host.exec
    assert run(sys.executable, "-c", _LEAVE_BEHIND).returncode == 0
    assert node.holds("192.0.2.77")
    node.start_speaker()
    eventually(lambda: not node.holds("192.0.2.77"), within_s=10)
    assert node.holds("192.0.2.78")  # not ours
    run("ip", "addr", "del", "192.0.2.78/32", "dev", "eth0")


# Rules 8 and 9, and links -------------------------------------------------------------


@pytest.mark.parametrize("address", [f"{ADDRESS}/32", f"{ADDRESS6}/128"])
def test_address_taken_away_comes_back_without_a_transition(
    standalone: Lab, active: Node, address: str
) -> None:
    before = transitions(standalone)
    restored = metric(active, "kube_vrrp_address_restored_total")
    with Capture(standalone.client) as capture:
        since_ns = time.monotonic_ns()
        assert active.host.exec("ip", "addr", "del", address, "dev", "eth0").returncode == 0
        eventually(lambda: active.holds(address.partition("/")[0]), within_s=5)
        eventually(
            lambda: any(
                _is_announcement(f) and _is_from(f, active) for f in capture.frames(since_ns)
            ),
            within_s=5,
        )
    eventually(lambda: metric(active, "kube_vrrp_address_restored_total") > restored, within_s=5)
    assert transitions(standalone) == before


def test_cut_link_is_a_fault_and_heals(standalone: Lab, active: Node) -> None:
    active.host.cut_link()
    try:
        eventually(lambda: state(active, VIP) == "Fault", within_s=5)
        eventually(lambda: not active.holds(ADDRESS), within_s=5)
        moved_to(standalone, "node-2")
    finally:
        active.host.restore_link()
    moved_to(standalone, "node-1")


def test_lost_source_address_is_a_fault_and_heals(standalone: Lab, active: Node) -> None:
    own = f"{active.host.address}/24"
    run = active.host.exec
    run("ip", "addr", "del", own, "dev", "eth0")
    try:
        eventually(lambda: state(active, VIP) == "Fault", within_s=5)
    finally:
        run("ip", "addr", "add", own, "dev", "eth0")
    moved_to(standalone, "node-1")


def test_partition_of_the_active_node_gives_two_holders_and_heals_to_one(
    standalone: Lab, active: Node
) -> None:
    others = [node for node in standalone.nodes if node is not active]
    for node in others:
        standalone.lan.partition(active.host, node.host)
    moved_to(standalone, "node-2")
    assert state(active, VIP) == "Active"
    standalone.lan.heal()
    assert at_home(standalone) is active
    both = sum(metric(n, "kube_vrrp_dual_active_seconds_total") for n in standalone.nodes)
    assert both > 0


# Damage -------------------------------------------------------------------------------


def test_damaged_program_is_written_again(standalone: Lab, active: Node) -> None:
    (active.run_dir / "program.json").write_text("{ torn")
    os.kill(active.processes()["engine"], signal.SIGKILL)
    eventually(lambda: program(active), within_s=10)
    assert at_home(standalone) is active
