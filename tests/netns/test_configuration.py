"""Configuration that changes, or is wrong, under running Virtual Routers (architecture §4.12)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml
from tests.eventually import eventually
from tests.netns.inside import routers
from tests.netns.observe import metric, settled, state

from vrrp_lab.lab import Lab
from vrrp_lab.node import Node

pytestmark = pytest.mark.netns
VIP, ADDRESS = "base", "192.0.2.50"


def virtual_ip(name: str, *addresses: str, **spec: object) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "kube-vrrp.io/v1alpha1",
            "kind": "VirtualIP",
            "metadata": {"name": name},
            "spec": {"addresses": [{"address": a} for a in addresses], **spec},
        }
    )


RANKED: dict[str, object] = {
    "nodePriorities": [{"node": f"node-{n}", "priority": 250 - 50 * n} for n in (1, 2, 3)],
    "virtualRouterID": 7,
}
MANIFEST = virtual_ip(VIP, ADDRESS, **RANKED)


class Configuration:
    """The running configuration of the lab's nodes; changes are applied when ``apply`` returns."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self._lab = lab
        self._path = folder / "manifest.yaml"

    def apply(self, *manifests: str) -> None:
        """Run these VirtualIPs from now on."""
        generations = {n.name: applied_generation(n) for n in self._lab.nodes}
        before = {n.name: self._lab.config_file(n.name).read_text() for n in self._lab.nodes}
        self._path.write_text("---\n".join(manifests))
        self._lab.render([self._path])
        for node in self._lab.nodes:
            if self._lab.config_file(node.name).read_text() != before[node.name]:
                old = generations[node.name]
                eventually(partial(has_applied, node, old), within_s=15)


def has_applied(node: Node, old: float) -> bool:
    return applied_generation(node) != old  # a speaker that began anew counts from 1 again


def in_fault(node: Node) -> bool:
    return state(node, "bad") == "Fault"


def has_sent(node: Node, count: float) -> bool:
    return metric(node, "kube_vrrp_advertisements_sent_total", virtual_ip=VIP) >= count


def applied_generation(node: Node) -> float:
    return metric(node, "kube_vrrp_config_generation", kind="applied")


@pytest.fixture
def configuration(standalone: Lab, tmp_path: Path) -> Iterator[Configuration]:
    """The base VirtualIP, settled on node-1, before and after."""
    made = Configuration(standalone, tmp_path)
    at_home(standalone)
    yield made
    made.apply(MANIFEST)
    at_home(standalone)


def at_home(lab: Lab) -> Node:
    eventually(lambda: settled(lab, VIP, ADDRESS).name == "node-1", within_s=20)
    return lab.node("node-1")


def transitions(lab: Lab, virtual_ip: str = VIP) -> float:
    name = "kube_vrrp_transitions_total"
    return sum(metric(node, name, virtual_ip=virtual_ip) for node in lab.nodes)


def since(node: Node) -> int:
    """Return when the base VirtualIP's router entered its state."""
    return routers(node)[VIP].since_ns


def test_addresses_come_and_go_without_a_transition(
    standalone: Lab, configuration: Configuration
) -> None:
    before = transitions(standalone)
    home = standalone.node("node-1")
    configuration.apply(virtual_ip(VIP, ADDRESS, "192.0.2.51", "2001:db8:0:1::51/64", **RANKED))
    eventually(lambda: home.holds("192.0.2.51") and home.holds("2001:db8:0:1::51"), within_s=5)
    configuration.apply(virtual_ip(VIP, "192.0.2.51", **RANKED))
    eventually(lambda: not home.holds(ADDRESS) and not home.holds("2001:db8:0:1::51"), within_s=5)
    assert home.holds("192.0.2.51")
    assert transitions(standalone) == before


def test_interval_changes_without_a_transition(
    standalone: Lab, configuration: Configuration
) -> None:
    before = transitions(standalone)
    for interval in ("1s", "50ms", "200ms"):
        configuration.apply(virtual_ip(VIP, ADDRESS, advertisementInterval=interval, **RANKED))
        home = standalone.node("node-1")
        sent = metric(home, "kube_vrrp_advertisements_sent_total", virtual_ip=VIP)
        eventually(partial(has_sent, home, sent + 5), within_s=10)
    assert transitions(standalone) == before
    assert standalone.holders(ADDRESS) == [standalone.node("node-1")]


def test_another_virtual_ip_comes_and_goes_beside_a_running_one(
    standalone: Lab, configuration: Configuration
) -> None:
    before, since_ns = transitions(standalone), [since(node) for node in standalone.nodes]
    configuration.apply(MANIFEST, virtual_ip("second", "192.0.2.52"))
    holder = settled(standalone, "second", "192.0.2.52")
    configuration.apply(MANIFEST)
    eventually(lambda: not holder.holds("192.0.2.52"), within_s=5)
    eventually(lambda: state(holder, "second") == "", within_s=5)
    assert transitions(standalone) == before
    assert [since(node) for node in standalone.nodes] == since_ns  # a new router would begin anew


def test_better_priorities_move_the_address(standalone: Lab, configuration: Configuration) -> None:
    reversed_ranks = [{"node": f"node-{n}", "priority": 50 + 50 * n} for n in (1, 2, 3)]
    configuration.apply(virtual_ip(VIP, ADDRESS, virtualRouterID=7, nodePriorities=reversed_ranks))
    eventually(lambda: settled(standalone, VIP, ADDRESS).name == "node-3", within_s=15)


def test_never_preempt_leaves_the_address_where_it_went(
    standalone: Lab, configuration: Configuration
) -> None:
    configuration.apply(virtual_ip(VIP, ADDRESS, preemption={"mode": "Never"}, **RANKED))
    home = standalone.node("node-1")
    home.stop_speaker()
    eventually(lambda: state(standalone.node("node-2"), VIP) == "Active", within_s=10)
    home.start_speaker()
    assert settled(standalone, VIP, ADDRESS, preempted=False).name == "node-2"
    heard = metric(home, "kube_vrrp_advertisements_received_total", peer="node-2")
    # Ten advertisements later it is still where it was: three would have been enough to preempt.
    eventually(
        lambda: metric(home, "kube_vrrp_advertisements_received_total", peer="node-2") > heard + 10,
        within_s=10,
    )
    assert settled(standalone, VIP, ADDRESS, preempted=False).name == "node-2"


# Bad input ----------------------------------------------------------------------------


def test_unknown_interface_costs_one_virtual_ip(
    standalone: Lab, configuration: Configuration
) -> None:
    before = transitions(standalone)
    configuration.apply(MANIFEST, virtual_ip("bad", "192.0.2.53", interface="eth9"))
    for node in standalone.nodes:
        eventually(partial(in_fault, node), within_s=5)
        eventually(partial(told_of_unknown_interface, node), within_s=5)
    assert transitions(standalone) == before


def told_of_unknown_interface(node: Node) -> bool:
    said = [line for line in node.log.read_text().splitlines() if "takes no part" in line]
    return said[-1].endswith(
        "virtual_ip=bad faults=InterfaceNotFound: eth9: the node has no such interface"
        " (interface; accepted: eth0, lo)"
    )


def test_address_of_the_host_itself_is_left_alone_and_used_once_it_is_free(
    standalone: Lab, configuration: Configuration
) -> None:
    before = transitions(standalone)
    taken = standalone.nodes
    for node in taken:
        node.host.exec("ip", "addr", "add", "192.0.2.54/24", "dev", "eth0")
    configuration.apply(MANIFEST, virtual_ip("bad", "192.0.2.54"))
    for node in taken:
        eventually(partial(in_fault, node), within_s=5)
        assert node.holds("192.0.2.54")
    for node in taken:
        node.host.exec("ip", "addr", "del", "192.0.2.54/24", "dev", "eth0")
    settled(standalone, "bad", "192.0.2.54")
    assert transitions(standalone) == before


def test_wrong_file_keeps_the_old_one_and_readiness_says_why(
    standalone: Lab, configuration: Configuration
) -> None:
    before = transitions(standalone)
    home = standalone.node("node-1")
    path = standalone.config_file("node-1")
    good = path.read_text()
    path.write_text(good.replace("basePriority: 200", "basePriority: 255"))
    wrong = "spec.virtualRouters[0].basePriority: 255 must be an integer from 1 to 254"
    eventually(lambda: wrong in home.get("/readyz"), within_s=10)
    assert home.holds(ADDRESS)
    path.write_text(good)
    eventually(lambda: home.get("/readyz") == "ok\n", within_s=10)
    assert transitions(standalone) == before
