"""Routers outside the election that use its VRID: told, counted, and never listened to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import yaml
from tests.eventually import eventually
from tests.netns.inside import (
    all_at,
    engine,
    faults,
    lateness_p99_s,
    manifest,
    routers,
    states,
    transitions,
)
from tests.netns.observe import metric
from tests.netns.strangers import advertisement, advertising, sent_at_rate
from tests.unit.engine.programs import packed

from vrrp_lab.lab import Lab
from vrrp_lab.lan import Host
from vrrp_lab.node import Node
from vrrp_speaker.shared_state import ForeignRouter

pytestmark = pytest.mark.netns
NODES = 2
ONE, SIX, GROUP, QUIET = 51, 61, 62, 63
FOREIGN = "kube_vrrp_foreign_advertisements_total"
MANIFEST = (
    manifest("one", ONE, "192.0.2.50/24", ranks=(1, 2))
    + manifest("six", SIX, "2001:db8:0:1::61/64", ranks=(1, 2))
    + manifest("group", GROUP, "192.0.2.62/24", ranks=(1, 2), spec="transport: {mode: Multicast}")
    + manifest("quiet", QUIET, "192.0.2.63/24", ranks=(1, 2), spec="conflictPolicy: Ignore")
)
_GROUP4 = "120000E0"
_GROUP6 = "ff020000000000000000000000000012"


@pytest.fixture
def home(sized: Lab) -> Iterator[Node]:
    """The best node, Active everywhere before and after; nothing moves meanwhile."""
    node = sized.node("node-1")
    all_at(sized, node)
    yield node
    all_at(sized, node)


def counted(node: Node, virtual_ip: str) -> int:
    return routers(node)[virtual_ip].foreign_advertisements


def last(node: Node, virtual_ip: str) -> ForeignRouter | None:
    return routers(node)[virtual_ip].last_foreign


def counts_more(node: Node, virtual_ip: str, than: int) -> bool:
    return counted(node, virtual_ip) > than


def total(lab: Lab) -> dict[str, int]:
    """Return how many foreign advertisements all nodes counted, by VirtualIP."""
    names = routers(lab.nodes[0])
    return {name: sum(counted(node, name) for node in lab.nodes) for name in names}


def rejections(node: Node) -> dict[str, int]:
    return {why: count for why, count in engine(node).rejected.items() if count}


# Who is told ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("virtual_ip", "vrid", "version"),
    [("one", ONE, 3), ("one", ONE, 2), ("six", SIX, 3), ("group", GROUP, 3), ("group", GROUP, 2)],
)
def test_router_in_the_group_is_told_by_every_node(
    sized: Lab, home: Node, virtual_ip: str, vrid: int, version: int
) -> None:
    before, moved = (
        {node: counted(node, virtual_ip) for node in sized.nodes},
        transitions(sized.nodes),
    )
    six = virtual_ip == "six"
    sent = advertisement(sized.client, vrid, priority=254, version=version, six=six)
    with advertising(sized.client, sent):
        for node in sized.nodes:
            eventually(partial(counts_more, node, virtual_ip, before[node] + 5), within_s=20)
            seen = last(node, virtual_ip)
            assert seen is not None
            source = packed(sized.client.address6 if six else sized.client.address)
            assert (seen.source, seen.priority) == (source, 254)
    assert metric(home, FOREIGN, virtual_ip=virtual_ip) >= 6
    assert transitions(sized.nodes) == moved


@pytest.mark.parametrize("virtual_ip", ["one", "six", "group"])
def test_router_that_speaks_to_one_node_is_told_by_that_one(
    sized: Lab, home: Node, virtual_ip: str
) -> None:
    second, six = sized.node("node-2"), virtual_ip == "six"
    before, at_second = counted(home, virtual_ip), counted(second, virtual_ip)
    vrid = {"one": ONE, "six": SIX, "group": GROUP}[virtual_ip]
    moved, refused = transitions(sized.nodes), sum(rejections(home).values())
    sent = advertisement(sized.client, vrid, priority=254, six=six, to=home.host)
    with advertising(sized.client, sent):
        eventually(partial(counts_more, home, virtual_ip, before + 5), within_s=20)
    assert counted(second, virtual_ip) == at_second
    assert sum(rejections(home).values()) > refused
    assert transitions(sized.nodes) == moved


# What is none, and costs nothing ----------------------------------------------------------


def test_others_on_the_link_are_no_affair_of_ours(sized: Lab, home: Node) -> None:
    before, refused = total(sized), rejections(home)
    unknown = advertisement(sized.client, 99)
    ours_of_other_kind = [
        advertisement(sized.client, QUIET),  # looks for no conflicts
        advertisement(sized.client, ONE, six=True),  # the other family is another election
        advertisement(sized.client, ONE, ttl=64),
        advertisement(sized.client, ONE, priority=0),
    ]
    rounds = 0
    with advertising(sized.client, unknown, *ours_of_other_kind):

        def enough() -> bool:
            nonlocal rounds
            rounds = engine(home).unknown_vrid - refused.get("unknown_vrid", 0)
            return rounds >= 50

        eventually(enough, within_s=20)
    assert total(sized) == before


def test_other_vrid_in_the_group_counts_once_as_unknown(sized: Lab, home: Node) -> None:
    before, foreign = engine(home).rejected, total(sized)
    sent = sent_at_rate(sized.client, [advertisement(sized.client, 99)], 1000, 1)
    eventually(
        lambda: engine(home).rejected["unknown_vrid"] - before["unknown_vrid"] >= sent, within_s=10
    )
    after = engine(home).rejected
    grown = {why: after[why] - before[why] for why in after if after[why] != before[why]}
    assert grown == {"unknown_vrid": sent}
    assert total(sized) == foreign


def test_packets_for_who_only_looks_change_no_other_counter(sized: Lab, home: Node) -> None:
    before, foreign = engine(home).rejected, counted(home, "six")
    sent = advertisement(sized.client, SIX, six=True)  # no election is in the IPv6 group
    with advertising(sized.client, sent):
        eventually(partial(counts_more, home, "six", foreign + 5), within_s=20)
    assert engine(home).rejected == before


def test_flood_of_a_stranger_moves_nothing(sized: Lab, home: Node) -> None:
    before, moved = engine(home), transitions(sized.nodes)
    frames = [advertisement(sized.client, ONE), advertisement(sized.client, SIX, six=True)]
    strangers = counted(home, "one") + counted(home, "six")
    seconds, sent = 5, {n: r.advertisements_sent for n, r in routers(home).items()}
    cpu_s, begun_s = _cpu_s(home), time.monotonic()
    count = sent_at_rate(sized.client, frames, 20_000, seconds)
    spent_s, lasted_s = _cpu_s(home) - cpu_s, time.monotonic() - begun_s
    after = engine(home)
    found = counted(home, "one") + counted(home, "six") - strangers
    print(
        f"{count} datagrams, {found} counted; engine {100 * spent_s / lasted_s:.0f} % of a"
        f" processor; deadlines p99 {lateness_p99_s(before, after)}"
    )
    assert found > 0
    assert after.engine_starts == before.engine_starts
    for name in ("one", "six"):  # one peer, five times a second; half of that shows that it went on
        assert routers(home)[name].advertisements_sent - sent[name] > seconds * 5 // 2
    assert transitions(sized.nodes) == moved


def _cpu_s(node: Node) -> float:
    pid = node.processes()["engine"]
    fields = node.host.exec("cat", f"/proc/{pid}/stat").stdout.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


# Memberships ------------------------------------------------------------------------------


def memberships(host: Host) -> tuple[int, int]:
    """Return how many sockets are in VRRP's groups on eth0, IPv4 and IPv6."""
    four = host.exec("cat", "/proc/net/igmp").stdout
    six = host.exec("cat", "/proc/net/igmp6").stdout
    users4 = [line.split()[1] for line in four.splitlines() if _GROUP4 in line]
    users6 = [line.split()[3] for line in six.splitlines() if _GROUP6 in line]
    return sum(map(int, users4)), sum(map(int, users6))


def configured(lab: Lab, node: Node, changed: dict[str, dict[str, Any]], *gone: str) -> str:
    """Change a node's routers by name and take some away; return the file as it was."""
    path = lab.config_file(node.name)
    before = path.read_text()
    config = yaml.safe_load(before)
    listed = [r for r in config["spec"]["virtualRouters"] if r["name"] not in gone]
    config["spec"]["virtualRouters"] = [{**r, **changed.get(r["name"], {})} for r in listed]
    path.write_text(yaml.safe_dump(config))
    return before


def test_groups_are_joined_while_somebody_uses_them(sized: Lab, home: Node) -> None:
    host = home.host
    # The election of mode Multicast, and the two that look.
    eventually(lambda: memberships(host) == (2, 1), within_s=5)
    off = {"conflictDetection": False}
    before = configured(sized, home, {"one": off})
    try:
        eventually(lambda: memberships(host) == (1, 1), within_s=15)
        configured(sized, home, {"six": off})
        eventually(lambda: memberships(host) == (1, 0), within_s=15)
        sized.config_file(home.name).write_text(before)
        eventually(lambda: memberships(host) == (2, 1), within_s=15)
        configured(sized, home, {}, "group")
        eventually(lambda: memberships(host) == (1, 1), within_s=15)
    finally:
        sized.config_file(home.name).write_text(before)
    eventually(lambda: memberships(host) == (2, 1), within_s=15)


@pytest.mark.parametrize("change", ["restore", "replace"])
def test_interface_that_comes_back_is_looked_at_again(sized: Lab, home: Node, change: str) -> None:
    second = sized.node("node-2")
    if change == "restore":
        second.host.remove_interface()
        eventually(lambda: routers(second)["one"].state == "Fault", within_s=10)
        second.host.restore_interface()
    else:
        second.host.replace_interface()
    all_at(sized, home)
    before = {name: counted(second, name) for name in ("one", "six")}
    sent = [advertisement(sized.client, ONE), advertisement(sized.client, SIX, six=True)]
    with advertising(sized.client, *sent):
        for name, count in before.items():
            eventually(partial(counts_more, second, name, count), within_s=20)


def test_no_room_for_a_membership_is_a_fault_in_multicast_only(sized: Lab, home: Node) -> None:
    second = sized.node("node-2")
    limit = "net.ipv4.igmp_max_memberships"
    try:
        second.host.exec("sysctl", "-qw", f"{limit}=0")
        second.stop_speaker()
        second.start_speaker()
        eventually(lambda: faults(second, "group") == {"GroupNotJoined"}, within_s=15)
        eventually(lambda: states(second)["group"] == "Fault", within_s=5)
        eventually(lambda: states(second)["one"] == "Backup", within_s=15)
        assert engine(second).unobserved_groups == 1
    finally:
        second.host.exec("sysctl", "-qw", f"{limit}=20")
    # It tries again by itself.
    eventually(lambda: states(second)["group"] == "Backup", within_s=15)
    eventually(lambda: memberships(second.host) == (2, 1), within_s=15)
    eventually(lambda: metric(second, "kube_vrrp_unobserved_groups") == 0, within_s=5)
