"""A cluster of real kubelets with the chart in it, as an administrator and a client see it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.eventually import eventually

from vrrp_lab.kubelets.cluster import KubeletCluster
from vrrp_lab.kubelets.helm import NAMESPACE, Helm
from vrrp_lab.kubelets.memory import Memory
from vrrp_lab.kubelets.node import KubeletNode
from vrrp_lab.probe import Probe, ProbeReport

PATIENCE_S = 90.0
_SETTLED_S = 3.0


class Site:
    """One installation."""

    def __init__(self, cluster: KubeletCluster) -> None:
        self.cluster = cluster
        self.helm = Helm(cluster)

    def say(self, news: str) -> None:
        """Tell how far the test has come, or a figure."""
        self.cluster.say(news)

    def kubectl_vrrp(self, *arguments: str) -> None:
        """Run ``kubectl vrrp`` as the administrator, to success."""
        kubeconfig = ("--kubeconfig", str(self.cluster.control_plane.kubeconfig))
        command = [sys.executable, "-m", "vrrp_cli", *arguments, *kubeconfig]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert ended.returncode == 0, ended.stderr

    def tell(self) -> None:
        """Print what operator and speakers have logged, and where every VirtualIP is."""
        for pod in (*self.pods("operator"), *self.pods("speaker")):
            name, node = pod["metadata"]["name"], pod["spec"].get("nodeName", "no node")
            logs = self.cluster.kubectl("--namespace", NAMESPACE, "logs", name, check=False)
            lines = logs.stdout.splitlines()[-60:]
            print(f"--- {name} on {node}", *lines, sep="\n", file=sys.stderr)
        kinds = ("get", "vip,nodeconfig,node,pod", "-A", "-o", "wide")
        print(self.cluster.kubectl(*kinds, check=False).stdout, file=sys.stderr)

    def drain(self, node: KubeletNode) -> None:
        """Take a node out of service as docs/drain.md says."""
        self.kubectl_vrrp("maintenance", node.name, "on", "--timeout", "60s")
        command = ("drain", node.name, "--ignore-daemonsets", "--delete-emptydir-data", "--force")
        self.cluster.kubectl(*command, "--timeout=280s", within_s=300)

    def back_to_work(self, node: KubeletNode) -> None:
        """Take a drained node back into service."""
        self.cluster.kubectl("uncordon", node.name)
        self.kubectl_vrrp("maintenance", node.name, "off")

    # VirtualIPs ------------------------------------------------------------------------

    def status(self, name: str) -> dict[str, Any]:
        """Return the status of a VirtualIP."""
        status: dict[str, Any] = self.cluster.kubectl_json("get", "vip", name).get("status", {})
        return status

    def condition(self, name: str, kind: str) -> str:
        """Return the status of one of its conditions, empty without it."""
        conditions = self.status(name).get("conditions", ())
        return next((str(c["status"]) for c in conditions if c["type"] == kind), "")

    def holder(self, name: str, address: str) -> KubeletNode:
        """Wait until a VirtualIP is Ready with a standby; return its node, which alone has it."""

        def settled() -> KubeletNode | None:
            status = self.status(name)
            holders = self.cluster.holders(address)
            names = [node.name for node in holders]
            ready = self.condition(name, "Ready") == "True" and status.get("standbys", 0) >= 1
            return holders[0] if ready and names == [status.get("activeNode")] else None

        holder = eventually(settled, within_s=PATIENCE_S, every_s=0.2)
        assert holder is not None
        return holder

    def steady(
        self,
        addresses: Mapping[str, str],
        standbys: int | None = None,
        within_s: float = PATIENCE_S,
    ) -> None:
        """Wait until VirtualIPs have stayed at their nodes for a while, each with its standbys.

        Without a number, every other node is one.
        """
        since_s, last = time.monotonic(), ""

        def unchanged() -> bool:
            nonlocal since_s, last
            listed = self.cluster.kubectl_json("get", "vip")["items"]
            states = {
                item["metadata"]["name"]: (
                    item.get("status", {}).get("activeNode"),
                    item.get("status", {}).get("standbys"),
                )
                for item in listed
                if item["metadata"]["name"] in addresses
            }
            wanted = len(self.cluster.nodes) - 1 if standbys is None else standbys
            complete = len(states) == len(addresses) and all(
                node and standbys == wanted for node, standbys in states.values()
            )
            if not complete or repr(states) != last:
                since_s, last = time.monotonic(), repr(states)
            return complete and time.monotonic() - since_s >= _SETTLED_S

        eventually(unchanged, within_s=within_s, every_s=0.3)

    def takeovers(self, name: str, since: str) -> list[str]:
        """Return which nodes took a VirtualIP since a time (of ``clock``), five at most."""
        history = self.status(name).get("history", ())
        return [str(entry["to"]) for entry in history if entry["time"] >= since and entry["to"]]

    def moved(self, names: Iterable[str], since: str) -> dict[str, int]:
        """Return how many takeovers VirtualIPs had since a time, where there was any."""
        counts = {name: len(self.takeovers(name, since)) for name in names}
        return {name: count for name, count in counts.items() if count}

    # Pods ------------------------------------------------------------------------------

    def pods(self, component: str) -> list[dict[str, Any]]:
        """Return the pods of a component."""
        selector = f"app.kubernetes.io/component={component}"
        listed = self.cluster.kubectl_json("--namespace", NAMESPACE, "get", "pod", "-l", selector)
        return list(listed["items"])

    def speaker(self, node: KubeletNode) -> dict[str, Any]:
        """Return the speaker's pod of a node."""
        (pod,) = [p for p in self.pods("speaker") if p["spec"]["nodeName"] == node.name]
        return pod

    def dump(self, node: KubeletNode) -> dict[str, Any]:
        """Return what a node's speaker says of itself."""
        pod = self.speaker(node)["metadata"]["name"]
        command = ("--namespace", NAMESPACE, "exec", pod, "--", "vrrp-speaker", "dump")
        dumped: dict[str, Any] = json.loads(self.cluster.kubectl(*command).stdout)
        return dumped

    def all_ready(self) -> bool:
        """Return whether every node has a speaker that is ready, and the operator is, too."""
        speakers, operators = self.pods("speaker"), self.pods("operator")
        return (
            len(speakers) == len(self.cluster.nodes)
            and len(operators) == 1
            and all(is_ready(pod) for pod in (*speakers, *operators))
        )

    def wait_all_ready(self) -> None:
        """Wait until that is so."""
        eventually(self.all_ready, within_s=PATIENCE_S, every_s=0.5)

    def memory(self, when: str) -> list[tuple[str, Memory, int]]:
        """Tell what the pods use; return each component with its limit in bytes."""
        found = []
        for component in ("speaker", "operator"):
            for pod in self.pods(component):
                node = self.cluster.node(pod["spec"]["nodeName"])
                memory = node.pod_memory(pod["metadata"]["uid"])
                limit = pod["spec"]["containers"][0]["resources"]["limits"]["memory"]
                limit_bytes = int(limit.removesuffix("Mi")) << 20
                found.append((component, memory, limit_bytes))
                self.say(
                    f"{when}: {component} on {node.name} uses {memory.resting_bytes >> 20} MiB, "
                    f"at most {memory.peak_bytes >> 20} MiB, of {limit}"
                )
        return found

    # The client ------------------------------------------------------------------------

    def get(self, address: str, port: int) -> str:
        """Return what a client gets from a web server, empty without an answer."""
        host = f"[{address}]" if ":" in address else address
        asked = self.cluster.client.exec("curl", "-s", "-m", "1", f"http://{host}:{port}/")
        return asked.stdout.strip()

    @contextlib.contextmanager
    def probed(self, *addresses: str) -> Iterator[dict[str, Probe]]:
        """Probe addresses once a millisecond each; all are answered when this begins."""
        with self.probed_later(*addresses) as probes:
            for probe in probes.values():
                probe.wait_answered(PATIENCE_S)
            yield probes

    @contextlib.contextmanager
    def probed_later(self, *addresses: str) -> Iterator[dict[str, Probe]]:
        """Probe addresses once a millisecond each, whether answered or not."""
        with contextlib.ExitStack() as stack:
            yield {a: stack.enter_context(self.cluster.client.probe(a)) for a in addresses}


def reports(probes: Mapping[str, Probe], since_ns: int) -> dict[str, ProbeReport]:
    """Return what each probe saw since a time."""
    return {address: probe.report(since_ns) for address, probe in probes.items()}


def lost(seen: Mapping[str, ProbeReport]) -> dict[str, int]:
    """Return how many probes were lost, by address, where any was."""
    return {address: report.lost for address, report in seen.items() if report.lost}


def summary(seen: Mapping[str, ProbeReport]) -> str:
    """Return the figures in words: probes, losses, the longest gap."""
    sent = sum(report.sent for report in seen.values())
    gap_ms = max((report.longest_gap_ns for report in seen.values()), default=0) / 1e6
    return f"{sent} probes, {sum(lost(seen).values())} lost, longest gap {gap_ms:.0f} ms"


def clock() -> str:
    """Return the time as the history of a VirtualIP has it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Return whether a pod is ready and not on its way out."""
    if "deletionTimestamp" in pod["metadata"]:
        return False
    conditions = pod["status"].get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
