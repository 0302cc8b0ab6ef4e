"""What tests see of running speakers: metrics, holders, and packets on a wire."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from types import TracebackType

from prometheus_client.parser import text_string_to_metric_families
from tests.eventually import eventually

from vrrp_lab.lab import Lab
from vrrp_lab.lan import Host
from vrrp_lab.node import Node


def metric(node: Node, name: str, **labels: str) -> float:
    """Return the sum of a node's samples of this name and these labels; 0 without any."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(_metrics(node))
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def _metrics(node: Node) -> str:
    """Return what a node's speaker serves; empty where none runs, an error while it is silent."""
    text = node.get("/metrics")
    assert text or not node.running, f"{node.name} serves no metrics"
    return text


def state(node: Node, virtual_ip: str) -> str:
    """Return the state that a node reports, empty without one."""
    return _router(node, virtual_ip)[0]


def _router(node: Node, virtual_ip: str) -> tuple[str, float]:
    """Return the state that a node reports, empty without one, and the effective priority."""
    found, priority = "", 0.0
    for family in text_string_to_metric_families(_metrics(node)):
        for sample in family.samples:
            if sample.labels.get("virtual_ip") != virtual_ip:
                continue
            if sample.name == "kube_vrrp_state" and sample.value == 1:
                found = sample.labels["state"]
            elif sample.name == "kube_vrrp_effective_priority":
                priority = sample.value
    return found, priority


def settled(
    lab: Lab, virtual_ip: str, address: str, *, within_s: float = 20, preempted: bool = True
) -> Node:
    """Wait until one node is Active and holds the address, the others are Backup; return it.

    It is the best one, or that one would preempt it a moment later; unless not ``preempted``.
    """

    def holder() -> Node | None:
        routers = {node.name: _router(node, virtual_ip) for node in lab.nodes}
        states = {name: state for name, (state, _) in routers.items()}
        wanted = ["Active"] + ["Backup"] * (len(lab.nodes) - 1)
        assert sorted(states.values()) == wanted, states
        best = max(routers.values(), key=lambda router: router[1])
        assert not preempted or ("Active", best[1]) in routers.values(), routers
        holders = lab.holders(address)
        return holders[0] if [states[n.name] for n in holders] == ["Active"] else None

    found = eventually(holder, within_s=within_s)
    assert found is not None
    return found


@dataclass(frozen=True)
class Frame:
    """One captured Ethernet frame; ``time_ns`` is when the kernel had it, on CLOCK_MONOTONIC."""

    time_ns: int
    data: bytes

    @property
    def is_vrrp(self) -> bool:
        """Whether it is IPv4 with protocol 112."""
        return self.data[12:14] == b"\x08\x00" and self.data[23] == 112

    @property
    def is_arp(self) -> bool:
        """Whether it is ARP."""
        return self.data[12:14] == b"\x08\x06"

    @property
    def is_neighbor_advertisement(self) -> bool:
        """Whether it is an ICMPv6 Neighbor Advertisement without extension headers."""
        return self.data[12:14] == b"\x86\xdd" and self.data[20] == 58 and self.data[54] == 136


class Capture:
    """Every frame that passes a host's interface while the block runs, both directions."""

    def __init__(self, host: Host) -> None:
        self._process = host.namespace.start(
            [sys.executable, "-m", "tests.netns.capture"], stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"
        self._frames: list[Frame] = []
        self._complete_ns = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Capture:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait(30)

    def frames(self, since_ns: int = 0) -> list[Frame]:
        """Return what was captured so far."""
        return [frame for frame in list(self._frames) if frame.time_ns >= since_ns]

    def until_now(self, since_ns: int) -> list[Frame]:
        """Return what was captured up to now, after the capture has surely caught up."""
        now_ns = time.monotonic_ns()
        eventually(lambda: self._complete_ns > now_ns, within_s=20)
        return [frame for frame in self.frames(since_ns) if frame.time_ns <= now_ns]

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if not line.endswith(b"\n"):
                return  # it was ended as it wrote
            moment, *data = line.split()
            for each in data:
                self._frames.append(Frame(int(moment), bytes.fromhex(each.decode())))
            self._complete_ns = int(moment)
