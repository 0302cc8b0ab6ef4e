"""Five hundred addresses that one node takes at once, beside an election that goes on there."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from tests.eventually import eventually
from tests.netns.inside import engine, holders, lateness_p99_s, manifest, routers, transitions
from tests.netns.observe import Capture

from vrrp_lab.lab import Lab
from vrrp_speaker.shared_state.values import EngineState

pytestmark = pytest.mark.netns
NODES = 2
GROUPS, EACH = 8, 63
STEADY, STEADY_VRID, INTERVAL_MS = "steady", 100, 100
FAST = f"advertisementInterval: {INTERVAL_MS}ms, interface: eth0"
MANIFEST = manifest(STEADY, STEADY_VRID, "192.0.2.50/24", ranks=(2, 1), spec=FAST) + "".join(
    manifest(
        f"many-{g}",
        g,
        *(f"10.9.{g}.{n}/32" for n in range(1, EACH + 1)),
        ranks=(1, 2),
        spec=FAST,
    )
    for g in range(1, GROUPS + 1)
)
MANY = [f"many-{g}" for g in range(1, GROUPS + 1)]


def latest(before: EngineState, after: EngineState) -> str:
    """Return the bound that no deadline between two copies exceeded."""
    counts = [b - a for a, b in zip(before.lateness_counts, after.lateness_counts, strict=True)]
    bounds = [f"≤ {bound / 1e6:g} ms" for bound in after.lateness_bounds_ns] + ["beyond"]
    return [bound for count, bound in zip(counts, bounds, strict=True) if count][-1]


def test_504_addresses_that_one_node_takes_delay_no_other_election(sized: Lab) -> None:
    first, second = sized.nodes
    home = {STEADY: second.name, **dict.fromkeys(MANY, first.name)}
    eventually(lambda: holders(sized) == home, within_s=60, every_s=0.2)
    before, copy = transitions([second], STEADY), engine(second)
    with Capture(second.host) as capture:
        first.stop_speaker()
        wanted = dict.fromkeys(MANY, "Active")
        eventually(
            lambda: {n: r.state for n, r in routers(second).items() if n in wanted} == wanted,
            within_s=10,
        )
        taken_ns = time.monotonic_ns()
        frames = capture.until_now(0)
    after = engine(second)
    sent = [f for f in frames if f.is_vrrp and f.data[26:30] == bytes([192, 0, 2, 12])]
    steady = [f.time_ns for f in sent if f.data[35] == STEADY_VRID]
    begun_ns = min(f.time_ns for f in sent if f.data[35] in range(1, GROUPS + 1))
    around = [t for t in steady if begun_ns - 10**9 < t < taken_ns]
    spaces = [(later - earlier) / 1e6 for earlier, later in pairwise(around)]
    print(
        f"{GROUPS * EACH} addresses Active in {(taken_ns - begun_ns) / 1e6:.0f} ms;"
        f" {INTERVAL_MS} ms advertisements beside them were captured"
        f" {min(spaces):.1f} to {max(spaces):.1f} ms apart;"
        f" deadlines p99 {lateness_p99_s(copy, after)}, the latest {latest(copy, after)}"
    )
    assert transitions([second], STEADY) == before
    assert after.engine_starts == copy.engine_starts
