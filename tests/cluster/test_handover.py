"""Moves that somebody asked for: maintenance, hand-over and its end, as a client sees them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.eventually import eventually
from tests.netns.observe import settled

from vrrp_lab.lab import Lab
from vrrp_lab.node import Node

pytestmark = pytest.mark.cluster
VIP, ADDRESS = "main", "192.0.2.50"


@pytest.fixture
def cluster(lab: Lab) -> Iterator[Lab]:
    """The cluster with one settled VirtualIP; nothing else, and no node set apart, afterwards."""
    manifest = {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "VirtualIP",
        "metadata": {"name": VIP},
        "spec": {"addresses": [{"address": ADDRESS}]},
    }
    lab.kubectl("apply", "-f", "-", stdin=json.dumps(manifest), check=True)
    eventually(lambda: settled(lab, VIP, ADDRESS).name == planned_first(lab), within_s=30)
    yield lab
    for node in lab.nodes:
        lab.kubectl("annotate", "node", node.name, "kube-vrrp.io/maintenance-", check=True)
        lab.kubectl("taint", "node", node.name, "node.kubernetes.io/out-of-service-", check=False)
        lab.kubectl("uncordon", node.name, check=True)
    lab.kubectl("delete", "vip", "--all", "--wait=true", check=True)
    eventually(lambda: not lab.holders(ADDRESS), within_s=60)


def router(lab: Lab, node: str) -> dict[str, Any] | None:
    """Return what a node is asked to run for the VirtualIP."""
    spec = lab.kubectl_json("get", "nodeconfig", node)["spec"]
    return next((r for r in spec.get("virtualRouters", ()) if r["name"] == VIP), None)


def planned_first(lab: Lab) -> str:
    priorities = {}
    for node in lab.nodes:
        found = router(lab, node.name)
        if found is not None:
            priorities[node.name] = found["basePriority"]
    return max(priorities, key=lambda name: priorities[name]) if priorities else ""


def active_node(lab: Lab) -> str:
    return str(lab.kubectl_json("get", "vip", VIP)["status"].get("activeNode", ""))


def said(lab: Lab, kind: str) -> str:
    conditions = lab.kubectl_json("get", "vip", VIP)["status"]["conditions"]
    return next(str(c["message"]) for c in conditions if c["type"] == kind)


def lost_while(lab: Lab, act: Callable[[], None]) -> int:
    """Return how many probes a client lost from before an action until after it."""
    with lab.client.probe(ADDRESS) as probe:
        since_ns = probe.wait_answered(30)
        act()
        probe.wait_answered(30)
        # What the old holder leaves behind is gone by then: the bound of a hand-over has passed.
        until_ns = time.monotonic_ns() + 1_500_000_000
        eventually(lambda: time.monotonic_ns() >= until_ns, within_s=5)
        return probe.report(since_ns).lost


def without_loss(attempt: Callable[[], int]) -> None:
    """Play a scenario that must lose nothing; once more on a machine that was too busy."""
    lost = attempt()
    if lost:
        lost = attempt()
    assert lost == 0


def holder(lab: Lab) -> Node:
    """Wait until one node alone has the address; return it."""

    def alone() -> Node | None:
        found = lab.holders(ADDRESS)
        return found[0] if len(found) == 1 else None

    found = eventually(alone, within_s=60)
    assert found is not None
    return found


def moved(lab: Lab, node: str) -> None:
    """Wait until a node holds the address alone, and the status says so."""

    def is_there() -> bool:
        return active_node(lab) == node and [n.name for n in lab.holders(ADDRESS)] == [node]

    eventually(is_there, within_s=60)


def test_maintenance_moves_the_address_and_loses_nothing(cluster: Lab) -> None:
    def attempt() -> int:
        before = settled(cluster, VIP, ADDRESS)
        lost = lost_while(cluster, lambda: switch(before.name, "on"))
        assert holder(cluster) is not before
        eventually(lambda: router(cluster, before.name) is None, within_s=30)
        switch(before.name, "off")
        eventually(lambda: router(cluster, before.name) is not None, within_s=60)
        return lost

    def switch(node: str, what: str) -> None:
        ended = cluster.kubectl_vrrp("maintenance", node, what, "--timeout", "60s")
        assert ended.returncode == 0, ended.stderr
        if what == "on":
            assert f"{node}: in maintenance; {VIP} moved away in " in ended.stdout

    without_loss(attempt)


def test_handover_moves_the_address_to_the_named_node_and_undo_back(cluster: Lab) -> None:
    home = settled(cluster, VIP, ADDRESS).name
    worst = min(
        (n.name for n in cluster.nodes),
        key=lambda name: (router(cluster, name) or {})["basePriority"],
    )

    def there() -> None:
        ended = cluster.kubectl_vrrp("handover", VIP, worst, "--timeout", "60s")
        assert ended.returncode == 0, ended.stderr
        assert f"{VIP}: {home} → {worst} in " in ended.stdout
        moved(cluster, worst)

    def back() -> None:
        ended = cluster.kubectl_vrrp("handover", VIP, "--undo")
        assert ended.returncode == 0, ended.stderr
        assert f"no longer handed to {worst}" in ended.stdout
        moved(cluster, home)

    specs = {n.name: router(cluster, n.name) for n in cluster.nodes}
    without_loss(lambda: lost_while(cluster, there) + lost_while(cluster, back))
    eventually(
        lambda: {n.name: router(cluster, n.name) for n in cluster.nodes} == specs, within_s=30
    )
    eventually(lambda: "Handover" in reasons(cluster), within_s=30)


def reasons(lab: Lab) -> list[str]:
    """Return why the address moved, as the status tells its history."""
    history = lab.kubectl_json("get", "vip", VIP)["status"]["history"]
    return [entry["reason"] for entry in history]


def test_handover_to_a_node_that_is_no_candidate_is_ignored_and_says_so(cluster: Lab) -> None:
    before = settled(cluster, VIP, ADDRESS)
    ended = cluster.kubectl_vrrp("handover", VIP, "node-9", "--timeout", "2s")
    assert ended.returncode == 1
    assert f"main: not on node-9 after 2 s but on {before.name}" in ended.stderr
    asked = 'annotation kube-vrrp.io/handover-to: "node-9"'
    told = f"{asked} is no node of the cluster (accepted: node-"
    assert told in ended.stderr
    assert said(cluster, "HandoverIgnored").startswith(told)
    assert cluster.holders(ADDRESS) == [before]
    cluster.kubectl_vrrp("handover", VIP, "--undo")
    eventually(lambda: "node-9" not in said(cluster, "HandoverIgnored"), within_s=60)


def test_out_of_service_taint_moves_the_address_and_cordon_does_not(cluster: Lab) -> None:
    before = settled(cluster, VIP, ADDRESS)
    cluster.kubectl("cordon", before.name, check=True)
    taint = "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"
    other = next(n for n in cluster.nodes if n is not before)
    cluster.kubectl("taint", "node", other.name, taint, check=True)
    # The operator has seen the cordon by then: it came first.
    eventually(lambda: router(cluster, other.name) is None, within_s=60)
    assert cluster.holders(ADDRESS) == [before]
    cluster.kubectl("taint", "node", before.name, taint, check=True)
    eventually(lambda: active_node(cluster) not in ("", before.name), within_s=60)
    eventually(lambda: router(cluster, before.name) is None, within_s=30)
