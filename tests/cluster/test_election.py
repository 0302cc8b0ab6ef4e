"""How elections reach the nodes: versions, transports and keys in NodeConfigs; no speakers run.

The nodes' reports are written here, so that what the operator makes of them can be told apart.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from tests.conftest import lab_or_skip
from tests.eventually import eventually
from tests.kstatus import kstatus

from vrrp_api.former import REFUSED
from vrrp_lab.lab import CLUSTER_KEY, Lab, LabOptions, new_key

pytestmark = pytest.mark.cluster
SIGNED = {"type": "HMAC", "keyRef": CLUSTER_KEY, "mode": "Enforce"}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """An API server and an operator; every node seems to have a speaker."""
    for made in lab_or_skip(LabOptions(start_speakers=False)):
        _seem_to_speak(made)
        yield made


def _seem_to_speak(lab: Lab) -> None:
    waiting = {node.name for node in lab.nodes}

    def reported() -> bool:
        waiting.difference_update([name for name in waiting if report(lab, name)])
        return not waiting

    eventually(reported, within_s=60)


@pytest.fixture
def cluster(lab: Lab) -> Iterator[Lab]:
    """The cluster, without VirtualIPs afterwards."""
    yield lab
    lab.kubectl("delete", "vip", "--all", "--wait=true", check=True)
    eventually(lambda: not any(routers(lab, node.name) for node in lab.nodes), within_s=60)


def report(lab: Lab, node: str, *reported: dict[str, Any]) -> bool:
    """Write what a speaker would report of its routers; return whether there was a NodeConfig."""
    status = {"heartbeatTime": "2026-01-01T00:00:00Z", "virtualRouters": list(reported)}
    return lab.control_plane.report_as_speaker(node, node, status)[0] == 200


def take_in(lab: Lab, node: str) -> None:
    """Report that a node runs what it is asked to."""
    generation = lab.kubectl_json("get", "nodeconfig", node)["metadata"]["generation"]
    status = {"heartbeatTime": "2026-01-01T00:00:00Z", "observedGeneration": generation}
    assert lab.control_plane.report_as_speaker(node, node, status)[0] == 200


def routers(lab: Lab, node: str) -> list[Any]:
    return list(lab.kubectl_json("get", "nodeconfig", node)["spec"].get("virtualRouters", ()))


def planned(lab: Lab, *addresses: str, **spec: Any) -> dict[str, Any]:
    """Apply VirtualIP main; return what each node is asked to do for it, by node name."""
    obj = {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "VirtualIP",
        "metadata": {"name": "main"},
        "spec": {"addresses": [{"address": a} for a in addresses or ("192.0.2.50",)], **spec},
    }
    lab.kubectl("apply", "-f", "-", stdin=json.dumps(obj), check=True)
    generation = lab.kubectl_json("get", "vip", "main")["metadata"]["generation"]

    def written() -> dict[str, Any] | None:
        found = {n.name: r for n in lab.nodes for r in routers(lab, n.name)}
        generations = {r["virtualIPGeneration"] for r in found.values()}
        return found if len(found) == len(lab.nodes) and generations == {generation} else None

    found = eventually(written, within_s=15)
    assert found is not None
    return found


def condition(lab: Lab, kind: str) -> tuple[str, str]:
    status = lab.kubectl_json("get", "vip", "main").get("status", {})
    found = [c for c in status.get("conditions", ()) if c["type"] == kind]
    return (found[0]["reason"], found[0]["message"]) if found else ("", "")


def test_election_inside_the_cluster_is_signed_with_the_default_key(cluster: Lab) -> None:
    for router in planned(cluster).values():
        assert router["authentication"] == SIGNED


def test_election_with_external_peers_is_plain(cluster: Lab) -> None:
    for router in planned(cluster, transport={"externalPeers": ["192.0.2.2"]}).values():
        assert router["authentication"] == {"type": "None"}
        assert router["transport"]["externalPeers"] == ["192.0.2.2"]


def test_an_election_turns_plain_when_a_router_outside_joins_and_back(cluster: Lab) -> None:
    def all_sign(how: str) -> bool:
        """Whether they do by now; it goes step by step, so that members hear each other."""
        for node in cluster.nodes:
            take_in(cluster, node.name)
        found = [r for node in cluster.nodes for r in routers(cluster, node.name)]
        return [r["authentication"]["type"] for r in found] == [how] * len(cluster.nodes)

    planned(cluster)
    planned(cluster, transport={"externalPeers": ["192.0.2.2"]})
    eventually(lambda: all_sign("None"), within_s=90, every_s=0.2)
    planned(cluster)
    eventually(lambda: all_sign("HMAC"), within_s=90, every_s=0.2)
    left = [r for node in cluster.nodes for r in routers(cluster, node.name)]
    assert not any("externalPeers" in r["transport"] for r in left)


def test_every_field_of_the_election_reaches_the_nodes(cluster: Lab) -> None:
    spec: dict[str, Any] = {
        "version": 2,
        "advertisementInterval": "2s",
        "downAdvertisements": 5,
        "transport": {
            "mode": "Multicast",
            "ttl": {"send": 254, "acceptMinimum": 250},
            "checksum": "Auto",
        },
        "preemption": {"mode": "Always", "delay": "30s"},
        "authentication": {"type": "Simple", "keyName": "old"},
    }
    told = {**spec, "authentication": {"type": "Simple", "keyRef": "old"}}
    for router in planned(cluster, **spec).values():
        assert {key: router[key] for key in told} == told


def test_ipv6_election_has_ipv6_peers(cluster: Lab) -> None:
    for node, router in planned(cluster, "2001:db8:0:1::50/64").items():
        others = {n.host.address6 for n in cluster.nodes if n.name != node}
        assert {peer["address"] for peer in router["peers"]} == others


def _is_told(lab: Lab, told: str) -> bool:
    return condition(lab, "DeprecatedFields")[1] == told


def test_former_forms_mean_what_they_meant_and_are_told(cluster: Lab) -> None:
    addresses = ("192.0.2.50/24", "2001:db8:0:1::50/64")
    check = {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "HealthCheck",
        "metadata": {"name": "web"},
        "spec": {"tcp": {"address": "127.0.0.1:80"}, "weight": -50},
    }
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(check), check=True)
    former = {
        "authentication": {"type": "HMAC", "keyRef": CLUSTER_KEY},
        "conflictDetection": False,
        "healthChecks": [{"name": "web", "weight": 0}],
    }
    present = {
        "authentication": {"type": "HMAC", "keyName": CLUSTER_KEY},
        "conflictPolicy": "Ignore",
        "healthChecks": [{"name": "web", "onFailure": "Fault"}],
    }
    instead = (
        "spec.authentication.keyRef: write keyName; spec.conflictDetection: write conflictPolicy:"
        f" Ignore; spec.healthChecks[0].weight: write onFailure: Fault for 0; {REFUSED}"
    )
    for forms, told in ((former, instead), (present, "every field is in its present form")):
        for router in planned(cluster, *addresses, **forms).values():
            assert router["authentication"] == SIGNED
            assert router["conflictDetection"] is False
            assert [c["weight"] for c in router["healthChecks"]] == [0]
        eventually(partial(_is_told, cluster, told), within_s=15)
        assert condition(cluster, "Accepted")[0] == "Accepted"
    row = cluster.kubectl("get", "vip", "main", check=True).stdout.splitlines()[1].split()
    assert row[:2] == ["main", "192.0.2.50/24,2001:db8:0:1::50/64"]


def test_who_is_refused_is_failed_for_tools_and_who_waits_is_not(cluster: Lab) -> None:
    def judged(name: str) -> str:
        obj = cluster.kubectl_json("get", "vip", name)
        seen = obj["status"]["observedGeneration"] == obj["metadata"]["generation"]
        return kstatus(obj) if seen else "not seen"

    planned(cluster)
    for name, spec in (
        ("taken", {"addresses": [{"address": "192.0.2.50"}]}),
        ("early", {"addresses": [{"address": "192.0.2.51"}], "healthChecks": [{"name": "later"}]}),
    ):
        head: dict[str, Any] = {"apiVersion": "kube-vrrp.io/v1alpha1", "kind": "VirtualIP"}
        obj = {**head, "metadata": {"name": name}, "spec": spec}
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps(obj), check=True)
    eventually(lambda: judged("taken") == "Failed", within_s=15)
    eventually(lambda: judged("early") == "InProgress", within_s=15)
    assert judged("main") == "InProgress"  # no speaker runs here
    cluster.kubectl(
        "annotate", "vip", "main", "kube-vrrp.io/handover-to=nobody", "kube-vrrp.io/handoverto=x"
    )
    eventually(lambda: condition(cluster, "HandoverIgnored")[0] == "NotACandidate", within_s=15)
    told = condition(cluster, "HandoverIgnored")[1]
    assert '"nobody" is no node of the cluster (accepted: node-' in told
    assert '"kube-vrrp.io/handoverto" is not known' in told


def test_external_peer_that_is_a_node_is_not_accepted(cluster: Lab) -> None:
    planned(cluster)
    patch = json.dumps({"spec": {"transport": {"externalPeers": [cluster.nodes[0].host.address]}}})
    cluster.kubectl("patch", "vip", "main", "--type=merge", "-p", patch, check=True)
    eventually(lambda: condition(cluster, "Accepted")[0] == "ExternalPeerConflict", within_s=15)
    assert "is the address of node node-1" in condition(cluster, "Accepted")[1]
    # What ran goes on, signed as it was.
    for node in cluster.nodes:
        assert [r["authentication"] for r in routers(cluster, node.name)] == [SIGNED]


@pytest.mark.parametrize("reason", ["AuthenticationKeyMissing", "AuthenticationKeyInvalid"])
def test_key_that_a_node_lacks_is_a_reason(cluster: Lab, reason: str) -> None:
    generation = planned(cluster)["node-1"]["virtualIPGeneration"]
    faulty = {
        "name": "main",
        "virtualIPGeneration": generation,
        "state": "Fault",
        "since": "2026-01-01T00:00:00Z",
        "faults": [f"{reason}: cluster"],
    }
    assert report(cluster, "node-2", faulty)
    eventually(lambda: condition(cluster, "Programmed")[0] == reason, within_s=15)
    assert condition(cluster, "Programmed")[1] == f"node-2: {reason}: cluster"
    assert report(cluster, "node-2")


def test_every_node_of_the_lab_has_the_cluster_s_key(lab: Lab) -> None:
    contents = {(node.keys_dir / f"{CLUSTER_KEY}.1").read_text() for node in lab.nodes}
    (key,) = contents
    assert key.startswith("hex:")
    assert len(bytes.fromhex(key.removeprefix("hex:"))) == 32
    for node in lab.nodes:
        assert (node.keys_dir / f"{CLUSTER_KEY}.active").read_text() == "1"
        for path in node.keys_dir.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_key_file_is_replaced_as_a_whole(lab: Lab) -> None:
    node, name = lab.nodes[0], f"{CLUSTER_KEY}.2"
    first, second = new_key(), new_key()
    node.write_key(name, first)
    with (node.keys_dir / name).open() as reader:
        node.write_key(name, second)
        assert reader.read() == first  # who has it open still reads the old one, complete
    assert (node.keys_dir / name).read_text() == second
    assert {p.name for p in node.keys_dir.iterdir()} == {
        f"{CLUSTER_KEY}.{part}" for part in ("1", "2", "active")
    }
    node.remove_key(name)
    assert not (node.keys_dir / name).exists()
