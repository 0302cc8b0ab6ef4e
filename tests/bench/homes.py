"""Nodes, each the Active one of a VirtualIP of its own: what is done to one shows at all."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from tests.bench.contenders import age_s, manifest
from tests.bench.holders import Holders
from tests.bench.realtime import real_time
from tests.eventually import eventually

from vrrp_lab.lab import Lab, LabOptions
from vrrp_lab.node import Node
from vrrp_lab.probe import Probe, ProbeReport

INTERVAL_MS = 200
PATIENCE_S = 40.0
_PROVEN_S = 5.2
"""The supervisor starts a process that lived 5 s again at once."""
_BEFORE_NS = 5_000_000


@dataclass
class Homes:
    """The lab, and who watches it."""

    lab: Lab
    holders: Holders

    def address(self, node: Node) -> str:
        """Return the address that is at home on a node."""
        return f"192.0.2.{50 + node.host.number - 10}"

    def vrid(self, node: Node) -> int:
        """Return the VRID of that address."""
        return node.host.number - 10

    def settle(self, for_s: float = 1.0) -> None:
        """Wait until every address has been at home for a while."""

        def settled() -> bool:
            now_ns = time.monotonic_ns()
            for node in self.nodes:
                since_ns, holders = self.holders.timeline(self.address(node)).latest()
                there = sorted(holders) or "no host"
                assert holders == {node.name}, f"{self.address(node)} is on {there}"
                if now_ns - since_ns < for_s * 1e9:
                    return False
            return True

        eventually(settled, within_s=PATIENCE_S)

    @property
    def nodes(self) -> list[Node]:
        """All of them."""
        return self.lab.nodes

    def prove(self, node: Node, process: str) -> int:
        """Wait until a process has lived long enough to be replaced at once; return its pid."""

        def proven() -> int:
            pid = node.processes()[process]
            return pid if age_s(pid) > _PROVEN_S else 0

        return eventually(proven, within_s=PATIENCE_S)

    def moves(self, since_ns: int) -> int:
        """Return how many times an address went to another host, as the kernels saw it."""
        now_ns = time.monotonic_ns()
        return sum(
            self.holders.timeline(self.address(node)).gained(since_ns, now_ns, but=node.name)
            for node in self.nodes
        )

    def transitions(self) -> Counter[str]:
        """Return what state changes the speakers have counted so far, by kind."""
        counted: Counter[str] = Counter()
        for node in self.nodes:
            counted.update(_transitions(node))
        return counted

    @contextlib.contextmanager
    def probed(self) -> Iterator[dict[str, Probe]]:
        """Probe every address while the block runs; probes by node."""
        with contextlib.ExitStack() as stack:
            probes = {}
            for node in self.nodes:
                with real_time():
                    probe = self.lab.client.probe(self.address(node))
                probes[node.name] = stack.enter_context(probe)
            for probe in probes.values():
                probe.wait_answered(PATIENCE_S)
            yield probes


def seen(probes: dict[str, Probe], since_ns: int) -> list[ProbeReport]:
    """Return what the clients of all addresses saw since then."""
    return [probe.report(since_ns - _BEFORE_NS) for probe in probes.values()]


def told(before: Counter[str], after: Counter[str]) -> str:
    """Return what was counted in between, as words."""
    kinds = [f"{count} × {kind}" for kind, count in sorted((after - before).items())]
    return ", ".join(kinds) or "0"


@contextlib.contextmanager
def homes(
    nodes: int = 3, *, advertisements: bool = False, interval_ms: int = INTERVAL_MS
) -> Iterator[Homes]:
    """Make the lab and wait until every address is at home."""
    with tempfile.TemporaryDirectory(prefix="kube-vrrp-bench-") as folder:
        path = Path(folder) / "homes.yaml"
        texts = []
        for home in range(nodes):
            priorities = [200 - 20 * ((other - home) % nodes) for other in range(nodes)]
            name, address = f"home-{home + 1}", f"192.0.2.{51 + home}"
            texts.append(manifest(name, address, home + 1, interval_ms, priorities))
        path.write_text("---".join(texts))
        with Lab(LabOptions(nodes=nodes, standalone=(path,))) as lab:
            found = Homes(lab, Holders(lab.lan.hosts, advertisements=advertisements))
            found.settle()
            yield found


def _transitions(node: Node) -> Counter[str]:
    counted: Counter[str] = Counter()
    for family in text_string_to_metric_families(node.get("/metrics")):
        for sample in family.samples:
            if sample.name == "kube_vrrp_transitions_total":
                kind = "{from} to {to} ({reason})".format(**sample.labels)
                counted[kind] += round(sample.value)
    return counted
