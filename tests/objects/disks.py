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


class Disks:
    """The run and state folders of speakers, file systems that nobody else sees."""

    def __init__(self) -> None:
        self._undo: dict[str, tuple[float, Callable[[], None]]] = {}

    def start(self, node: Node) -> None:
        """Start a node's speaker on disks of its own, which end with it."""
        folders = map(str, _folders(node))
        script = _MOUNT.replace("{size}", _SIZE)
        node.start_speaker(under=("unshare", "--mount", "sh", "-ec", script, "sh", *folders))

    def tick(self, now_s: float) -> None:
        """End the faults that are to be over."""
        for key in [key for key, (until_s, _) in self._undo.items() if now_s >= until_s]:
            self._undo.pop(key)[1]()

    def heal(self) -> None:
        """End every fault."""
        self.tick(float("inf"))

    def fill(self, node: Node, until_s: float) -> bool:
        """Leave no room on a node's disks; return whether there was no fault on them."""
        root = Path(f"/proc/{node.processes()['supervisor']}/root")
        fillers = [root / str(folder).lstrip("/") / "filler" for folder in _folders(node)]
        if node.name in self._undo:
            return False
        for filler in fillers:
            with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
        self._undo[node.name] = until_s, partial(_remove, fillers)
        return True

    def protect(self, node: Node, until_s: float) -> bool:
        """Make a node's disks read-only; return whether there was no fault on them."""
        if node.name in self._undo:
            return False
        for folder in _folders(node):
            _mounts(node, "sh", "-c", _PROTECT, str(folder))
        self._undo[node.name] = (
            until_s,
            partial(_mounts, node, "umount", "-l", *map(str, _folders(node))),
        )
        return True


def _folders(node: Node) -> tuple[Path, Path]:
    return node.run_dir, node.state_dir


def _remove(fillers: Iterable[Path]) -> None:
    for filler in fillers:
        filler.unlink()


def _mounts(node: Node, *command: str) -> None:
    """Run a command that sees the disks of a node's speaker."""
    pid = node.processes()["supervisor"]
    node.host.namespace.run("nsenter", f"--mount=/proc/{pid}/ns/mnt", *command)
