"""One speaker with a NodeConfig of the test's own, and what it says on the wire.

Its peer's host is there and, unless a test wants it, its peer's speaker is not: so it is Active
wherever nothing is wrong, and silent where something is.
"""

from __future__ import annotations

import json
import socket
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from tests.eventually import eventually
from tests.netns.observe import Capture

from vrrp_lab.lan import Host, Lan
from vrrp_lab.node import Node


def router(
    vrid: int, base: int, checks: Sequence[tuple[str, int, bool]], peer: Host, **fields: Any
) -> dict[str, Any]:
    """Return a Virtual Router of a NodeConfig; its checks are (name, weight, reverse)."""
    return {
        "name": f"r{vrid}",
        "virtualIPGeneration": 1,
        "virtualRouterID": vrid,
        "interface": "eth0",
        "addresses": [{"address": f"10.9.0.{vrid}/32"}],
        "basePriority": base,
        "advertisementInterval": "500ms",
        "peers": [{"node": peer.name, "address": peer.address, "priority": 1}],
        "healthChecks": [
            {"name": name, "weight": weight, "reverse": reverse} for name, weight, reverse in checks
        ],
        **fields,
    }


def node_config(
    host: Host, routers: Sequence[Mapping[str, Any]], checks: Sequence[Mapping[str, Any]] = ()
) -> str:
    """Return a NodeConfig file for a host."""
    document = {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "NodeConfig",
        "metadata": {"name": host.name},
        "spec": {
            "node": host.name,
            "addresses": [host.address],
            "virtualRouters": list(routers),
            "healthChecks": list(checks),
        },
    }
    return json.dumps(document)


class LoneSpeaker:
    """A speaker on the second host of a LAN; use as a context manager.

    The first host is the peer: of two routers with the same priority the second one's counts more.
    """

    def __init__(self, lan: Lan) -> None:
        self.peer, self.host = lan.hosts[:2]
        # Not pytest's folder, where the user that scripts run as may not go.
        self._folder = tempfile.TemporaryDirectory(prefix="kube-vrrp-lone-")
        self.folder = Path(self._folder.name)
        self.folder.chmod(0o755)
        self.scripts, self.files = self.folder / "scripts", self.folder / "files"
        for folder in (self.scripts, self.files):
            folder.mkdir(mode=0o755)
        self.node = Node(self.host, self.folder, ["--config", str(self._config(self.host))])
        self._other = Node(self.peer, self.folder, ["--config", str(self._config(self.peer))])
        self.capture = Capture(self.host)

    def __enter__(self) -> LoneSpeaker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None and self.node.log.exists():
            print(self.node.log.read_text()[-5000:])
        self.capture.__exit__(kind, error, trace)
        for node in (self.node, self._other):
            if node.running:
                node.kill_speaker()
        self._folder.cleanup()

    def script(self, name: str, text: str) -> None:
        """Write a script that exec checks may name."""
        path = self.scripts / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def configure(
        self, routers: Sequence[Mapping[str, Any]], checks: Sequence[Mapping[str, Any]]
    ) -> None:
        """Write the configuration; a running speaker follows."""
        self._write(self.host, routers, checks)

    def _write(
        self,
        host: Host,
        routers: Sequence[Mapping[str, Any]],
        checks: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        path = self._config(host)
        unfinished = path.with_suffix(".new")
        unfinished.write_text(node_config(host, routers, checks))
        unfinished.replace(path)

    def _config(self, host: Host) -> Path:
        return self.folder / f"{host.name}.json"

    def start_peer(self, vrids: Sequence[int]) -> None:
        """Start the peer's speaker too, with the least priority and no checks."""
        self._write(self.peer, [router(vrid, 1, (), self.host) for vrid in vrids])
        self._other.start_speaker("--file-folders", "")

    def stop_peer(self) -> None:
        """End the peer's speaker, without a word to anybody."""
        self._other.kill_speaker()

    def start(self, under: Sequence[str] = ()) -> None:
        """Start the speaker, by a command that executes it where one is given."""
        folders = ("--scripts-dir", str(self.scripts), "--file-folders", str(self.files))
        self.node.start_speaker(*folders, under=under)

    def become_active(self, *routers: Mapping[str, Any]) -> None:
        """Start with these routers, and wait until all of them are Active."""
        self.configure(routers, ())
        self.start()
        wanted = {router["name"]: "Active" for router in routers}
        eventually(lambda: self.states() == wanted, within_s=20)

    # What is seen ----------------------------------------------------------------------

    def advertised(self, since_ns: int = 0) -> dict[int, list[int]]:
        """Return the speaker's priorities on the wire by VRID, in order; resignations left out."""
        found: dict[int, list[int]] = {}
        ours = socket.inet_aton(self.host.address)
        for frame in self.capture.frames(since_ns):
            if frame.is_vrrp and frame.data[26:30] == ours:
                message = frame.data[14 + (frame.data[14] & 0x0F) * 4 :]
                if message[2]:
                    found.setdefault(message[1], []).append(message[2])
        return found

    def states(self) -> dict[str, str]:
        """Return the state of each router, by name."""
        return {
            sample.labels["virtual_ip"]: sample.labels["state"]
            for family in text_string_to_metric_families(self.node.get("/metrics"))
            for sample in family.samples
            if sample.name == "kube_vrrp_state" and sample.value == 1
        }

    def runs(self) -> dict[str, int]:
        """Return how often each check has run, by name."""
        return {
            sample.labels["check"]: int(sample.value)
            for family in text_string_to_metric_families(self.node.get("/metrics"))
            for sample in family.samples
            if sample.name == "kube_vrrp_check_duration_seconds_count"
        }
