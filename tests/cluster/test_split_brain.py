"""Two that hold an address are told by what members hear, whoever of them can report."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.cluster.test_membership import ADDRESS, VIP, apply, condition, routers
from tests.eventually import eventually
from tests.netns.inside import routers as inside
from tests.netns.observe import settled, state

from vrrp_lab.lab import Lab
from vrrp_lab.node import Node

pytestmark = pytest.mark.cluster


@pytest.fixture
def cluster(lab: Lab) -> Iterator[Lab]:
    """The cluster with one settled VirtualIP, whole again afterwards."""
    apply(lab, ADDRESS)
    eventually(lambda: condition(lab, "Programmed")[0] == "True", within_s=60)
    settled(lab, VIP, ADDRESS)
    yield lab
    lab.lan.heal()
    lab.kubectl("delete", "vip", "--all", "--wait=true", check=True)
    eventually(lambda: not lab.holders(ADDRESS), within_s=60)
    eventually(lambda: not any(routers(lab, n.name) for n in lab.nodes), within_s=60)


def is_split(lab: Lab, *told: str) -> bool:
    """Return whether the condition says so, and names these."""
    status, reason, message = condition(lab, "SplitBrain")
    assert (status, reason) == ("True", "SplitBrain"), message
    return all(name in message for name in told)


def cut_in_two(lab: Lab, holder: Node) -> tuple[Node, Node]:
    """Cut the holder off from the best of the others alone; return that one and the third."""
    second, third = sorted(
        (n for n in lab.nodes if n is not holder),
        key=lambda node: -inside(node)[VIP].effective_priority,
    )
    lab.lan.partition(holder.host, second.host)
    return second, third


def test_two_that_do_not_hear_each_other_are_told_and_so_is_the_end(cluster: Lab) -> None:
    holder = settled(cluster, VIP, ADDRESS)
    second, third = cut_in_two(cluster, holder)
    eventually(lambda: state(second, VIP) == "Active", within_s=20)
    eventually(lambda: is_split(cluster, holder.name, second.name), within_s=30)
    assert third.name not in condition(cluster, "SplitBrain")[2]
    not_ready = ("False", "SplitBrain")
    eventually(lambda: condition(cluster, "Ready")[:2] == not_ready, within_s=30)
    # Who stands between them hears both, and says so.
    assert state(third, VIP) == "Backup"
    cluster.lan.heal()
    eventually(lambda: condition(cluster, "SplitBrain")[1] == "AsExpected", within_s=30)
    assert settled(cluster, VIP, ADDRESS) is holder


def test_a_holder_that_cannot_report_is_told_by_who_hears_it(cluster: Lab) -> None:
    holder = settled(cluster, VIP, ADDRESS)
    cluster.lan.partition(holder.host, cluster.control_plane.host)
    second, third = cut_in_two(cluster, holder)
    eventually(lambda: state(second, VIP) == "Active", within_s=20)
    assert state(third, VIP) == "Backup"
    heard = f"{holder.name}, which is heard and reports no more"
    eventually(lambda: is_split(cluster, second.name, heard), within_s=60)
    # It is taken out of the election, cannot be told, and goes on: no member it is to be.
    label = ("label", "node", holder.name, "kube-vrrp.test/apart=yes", "--overwrite")
    cluster.kubectl(*label, check=True)
    match = {"matchExpressions": [{"key": "kube-vrrp.test/apart", "operator": "DoesNotExist"}]}
    try:
        apply(cluster, ADDRESS, nodeSelector=match)
        told = f"{holder.name} no candidate"
        eventually(lambda: is_split(cluster, second.name, heard, told), within_s=60)
        nodes = cluster.kubectl_json("get", "vip", VIP)["status"]["nodes"]
        by_name = {entry["node"]: entry["state"] for entry in nodes}
        assert (by_name[second.name], by_name[third.name]) == ("Active", "Backup")
        cluster.lan.heal()
        eventually(lambda: condition(cluster, "SplitBrain")[1] == "AsExpected", within_s=60)
        eventually(lambda: state(holder, VIP) == "", within_s=60)
        # Only who is asked to run it is folded.
        assert holder.name not in folded(cluster)
    finally:
        cluster.kubectl("label", "node", holder.name, "kube-vrrp.test/apart-", check=True)


def folded(lab: Lab) -> list[str]:
    """Return the nodes in the VirtualIP's status once that has no others than are asked to."""

    def names() -> list[str]:
        status = lab.kubectl_json("get", "vip", VIP)["status"]
        listed = sorted(entry["node"] for entry in status["nodes"])
        asked = sorted(n.name for n in lab.nodes if routers(lab, n.name))
        assert listed == asked, (listed, asked)
        return listed

    return eventually(names, within_s=60)
