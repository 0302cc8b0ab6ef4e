"""What happens to nodes, pods and the control plane, and what a client sees of it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.e2e.site import Site, clock, lost, reports, summary
from tests.e2e.workloads import HOST, HOST4, HOST_PORT, NODE_PORT, SERVICE, SERVICE4, SERVICE6
from tests.eventually import eventually

from vrrp_lab.kubelets.helm import NAMESPACE
from vrrp_lab.kubelets.node import CONTAINERD, KUBELET, KubeletNode
from vrrp_lab.kubelets.stage import SpeakerNode

pytestmark = pytest.mark.kubelets
BOTH = {SERVICE: SERVICE4, HOST: HOST4}


@pytest.mark.parametrize("address", [SERVICE4, SERVICE6])
def test_service_answers_on_its_node_port_at_the_address(installed: Site, address: str) -> None:
    def pods() -> set[str]:
        return {installed.get(address, NODE_PORT) for _ in range(8)} - {""}

    eventually(lambda: len(pods()) == 2, within_s=60)  # both pods, whichever node has the address


def test_server_on_the_hosts_network_answers_from_the_holder(installed: Site) -> None:
    holder = installed.holder(HOST, HOST4)
    eventually(lambda: installed.get(HOST4, HOST_PORT).startswith(holder.name), within_s=30)


def test_speaker_pod_that_is_deleted_costs_no_probe(installed: Site) -> None:
    holder = installed.holder(SERVICE, SERVICE4)
    pod = installed.speaker(holder)["metadata"]["name"]
    with installed.probed(SERVICE4, SERVICE6) as probes:
        since_ns = time.monotonic_ns()
        installed.cluster.kubectl("--namespace", NAMESPACE, "delete", "pod", pod)
        installed.wait_all_ready()
        installed.steady(BOTH)
        seen = reports(probes, since_ns)
    installed.say(f"speaker's pod deleted: {summary(seen)}")
    assert lost(seen) == {}


def test_speaker_whose_processes_are_all_killed_is_followed(installed: Site) -> None:
    holder = installed.holder(SERVICE, SERVICE4)
    before = container_of(installed.speaker(holder))
    with installed.probed(SERVICE4) as probes:
        since_ns = time.monotonic_ns()
        SpeakerNode(holder).kill_speaker()
        eventually(lambda: container_of(installed.speaker(holder)) != before, within_s=60)
        installed.wait_all_ready()
        installed.steady(BOTH)
        seen = reports(probes, since_ns)
        probes[SERVICE4].wait_answered(120)
    installed.say(f"every process of the speaker killed: {summary(seen)}")


def test_node_that_is_drained_gives_its_addresses_away(installed: Site) -> None:
    node = installed.holder(SERVICE, SERVICE4)
    with installed.probed(SERVICE4, SERVICE6) as probes:
        since_ns = time.monotonic_ns()
        installed.drain(node)
        assert installed.holder(SERVICE, SERVICE4) is not node
        assert not node.holds(HOST4)
        assert not node.holds(SERVICE6)
        seen = reports(probes, since_ns)
        eventually(lambda: installed.get(SERVICE4, NODE_PORT), within_s=60)
        installed.back_to_work(node)
        installed.steady(BOTH)
        returned = reports(probes, since_ns)
    installed.say(f"node drained: {summary(seen)}; and back: {summary(returned)}")
    assert lost(returned) == {}


@pytest.mark.parametrize("dual_stack", [False, True])
def test_kubelet_that_restarts_takes_no_virtual_address_for_its_own(
    installed: Site, dual_stack: bool
) -> None:
    """Without a flag it looks for its IPv4 address itself; of IPv6 it is told (docs/limits.md)."""
    node = installed.holder(SERVICE, SERVICE4)
    own = [node.host.address, node.host.address6] if dual_stack else [node.host.address]
    flags = [f"--node-ip={','.join(own)}"] if dual_stack else []
    node.stop(KUBELET)
    with installed.probed(SERVICE4, SERVICE6) as probes:
        since_ns, last = time.monotonic_ns(), heartbeat(installed, node)
        node.start(KUBELET, *flags)
        eventually(lambda: heartbeat(installed, node) != last, within_s=60)
        eventually(lambda: internal_addresses(installed, node) == own, within_s=60)
        seen = reports(probes, since_ns)
        assert node.holds(SERVICE4)
        assert node.holds(SERVICE6)
    installed.say(f"kubelet restarted {' '.join(flags)}: {summary(seen)}")
    assert lost(seen) == {}
    node.restart(KUBELET)
    eventually(lambda: internal_addresses(installed, node) == [node.host.address], within_s=60)


def internal_addresses(site: Site, node: KubeletNode) -> list[str]:
    addresses = site.cluster.kubectl_json("get", "node", node.name)["status"]["addresses"]
    return [str(each["address"]) for each in addresses if each["type"] == "InternalIP"]


def heartbeat(site: Site, node: KubeletNode) -> str:
    conditions = site.cluster.kubectl_json("get", "node", node.name)["status"]["conditions"]
    return next(str(c["lastHeartbeatTime"]) for c in conditions if c["type"] == "Ready")


def test_containerd_that_is_killed_and_restarted_costs_no_probe(installed: Site) -> None:
    node = installed.holder(SERVICE, SERVICE4)
    container = container_of(installed.speaker(node))
    with installed.probed(SERVICE4, SERVICE6) as probes:
        since_ns = time.monotonic_ns()
        node.kill(CONTAINERD)
        eventually(lambda: reports(probes, since_ns)[SERVICE4].sent > 5000, within_s=60)
        node.start(CONTAINERD)
        installed.cluster.wait_ready(node)
        seen = reports(probes, since_ns)
        assert node.holds(SERVICE4)
    installed.say(f"containerd killed and restarted: {summary(seen)}")
    assert lost(seen) == {}
    assert container_of(installed.speaker(node)) == container


def container_of(pod: dict[str, Any]) -> str:
    return str(pod["status"]["containerStatuses"][0]["containerID"])


def test_node_without_power_is_replaced_and_takes_part_again(installed: Site) -> None:
    node = installed.holder(SERVICE, SERVICE4)
    with installed.probed(SERVICE4) as probes:
        since_ns = time.monotonic_ns()
        node.power_off()
        probes[SERVICE4].wait_answered(120)
        assert [n.name for n in installed.cluster.holders(SERVICE4)] != [node.name]
        off = reports(probes, since_ns)
        eventually(lambda: installed.get(SERVICE4, NODE_PORT), within_s=90)
        on_ns = time.monotonic_ns()
        node.power_on()
        installed.cluster.wait_ready(node)
        installed.wait_all_ready()
        installed.steady(BOTH)
        on = reports(probes, on_ns)
    installed.say(f"power off: {summary(off)}; on again: {summary(on)}")
    assert lost(on) == {}


def test_failover_needs_no_api_server(installed: Site) -> None:
    node = installed.holder(SERVICE, SERVICE4)
    with installed.probed(SERVICE4) as probes:
        installed.cluster.control_plane.stop()
        since_ns = time.monotonic_ns()
        node.cut_link()
        probes[SERVICE4].wait_answered(120)
        cut = reports(probes, since_ns)
        node.restore_link()
        restored_ns = time.monotonic_ns()
        installed.cluster.control_plane.start()
        installed.cluster.wait_ready(*installed.cluster.nodes)
        installed.wait_all_ready()
        installed.steady(BOTH)
        back = reports(probes, restored_ns)
    installed.say(f"no API server, cable pulled: {summary(cut)}; both back: {summary(back)}")


# By helm upgrade ----------------------------------------------------------------------


def test_cluster_key_is_rotated_without_a_lost_probe(installed: Site) -> None:
    wait_for_keys(installed, [1], 1)
    since = clock()
    with installed.probed(SERVICE4, HOST4) as probes:
        since_ns = time.monotonic_ns()
        for keys, active in (([1, 2], 1), ([1, 2], 2), ([2], 2)):
            installed.helm.upgrade({"clusterKey.keys": keys, "clusterKey.active": active})
            wait_for_keys(installed, keys, active)
        installed.steady(BOTH)
        seen = reports(probes, since_ns)
    moved = {name: installed.takeovers(name, since) for name in BOTH}
    installed.say(f"key rotated: {summary(seen)}, takeovers {moved}")
    assert lost(seen) == {}
    assert moved == {SERVICE: [], HOST: []}


def wait_for_keys(site: Site, keys: list[int], active: int) -> None:
    def known_everywhere() -> bool:
        return all(known == (keys, active) for known in key_ids(site).values())

    eventually(known_everywhere, within_s=90, every_s=0.5)


def key_ids(site: Site) -> dict[str, tuple[list[int], int]]:
    """Return which keys each node's speaker has, and which one signs."""
    found = {}
    for node in site.cluster.nodes:
        routers = site.dump(node)["virtualRouters"]
        authentication = next(r["authentication"] for r in routers if r["name"] == SERVICE)
        found[node.name] = (authentication["keyIds"], authentication["activeKeyId"])
    return found


SCRIPT = "#!/usr/bin/python3\nraise SystemExit({status})\n"


def test_changed_script_is_run_without_a_restart(installed: Site) -> None:
    def values(status: int) -> dict[str, Any]:
        keys = {"clusterKey.keys": [2], "clusterKey.active": 2}
        scripts = {"verdict": SCRIPT.format(status=status)}
        return {**keys, "speaker.checks.exec": {"enabled": True, "scripts": scripts}}

    installed.helm.upgrade(values(0))
    installed.cluster.kubectl("apply", "-f", "-", stdin=CHECK)
    eventually(lambda: verdicts(installed) == (3, 0), within_s=90, every_s=0.5)
    before = [container_of(pod) for pod in installed.pods("speaker")]
    installed.helm.upgrade(values(1))
    eventually(lambda: verdicts(installed) == (0, 3), within_s=90, every_s=0.5)
    assert sorted(before) == sorted(container_of(pod) for pod in installed.pods("speaker"))


CHECK = """
apiVersion: kube-vrrp.io/v1alpha1
kind: HealthCheck
metadata: {name: verdict}
spec: {exec: {script: verdict}, weight: -10, interval: 2s, timeout: 2s}
---
apiVersion: kube-vrrp.io/v1alpha1
kind: VirtualIP
metadata: {name: judged}
spec: {addresses: [{address: 192.0.2.72/24}], healthChecks: [{name: verdict}]}
"""


def verdicts(site: Site) -> tuple[int, int]:
    status = site.cluster.kubectl_json("get", "vhc", "verdict").get("status", {})
    return status.get("passing", 0), status.get("failing", 0)
