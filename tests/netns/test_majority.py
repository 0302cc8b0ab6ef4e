"""splitBrainPolicy RequireMajority: a node that reaches too few of the candidates takes no part."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from tests.bench.holders import Holders
from tests.eventually import eventually
from tests.netns.observe import settled, state

from vrrp_lab.lab import Lab
from vrrp_lab.node import Node

pytestmark = pytest.mark.netns
ADDRESSES = {"four": "192.0.2.50", "six": "2001:db8:0:1::50"}


def _manifest(name: str, address: str) -> str:
    return f"""
apiVersion: kube-vrrp.io/v1alpha1
kind: VirtualIP
metadata: {{name: {name}}}
spec:
  addresses: [{{address: "{address}"}}]
  interface: eth0
  splitBrainPolicy: RequireMajority
  nodePriorities:
  - {{node: node-1, priority: 200}}
  - {{node: node-2, priority: 150}}
  - {{node: node-3, priority: 100}}
"""


MANIFEST = "---".join(_manifest(*item) for item in ADDRESSES.items())
both_families = pytest.mark.parametrize("vip", list(ADDRESSES))


@pytest.fixture
def home(standalone: Lab) -> Iterator[Node]:
    """The best node, Active before and after."""
    yield _at_home(standalone)
    standalone.lan.heal()
    for node in standalone.nodes:
        if not node.running:
            node.start_speaker()
    _at_home(standalone)


def _at_home(lab: Lab) -> Node:
    node = lab.node("node-1")
    for vip, address in ADDRESSES.items():
        eventually(partial(_settled_at, lab, vip, address, node), within_s=30)
    return node


def _settled_at(lab: Lab, vip: str, address: str, node: Node) -> bool:
    return settled(lab, vip, address) is node


def _in_fault(node: Node, vip: str) -> bool:
    return state(node, vip) == "Fault"


def _lacks(node: Node, address: str) -> bool:
    return not node.holds(address)


def isolate(lab: Lab, node: Node) -> None:
    for other in lab.nodes:
        if other is not node:
            lab.lan.partition(node.host, other.host)


@both_families
def test_active_node_alone_lets_go_before_the_majority_takes_over(
    standalone: Lab, home: Node, vip: str
) -> None:
    second, address = standalone.node("node-2"), ADDRESSES[vip]
    holders = Holders([node.host for node in standalone.nodes])
    isolate(standalone, home)
    eventually(lambda: state(second, vip) == "Active" and second.holds(address), within_s=10)
    eventually(lambda: state(home, vip) == "Fault" and not home.holds(address), within_s=5)
    assert max(len(names) for _, names in holders.timeline(address).spans()) == 1


@both_families
def test_backup_alone_does_not_take_over(standalone: Lab, home: Node, vip: str) -> None:
    third = standalone.node("node-3")
    isolate(standalone, third)
    eventually(lambda: state(third, vip) == "Fault", within_s=10)
    assert standalone.holders(ADDRESSES[vip]) == [home]


@both_families
def test_two_of_three_go_on(standalone: Lab, home: Node, vip: str) -> None:
    standalone.node("node-3").host.power_off()
    try:
        standalone.node("node-3").kill_speaker()
        home.stop_speaker()
        home.start_speaker()
        eventually(lambda: standalone.holders(ADDRESSES[vip]) == [home], within_s=15)
    finally:
        standalone.node("node-3").host.power_on()


def test_last_of_three_holds_nothing(standalone: Lab, home: Node) -> None:
    others = [standalone.node(name) for name in ("node-2", "node-3")]
    for other in others:
        other.host.cut_link()
    try:
        for vip, address in ADDRESSES.items():
            eventually(partial(_in_fault, home, vip), within_s=10)
            eventually(partial(_lacks, home, address), within_s=5)
    finally:
        for other in others:
            other.host.restore_link()
