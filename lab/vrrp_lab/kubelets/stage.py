"""A cluster of real kubelets with the chart installed, as the demo plays on it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from vrrp_lab.control_plane import ControlPlane
from vrrp_lab.kubelets.cluster import KubeletCluster
from vrrp_lab.kubelets.helm import NAMESPACE, Helm
from vrrp_lab.kubelets.node import KubeletNode
from vrrp_lab.lan import Client, Lan
from vrrp_lab.node import METRICS_PORT
from vrrp_lab.stage import StageNode


class SpeakerNode:
    """A node whose speaker is a pod."""

    def __init__(self, node: KubeletNode) -> None:
        self._node = node
        self.host = node.host
        self.name = node.name

    def speaker_processes(self) -> list[int]:
        """Return the processes of the speaker's container, by their pids outside the node."""
        found = []
        for path in self._node.machine.memory("kubepods").rglob("cgroup.procs"):
            for pid in map(int, path.read_text().split()):
                with contextlib.suppress(OSError):
                    command = Path(f"/proc/{pid}/cmdline").read_bytes()
                    if b"vrrp-speaker" in command or b"vrrp_speaker" in command:
                        found.append(pid)
        return found

    @property
    def running(self) -> bool:
        """Whether the speaker runs."""
        return self._node.machine.holder != 0 and bool(self.get("/metrics"))

    def kill_speaker(self) -> None:
        """Kill every process of the speaker at once: all stop before the first one dies."""
        pids = self.speaker_processes()
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)

    def start_speaker(self) -> None:
        """The kubelet does that."""

    def power_off(self) -> None:
        """The machine is gone: first its network, then everything that runs on it."""
        self._node.power_off()

    def power_on(self) -> None:
        """The machine boots with the disk it had, and the kubelet starts its pods."""
        self._node.power_on()

    def holds(self, address: str) -> bool:
        """Return whether the node has the address on an interface."""
        return self._node.machine.holder != 0 and self._node.holds(address)

    def get(self, path: str) -> str:
        """Return what the speaker serves at a path, such as ``/metrics``; empty on failure."""
        url = f"http://127.0.0.1:{METRICS_PORT}{path}"
        return self.host.exec("curl", "-s", "-m", "10", url).stdout


class KubeletStage:
    """The demo's view of a cluster; makes the installation.

    Raises:
        LabError: the chart cannot be installed.
    """

    def __init__(self, cluster: KubeletCluster) -> None:
        self._cluster = cluster
        self.lan: Lan = cluster.lan
        self.client: Client = cluster.client
        self.nodes: list[StageNode] = [SpeakerNode(node) for node in cluster.nodes]
        helm = Helm(cluster)
        cluster.say("helm install")
        helm.install()
        helm.wait_rolled_out()
        cluster.say(f"installed in namespace {NAMESPACE}")

    @property
    def plane(self) -> ControlPlane:
        """The API server."""
        return self._cluster.control_plane

    def kubectl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator."""
        return self._cluster.kubectl(*arguments)

    def withdraw(self, virtual_ip: str) -> None:
        """Delete a VirtualIP."""
        self.kubectl("delete", "vip", virtual_ip, "--wait=true")
