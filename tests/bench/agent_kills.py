"""Kill -9 of the agent: nothing that a client could see depends on it."""

from __future__ import annotations

import os
import signal
import time

from tests.bench.homes import PATIENCE_S, Homes, homes, seen, told
from tests.bench.report import Report
from tests.bench.samples import spread
from tests.eventually import eventually

from vrrp_lab.node import Node

_NODES = 5


def measure_agent_kills(report: Report, kills: int) -> None:
    """Kill the agents of the Active nodes in turn; print what anybody noticed."""
    with homes(_NODES) as place, place.probed() as probes:
        before = place.transitions()
        begun_ns = time.monotonic_ns()
        ready_ns = []
        for number in range(kills):
            node = place.nodes[number % len(place.nodes)]
            ready_ns.append(_kill(place, node))
        windows = seen(probes, begun_ns)
        transitions, moves = told(before, place.transitions()), place.moves(begun_ns)
    report.section(
        f"Agent killed {kills} times",
        "kill -9 of the agent of one Active node after the other, each once it has run for 5 s.",
    )
    rows = [
        ("addresses that went to another node", moves),
        ("transitions counted", transitions),
        ("probes lost", f"{sum(w.lost for w in windows)} of {sum(w.sent for w in windows)}"),
        ("`/readyz` says ok again, ms, p50 / p95 / max", spread(ready_ns)),
    ]
    report.table(("", ""), rows)


def _kill(place: Homes, node: Node) -> int:
    """Kill a node's agent; return how long it was until its successor was ready."""
    pid = place.prove(node, "agent")
    begun_ns = time.monotonic_ns()
    os.kill(pid, signal.SIGKILL)

    def ready() -> bool:
        return node.processes().get("agent", pid) != pid and node.get("/readyz") == "ok\n"

    eventually(ready, within_s=PATIENCE_S)
    return time.monotonic_ns() - begun_ns
