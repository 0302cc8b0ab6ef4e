"""Control groups (version 1) of the lab's machines, one below ours in every hierarchy."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vrrp_lab.namespaces import LabError
from vrrp_lab.processes import CGROUPS, Processes

NEEDED = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids")
"""The controllers that kubelet, runc and cAdvisor ask for."""
_SHARES = 16 * 1024
"""Of the CPUs: machines are many processes, but to all others here their group is as one."""
_JOIN = 'until [ "$1" = -- ]; do echo $$ > "$1/cgroup.procs"; shift; done; shift; exec "$@"'


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """Where one is mounted, with which options, and our own group in it."""

    mount_point: Path
    options: str
    own: Path


def hierarchies() -> list[Hierarchy]:
    """Return the mounted hierarchies of version 1, the named one of systemd among them."""
    own: dict[frozenset[str], str] = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, listed, path = line.split(":", 2)
        own[frozenset(listed.split(","))] = path
    found = []
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount_point, kind, options, *_ = line.split()
        if kind != "cgroup" or Path(mount_point).parent != CGROUPS:
            continue
        names = frozenset(options.split(",")) - {
            "rw",
            "ro",
            "nosuid",
            "nodev",
            "noexec",
            "relatime",
        }
        root = Path(mount_point)
        group = root / own.get(names, "/").lstrip("/")
        own_group = group if group.is_dir() else root
        found.append(Hierarchy(root, ",".join(sorted(names)), own_group))
    return found


def missing_controllers() -> list[str]:
    """Return what the kernel lacks of the controllers that machines need."""
    present = {name for each in hierarchies() for name in each.options.split(",")}
    return [f"cgroup v1 controller {name}" for name in NEEDED if name not in present]


class ControlGroups:
    """One group of the same name in every hierarchy; goes with the lab."""

    def __init__(self, name: str, processes: Processes) -> None:
        self._hierarchies = hierarchies()
        if not self._hierarchies:
            raise LabError("no hierarchy of cgroup v1 is mounted below /sys/fs/cgroup")
        self._name = name
        for each in self._hierarchies:
            group = each.own / name
            processes.own_folder(group)
            group.mkdir()
            _take_cpus(group)
        (self.path("cpu") / "cpu.shares").write_text(str(_SHARES))

    def make(self, child: str) -> None:
        """Make a group below, in every hierarchy."""
        for group in self.folders(child):
            group.mkdir(parents=True, exist_ok=True)
            _take_cpus(group)

    def path(self, controller: str, *below: str) -> Path:
        """Return the folder of the group, or of one below, in a controller's hierarchy."""
        own = next(h.own for h in self._hierarchies if controller in h.options.split(","))
        return own.joinpath(self._name, *below)

    def folders(self, child: str) -> list[Path]:
        """Return the folders of a group below, one in each hierarchy."""
        return [each.own / self._name / child for each in self._hierarchies]

    def joining(self, child: str, command: Sequence[str]) -> list[str]:
        """Return a command line that runs a command in a group below."""
        groups = map(str, self.folders(child))
        return ["sh", "-c", _JOIN, "join", *groups, "--", *command]

    def mounts(self) -> list[str]:
        """Return ``name=options`` of every hierarchy, for a machine to mount them all."""
        return [f"{each.mount_point.name}={each.options}" for each in self._hierarchies]


def _take_cpus(group: Path) -> None:
    """A new cpuset has no CPU and no memory, and takes no process, until it is given some."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        with contextlib.suppress(FileNotFoundError):
            (group / name).write_text((group.parent / name).read_text())
