"""Interfaces that are renamed, replaced, moved, or lose what elections need; and news that is lost.

Nothing here names an interface: each VirtualIP finds its own by subnet (architecture §4.12).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

import pytest
from tests.eventually import eventually
from tests.netns.inside import (
    addresses,
    all_at,
    engine,
    faults,
    lateness_p99_s,
    manifest,
    program,
    routers,
    states,
    transitions,
)
from tests.netns.observe import metric

from vrrp_lab.lab import Lab
from vrrp_lab.node import Node

pytestmark = pytest.mark.netns
NODES = 2
GROUP = "transport: {mode: Multicast}"
ADDRESS, ADDRESS6, GROUP_ADDRESS, GROUP_ADDRESS6 = (
    "192.0.2.50", "2001:db8:0:1::50", "192.0.2.51", "2001:db8:0:1::52"
)  # fmt: skip
ALL = {ADDRESS, ADDRESS6, GROUP_ADDRESS, GROUP_ADDRESS6}
MANIFEST = "".join(
    (
        manifest("pair", 51, f"{ADDRESS}/24", f"{ADDRESS6}/64", ranks=(1, 2)),
        manifest("group", 52, f"{GROUP_ADDRESS}/24", ranks=(1, 2), spec=GROUP),
        manifest("group-six", 53, f"{GROUP_ADDRESS6}/64", ranks=(1, 2), spec=GROUP),
    )
)
VIPS = ("pair", "group", "group-six")


@pytest.fixture
def home(sized: Lab) -> Iterator[Node]:
    """The best node, Active everywhere before and after."""
    node = sized.node("node-1")
    all_at(sized, node)
    yield node
    all_at(sized, node)


def run(node: Node, *lines: str) -> None:
    """Run a shell script on a node."""
    node.host.namespace.run("sh", "-ec", "\n".join(lines))


def reachable(lab: Lab) -> None:
    """Wait until the client has an answer from every address."""
    for address in sorted(ALL):
        with lab.client.probe(address) as probe:
            probe.wait_answered(30)


def on(node: Node, interface: str) -> set[str]:
    """Return the virtual addresses that an interface of a node has."""
    return {address for address, at in addresses(node.host).items() if at == interface} & ALL


def lacks_its_source(node: Node, name: str) -> bool:
    """Whether a router is in Fault for want of the address it speaks from."""
    return states(node)[name] == "Fault" and faults(node, name) == {"SourceAddressMissing"}


def heard(node: Node) -> dict[str, int]:
    """Return how many advertisements each router of a node has accepted."""
    return {
        name: router.unlisted.received + sum(peer.received for peer in router.peers)
        for name, router in routers(node).items()
    }


def in_fault(node: Node, *reasons: str) -> bool:
    """Whether every router of a node is in Fault for one of these reasons."""
    return all(
        states(node)[name] == "Fault" and faults(node, name) <= set(reasons) and faults(node, name)
        for name in VIPS
    )


# Interfaces that change ------------------------------------------------------------------


def test_virtual_ips_follow_an_interface_that_is_renamed(sized: Lab, home: Node) -> None:
    run(home, "ip link set eth0 down")
    eventually(lambda: in_fault(home, "InterfaceDown", "SourceAddressMissing"), within_s=10)
    assert not on(home, "eth0")
    # The IPv6 addresses went with the link: once that is compiled, the new name is the only news.
    eventually(lambda: program(home)["group-six"]["faults"], within_s=20)
    six = f"ip addr add {home.host.address6}/64 nodad dev"  # IPv6 addresses go when a link is down
    try:
        run(home, "ip link set eth0 name lan0")
        eventually(lambda: program(home)["pair"]["interface"] == "lan0", within_s=20)
        run(home, "ip link set lan0 up", f"{six} lan0")
        eventually(lambda: metric(home, "kube_vrrp_master", interface="lan0") == 3, within_s=20)
        all_at(sized, home)
        assert on(home, "lan0") == ALL
        reachable(sized)
    finally:
        run(home, "ip link set lan0 down", "ip link set lan0 name eth0", "ip link set eth0 up")
        run(home, f"{six} eth0")
    eventually(lambda: metric(home, "kube_vrrp_master", interface="eth0") == 3, within_s=20)


def test_virtual_ips_return_with_an_interface_that_was_replaced(sized: Lab, home: Node) -> None:
    before = {router.vrid: router.transitions for router in routers(home).values()}
    home.host.remove_interface()
    eventually(
        lambda: in_fault(home, "InterfaceNotFound", "InterfaceDown", "SourceAddressMissing"),
        within_s=10,
    )
    home.host.restore_interface()
    all_at(sized, home)
    assert on(home, "eth0") == ALL
    # To Fault, back to Backup, and Active: nobody went through more than that.
    after = {router.vrid: router.transitions for router in routers(home).values()}
    assert {vrid: after[vrid] - before[vrid] for vrid in after} == dict.fromkeys(before, 3)
    reachable(sized)


@pytest.mark.parametrize("at_once", [False, True])
def test_backup_with_a_replaced_interface_hears_its_groups_again(
    sized: Lab, home: Node, at_once: bool
) -> None:
    backup = sized.node("node-2")
    became_active = transitions([home])
    if at_once:
        backup.host.replace_interface()
        before = heard(backup)
    else:
        backup.host.remove_interface()
        eventually(
            lambda: in_fault(backup, "InterfaceNotFound", "InterfaceDown", "SourceAddressMissing"),
            within_s=10,
        )
        before = heard(backup)
        backup.host.restore_interface()
    eventually(
        lambda: all(count > before[name] + 10 for name, count in heard(backup).items()),
        within_s=20,
    )
    listed = backup.host.exec("ip", "maddr", "show", "dev", "eth0").stdout
    assert "224.0.0.18" in listed
    assert "ff02::12" in listed
    assert set(states(backup).values()) == {"Backup"}
    assert transitions([home]) == became_active


def test_virtual_ips_follow_an_interface_that_becomes_a_port_of_a_bridge(
    sized: Lab, home: Node
) -> None:
    four, six = f"{home.host.address}/24", f"{home.host.address6}/64"
    run(
        home,
        f"ip link add br0 address {home.host.mac} type bridge",
        "ip link set br0 up",
        "ip link set eth0 master br0",
        f"ip addr del {four} dev eth0",
        f"ip addr del {six} dev eth0",
        f"ip addr add {four} dev br0",
        f"ip addr add {six} dev br0 nodad",
    )
    try:
        eventually(lambda: on(home, "br0") == ALL, within_s=20)
        all_at(sized, home)
        assert not on(home, "eth0")
        reachable(sized)
    finally:
        run(
            home,
            "ip link del br0",
            f"ip addr add {four} dev eth0",
            f"ip addr add {six} dev eth0 nodad",
        )
    eventually(lambda: on(home, "eth0") == ALL, within_s=20)


def test_link_that_goes_down_and_up_twenty_times_settles_at_the_best_node(
    sized: Lab, home: Node
) -> None:
    before = home.processes()
    port = home.host.port
    flap = f"for i in $(seq 20); do ip link set {port} down; ip link set {port} up; done"
    sized.lan.switch.run("sh", "-ec", flap)
    all_at(sized, home)
    assert home.processes() == before
    reachable(sized)


def test_lost_source_address_is_a_fault_with_a_reason(sized: Lab, home: Node) -> None:
    own = f"{home.host.address}/24"
    run(home, f"ip addr del {own} dev eth0")
    try:
        for name in ("pair", "group"):
            eventually(partial(lacks_its_source, home, name), within_s=10)
        assert states(home)["group-six"] == "Active"  # speaks from its link-local address
    finally:
        run(home, f"ip addr add {own} dev eth0")


# News that is lost -----------------------------------------------------------------------


def deadlines(node: Node) -> int:
    """Return how many deadlines the engine has handled."""
    return sum(engine(node).lateness_counts)


def test_nothing_is_wrong_after_news_were_lost(sized: Lab, home: Node) -> None:
    before, processes = engine(home), home.processes()
    own, six = f"{home.host.address}/24", f"{ADDRESS6}/128"
    command = (sys.executable, "-m", "tests.netns.addresses")
    # The own address goes and returns, a virtual one goes, and nobody is told.
    ended = home.host.exec(*command, "flood", str(processes["engine"]), own, six)
    handled = deadlines(home)
    assert int(ended.stdout) > 0, ended
    eventually(lambda: deadlines(home) > handled + 5, within_s=10)
    all_at(sized, home)
    assert on(home, "eth0") == ALL
    assert home.processes() == processes
    late = lateness_p99_s(before, engine(home))
    print(f"lost {ended.stdout.strip()} news; deadlines p99 {late}")
