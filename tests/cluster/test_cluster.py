"""The whole way: manifests in, addresses on nodes, status back, with the API server up or down."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.eventually import eventually
from tests.netns.observe import metric, settled, state
from tests.netns.strangers import advertisement, advertising

from vrrp_lab.lab import Lab
from vrrp_lab.node import Node
from vrrp_lab.web import WebServer

pytestmark = pytest.mark.cluster
VIP, ADDRESS = "main", "192.0.2.50"
STRANGER_REMEMBERED_S = 60
"""How long a condition tells of a stranger that was seen once."""


def virtual_ip(name: str, *addresses: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "VirtualIP",
        "metadata": {"name": name},
        "spec": {"addresses": [{"address": a} for a in addresses or (ADDRESS,)], **spec},
    }


def apply(lab: Lab, *objects: dict[str, Any]) -> None:
    for obj in objects:
        lab.kubectl("apply", "-f", "-", stdin=json.dumps(obj), check=True)


def get(lab: Lab, name: str = VIP) -> dict[str, Any]:
    found: dict[str, Any] = lab.kubectl_json("get", "vip", name)
    return found


def condition(lab: Lab, name: str, kind: str) -> tuple[str, str, str]:
    for item in get(lab, name).get("status", {}).get("conditions", ()):
        if item["type"] == kind:
            return item["status"], item["reason"], item["message"]
    return "", "", ""


@pytest.fixture
def cluster(lab: Lab) -> Iterator[Lab]:
    """The cluster with one settled VirtualIP, and nothing else afterwards."""
    apply(lab, virtual_ip(VIP))
    at_home(lab)
    yield lab
    for node in lab.nodes:
        if not node.running:
            node.start_speaker()
    lab.kubectl("delete", "vip", "--all", "--wait=true", check=True)
    lab.kubectl("delete", "vhc", "--all", "--wait=true", check=True)
    eventually(lambda: not any(n.holds(ADDRESS) for n in lab.nodes), within_s=60)
    eventually(lambda: all(not _routers(lab, n.name) for n in lab.nodes), within_s=60)


def at_home(lab: Lab) -> Node:
    """Wait until the node with the highest priority is Active, the others Backup; return it."""

    def home() -> Node | None:
        holder = settled(lab, VIP, ADDRESS)
        priorities = {
            node.name: router["basePriority"]
            for node in lab.nodes
            for router in _routers(lab, node.name)
            if router["name"] == VIP
        }
        return holder if holder.name == max(priorities, key=priorities.__getitem__) else None

    found = eventually(home, within_s=60)
    assert found is not None
    return found


def _routers(lab: Lab, node: str) -> list[Any]:
    spec = lab.kubectl_json("get", "nodeconfig", node)["spec"]
    return list(spec.get("virtualRouters", ()))


def active_node(lab: Lab, name: str = VIP) -> str:
    return str(get(lab, name).get("status", {}).get("activeNode", ""))


def writes(lab: Lab) -> dict[str, float]:
    """Return the writes the API server has served, by "verb resource/subresource"."""
    found: dict[str, float] = {}
    for line in lab.kubectl("get", "--raw", "/metrics", check=True).stdout.splitlines():
        if not line.startswith("apiserver_request_total{"):
            continue
        (family,) = text_string_to_metric_families(line)
        (sample,) = family.samples
        if sample.labels["verb"] in ("POST", "PUT", "PATCH", "APPLY", "DELETE"):
            own = {"PUT leases", "POST selfsubjectaccessreviews"}  # the API server's
            if f"{sample.labels['verb']} {sample.labels['resource']}" in own:
                continue
            parts = [sample.labels[key] for key in ("verb", "resource", "subresource")]
            found[" ".join(parts)] = found.get(" ".join(parts), 0) + sample.value
    return found


def _conditions(lab: Lab) -> dict[str, str]:
    """Return the conditions of the VirtualIP once its status tells of all three nodes."""
    status = get(lab)["status"]
    assert (status["standbys"], len(status["nodes"])) == (2, 3)
    return {c["type"]: c["status"] for c in status["conditions"]}


# The way up ---------------------------------------------------------------------------


def test_status_tells_who_holds_the_address(cluster: Lab) -> None:
    at_rest = {
        "Ready": "True",
        "Accepted": "True",
        "Programmed": "True",
        "NoStandby": "False",
        "SplitBrain": "False",
        "Flapping": "False",
        "AddressConflict": "False",
        "ForeignVRRP": "False",
        "ChecksIgnored": "False",
        "WeightIneffective": "False",
        "Stalled": "False",
        "HandoverIgnored": "False",
        "DeprecatedFields": "False",
    }
    # AddressConflict was once True as they began, and is remembered (limits.md).
    eventually(lambda: _conditions(cluster) == at_rest, within_s=STRANGER_REMEMBERED_S + 15)
    status = get(cluster)["status"]
    (holder,) = cluster.holders(ADDRESS)
    assert status["activeNode"] == holder.name
    assert status["observedGeneration"] == get(cluster)["metadata"]["generation"]
    assert (status["interface"], status["standbys"]) == ("eth0", 2)
    assert sorted(n["state"] for n in status["nodes"]) == ["Active", "Backup", "Backup"]


def test_foreign_router_with_the_vrid_is_told(cluster: Lab) -> None:
    at_rest = ("False", "AsExpected")
    eventually(lambda: condition(cluster, VIP, "ForeignVRRP")[:2] == at_rest, within_s=30)
    vrid = get(cluster)["status"]["virtualRouterID"]
    with advertising(cluster.client, advertisement(cluster.client, vrid, priority=254)):
        eventually(lambda: condition(cluster, VIP, "ForeignVRRP")[0] == "True", within_s=30)
    nodes = ", ".join(node.name for node in cluster.nodes)
    told = f"virtual router ID {vrid} used by others, {nodes}: {cluster.client.address}"

    def message() -> str:
        return condition(cluster, VIP, "ForeignVRRP")[2]

    eventually(lambda: message().startswith(f"{told} with priority 254; "), within_s=60)
    assert condition(cluster, VIP, "Ready")[0] == "True"


def test_users_objects_carry_no_finalizer_and_no_annotation_of_ours(cluster: Lab) -> None:
    metadata = get(cluster)["metadata"]
    assert "finalizers" not in metadata
    assert list(metadata["annotations"]) == ["kubectl.kubernetes.io/last-applied-configuration"]


def test_a_move_is_in_the_status_and_in_the_history(cluster: Lab) -> None:
    (before,) = cluster.holders(ADDRESS)
    before.stop_speaker()
    eventually(lambda: active_node(cluster) not in ("", before.name), within_s=60)
    eventually(lambda: get(cluster)["status"]["history"][-1]["from"] == before.name, within_s=5)
    status = get(cluster)["status"]
    assert status["history"][-1]["to"] == status["activeNode"]
    shown = cluster.kubectl("get", "vip", VIP, "-o", "wide").stdout
    assert status["activeNode"] in shown.splitlines()[1].split()


def test_generation_is_observed_after_a_change(cluster: Lab) -> None:
    apply(cluster, virtual_ip(VIP, ADDRESS, "192.0.2.51"))
    (holder,) = cluster.holders(ADDRESS)
    eventually(lambda: holder.holds("192.0.2.51"), within_s=60)
    eventually(lambda: get(cluster)["status"]["observedGeneration"] == 2, within_s=5)
    eventually(lambda: condition(cluster, VIP, "Programmed")[0] == "True", within_s=5)
    both = [f"{ADDRESS}/32", "192.0.2.51/32"]
    eventually(lambda: get(cluster)["status"]["addresses"] == both, within_s=5)


def test_suspended_leaves_every_node_and_comes_back_to_the_node_that_is_preferred(
    cluster: Lab,
) -> None:
    apply(cluster, virtual_ip(VIP, ADDRESS))
    home, vrid = at_home(cluster), get(cluster)["status"]["virtualRouterID"]
    other = next(node for node in cluster.nodes if node is not home)
    wanted = {"spec": {"suspend": True, "preferredNodes": [other.name]}}
    cluster.kubectl("patch", "vip", VIP, "--type=merge", "-p", json.dumps(wanted), check=True)
    eventually(
        lambda: condition(cluster, VIP, "Programmed")[2].startswith("suspended"), within_s=60
    )
    eventually(lambda: not any(node.holds(ADDRESS) for node in cluster.nodes), within_s=60)
    eventually(lambda: condition(cluster, VIP, "Programmed")[0] == "True", within_s=60)
    assert condition(cluster, VIP, "Ready") == (
        "False",
        "Suspended",
        "suspended: no node holds the addresses",
    )
    again = json.dumps({"spec": {"suspend": False}})
    cluster.kubectl("patch", "vip", VIP, "--type=merge", "-p", again, check=True)
    assert at_home(cluster) is other
    assert get(cluster)["status"]["virtualRouterID"] == vrid


def test_failing_check_moves_the_address_and_is_named(cluster: Lab) -> None:
    servers = {n.name: WebServer(n, cluster.lan.processes) for n in cluster.nodes}
    for server in servers.values():
        server.start()
    web = {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "HealthCheck",
        "metadata": {"name": "web"},
        "spec": {"http": {"url": "http://127.0.0.1:8080/"}, "interval": "100ms", "rise": 1,
                 "fall": 2},
    }  # fmt: skip
    apply(cluster, web, virtual_ip(VIP, healthChecks=[{"name": "web"}]))
    eventually(lambda: get_check(cluster)["status"].get("passing") == 3, within_s=15)
    holder = at_home(cluster)
    servers[holder.name].stop()
    eventually(lambda: active_node(cluster) not in ("", holder.name), within_s=60)
    eventually(lambda: _told_of(cluster, holder) == ("Fault", ["web"]), within_s=5)
    eventually(lambda: get_check(cluster)["status"]["failing"] == 1, within_s=5)
    (result,) = [n for n in get_check(cluster)["status"]["nodes"] if not n["passing"]]
    assert result["node"] == holder.name
    assert result["message"] == "Connection refused"
    row = cluster.kubectl("get", "vhc", "web").stdout.splitlines()[1].split()
    assert row[:5] == ["web", "http", "http://127.0.0.1:8080/", "2", "1"]
    for server in servers.values():
        server.stop()


def _told_of(lab: Lab, node: Node) -> tuple[str, list[str]]:
    """Return the state of a node and its failing checks, as the VirtualIP's status has them."""
    nodes = get(lab)["status"]["nodes"]
    return next((n["state"], n["failingChecks"]) for n in nodes if n["node"] == node.name)


def get_check(lab: Lab) -> dict[str, Any]:
    found: dict[str, Any] = lab.kubectl_json("get", "vhc", "web")
    return found


# Bad input ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "kind", "reason", "words"),
    [
        (virtual_ip("bad"), "Accepted", "AddressConflict", "belongs to VirtualIP main"),
        (virtual_ip("bad", "192.0.2.11"), "Accepted", "AddressIsNodeAddress", "node node-1"),
        (
            virtual_ip("bad", "192.0.2.55", healthChecks=[{"name": "absent"}]),
            "Accepted",
            "HealthCheckNotFound",
            "HealthCheck absent does not exist",
        ),
        (
            virtual_ip("bad", "192.0.2.55", interface="eth9"),
            "Programmed",
            "InterfaceNotFound",
            "InterfaceNotFound: eth9",
        ),
        (
            virtual_ip("bad", "192.0.2.55", nodeSelector={"matchLabels": {"no": "node"}}),
            "Ready",
            "NoCandidates",
            "no node with a speaker",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and value[0].isupper() else "",
)
def test_wrong_virtual_ip_has_a_reason_and_harms_no_other(
    cluster: Lab, bad: dict[str, Any], kind: str, reason: str, words: str
) -> None:
    _is_wrong(cluster, bad, kind, reason, words)


def test_virtual_router_id_of_another_is_a_reason_and_harms_no_other(cluster: Lab) -> None:
    number = get(cluster)["status"]["virtualRouterID"]
    bad = virtual_ip("bad", "192.0.2.55", virtualRouterID=number)
    words = f"{number} belongs to VirtualIP main"
    _is_wrong(cluster, bad, "Accepted", "VirtualRouterIDConflict", words)


def _is_wrong(cluster: Lab, bad: dict[str, Any], kind: str, reason: str, words: str) -> None:
    holder = at_home(cluster)
    before = sum(metric(n, "kube_vrrp_transitions_total", virtual_ip=VIP) for n in cluster.nodes)
    apply(cluster, bad)
    eventually(lambda: condition(cluster, "bad", kind)[1] == reason, within_s=15)
    assert condition(cluster, "bad", kind)[0] == "False"
    assert words in condition(cluster, "bad", kind)[2]
    assert cluster.holders(ADDRESS) == [holder]
    after = sum(metric(n, "kube_vrrp_transitions_total", virtual_ip=VIP) for n in cluster.nodes)
    assert after == before


def test_address_that_a_node_has_on_an_interface_is_a_reason(cluster: Lab) -> None:
    node = cluster.node("node-2")
    node.host.exec("ip", "addr", "add", "192.0.2.56/24", "dev", "eth0")
    # Other candidates would see node-2 as a stranger who has the address.
    only = {"matchLabels": {"kubernetes.io/hostname": "node-2"}}
    try:
        apply(cluster, virtual_ip("bad", "192.0.2.56", nodeSelector=only))
        eventually(
            lambda: condition(cluster, "bad", "Programmed")[1] == "AddressInUse", within_s=15
        )
        assert "node-2" in condition(cluster, "bad", "Programmed")[2]
    finally:
        node.host.exec("ip", "addr", "del", "192.0.2.56/24", "dev", "eth0")


# The operator and the API server away -------------------------------------------------


def test_an_idle_cluster_writes_heartbeats_and_nothing_else(cluster: Lab) -> None:
    eventually(lambda: condition(cluster, VIP, "Programmed")[0] == "True", within_s=60)
    heartbeat = {
        n.name: eventually(partial(_heartbeat, cluster, n), within_s=60) for n in cluster.nodes
    }
    before = writes(cluster)
    # Every node beats twice: whatever a reaction to a heartbeat would write is written by then.
    for _ in range(2):
        for node in cluster.nodes:
            heartbeat[node.name] = _next_heartbeat(cluster, node, heartbeat[node.name])
    grown = {key for key, value in writes(cluster).items() if value != before.get(key, 0)}
    assert {key.strip() for key in grown} == {"PATCH leases"}


def _heartbeat(lab: Lab, node: Node) -> str:
    """Return when a node's Lease was renewed last."""
    flags = ("-n", "kube-vrrp", "--field-selector", f"metadata.name=node.{node.name}")
    return str(lab.kubectl_json("get", "leases", *flags)["items"][0]["spec"]["renewTime"])


def _next_heartbeat(lab: Lab, node: Node, last: str) -> str:
    eventually(lambda: _heartbeat(lab, node) != last, within_s=60)
    return _heartbeat(lab, node)


def test_restart_of_the_operator_moves_nothing(cluster: Lab) -> None:
    apply(cluster, virtual_ip("second", "192.0.2.52"))
    settled(cluster, "second", "192.0.2.52")
    for name in (VIP, "second"):  # else their lists may change once more by themselves
        eventually(partial(_programmed, cluster, name), within_s=60)
    before = {name: get(cluster, name)["status"]["virtualRouterID"] for name in (VIP, "second")}
    specs = {n.name: _routers(cluster, n.name) for n in cluster.nodes}
    moves = sum(metric(n, "kube_vrrp_transitions_total") for n in cluster.nodes)
    # Deleted while nobody looks: its VRID is free afterwards, the other one stays.
    assert cluster.operator.stop() == 0  # it ends as it is asked to, and is not killed
    cluster.kubectl("delete", "vip", VIP, "--wait=true", check=True)
    assert len(cluster.holders(ADDRESS)) == 1
    cluster.operator.start()
    eventually(lambda: not cluster.holders(ADDRESS), within_s=60)
    assert get(cluster, "second")["status"]["virtualRouterID"] == before["second"]
    kept = {n: [r for r in routers if r["name"] == "second"] for n, routers in specs.items()}
    eventually(
        lambda: {n.name: _routers(cluster, n.name) for n in cluster.nodes} == kept, within_s=10
    )
    second = sum(
        metric(n, "kube_vrrp_transitions_total", virtual_ip="second") for n in cluster.nodes
    )
    assert second <= moves


def test_operator_that_begins_has_earlier_writes_refused(cluster: Lab) -> None:
    """By the version, which each of its NodeConfigs moves on from; what they ask stays."""
    eventually(partial(_programmed, cluster, VIP), within_s=60)
    before = {n.name: _fenced(cluster, n) for n in cluster.nodes}
    assert cluster.operator.stop() == 0
    cluster.operator.start()
    for node in cluster.nodes:
        fence, generation = before[node.name]
        eventually(lambda n=node, f=fence: _fenced(cluster, n)[0] not in ("", f), within_s=60)  # type: ignore[misc]  # binds the loop variables
        assert _fenced(cluster, node)[1] == generation


def _fenced(lab: Lab, node: Node) -> tuple[str, int]:
    """Return a NodeConfig's fence, and its generation."""
    metadata = lab.kubectl_json("get", "nodeconfig", node.name)["metadata"]
    fence = metadata.get("annotations", {}).get("kube-vrrp.io/fence", "")
    return fence, metadata["generation"]


def _programmed(lab: Lab, name: str) -> bool:
    return condition(lab, name, "Programmed")[0] == "True"


def test_api_server_away_for_a_minute(cluster: Lab) -> None:
    holder = at_home(cluster)
    stranger = next(n for n in cluster.nodes if n is not holder)
    count = "kube_vrrp_transitions_total"
    before = {n.name: metric(n, count) for n in cluster.nodes}
    cluster.control_plane.stop()
    begun_s = time.monotonic()
    try:
        with cluster.client.probe(ADDRESS) as probe:
            probe.wait_answered(30)
            since_ns = time.monotonic_ns()
            eventually(lambda: time.monotonic() - begun_s >= 60, within_s=70, every_s=1)
            assert probe.report(since_ns).lost == 0
        assert {n.name: metric(n, count) for n in cluster.nodes} == before
        # A speaker that starts now takes part from its cache.
        stranger.kill_speaker()
        stranger.start_speaker()
        eventually(lambda: state(stranger, VIP) == "Backup", within_s=15)
        assert metric(stranger, "kube_vrrp_config_source", source="cache") == 1
        # And a node that dies now is succeeded.
        holder.kill_speaker()
        eventually(
            lambda: any(state(n, VIP) == "Active" for n in cluster.nodes if n is not holder),
            within_s=15,
        )
    finally:
        cluster.control_plane.start()
    holder.start_speaker()
    settled(cluster, VIP, ADDRESS)
    eventually(lambda: condition(cluster, VIP, "Ready")[0] == "True", within_s=40)


def test_virtual_ip_deleted_right_after_an_outage_leaves_the_nodes(cluster: Lab) -> None:
    cluster.control_plane.stop()
    cluster.control_plane.start()
    cluster.kubectl("delete", "vip", VIP, "--wait=true", check=True)
    eventually(lambda: not cluster.holders(ADDRESS), within_s=60)


# Many ---------------------------------------------------------------------------------


def test_fifty_virtual_ips_spread_over_the_nodes(cluster: Lab) -> None:
    names = [f"many-{n}" for n in range(50)]
    objects = [virtual_ip(name, f"192.0.2.{130 + n}") for n, name in enumerate(names)]
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    cluster.kubectl("apply", "-f", "-", stdin=manifest, check=True)

    def ready() -> list[dict[str, Any]] | None:
        items = cluster.kubectl_json("get", "vip")["items"]
        statuses = [i["status"] for i in items if i["metadata"]["name"] in names]
        good = [
            s
            for s in statuses
            if any(c["type"] == "Ready" and c["status"] == "True" for c in s["conditions"])
        ]
        return good if len(good) == 50 else None

    def spread() -> bool:
        """Whether what the nodes report, in their statuses and metrics, is even and agrees."""
        statuses = ready()
        assert statuses is not None
        load = Counter(status["activeNode"] for status in statuses)
        assert len(load) == 3
        assert all(0.7 * 50 / 3 <= count <= 1.3 * 50 / 3 for count in load.values()), load
        assert len({status["virtualRouterID"] for status in statuses}) == 50
        for node in cluster.nodes:
            others = node in cluster.holders(ADDRESS)
            assert metric(node, "kube_vrrp_master") - others == load[node.name]
        return True

    # Fifty elections begin at once: some move to their best node a moment later.
    eventually(spread, within_s=90, every_s=0.5)


# Readiness and metrics of the operator ------------------------------------------------


def test_operator_tells_its_health_and_its_work(cluster: Lab) -> None:
    for path in ("/healthz", "/readyz"):
        eventually(partial(_says_ok, cluster, path), within_s=10)
    for series in ("kube_vrrp_vrids_allocated", 'kube_vrrp_virtual_ips{condition="Ready"}'):
        eventually(partial(_is_one, cluster, series), within_s=60)


def _says_ok(lab: Lab, path: str) -> bool:
    return lab.operator.get(path) == "ok\n"


def _is_one(lab: Lab, series: str) -> bool:
    return f"{series} 1.0" in lab.operator.get("/metrics")


def test_operator_with_its_port_taken_ends_with_status_4(cluster: Lab) -> None:
    config = cluster.work_dir / "control-plane" / "operator.kubeconfig"
    command = [sys.executable, "-m", "vrrp_operator", "--kubeconfig", str(config)]
    ended = cluster.control_plane.host.exec(*command, "--metrics-bind-address", "127.0.0.1:9106")
    assert ended.returncode == 4
    assert "metrics address 127.0.0.1:9106 cannot be used: Address already in use" in ended.stderr
