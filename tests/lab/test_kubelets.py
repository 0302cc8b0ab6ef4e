"""Real kubelets: nodes run pods, faults are faults, and nothing is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import kubelets_or_skip
from tests.eventually import eventually

from vrrp_lab.kubelets.cluster import ClusterOptions, KubeletCluster
from vrrp_lab.kubelets.images import WEB_IMAGE
from vrrp_lab.kubelets.node import CONTAINERD, KUBE_PROXY, KUBELET, KubeletNode
from vrrp_lab.namespaces import LabError
from vrrp_lab.processes import CGROUPS, clean_crashed_labs, start_time

pytestmark = pytest.mark.kubelets

NODE_PORT = 30080
WEB = f"""
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: web}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 1
      securityContext: {{seccompProfile: {{type: RuntimeDefault}}}}
      containers:
      - name: web
        image: {WEB_IMAGE}
        imagePullPolicy: IfNotPresent
        env:
        - {{name: NODE_NAME, valueFrom: {{fieldRef: {{fieldPath: spec.nodeName}}}}}}
        - {{name: POD_NAME, valueFrom: {{fieldRef: {{fieldPath: metadata.name}}}}}}
        securityContext: {{runAsNonRoot: true, runAsUser: 10001, readOnlyRootFilesystem: true}}
        readinessProbe: {{httpGet: {{port: 8080}}, periodSeconds: 1}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec:
  type: NodePort
  ipFamilyPolicy: RequireDualStack
  selector: {{app: web}}
  ports: [{{port: 80, targetPort: 8080, nodePort: {NODE_PORT}}}]
"""


@pytest.fixture(scope="module")
def kubelets() -> Iterator[KubeletCluster]:
    """Three nodes with a web server each, behind one Service."""
    for cluster in kubelets_or_skip(ClusterOptions()):
        cluster.kubectl("apply", "-f", "-", stdin=WEB)
        all_ready = f"--for=jsonpath={{.status.numberReady}}={len(cluster.nodes)}"
        cluster.kubectl("wait", all_ready, "--timeout=380s", "daemonset/web", within_s=400)
        yield cluster


def asked(cluster: KubeletCluster, node: KubeletNode, *, family: int = 4) -> str:
    """Return what a client gets from a node's port of the Service, empty without an answer."""
    address = node.host.address if family == 4 else f"[{node.host.address6}]"
    url = f"http://{address}:{NODE_PORT}/"
    return cluster.client.exec("curl", "-s", "-m", "1", url).stdout.strip()


def answering(cluster: KubeletCluster, node: KubeletNode, *, family: int = 4) -> set[str]:
    """Return the nodes whose pods answer at a node's port."""
    answers = {asked(cluster, node, family=family) for _ in range(12)}
    return {answer.split()[0] for answer in answers if answer}


def pod_of(cluster: KubeletCluster, node: KubeletNode) -> dict[str, object]:
    listed = cluster.kubectl_json("get", "pod", "--field-selector", f"spec.nodeName={node.name}")
    (pod,) = listed["items"]
    status: dict[str, object] = pod["status"]["containerStatuses"][0]
    return status


@pytest.mark.parametrize("family", [4, 6])
def test_port_of_a_node_leads_to_the_pods_of_every_node(
    kubelets: KubeletCluster, family: int
) -> None:
    names = {node.name for node in kubelets.nodes}
    eventually(lambda: answering(kubelets, kubelets.nodes[0], family=family) == names, within_s=60)


def test_administrator_reads_logs_through_the_kubelet(kubelets: KubeletCluster) -> None:
    assert kubelets.kubectl("logs", "daemonset/web", check=False).returncode == 0


def test_kubelet_that_restarts_leaves_its_pods_alone(kubelets: KubeletCluster) -> None:
    node = kubelets.nodes[0]
    before = pod_of(kubelets, node)["containerID"]
    node.restart(KUBELET)
    kubelets.wait_ready(node)
    eventually(lambda: asked(kubelets, node), within_s=30)
    assert pod_of(kubelets, node)["containerID"] == before


@pytest.mark.parametrize("service", [CONTAINERD, KUBE_PROXY, KUBELET])
def test_pods_go_on_without_a_killed_service(kubelets: KubeletCluster, service: str) -> None:
    node = kubelets.nodes[1]
    before = pod_of(kubelets, node)["containerID"]
    node.kill(service)
    assert not node.running(service)
    eventually(lambda: node.name in answering(kubelets, node), within_s=30)
    node.start(service)
    kubelets.wait_ready(node)
    assert pod_of(kubelets, node)["containerID"] == before


def test_cut_cable_silences_a_node_until_it_is_plugged_in(kubelets: KubeletCluster) -> None:
    node = kubelets.nodes[2]
    eventually(lambda: asked(kubelets, node), within_s=30)
    node.cut_link()
    assert not asked(kubelets, node)
    node.restore_link()
    eventually(lambda: asked(kubelets, node), within_s=60)


def test_pods_go_on_while_the_api_server_is_down(kubelets: KubeletCluster) -> None:
    node = kubelets.nodes[0]
    kubelets.control_plane.stop()
    assert kubelets.kubectl("get", "nodes", check=False).returncode
    eventually(lambda: node.name in answering(kubelets, node), within_s=30)
    kubelets.control_plane.start()
    kubelets.wait_ready(*kubelets.nodes)


def test_node_without_power_comes_back_as_the_same_machine(kubelets: KubeletCluster) -> None:
    node = kubelets.nodes[2]
    (node.root / "etc/kept").write_text("on the disk")
    (node.root / "run/lost").write_text("in memory")
    container, boot = pod_of(kubelets, node)["containerID"], boot_of(kubelets, node)
    inside = node.host.namespace.holder
    node.power_off()
    assert not start_time(inside)
    assert not asked(kubelets, node)
    node.power_on()
    kubelets.wait_ready(node)
    assert (node.root / "etc/kept").read_text() == "on the disk"
    assert not (node.root / "run/lost").exists()
    assert not Path("/etc/kept").exists()
    eventually(lambda: pod_of(kubelets, node)["containerID"] != container, within_s=90)
    eventually(lambda: node.name in answering(kubelets, node), within_s=90)
    eventually(lambda: boot_of(kubelets, node) != boot, within_s=90)


def boot_of(cluster: KubeletCluster, node: KubeletNode) -> str:
    boot: str = cluster.kubectl_json("get", "node", node.name)["status"]["nodeInfo"]["bootID"]
    return boot


def test_memory_of_a_pod_is_read_from_its_control_group(kubelets: KubeletCluster) -> None:
    listed = kubelets.kubectl_json("get", "pod", "-l", "app=web")
    pod = listed["items"][0]
    node = kubelets.node(pod["spec"]["nodeName"])
    usage = node.pod_memory(pod["metadata"]["uid"])
    assert 0 < usage.resting_bytes <= usage.peak_bytes < 64 << 20


# What stays behind --------------------------------------------------------------------

_CRASHING = """
import os
from vrrp_lab.kubelets.cluster import ClusterOptions, KubeletCluster
cluster = KubeletCluster(ClusterOptions(nodes=1))
(node,) = cluster.nodes
print(node.machine.holder, cluster.work_dir, flush=True)
os._exit(1)
"""


@pytest.fixture
def own_state_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of state files that no other lab of this computer cleans up."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    yield
    clean_crashed_labs()


def test_crashed_cluster_leaves_nothing(own_state_files: None) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _CRASHING], capture_output=True, text=True, check=False
    )
    assert ended.stdout, ended.stderr
    first, folder = ended.stdout.split()
    members = processes_of_namespace(f"/proc/{first}/ns/pid")
    assert len(members) >= 4  # process 1, containerd, kubelet, kube-proxy
    assert groups_named(Path(folder).name)
    clean_crashed_labs()
    eventually(lambda: not any(start_time(pid) for pid in members), within_s=10)
    assert not Path(folder).exists()
    assert groups_named(Path(folder).name) == []
    assert folder not in Path("/proc/mounts").read_text()


def processes_of_namespace(path: str) -> list[int]:
    wanted = os.stat(path).st_ino
    members = []
    for each in Path("/proc").glob("[0-9]*/ns/pid"):
        try:
            if each.stat().st_ino == wanted:
                members.append(int(each.parts[2]))
        except OSError:
            continue
    return members


def groups_named(name: str) -> list[Path]:
    return list(CGROUPS.rglob(name))


def test_cluster_that_is_asked_to_end_leaves_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    program = _CRASHING.replace("os._exit(1)", "cluster.close()")
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    first, folder = ended.stdout.split()
    eventually(lambda: not start_time(int(first)), within_s=10)
    assert not Path(folder).exists()
    assert groups_named(Path(folder).name) == []
    assert list(tmp_path.rglob("*.json")) == []


def test_what_is_missing_for_kubelets_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match="kubelets this computer lacks: containerd, runc"):
        KubeletCluster()
