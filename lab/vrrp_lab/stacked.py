"""A control plane as kubeadm stacks it: an etcd member and an API server on each node."""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path

from vrrp_lab.control_plane import apiserver_command, prepare_shared_files, wait_ready
from vrrp_lab.lan import Host
from vrrp_lab.processes import Processes
from vrrp_lab.programs import ControlPlanePrograms


class StackedControlPlane:
    """Members on hosts of the LAN; nothing runs before it is started."""

    def __init__(
        self, hosts: list[Host], processes: Processes, programs: ControlPlanePrograms, folder: Path
    ) -> None:
        self._hosts = hosts
        self._processes = processes
        self._programs = programs
        self._folder = folder
        self.admin_token = secrets.token_hex(16)
        self._apiservers: dict[str, subprocess.Popen[bytes]] = {}
        self._etcds: dict[str, subprocess.Popen[bytes]] = {}
        for host in hosts:
            (folder / host.name).mkdir(parents=True)
        prepare_shared_files(folder, self.admin_token)

    def start_etcd(self) -> None:
        """Start every member of the store; it works once most of them have found each other."""
        members = ",".join(f"{host.name}=http://{host.address}:2380" for host in self._hosts)
        for host in self._hosts:
            command = [
                str(self._programs.etcd),
                f"--name={host.name}",
                f"--data-dir={self._folder / host.name / 'etcd'}",
                "--unsafe-no-fsync",
                "--listen-client-urls=http://127.0.0.1:2379",
                "--advertise-client-urls=http://127.0.0.1:2379",
                f"--listen-peer-urls=http://{host.address}:2380",
                f"--initial-advertise-peer-urls=http://{host.address}:2380",
                f"--initial-cluster={members}",
                "--log-level=error",
            ]
            self._etcds[host.name] = host.namespace.start(
                command, log=self._folder / host.name / "etcd.log"
            )

    def start_apiserver(self, host: Host) -> None:
        """Start a host's API server and wait until it is ready."""
        folder = self._folder / host.name
        command = apiserver_command(self._programs, host, folder, self._folder)
        log = folder / "kube-apiserver.log"
        started = host.namespace.start(command, log=log)
        self._apiservers[host.name] = started
        wait_ready(host, started, self.admin_token, log)

    def kill_apiserver(self, host: Host) -> None:
        """End a host's API server at once; its etcd goes on."""
        self._processes.stop(self._apiservers.pop(host.name), 9)

    def kill(self, host: Host) -> None:
        """End all of a host at once, as when its machine loses power."""
        for kind in (self._apiservers, self._etcds):
            if host.name in kind:
                self._processes.stop(kind.pop(host.name), 9)
