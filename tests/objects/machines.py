"""What happens to the machines of nodes, but for their disks: links, keys, connections.

Each node has a link more, which one VirtualIP names. Where that changes the speaker needs a
compiler, and none otherwise; so it is there that one can be killed in the act.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from vrrp_lab.lab import Lab
from vrrp_lab.node import METRICS_PORT, Node

_LINK, _OTHER_END = "odd0", "odd1"
_NAME, _OTHER_NAME = "od\udcffd", "al\udcfet"
"""No UTF-8."""
_CONNECTIONS = 100
_KEEP_OPEN = (
    "import socket, sys, time\n"
    "opened = [socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)"
    " for _ in range(int(sys.argv[3]))]\n"
    "time.sleep(60)\n"
)
_LOOKS_EVERY_S = 0.02

ON_THE_LINK: dict[str, Any] = {
    "apiVersion": "kube-vrrp.io/v1alpha1",
    "kind": "VirtualIP",
    "metadata": {"name": "on-the-link"},
    "spec": {
        "addresses": [
            {"address": "192.0.2.140/24"},
            {"address": "198.51.100.140/32", "interface": _LINK},
        ],
        "advertisementInterval": "1s",
        "candidates": 16,
    },
}
"""Every node is a candidate, so all have programs with their link, whatever odd Nodes there are."""


def add_link(node: Node) -> None:
    """Give a node the link."""
    ip = partial(node.host.namespace.run, "ip", "link")
    ip("add", _LINK, "type", "veth", "peer", "name", _OTHER_END)
    for end in (_LINK, _OTHER_END):
        ip("set", end, "up")


class Killer:
    """Changes links, and kills the compilers that follow, as the kernel does for want of memory."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._lock = threading.Lock()
        self._wanted: dict[str, int] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._hunt, name="killer", daemon=True)
        self.killed = 0
        self._thread.start()

    def change_link(self, name: str, number: int, kills: int) -> bool:
        """Give a node's link a new hardware address, and have so many compilers killed; True."""
        address = f"02:00:5e:10:{number >> 8 & 255:02x}:{number & 255:02x}"
        with self._lock:
            self._wanted[name] = max(kills, self._wanted.get(name, 0))
        host = self._lab.node(name).host
        host.namespace.run("ip", "link", "set", _LINK, "address", address)
        return True

    def missed(self) -> list[str]:
        """Return on which nodes compilers are yet to be killed."""
        with self._lock:
            return [f"{name}: no compiler to kill" for name, left in self._wanted.items() if left]

    def end(self) -> None:
        """Kill no more."""
        self._over.set()
        self._thread.join()

    def _hunt(self) -> None:
        while not self._over.wait(_LOOKS_EVERY_S):
            with self._lock:
                wanted = [name for name, left in self._wanted.items() if left]
            for name in wanted:
                for pid in self._lab.node(name).compilers()[:1]:
                    self._kill(name, pid)

    def _kill(self, name: str, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self.killed += 1
            with self._lock:
                self._wanted[name] -= 1


def damage_key(node: Node, file: str, found: str | None) -> Callable[[], None]:
    """Have a key file hold something else, half of itself, or be gone; return what mends it."""
    path = node.keys_dir / file
    before = path.read_text() if path.exists() else None
    if found is None:
        path.unlink(missing_ok=True)
    else:
        half = (before or "")[: len(before or "") // 2]
        content = half if found == "half" else found
        path.write_text(content, encoding="utf-8", errors="surrogateescape")
    if before is None:
        return partial(path.unlink, missing_ok=True)
    return partial(node.write_key, file, before)


def name_oddly(node: Node) -> Callable[[], object]:
    """Give a node an interface whose names are no text; return what takes it away."""
    ip = partial(node.host.namespace.run, "ip", "link")
    ip("add", _NAME, "type", "veth", "peer", "name", "odd2")
    ip("property", "add", "dev", "odd2", "altname", _OTHER_NAME)
    return partial(ip, "del", "odd2")


def keep_open(lab: Lab, node: Node) -> Callable[[], None]:
    """Open connections to a speaker's metrics and say nothing; return what closes them."""
    words = (node.host.address, str(METRICS_PORT), str(_CONNECTIONS))
    process = lab.client.namespace.start([sys.executable, "-c", _KEEP_OPEN, *words])
    return partial(lab.lan.processes.stop, process)
