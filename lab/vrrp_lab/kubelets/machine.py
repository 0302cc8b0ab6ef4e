"""A machine: network, process, mount, host name, IPC and cgroup namespaces with a process 1."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from vrrp_lab.kubelets.cgroups import ControlGroups
from vrrp_lab.namespaces import Namespace
from vrrp_lab.processes import Processes, process_name, remove_folder

_NAMESPACES = ("net", "pid", "mount", "uts", "ipc", "cgroup")
SERVICES = "services"


@dataclass(frozen=True, slots=True)
class MachineParts:
    """What a machine is made of besides namespaces: a disk, a process 1, control groups."""

    disk: Path
    resident: Path
    groups: ControlGroups


class Machine(Namespace):
    """One machine; everything on it ends with its process 1."""

    def __init__(self, name: str, processes: Processes, parts: MachineParts) -> None:
        self._parts = parts
        parts.groups.make(name)
        super().__init__(name, processes)
        parts.groups.make(f"{name}/{SERVICES}")

    def _holding(self) -> list[str]:
        parts = self._parts
        parts.disk.mkdir(parents=True, exist_ok=True)
        boot = [sys.executable, "-m", "vrrp_lab.kubelets.boot"]
        unshare = ["unshare", *(f"--{name}" for name in _NAMESPACES), "--mount-proc"]
        command = [
            *(*unshare, "--fork", "--kill-child=SIGKILL", "--", *boot),
            *(self.name, str(parts.disk), str(parts.resident), *parts.groups.mounts()),
        ]
        return parts.groups.joining(self.name, command)

    def _is_held(self) -> bool:
        first = self.holder
        return first != 0 and process_name(first) == self._parts.resident.name

    @property
    def holder(self) -> int:
        """The machine's process 1 as seen from outside, 0 when there is none."""
        return child_of(self._holder.pid)

    def command(self, *command: str) -> list[str]:
        """Return the command line that runs a command on the machine, as one of its services."""
        enter = ["nsenter", f"--target={self.holder}", *(f"--{name}" for name in _NAMESPACES)]
        return self._parts.groups.joining(f"{self.name}/{SERVICES}", [*enter, "--", *command])

    def end(self) -> None:
        """Kill process 1, and with it all that runs here; its control groups go."""
        first = self.holder
        if first:
            os.kill(first, signal.SIGKILL)
        self._holder.wait(30)
        super().end()
        for each in self._parts.groups.folders(self.name):
            remove_folder(each)

    def memory(self, *below: str) -> Path:
        """Return a memory control group of the machine."""
        return self._parts.groups.path("memory", self.name, *below)


def child_of(pid: int) -> int:
    """Return the first child of a process, 0 without one."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0
    return int(children[0]) if children else 0


NEEDED_TOOLS = ("containerd", "runc", "ctr", "hostname", "mount", "/usr/lib/cni/bridge")
"""Programs of Debian packages: containerd, runc, containernetworking-plugins."""


def missing_tools_of_machines() -> list[str]:
    """Return what this computer lacks for machines, by name."""
    missing = [] if os.geteuid() == 0 else ["root"]
    return missing + [tool for tool in NEEDED_TOOLS if not shutil.which(tool)]
