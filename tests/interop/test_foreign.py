"""keepalived with an election's VRID that nobody told the cluster of (condition ForeignVRRP)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.conftest import cannot_run
from tests.eventually import eventually
from tests.interop.config import Mode, RouterConfig
from tests.interop.keepalived import Keepalived
from tests.netns.inside import all_at, manifest, routers, transitions
from tests.netns.observe import metric
from tests.unit.engine.programs import packed

from vrrp_lab.lab import Lab
from vrrp_lab.node import Node

pytestmark = pytest.mark.interop
FOREIGN = "kube_vrrp_foreign_advertisements_total"
MANIFEST = (
    manifest("one", 51, "192.0.2.50/24", ranks=(1, 2, 3))
    + manifest("six", 61, "2001:db8:0:1::61/64", ranks=(1, 2, 3))
    + manifest("group", 62, "192.0.2.62/24", ranks=(1, 2, 3), spec="transport: {mode: Multicast}")
)
VRIDS = {"one": 51, "six": 61, "group": 62}


@pytest.fixture
def home(standalone: Lab) -> Iterator[Node]:
    """The best node, Active everywhere before and after."""
    if Keepalived.version() is None:
        cannot_run("this machine lacks: keepalived")
    node = standalone.node("node-1")
    all_at(standalone, node)
    yield node
    all_at(standalone, node)


def told_of(node: Node, virtual_ip: str, source: str, priority: int) -> bool:
    last = routers(node)[virtual_ip].last_foreign
    return last is not None and (last.source, last.priority) == (packed(source), priority)


@pytest.mark.parametrize(
    ("virtual_ip", "mode", "version", "priority"),
    [
        ("one", Mode.MULTICAST, 3, 254),
        ("one", Mode.MULTICAST, 2, 20),
        ("one", Mode.UNICAST, 3, 253),
        ("six", Mode.MULTICAST, 3, 254),
        ("group", Mode.MULTICAST, 3, 254),
        ("group", Mode.MULTICAST, 2, 20),
        ("group", Mode.UNICAST, 3, 253),
    ],
)
def test_keepalived_with_the_vrid_is_told_and_changes_nothing(
    standalone: Lab,
    home: Node,
    tmp_path: Path,
    virtual_ip: str,
    mode: Mode,
    version: int,
    priority: int,
) -> None:
    host, six = standalone.client, virtual_ip == "six"
    config = RouterConfig(
        vrid=VRIDS[virtual_ip],
        addresses=("2001:db8:0:1::77" if six else "192.0.2.77",),
        priority=priority,
        version=version,
        mode=mode,
        peers=(home.host.address,),
        interval_cs=20 if version == 3 else 100,
    )
    keepalived = Keepalived(host, standalone.lan, [config], tmp_path)
    moved = transitions(standalone.nodes)
    before = metric(home, FOREIGN, virtual_ip=virtual_ip)
    # IPv6 advertisements come from the link-local address.
    source = link_local(standalone) if six else host.address
    # It was there first: one that hears our group never becomes Active, as any packet with its
    # VRID, also one that it discards, begins its wait anew.
    for node in standalone.nodes if mode is Mode.MULTICAST else ():
        standalone.lan.partition(node.host, host, one_way=True)
    keepalived.start()
    try:
        hearing = standalone.nodes if mode is Mode.MULTICAST else [home]
        for node in hearing:
            eventually(partial(told_of, node, virtual_ip, source, priority), within_s=30)
        assert metric(home, FOREIGN, virtual_ip=virtual_ip) > before
        eventually(lambda: keepalived.states()[config.vrid] == "Active", within_s=10)
    finally:
        keepalived.stop()
        standalone.lan.heal()
    assert transitions(standalone.nodes) == moved


def link_local(lab: Lab) -> str:
    """Return the client's link-local address."""
    links = json.loads(lab.client.exec("ip", "-j", "-6", "addr", "show", "dev", "eth0").stdout)
    listed = [a for link in links for a in link["addr_info"] if a["scope"] == "link"]
    return str(listed[0]["local"])
