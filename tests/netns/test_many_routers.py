"""As many Virtual Routers as a LAN can have, at 100 ms."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.eventually import eventually
from tests.netns.inside import engine, holders, lateness_p99_s, manifest, transitions

from vrrp_lab.lab import Lab
from vrrp_lab.node import Node

pytestmark = pytest.mark.netns
NODES = 2
COUNT, WATCHED_S = 255, 10
MANIFEST = "".join(
    manifest(f"vip-{n}", n, f"10.9.0.{n}/32", ranks=(1, 2),
             spec="advertisementInterval: 100ms, interface: eth0")
    for n in range(1, COUNT + 1)
)  # fmt: skip


def resident_mb(node: Node) -> float:
    """Return what the engine has in memory (proc(5), VmRSS)."""
    status = Path(f"/proc/{node.processes()['engine']}/status").read_text().splitlines()
    (line,) = [line for line in status if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024


def test_255_routers_at_100_ms_settle_at_the_best_node_and_stay(sized: Lab) -> None:
    home = sized.node("node-1")
    begun_s = time.monotonic()
    everything = {f"vip-{n}": home.name for n in range(1, COUNT + 1)}
    eventually(lambda: holders(sized) == everything, within_s=60, every_s=0.2)
    print(f"{COUNT} routers Active after {time.monotonic() - begun_s:.1f} s")
    before, copies = transitions(sized.nodes), {n.name: engine(n) for n in sized.nodes}
    since_s = time.monotonic()
    eventually(lambda: time.monotonic() - since_s >= WATCHED_S, within_s=WATCHED_S + 5, every_s=0.5)
    assert transitions(sized.nodes) == before
    assert holders(sized) == everything
    for node in sized.nodes:
        late = lateness_p99_s(copies[node.name], engine(node))
        print(f"{node.name}: engine {resident_mb(node):.1f} MB, deadlines p99 {late}")
        starts = engine(node).engine_starts
        assert starts == copies[node.name].engine_starts
