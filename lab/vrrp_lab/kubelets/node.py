"""A node with a real kubelet, and what can happen to it."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from vrrp_lab.kubelets.configuration import SOCKET, network_commands
from vrrp_lab.kubelets.machine import Machine
from vrrp_lab.kubelets.memory import Memory, read_memory
from vrrp_lab.kubelets.service import Service
from vrrp_lab.lan import Host
from vrrp_lab.namespaces import LabError
from vrrp_lab.processes import Processes
from vrrp_lab.programs import find_or_build

CONTAINERD, KUBELET, KUBE_PROXY = "containerd", "kubelet", "kube-proxy"
_SOCKET_S = 240.0


class KubeletNode:
    """One node: a machine on the LAN with containerd, kubelet and kube-proxy."""

    def __init__(self, host: Host, others: list[Host], disk: Path, processes: Processes) -> None:
        self.host = host
        self.name = host.name
        self.disk = disk
        self._others = others
        logs = disk / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self._services = {
            name: Service(name, command, logs / f"{name}.log", processes)
            for name, command in _commands().items()
        }

    @property
    def machine(self) -> Machine:
        """What the node runs on just now.

        Raises:
            LabError: the host is no machine.
        """
        if not isinstance(self.host.namespace, Machine):
            raise LabError(f"{self.name} is no machine")
        return self.host.namespace

    @property
    def root(self) -> Path:
        """The node's file system, seen from outside, while it has power."""
        return Path(f"/proc/{self.machine.holder}/root")

    def install(self, files: dict[str, str], folders: Sequence[str] = ()) -> None:
        """Write files onto the node, by their paths there, and make folders."""
        for folder in folders:
            (self.root / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
        for path, content in files.items():
            target = self.root / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content)

    def boot(self) -> None:
        """Set up the network and start every service."""
        for command in network_commands(self.host, self._others):
            self.host.namespace.run(*command)
        self.start(CONTAINERD)
        self.start(KUBELET)
        self.start(KUBE_PROXY)

    # Services --------------------------------------------------------------------------

    def start(self, service: str, *flags: str) -> None:
        """Start a service, with further flags; containerd answers when this returns."""
        self._services[service].start(self.machine, *flags)
        if service == CONTAINERD:
            self._wait_for_containerd()

    def stop(self, service: str) -> None:
        """Stop a service as systemd does; what it started runs on."""
        self._services[service].stop()

    def kill(self, service: str) -> None:
        """Kill a service at once; what it started runs on."""
        self._services[service].stop(signal.SIGKILL)

    def restart(self, service: str) -> None:
        """Stop a service and start it again."""
        self.stop(service)
        self.start(service)

    def restart_ended_kubelet(self) -> None:
        """Start a kubelet again that gave up, as systemd does.

        One that begins before containerd has set up its CRI plugin does, though containerd answers.
        """
        if not self.running(KUBELET):
            self._services[KUBELET].gone()
            self.start(KUBELET)

    def running(self, service: str) -> bool:
        """Return whether a service runs."""
        return self._services[service].running

    def log(self, service: str) -> str:
        """Return what a service has logged since the node was made."""
        return self._services[service].log.read_text(errors="replace")

    def _wait_for_containerd(self) -> None:
        deadline_s = time.monotonic() + _SOCKET_S
        while self.ctr("version").returncode:
            if time.monotonic() > deadline_s or not self.running(CONTAINERD):
                raise LabError(f"{self.name}: containerd: {self.log(CONTAINERD)[-800:]}")
            time.sleep(0.05)

    def ctr(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run containerd's client here, in the namespace of Kubernetes."""
        return self.host.exec("ctr", "--address", SOCKET, "--namespace", "k8s.io", *arguments)

    def pod_memory(self, uid: str) -> Memory:
        """Return what a pod's control group has used.

        Raises:
            LabError: no pod of that uid runs here.
        """
        return read_memory(self.machine.memory("kubepods"), f"pod{uid}")

    # The machine -----------------------------------------------------------------------

    def power_off(self) -> None:
        """The machine is gone: first its network, then everything that runs on it."""
        self.host.power_off()
        for service in self._services.values():
            service.gone()

    def power_on(self) -> None:
        """The machine boots with the disk it had."""
        self.host.power_on()
        self.boot()

    def cut_link(self) -> None:
        """Pull the cable."""
        self.host.cut_link()

    def restore_link(self) -> None:
        """Plug the cable in again."""
        self.host.restore_link()

    def holds(self, address: str) -> bool:
        """Return whether the node has the address on an interface."""
        return self.host.holds(address)


def _commands() -> dict[str, list[str]]:
    return {
        CONTAINERD: ["containerd", "--config", "/etc/containerd/config.toml"],
        KUBELET: [
            str(find_or_build(KUBELET)),
            "--config=/etc/kubernetes/kubelet.yaml",
            "--kubeconfig=/etc/kubernetes/kubelet.conf",
        ],
        KUBE_PROXY: [str(find_or_build(KUBE_PROXY)), "--config=/etc/kubernetes/kube-proxy.yaml"],
    }
