"""Heartbeats are Leases: made, renewed, guarded and done without, on a real API server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.eventually import eventually

from vrrp_lab.lab import Lab

pytestmark = pytest.mark.cluster
NAMESPACE = "kube-vrrp"
_OF_OPERATOR, _OF_SPEAKER = "kube-vrrp-operator-leases", "kube-vrrp-speaker-leases"


@pytest.fixture
def cluster(lab: Lab) -> Iterator[Lab]:
    """The cluster, once every node renews its Lease; the rights as they were, afterwards.

    Nodes that take part in an election do so every ten seconds.
    """
    vip = {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "VirtualIP",
        "metadata": {"name": "main"},
        "spec": {"addresses": [{"address": "192.0.2.50"}]},
    }
    lab.kubectl("apply", "-f", "-", stdin=json.dumps(vip), check=True)
    eventually(lambda: len(renewals(lab)) == len(lab.nodes), within_s=120, every_s=0.5)
    bindings = {name: binding(lab, name) for name in (_OF_OPERATOR, _OF_SPEAKER)}
    yield lab
    lab.kubectl("delete", "vip", "--all", "--wait=true", check=True)
    for obj in bindings.values():
        lab.kubectl("apply", "-f", "-", stdin=json.dumps(obj), check=True)


def binding(lab: Lab, name: str) -> dict[str, Any]:
    found = lab.kubectl_json("get", "rolebinding", "-n", NAMESPACE, name)
    kept = {key: found[key] for key in ("apiVersion", "kind", "roleRef", "subjects")}
    return {**kept, "metadata": {"name": name, "namespace": NAMESPACE}}


def leases(lab: Lab) -> dict[str, dict[str, Any]]:
    flags = ("-n", NAMESPACE, "-l", "kube-vrrp.io/heartbeat=node")
    found = lab.kubectl_json("get", "leases", *flags)["items"]
    return {lease["spec"]["holderIdentity"]: lease for lease in found}


def renewals(lab: Lab) -> dict[str, str]:
    return {node: lease["spec"]["renewTime"] for node, lease in leases(lab).items()}


def reported(lab: Lab) -> dict[str, str]:
    """Return when each node's status was written last."""
    items = lab.kubectl_json("get", "nodeconfigs")["items"]
    return {item["metadata"]["name"]: item["status"]["heartbeatTime"] for item in items}


def asked(lab: Lab) -> set[str | None]:
    items = lab.kubectl_json("get", "nodeconfigs")["items"]
    return {item["spec"].get("leaseNamespace") for item in items}


def test_lease_is_renewed_while_the_status_stays_as_it_is(cluster: Lab) -> None:
    node = cluster.nodes[0].name

    def renewed_after(before: str) -> str:
        eventually(lambda: renewals(cluster)[node] > before, within_s=120, every_s=0.5)
        return renewals(cluster)[node]

    def stays_over_two_renewals() -> bool:
        """Not while the election before this test still settles."""
        written = reported(cluster)[node]
        renewed_after(renewed_after(renewals(cluster)[node]))
        return reported(cluster)[node] == written

    eventually(stays_over_two_renewals, within_s=120)


def test_older_status_that_came_late_is_written_over(cluster: Lab) -> None:
    """Out of a connection that was given up while the node was cut off."""
    before = "2026-01-01T00:00:00Z"
    late = {"heartbeatTime": before, "observedGeneration": 1}
    assert cluster.control_plane.report_as_speaker("node-1", "node-1", late)[0] == 200

    def is_written_over() -> bool:
        config = cluster.kubectl_json("get", "nodeconfig", "node-1")
        status = config["status"]
        of_now = status["observedGeneration"] == config["metadata"]["generation"]
        return bool(status["heartbeatTime"] > before and of_now)

    eventually(is_written_over, within_s=60)


def test_lease_that_is_deleted_comes_back_and_goes_with_its_node_config(cluster: Lab) -> None:
    node = cluster.nodes[0].name
    uid = leases(cluster)[node]["metadata"]["uid"]
    cluster.kubectl("delete", "lease", "-n", NAMESPACE, f"node.{node}", check=True)
    eventually(lambda: node in leases(cluster), within_s=120, every_s=0.5)
    made = leases(cluster)[node]
    assert made["metadata"]["uid"] != uid
    (owner,) = made["metadata"]["ownerReferences"]
    config = cluster.kubectl_json("get", "nodeconfig", node)["metadata"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("NodeConfig", node, config["uid"])


@pytest.mark.parametrize(
    ("name", "holder"), [("node.node-2", "node-2"), ("node.node-1", "node-2"), ("mine", "node-1")]
)
def test_speaker_writes_no_other_lease_than_its_nodes(cluster: Lab, name: str, holder: str) -> None:
    kubeconfig = cluster.control_plane.service_account_kubeconfig(
        "speaker", ("node-1", cluster.kubectl_json("get", "node", "node-1")["metadata"]["uid"])
    )
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"holderIdentity": holder},
    }
    user, server = used(kubeconfig)
    curl = cluster.nodes[0].host.exec(
        *("curl", "-sk", "-X", "POST", "-H", "Content-Type: application/json"),
        *("-H", f"Authorization: Bearer {user}", "-d", json.dumps(lease)),
        f"{server}/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases",
    )
    assert "the speaker of node node-1 writes the Lease node.node-1, held by itself" in curl.stdout


def used(kubeconfig: Path) -> tuple[str, str]:
    """Return the token and the server of a kubeconfig of the lab."""
    config = json.loads(kubeconfig.read_text())
    return config["users"][0]["user"]["token"], config["clusters"][0]["cluster"]["server"]


def test_speakers_without_the_right_write_their_status_again(cluster: Lab) -> None:
    """As with the rights of an older chart, behind a rollback."""
    cluster.kubectl("delete", "rolebinding", "-n", NAMESPACE, _OF_SPEAKER, check=True)
    before = reported(cluster)
    eventually(
        lambda: all(time > before[node] for node, time in reported(cluster).items()),
        within_s=120,
        every_s=0.5,
    )
    log = cluster.nodes[0].log
    eventually(lambda: "Lease refused: the status is written" in log.read_text(), within_s=120)


def test_operator_without_the_right_asks_for_leases_no_more(cluster: Lab) -> None:
    cluster.kubectl("delete", "rolebinding", "-n", NAMESPACE, _OF_OPERATOR, check=True)
    cluster.operator.stop()  # its watch would go on until the API server ends it
    cluster.operator.start()
    eventually(lambda: asked(cluster) == {None}, within_s=240, every_s=0.5)
    before = reported(cluster)
    eventually(lambda: min(reported(cluster).values()) > max(before.values()), within_s=120)
