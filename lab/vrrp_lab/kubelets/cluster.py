"""A cluster of real kubelets: LAN, control plane with its controllers, three nodes."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from vrrp_lab.control_plane import ControlPlane, User
from vrrp_lab.kubelets.boot import folder_on_disk
from vrrp_lab.kubelets.cgroups import ControlGroups, missing_controllers
from vrrp_lab.kubelets.configuration import FOLDERS, Credentials, files, pod_routes
from vrrp_lab.kubelets.controllers import PROXY, ClientCertificate, Controllers, serving
from vrrp_lab.kubelets.images import copy_store, own_images, prepared_store
from vrrp_lab.kubelets.machine import Machine, MachineParts, missing_tools_of_machines
from vrrp_lab.kubelets.node import KUBE_PROXY, KUBELET, KubeletNode
from vrrp_lab.lan import Lan
from vrrp_lab.namespaces import LabError
from vrrp_lab.processes import Processes
from vrrp_lab.programs import control_plane_programs, find_or_build

_READY_S = 400.0
_INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
_INOTIFY_INSTANCES = 1024
"""Each kubelet, containerd and kube-proxy takes some; the count is that of the whole computer."""


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """How many nodes, and the archives of the images they have besides those of the lab."""

    nodes: int = 3
    images: Sequence[Path] = ()


class KubeletCluster:
    """A cluster in a box with real kubelets; use as a context manager.

    Raises:
        LabError: something this computer lacks, or a part that does not start.
    """

    def __init__(self, options: ClusterOptions | None = None) -> None:
        self.options = options or ClusterOptions()
        _require()
        self._begun_s = time.monotonic()
        programs = control_plane_programs()
        for name in (KUBELET, KUBE_PROXY, "kube-scheduler", "kube-controller-manager"):
            find_or_build(name)
        self.work_dir = Path(tempfile.mkdtemp(prefix="kube-vrrp-lab-"))
        self._groups: ControlGroups | None = None
        try:
            self._store = self._prepare_images()
            self.lan = Lan(self.options.nodes, self._make_machine)
        except BaseException:
            shutil.rmtree(self.work_dir, ignore_errors=True)
            raise
        self.client = self.lan.client
        try:
            certificate = ClientCertificate(self.work_dir / "kubelet-clients")
            users = [
                User(f"system:node:{host.name}", "system:nodes", secrets.token_hex(16))
                for host in self.lan.hosts
            ]
            self.control_plane = ControlPlane(
                self.lan, programs, self.work_dir, serving(users, certificate)
            )
            self._controllers = Controllers(self.control_plane, self.work_dir)
            self.say("the control plane runs")
            for command in pod_routes(self.lan.hosts):
                self.control_plane.host.namespace.run(*command)
            self.nodes = [self._node(index, users, certificate) for index in range(len(users))]
            self._boot()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> KubeletCluster:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End everything; folders and control groups go, too."""
        self.lan.close()

    def say(self, news: str) -> None:
        """Tell how far the lab has come."""
        seconds = time.monotonic() - self._begun_s
        print(f"kubelets: {news} ({seconds:.0f} s)", file=sys.stderr, flush=True)

    def node(self, name: str) -> KubeletNode:
        """Return a node by name."""
        return next(node for node in self.nodes if node.name == name)

    def holders(self, address: str) -> list[KubeletNode]:
        """Return the nodes that have the address on an interface."""
        return [node for node in self.nodes if node.machine.holder and node.holds(address)]

    def kubectl(
        self, *arguments: str, stdin: str | None = None, check: bool = True, within_s: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator."""
        return self.control_plane.kubectl(*arguments, stdin=stdin, check=check, within_s=within_s)

    def kubectl_json(self, *arguments: str) -> Any:
        """Run kubectl and return the objects it printed."""
        return self.control_plane.kubectl_json(*arguments)

    # Preparing -------------------------------------------------------------------------

    def _prepare_images(self) -> Path:
        archives = [*own_images(self.work_dir), *self.options.images]
        return prepared_store(archives)

    def _make_machine(self, name: str, processes: Processes) -> Machine:
        if self._groups is None:
            processes.own_folder(self.work_dir)
            self._groups = ControlGroups(f"{self.work_dir.name}", processes)
        disk = self._disk(name)
        if not disk.exists():
            copy_store(self._store, disk / folder_on_disk("/var/lib/containerd"))
        parts = MachineParts(disk, find_or_build("pause"), self._groups)
        return Machine(name, processes, parts)

    def _disk(self, name: str) -> Path:
        return self.work_dir / name

    def _node(self, index: int, users: list[User], certificate: ClientCertificate) -> KubeletNode:
        host = self.lan.hosts[index]
        credentials = Credentials(
            server=self.control_plane.server,
            server_authority=self.control_plane.authority.read_text(),
            client_authority=certificate.authority.read_text(),
            kubelet_token=users[index].token,
            proxy_token=PROXY.token,
        )
        others = [other for other in self.lan.hosts if other is not host]
        node = KubeletNode(host, others, self._disk(host.name), self.lan.processes)
        node.install(files(host, credentials), FOLDERS)
        return node

    def _boot(self) -> None:
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(KubeletNode.boot, self.nodes))
        self.say("containerd, kubelet and kube-proxy run on every node")
        self.wait_ready(*self.nodes)

    def wait_ready(self, *nodes: KubeletNode, within_s: float = _READY_S) -> None:
        """Wait until nodes are Ready.

        Raises:
            LabError: one is not in time; the message holds the end of its kubelet's log.
        """
        names = [f"node/{node.name}" for node in nodes]
        deadline_s = time.monotonic() + within_s
        while True:
            for node in nodes:
                node.restart_ended_kubelet()
            wait = ("wait", "--for=condition=Ready", "--timeout=5s", *names)
            ended = self.kubectl(*wait, check=False)
            if not ended.returncode:
                self.say(f"Ready: {', '.join(node.name for node in nodes)}")
                return
            if time.monotonic() > deadline_s:
                logs = "\n".join(node.log(KUBELET)[-800:] for node in nodes)
                raise LabError(f"{ended.stderr.strip()}\n{logs}")
            time.sleep(0.2)


def _require() -> None:
    """Have what machines need, or say what is missing."""
    missing = missing_tools_of_machines() + missing_controllers()
    if missing:
        raise LabError("for real kubelets this computer lacks: " + ", ".join(missing))
    if int(_INOTIFY.read_text()) < _INOTIFY_INSTANCES:
        _INOTIFY.write_text(str(_INOTIFY_INSTANCES))
