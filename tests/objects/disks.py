"""The disks of speakers: small ones of their own, that can be filled and made read-only."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from vrrp_lab.node import Node

_SIZE = "16m"
_MOUNT = (
    'for folder in "$1" "$2"; do mount -t tmpfs -o size={size},mode=700 disk "$folder"; done;'
    ' shift 2; exec "$@"'
)
_PROTECT = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0"'
"""Over what is there: that has files open for writing, and so cannot be made read-only itself."""


def start_on_disks(node: Node) -> None:
    """Start a node's speaker with run and state folders that nobody else sees; they end with it."""
    folders = map(str, _folders(node))
    script = _MOUNT.replace("{size}", _SIZE)
    node.start_speaker(under=("unshare", "--mount", "sh", "-ec", script, "sh", *folders))


def fill(node: Node) -> Callable[[], None]:
    """Leave no room on a node's disks; return what ends that."""
    root = Path(f"/proc/{node.processes()['supervisor']}/root")
    fillers = [root / str(folder).lstrip("/") / "filler" for folder in _folders(node)]
    for filler in fillers:
        with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    return partial(_remove, fillers)


def protect(node: Node) -> Callable[[], None]:
    """Make a node's disks read-only; return what ends that."""
    for folder in _folders(node):
        _mounts(node, "sh", "-c", _PROTECT, str(folder))
    return partial(_mounts, node, "umount", "-l", *map(str, _folders(node)))


def _folders(node: Node) -> tuple[Path, Path]:
    return node.run_dir, node.state_dir


def _remove(fillers: Iterable[Path]) -> None:
    for filler in fillers:
        filler.unlink()


def _mounts(node: Node, *command: str) -> None:
    """Run a command that sees the disks of a node's speaker."""
    pid = node.processes()["supervisor"]
    node.host.namespace.run("nsenter", f"--mount=/proc/{pid}/ns/mnt", *command)
