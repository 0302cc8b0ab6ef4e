"""What a machine does before its process 1: mounts of its own, a name, then ``pause``.

Runs inside the machine's namespaces. The disk of a machine is a folder outside: ``/etc`` and
``/var`` are that of this computer with the machine's changes over it, and what holds containers
is a plain folder (overlays cannot be stacked). ``/run`` is new at each start.
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

PLAIN = ("/var/lib/kubelet", "/var/lib/containerd", "/var/lib/cni", "/var/log")
"""Folders of a machine that are a folder of its disk, not changes over this computer's."""
_KERNEL = {
    "/proc/sys/vm/overcommit_memory": "1",
    "/proc/sys/kernel/panic": "10",
    "/proc/sys/kernel/panic_on_oops": "1",
}
"""What a kubelet wants to set for the whole kernel; it finds these values set already."""


def main() -> None:
    """Become the machine: arguments are its name, its disk, the program to go on as, cgroups."""
    name, disk, resident, *cgroups = sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]
    _mount("--make-rshared", "/")
    _change_over("/etc", disk)
    _change_over("/var", disk)
    for folder in PLAIN:
        _bind_folder(disk / folder_on_disk(folder), folder)
    _mount("-t", "tmpfs", "-o", "mode=755", "run", "/run")
    _mount("-t", "sysfs", "sysfs", "/sys")
    _mount("-t", "tmpfs", "-o", "mode=755", "cgroup", "/sys/fs/cgroup")
    for cgroup in cgroups:
        folder, _, options = cgroup.partition("=")
        point = Path("/sys/fs/cgroup", folder)
        point.mkdir()
        _mount("-t", "cgroup", "-o", options, "cgroup", str(point))
    _present_as_set(Path("/run/lab"))
    subprocess.run(["hostname", name], check=True)
    os.execv(resident, [Path(resident).name])


def folder_on_disk(path: str) -> Path:
    """Return where on its disk a machine's plain folder lies."""
    return Path("plain", path.lstrip("/").replace("/", "-"))


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _change_over(folder: str, disk: Path) -> None:
    upper, work = disk / "upper" / folder[1:], disk / "work" / folder[1:]
    for path in (upper, work):
        path.mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={folder},upperdir={upper},workdir={work}"
    _mount("-t", "overlay", "-o", options, "overlay", folder)


def _bind_folder(source: Path, target: str) -> None:
    for path in (source, Path(target)):
        path.mkdir(parents=True, exist_ok=True)
    _mount("--bind", str(source), target)


def _present_as_set(folder: Path) -> None:
    """Lay files over what belongs to the whole kernel; a machine has a boot of its own."""
    folder.mkdir()
    values = {**_KERNEL, "/proc/sys/kernel/random/boot_id": str(uuid.uuid4())}
    for path, value in values.items():
        own = folder / Path(path).name
        own.write_text(value + "\n")
        _mount("--bind", str(own), path)


if __name__ == "__main__":
    main()
