"""What a reconcile costs the operator, by cause, at scale: CPU, writes and memory.

The operator is real, its API server and speakers are in memory (``simulated_cluster``): what is
measured is its own work, not that of a network, a disk, or of the JSON of watches.

``python -m tests.bench.scale VIRTUAL_IPS NODES`` prints it as JSON; ``--profile CAUSE`` what it is.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.report import Report
from tests.bench.simulated_cluster import SimulatedCluster

_SIZES = ((100, 10), (1000, 50))
_ROUNDS = 3
_SETTLED = 6
_ROOT = Path(__file__).resolve().parents[2]
Change = Callable[[SimulatedCluster, int], None]


def measure_scale(report: Report) -> None:
    """Measure each size in a process of its own."""
    report.section(
        "Operator at scale",
        "A reconcile by its cause: CPU time in ms, median and longest of"
        f" {_ROUNDS}, and what it writes. The operator is real, API server and speakers are in"
        " memory; candidates are the default 5, every VirtualIP names one of 20 HealthChecks.",
    )
    for virtual_ips, nodes in _SIZES:
        command = [sys.executable, "-m", "tests.bench.scale", str(virtual_ips), str(nodes)]
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
        report.heading(f"{virtual_ips} VirtualIPs, {nodes} nodes")
        report.table(("cause", "ms", "longest", "writes", "kB written"), found["rows"])
        report.text(f"- memory: {found['memory_mb']} MB, of which imports {found['imports_mb']}")


CAUSES: dict[str, Change] = {
    "nothing": lambda cluster, _: None,
    "every node's heartbeat": lambda cluster, _: cluster.report(),
    "one VirtualIP edited": lambda cluster, n: cluster.edit("vip-0001", downAdvertisements=4 + n),
    "one VirtualIP made": lambda cluster, n: cluster.make(9000 + n),
    "one VirtualIP deleted": lambda cluster, n: cluster.delete("virtualips", f"vip-{9000 + n}"),
    "4 ↔ 5 ready endpoints on each node": lambda cluster, n: cluster.set_endpoints(5 - n % 2),
    "one address fails over": lambda cluster, n: _fail_over(cluster, f"vip-{n:04}"),
    "a node drained": lambda cluster, n: _drain(cluster, f"node-{n:03}"),
    "complete lists": lambda cluster, _: cluster.reconciler.relist(),
}


def _fail_over(cluster: SimulatedCluster, name: str) -> None:
    holder = cluster.holder(name)
    routers = cluster.get("nodeconfigs", holder)
    (router,) = (r for r in routers["spec"]["virtualRouters"] if r["name"] == name)
    second = max(router["peers"], key=lambda peer: int(peer["priority"]))["node"]
    cluster.hand(name, holder, second)


def _drain(cluster: SimulatedCluster, node: str) -> None:
    obj = cluster.get("nodes", node)
    obj["metadata"]["annotations"] = {"kube-vrrp.io/maintenance": "true"}
    cluster.put("nodes", obj)


def _cycle(cluster: SimulatedCluster) -> float:
    """Run a cycle; return how much CPU time it took, in ms."""
    begun_s = time.process_time()
    cluster.reconciler.run_cycle()
    return 1000 * (time.process_time() - begun_s)


def _settle(cluster: SimulatedCluster) -> None:
    """Go on until nobody has anything to write."""
    for _ in range(_SETTLED):
        cluster.report()
        cluster.writes.clear()
        cluster.reconciler.run_cycle()
        if not cluster.writes:
            return


def _measure(virtual_ips: int, nodes: int, profiled: str) -> dict[str, Any]:
    import vrrp_operator.run  # noqa: F401 - of the operator's memory

    imports_mb = _memory_mb()
    cluster = SimulatedCluster(virtual_ips, nodes)
    rows = [_row("the first, of an empty cluster", [_cycle(cluster)], cluster)]
    cluster.report()
    rows.append(_row("every node has reported first", [_cycle(cluster)], cluster))
    if profiled == "full":
        _profile(cluster, cluster.report)
    cluster.report()
    rows.append(_row("every election has begun", [_cycle(cluster)], cluster))
    _settle(cluster)
    memory_mb = _memory_mb()
    for cause, change in CAUSES.items():
        if not cause.startswith(profiled):
            continue
        spent = []
        for number in range(_ROUNDS):
            change(cluster, number)
            cluster.writes.clear()
            cluster.written_bytes = 0
            if profiled and number == _ROUNDS - 1:
                _profile(cluster, lambda: None)
            spent.append(_cycle(cluster))
            row = _row(cause, spent, cluster)
            _settle(cluster)
        rows.append(row)
    return {"rows": rows, "memory_mb": memory_mb, "imports_mb": imports_mb}


def _row(cause: str, spent_ms: list[float], cluster: SimulatedCluster) -> list[Any]:
    wrote = ", ".join(f"{count} {kind}" for kind, count in cluster.writes.items()) or "nothing"
    median = sorted(spent_ms)[len(spent_ms) // 2]
    row = [cause, f"{median:.0f}", f"{max(spent_ms):.0f}", wrote, cluster.written_bytes // 1000]
    cluster.writes.clear()
    cluster.written_bytes = 0
    return row


def _profile(cluster: SimulatedCluster, change: Callable[[], None]) -> None:
    change()
    profile = cProfile.Profile()
    profile.runcall(cluster.reconciler.run_cycle)
    pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(45)


def _memory_mb() -> int:
    """Return what the process has in memory now, resident."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) // 1024


def main() -> int:
    """Measure one size, and print it as JSON."""
    parser = argparse.ArgumentParser(prog="tests.bench.scale", description=__doc__)
    parser.add_argument("virtual_ips", type=int)
    parser.add_argument("nodes", type=int)
    parser.add_argument("--profile", default="", help="print of one cause where its time goes")
    options = parser.parse_args()
    print(json.dumps(_measure(options.virtual_ips, options.nodes, options.profile), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
