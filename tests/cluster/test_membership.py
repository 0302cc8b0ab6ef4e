"""Who is in an election, on real nodes: cut off from the API server, taken out, given addresses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.bench.holders import Holders
from tests.eventually import eventually
from tests.netns.inside import transitions
from tests.netns.observe import settled, state

from vrrp_lab.lab import Lab
from vrrp_lab.node import Node

pytestmark = pytest.mark.cluster
VIP, ADDRESS = "main", "192.0.2.50"


@pytest.fixture
def cluster(lab: Lab) -> Iterator[Lab]:
    """The cluster with one settled VirtualIP; every Node as it was, afterwards."""
    before = {n.name: node_addresses(lab, n.name) for n in lab.nodes}
    apply(lab, ADDRESS)
    eventually(lambda: condition(lab, "Programmed")[0] == "True", within_s=30)
    settled(lab, VIP, ADDRESS)
    yield lab
    lab.lan.heal()
    for node in lab.nodes:
        report_addresses(lab, node.name, *before[node.name])
        lab.kubectl("annotate", "node", node.name, "kube-vrrp.io/maintenance-", check=True)
    lab.kubectl("delete", "vip", "--all", "--wait=true", check=True)
    eventually(lambda: not lab.holders(ADDRESS), within_s=30)
    eventually(lambda: not any(routers(lab, n.name) for n in lab.nodes), within_s=30)


def apply(lab: Lab, *addresses: str, **spec: Any) -> None:
    obj = {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "VirtualIP",
        "metadata": {"name": VIP},
        "spec": {"addresses": [{"address": a} for a in addresses], **spec},
    }
    lab.kubectl("apply", "-f", "-", stdin=json.dumps(obj), check=True)


def routers(lab: Lab, node: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = lab.kubectl_json("get", "nodeconfig", node)["spec"].get(
        "virtualRouters", []
    )
    return found


def peers(lab: Lab, node: str) -> set[str]:
    return {peer["node"] for router in routers(lab, node) for peer in router["peers"]}


def condition(lab: Lab, kind: str) -> tuple[str, str, str]:
    status = lab.kubectl_json("get", "vip", VIP).get("status", {})
    for item in status.get("conditions", ()):
        if item["type"] == kind:
            return item["status"], item["reason"], item["message"]
    return "", "", ""


def says(lab: Lab, reason: str, words: str) -> bool:
    """Return whether the condition Programmed has this reason, and these words among others."""
    _, found, message = condition(lab, "Programmed")
    return found == reason and words in message


def node_addresses(lab: Lab, node: str) -> list[str]:
    listed = lab.kubectl_json("get", "node", node)["status"]["addresses"]
    return [item["address"] for item in listed if item["type"] == "InternalIP"]


def report_addresses(lab: Lab, node: str, *addresses: str) -> None:
    """Let a Node have these InternalIPs, as a kubelet or a cloud's controller reports them."""
    listed = [{"type": "InternalIP", "address": address} for address in addresses]
    patch = json.dumps({"status": {"addresses": listed}})
    flags = ("--subresource=status", "--type=merge", "-p", patch)
    lab.kubectl("patch", "node", node, *flags, check=True)


def others(lab: Lab, node: Node) -> list[Node]:
    return [other for other in lab.nodes if other is not node]


def holds_alone(lab: Lab, node: Node) -> bool:
    return lab.holders(ADDRESS) == [node] and state(node, VIP) == "Active"


# Cut off from the API server alone ----------------------------------------------------


def test_a_holder_that_cannot_be_told_yields_by_the_protocol(cluster: Lab) -> None:
    holder = settled(cluster, VIP, ADDRESS)
    cluster.lan.partition(holder.host, cluster.control_plane.host)
    ended = cluster.kubectl_vrrp("maintenance", holder.name, "on", "--timeout", "60s")
    assert ended.returncode == 0, ended.stderr
    assert f"{VIP} moved away in " in ended.stdout
    assert f"{holder.name} does not report and cannot be told" in ended.stdout
    eventually(lambda: state(holder, VIP) == "Backup", within_s=60)
    eventually(lambda: len(cluster.holders(ADDRESS)) == 1, within_s=60)
    (successor,) = cluster.holders(ADDRESS)
    assert successor is not holder
    # It is a member for as long as it may run, and so the others go on to list it.
    eventually(lambda: routers(cluster, holder.name) == [], within_s=30)
    assert all(holder.name in peers(cluster, node.name) for node in others(cluster, holder))
    told = f"{holder.name} is to leave and cannot be told"
    eventually(lambda: says(cluster, "NodeUnreachable", told), within_s=60)
    assert holds_alone(cluster, successor)
    cluster.lan.heal()
    eventually(lambda: state(holder, VIP) == "", within_s=60)
    eventually(lambda: holder.name not in peers(cluster, successor.name), within_s=30)
    eventually(lambda: condition(cluster, "Programmed")[0] == "True", within_s=30)
    assert holds_alone(cluster, successor)


def test_a_newcomer_waits_for_a_member_that_cannot_be_told(cluster: Lab) -> None:
    holder = settled(cluster, VIP, ADDRESS)
    backup, newcomer = others(cluster, holder)
    before = transitions([holder, backup])
    cluster.kubectl_vrrp("maintenance", newcomer.name, "on", "--timeout", "60s")
    eventually(lambda: newcomer.name not in peers(cluster, holder.name), within_s=30)
    cluster.lan.partition(backup.host, cluster.control_plane.host)
    cluster.kubectl_vrrp("maintenance", newcomer.name, "off")
    eventually(lambda: newcomer.name in peers(cluster, backup.name), within_s=30)
    told = f"{newcomer.name} joins once every member knows it; no report from {backup.name}"
    eventually(lambda: says(cluster, "NodeUnreachable", told), within_s=60)
    assert routers(cluster, newcomer.name) == []
    cluster.lan.heal()
    eventually(lambda: state(newcomer, VIP) == "Backup", within_s=60)
    assert transitions([holder, backup]) == before
    assert cluster.holders(ADDRESS) == [holder]


# Addresses of nodes -------------------------------------------------------------------


def test_addresses_that_vanish_from_all_nodes_are_kept(cluster: Lab) -> None:
    settled(cluster, VIP, ADDRESS)
    before = {n.name: routers(cluster, n.name) for n in cluster.nodes}
    for node in cluster.nodes:
        report_addresses(cluster, node.name)
    eventually(lambda: condition(cluster, "Programmed")[1] == "NodeAddressKept", within_s=30)
    cluster.operator.stop()
    cluster.operator.start()
    eventually(lambda: cluster.operator.get("/readyz") == "ok\n", within_s=30)
    assert {n.name: routers(cluster, n.name) for n in cluster.nodes} == before
    assert len(cluster.holders(ADDRESS)) == 1


def test_an_address_that_a_node_cannot_have_changes_nothing_and_is_named(cluster: Lab) -> None:
    """The VirtualIP's own, as a node that holds it may report, and one that is no address."""
    holder = settled(cluster, VIP, ADDRESS)
    before = transitions(cluster.nodes)
    configs = {n.name: routers(cluster, n.name) for n in cluster.nodes}
    report_addresses(cluster, holder.name, ADDRESS)
    told = f"{holder.name}: {ADDRESS} is the address of VirtualIP {VIP}; it goes on with "
    eventually(lambda: says(cluster, "NodeAddressRefused", told), within_s=30)
    assert condition(cluster, "Accepted")[0] == "True"
    report_addresses(cluster, holder.name, "ip-192-0-2-11.internal")
    eventually(lambda: "is no IP address" in condition(cluster, "Programmed")[2], within_s=30)
    assert {n.name: routers(cluster, n.name) for n in cluster.nodes} == configs
    apply(cluster, ADDRESS, "192.0.2.52")  # the operator goes on to decide
    eventually(lambda: cluster.holders("192.0.2.52") == [holder], within_s=30)
    assert transitions(cluster.nodes) == before


def test_a_backup_takes_another_address_and_nothing_moves(cluster: Lab) -> None:
    holder = settled(cluster, VIP, ADDRESS)
    moving = others(cluster, holder)[0]
    host, new = moving.host, f"192.0.2.{90 + moving.host.number}"
    before = transitions([n for n in cluster.nodes if n is not moving])
    old, *rest = before_all = node_addresses(cluster, moving.name)
    host.exec("ip", "addr", "add", f"{new}/24", "dev", "eth0")
    try:
        report_addresses(cluster, moving.name, new, *rest)

        def is_there() -> bool:
            found = routers(cluster, holder.name)
            listed = {p["address"] for router in found for p in router["peers"]}
            return new in listed and state(moving, VIP) == "Backup"

        eventually(is_there, within_s=60)
        eventually(lambda: condition(cluster, "Programmed")[0] == "True", within_s=30)
        assert transitions([n for n in cluster.nodes if n is not moving]) == before
        assert cluster.holders(ADDRESS) == [holder]
    finally:
        report_addresses(cluster, moving.name, *before_all)
        eventually(lambda: condition(cluster, "Programmed")[0] == "True", within_s=60)
        eventually(lambda: old in str(routers(cluster, holder.name)), within_s=60)
        host.exec("ip", "addr", "del", f"{new}/24", "dev", "eth0")


# Parameters ---------------------------------------------------------------------------


def test_another_version_is_taken_by_one_alone_and_never_are_there_two(cluster: Lab) -> None:
    settled(cluster, VIP, ADDRESS)
    holders = Holders(cluster.lan.hosts)
    apply(cluster, ADDRESS, version=2, advertisementInterval="1s")

    def all_changed() -> bool:
        versions = [r["version"] for n in cluster.nodes for r in routers(cluster, n.name)]
        return versions == [2, 2, 2]

    eventually(all_changed, within_s=60)
    settled(cluster, VIP, ADDRESS, within_s=60)
    spans = list(holders.timeline(ADDRESS).spans())
    assert not [who for _, who in spans if len(who) > 1], spans
