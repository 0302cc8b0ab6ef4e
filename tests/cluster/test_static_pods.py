"""The address of a cluster's own API servers, without kubeconfig and before there is a cluster.

Three control-plane nodes as kubeadm stacks them, an etcd member and a real kube-apiserver on each;
speakers run from the files of docs/static-pods.md. No kubelet: the test starts what it would.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from tests.conftest import lab_or_skip
from tests.eventually import eventually
from tests.netns.observe import metric, state

from vrrp_lab.lab import Lab, LabOptions
from vrrp_lab.lan import Host
from vrrp_lab.node import Node
from vrrp_lab.programs import control_plane_programs
from vrrp_lab.stacked import StackedControlPlane
from vrrp_speaker.options import parse_options

pytestmark = pytest.mark.cluster
EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
MANIFEST, POD = EXAMPLES / "control-plane.yaml", EXAMPLES / "standalone" / "static-pod.yaml"
NODES = EXAMPLES / "standalone" / "nodes.yaml"
VIP, ADDRESS = "control-plane", "192.0.2.50"
URL = f"https://{ADDRESS}:6443/readyz"


class Client:
    """Asks the API through the address all the time; use as a context manager."""

    def __init__(self, host: Host, log: Path) -> None:
        self._log = log
        command = [sys.executable, "-m", "tests.cluster.https_client", URL]
        self._process = host.namespace.start(command, log=log)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(30)

    def answers(self, since_ns: int) -> list[int]:
        """Return when the API was ready, as the client saw it."""
        lines = [line.split() for line in self._log.read_text().splitlines(keepends=True)
                 if line.endswith("\n")]  # fmt: skip
        return [int(moment) for moment, status in lines if status == "200" and
                int(moment) >= since_ns]  # fmt: skip

    def wait_ready(self, since_ns: int, count: int = 20) -> None:
        eventually(lambda: len(self.answers(since_ns)) >= count, within_s=60, every_s=0.1)

    def longest_gap_s(self, since_ns: int) -> float:
        return max(b - a for a, b in pairwise([since_ns, *self.answers(since_ns)])) / 1e9


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Three nodes with their files in place; nothing runs."""
    yield from lab_or_skip(LabOptions(standalone=(MANIFEST,), start_speakers=False))


@pytest.fixture(scope="module")
def control_plane(lab: Lab) -> StackedControlPlane:
    hosts = [node.host for node in lab.nodes]
    folder = lab.work_dir / "stacked"
    return StackedControlPlane(hosts, lab.lan.processes, control_plane_programs(), folder)


def active(lab: Lab) -> list[str]:
    return [node.name for node in lab.nodes if node.running and state(node, VIP) == "Active"
            and node.holds(ADDRESS)]  # fmt: skip


def passing(node: Node) -> bool:
    return metric(node, "kube_vrrp_check_passing", check="apiserver") == 1


def test_bootstrap_then_loss_of_an_api_server_then_of_its_node(
    lab: Lab, control_plane: StackedControlPlane, tmp_path: Path
) -> None:
    first, second, third = lab.nodes
    with Client(lab.client, tmp_path / "client") as client, lab.client.probe(ADDRESS) as probe:
        # The first node, alone: what kubeadm init needs is there before any API server.
        first.start_speaker()
        eventually(lambda: active(lab) == ["node-1"], within_s=60, every_s=0.25)
        probe.wait_answered(30)
        assert not passing(first)
        for node in (second, third):
            node.start_speaker()
        eventually(lambda: sorted(map(_state, lab.nodes)) == ["Active", "Backup", "Backup"],
                   within_s=60, every_s=0.25)  # fmt: skip
        assert active(lab) == ["node-1"]
        assert client.answers(0) == []

        # API servers come, the best node's last: the address goes where one is ready.
        control_plane.start_etcd()
        control_plane.start_apiserver(second.host)
        eventually(lambda: active(lab) == ["node-2"], within_s=60, every_s=0.25)
        control_plane.start_apiserver(third.host)
        control_plane.start_apiserver(first.host)
        eventually(
            lambda: active(lab) == ["node-1"] and all(map(passing, lab.nodes)),
            within_s=30,
            every_s=0.25,
        )
        client.wait_ready(time.monotonic_ns())
        _pod_is_accepted(control_plane, lab, tmp_path)

        # Its API server dies: five failed checks, then a hand-over.
        begun_ns = time.monotonic_ns()
        control_plane.kill_apiserver(first.host)
        eventually(lambda: active(lab) == ["node-2"], within_s=60, every_s=0.25)
        settled_ns = time.monotonic_ns()
        client.wait_ready(settled_ns)
        _tell("API server killed", client, probe.report(begun_ns).longest_gap_ns, begun_ns)

        # The node that has the address now loses its power: speaker, API server, etcd member.
        control_plane.start_apiserver(first.host)
        eventually(lambda: active(lab) == ["node-1"] and passing(first), within_s=60, every_s=0.25)
        client.wait_ready(time.monotonic_ns())
        begun_ns = time.monotonic_ns()
        first.power_off()
        control_plane.kill(first.host)
        eventually(lambda: active(lab) == ["node-2"], within_s=60, every_s=0.25)
        client.wait_ready(time.monotonic_ns())
        _tell("node powered off", client, probe.report(begun_ns).longest_gap_ns, begun_ns)
        for node in (second, third):
            eventually(partial(_is_ready, node), within_s=30, every_s=0.25)


def _is_ready(node: Node) -> bool:
    return node.get("/readyz") == "ok\n"


def _state(node: Node) -> str:
    return state(node, VIP)


def _tell(event: str, client: Client, silent_ns: int, since_ns: int) -> None:
    print(f"{event}: the address was silent for {silent_ns / 1e6:.0f} ms, the API through it for"
          f" {client.longest_gap_s(since_ns) * 1000:.0f} ms")  # fmt: skip


def _pod_is_accepted(control_plane: StackedControlPlane, lab: Lab, folder: Path) -> None:
    """Let an API server check the manifest, asked through the address."""
    config = folder / "kubeconfig"
    cluster = {"server": URL.removesuffix("/readyz"), "insecure-skip-tls-verify": True}
    config.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "vip",
                "contexts": [{"name": "vip", "context": {"cluster": "vip", "user": "admin"}}],
                "clusters": [{"name": "vip", "cluster": cluster}],
                "users": [{"name": "admin", "user": {"token": control_plane.admin_token}}],
            }
        )
    )
    kubectl = (str(control_plane_programs().kubectl), f"--kubeconfig={config}")

    def accepted() -> bool:
        # What a controller would have made. An etcd on a busy machine is without a leader at times.
        lab.client.exec(*kubectl, "create", "serviceaccount", "default", "--namespace=kube-system")
        said = lab.client.exec(*kubectl, "create", "--dry-run=server", "-f", str(POD), "-o", "name")
        assert (said.stdout, said.returncode) == ("pod/kube-vrrp\n", 0), said.stderr
        return True

    eventually(accepted, within_s=30, every_s=1)


# The files ----------------------------------------------------------------------------


def test_pod_gives_the_speaker_its_flags_folders_and_capabilities() -> None:
    pod = yaml.safe_load(POD.read_text())["spec"]
    (container,) = pod["containers"]
    assert "command" not in container  # it would replace the init of the image
    options = parse_options([a.replace("$(NODE_NAME)", "node-1") for a in container["args"]])
    assert options.node == "node-1"
    assert options.config is not None
    mounts = {mount["mountPath"]: mount.get("readOnly") for mount in container["volumeMounts"]}
    folders = {str(Path(options.config).parent), options.state_dir, options.run_dir}
    assert set(mounts) == folders
    assert {path for path, read_only in mounts.items() if read_only} == {"/etc/kube-vrrp"}
    assert Path(options.keys_dir).parent == Path("/etc/kube-vrrp")
    unit = (EXAMPLES / "standalone" / "vrrp-speaker.service").read_text()
    named = [f"CAP_{name}" for name in container["securityContext"]["capabilities"]["add"]]
    assert f"CapabilityBoundingSet={' '.join(named)}\n" in unit
    for probe in ("livenessProbe", "readinessProbe"):
        target = container[probe]["httpGet"]
        assert f"{target['host']}:{target['port']}" == options.metrics_bind_address


def test_files_can_be_rendered_before_there_is_a_cluster(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vrrp_cli", "render", "--default-key-name", "cluster"]
    subprocess.run(
        [*command, "--nodes", str(NODES), "--output", str(tmp_path), str(MANIFEST)], check=True
    )
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == [f"node-{n}.yaml" for n in (1, 2, 3)]
    for path in files:
        check = [sys.executable, "-m", "vrrp_speaker", "check", str(path), "--node", path.stem]
        assert subprocess.run(check, check=False).returncode == 0
