"""Operators that run at once, each on a node of the lab, so that one alone can be cut off."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.eventually import eventually

from vrrp_lab.lab import CLUSTER_KEY, OPERATOR_METRICS_PORT, Lab
from vrrp_lab.node import Node

NAMESPACE = "kube-vrrp"
MOST = 20
"""So many VirtualIPs at most are made."""


@dataclass
class OneOperator:
    """An operator that shares the work; it runs on a node's host."""

    lab: Lab
    node: Node
    log: Path = field(init=False)
    _process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.log = self.lab.work_dir / f"operator-{self.node.name}.log"

    def start(self) -> None:
        """Start it where it does not run."""
        if self._process is not None:
            return
        uid = self.lab.kubectl_json("get", "node", self.node.name)["metadata"]["uid"]
        plane = self.lab.control_plane
        kubeconfig = plane.service_account_kubeconfig("operator", (self.node.name, uid))
        command = [
            *(sys.executable, "-m", "vrrp_operator", "--kubeconfig", str(kubeconfig)),
            *("--metrics-bind-address", f"127.0.0.1:{OPERATOR_METRICS_PORT}"),
            *("--log-format", "text", "--default-key-ref", CLUSTER_KEY),
            *("--lease-namespace", NAMESPACE),
        ]
        self._process = self.node.host.namespace.start(command, log=self.log)

    def get(self, path: str) -> str:
        """Return what it serves at a path; empty on failure."""
        url = f"http://127.0.0.1:{OPERATOR_METRICS_PORT}{path}"
        return self.node.host.exec("curl", "-s", "-m", "2", url).stdout

    def metric(self, name: str) -> float | None:
        """Return a metric that has no labels; None where it serves none."""
        for line in self.get("/metrics").splitlines():
            if line.startswith(f"{name} "):
                return float(line.rpartition(" ")[2])
        return None

    def leads(self) -> bool:
        """Return whether it says so."""
        return self.metric("kube_vrrp_operator_leader") == 1.0

    def stands_by(self) -> bool:
        """Return whether it does, and is ready."""
        return self.metric("kube_vrrp_operator_leader") == 0.0 and self.get("/readyz") == (
            "standing by\n"
        )

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it by a signal, and wait for that."""
        process, self._process = self._process, None
        if process is not None:
            self.lab.lan.processes.stop(process, number, patience_s=30.0)

    def cut_off(self) -> None:
        """Take the API server away from it, and from its node's speaker."""
        self.lab.lan.partition(self.node.host, self.lab.control_plane.host)

    def reconnect(self) -> None:
        """End that."""
        self.lab.lan.rejoin(self.node.host, self.lab.control_plane.host)


def two_operators(lab: Lab) -> list[OneOperator]:
    """Start two, on nodes that have no VirtualIP; all other nodes have them."""
    for node in lab.nodes[2:]:
        lab.kubectl("label", "node", node.name, "vips=yes")
    made = [OneOperator(lab, node) for node in lab.nodes[:2]]
    for operator in made:
        operator.start()
    return made


def leader_of(operators: Sequence[OneOperator]) -> OneOperator:
    """Return the one that leads, once one does."""
    eventually(lambda: any(one.leads() for one in operators), within_s=60, every_s=0.2)
    (leader,) = [one for one in operators if one.leads()]
    return leader


def are_settled(operators: Sequence[OneOperator]) -> bool:
    """Return whether one leads, and the others stand by and are ready for its place."""
    leading = [one for one in operators if one.leads() and one.get("/readyz") == "ok\n"]
    others = [one for one in operators if one not in leading]
    return len(leading) == 1 and all(one.stands_by() for one in others)


class Edits:
    """VirtualIPs of the nodes that are labelled ``vips``: they are made, and then changed."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._addresses: list[int] = []
        """Of each VirtualIP, by number."""
        self.count = 0

    def make(self) -> None:
        """Make a VirtualIP while there are few, and give another one a second address, or one."""
        latest = self.count % MOST
        if len(self._addresses) < MOST:
            self._addresses.append(1)
            self._apply(latest)
        self._addresses[latest - 1] = 3 - self._addresses[latest - 1]
        self._apply(latest - 1 if latest else len(self._addresses) - 1)
        self.count += 1

    def _apply(self, number: int) -> None:
        first, addresses = 110 + 2 * number, self._addresses[number]
        obj = {
            "apiVersion": "kube-vrrp.io/v1alpha1",
            "kind": "VirtualIP",
            "metadata": {"name": f"vip-{number}"},
            "spec": {
                "addresses": [{"address": f"192.0.2.{first + n}/24"} for n in range(addresses)],
                "nodeSelector": {"matchLabels": {"vips": "yes"}},
            },
        }
        self._lab.kubectl("apply", "-f", "-", stdin=json.dumps(obj))

    def are_applied(self) -> bool:
        """Return True if all are, on every node that is to have them, with a VRID each.

        Raises:
            AssertionError: what is not yet as it should be.
        """
        found = {
            vip["metadata"]["name"]: vip for vip in self._lab.kubectl_json("get", "vip")["items"]
        }
        made = len(self._addresses)
        assert len(found) == made
        numbers = {
            name: vip.get("status", {}).get("virtualRouterID") for name, vip in found.items()
        }
        assert len(set(numbers.values()) - {None}) == made, numbers
        wanted = {
            (name, numbers[name], tuple(a["address"] for a in vip["spec"]["addresses"]))
            for name, vip in found.items()
        }
        for config in self._lab.kubectl_json("get", "nodeconfigs")["items"][2:]:
            routers = config["spec"]["virtualRouters"]
            has = {
                (r["name"], r["virtualRouterID"], tuple(a["address"] for a in r["addresses"]))
                for r in routers
            }
            assert has == wanted
        assert holders(self._lab).keys() == found.keys()
        for vip in found.values():
            assert vip["status"]["observedGeneration"] == vip["metadata"]["generation"]
        return True


def holders(lab: Lab) -> dict[str, tuple[str, str]]:
    """Return by VirtualIP which node says that it is Active, and since when."""
    return {
        router["name"]: (config["metadata"]["name"], router["since"])
        for config in lab.kubectl_json("get", "nodeconfigs")["items"]
        for router in (config.get("status") or {}).get("virtualRouters") or ()
        if router["state"] == "Active"
    }
