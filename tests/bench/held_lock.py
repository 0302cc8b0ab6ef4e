"""The kernel's rtnl lock, held by others: spacing of advertisements, beside keepalived."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from tests.bench.contenders import KeepalivedContender, KubeVrrp, manifest
from tests.bench.holders import Holders
from tests.bench.report import Report
from tests.eventually import eventually
from tests.netns.inside import all_at, transitions
from tests.netns.kernel_lock import rtnl_held

from vrrp_lab.lab import Lab, LabOptions

_INTERVALS_MS = (200, 100, 20)
_HOLDS = ((15, 300), (5, 1000), (1, 3000))
"""How often, and for how many milliseconds."""
_OUR_VRID, _THEIR_VRID = 51, 99
_SETTLES_S, _APART_S = 3.0, 0.5
_NAMES = {_OUR_VRID: "kube-vrrp", _THEIR_VRID: "keepalived"}


def measure_held_lock(report: Report) -> None:
    """Hold it again and again; print the longest time between two advertisements."""
    rows = [row for interval_ms in _INTERVALS_MS for row in _measure(interval_ms)]
    report.section(
        "The kernel's lock held",
        "Nobody on the machine adds or removes a link or an address meanwhile; the longest time"
        " between two advertisements of the Active node, as its neighbour heard them. Leases are"
        " renewed by kube-vrrp only.",
    )
    report.table(("interval", "held", "kube-vrrp, ms", "keepalived, ms", "transitions"), rows)


def _measure(interval_ms: int) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "manifest.yaml"
        path.write_text(manifest("held", KubeVrrp.addresses[4], _OUR_VRID, interval_ms))
        with Lab(LabOptions(standalone=(path,))) as lab:
            holders = Holders(lab.lan.hosts, advertisements=True)
            theirs = KeepalivedContender(lab, interval_ms / 1000)
            all_at(lab, lab.nodes[0])
            address = theirs.addresses[4]
            eventually(lambda: lab.lan.hosts[0].holds(address), within_s=40)
            time.sleep(_SETTLES_S)
            for times, milliseconds in _HOLDS:
                before, since_ns = transitions(lab.nodes), time.monotonic_ns()
                for _ in range(times):
                    with rtnl_held():
                        time.sleep(milliseconds / 1000)
                    time.sleep(_APART_S)
                gaps = _longest_gaps(holders, lab, since_ns)
                moved = transitions(lab.nodes) - before
                held = f"{times} × {milliseconds} ms"
                rows.append((f"{interval_ms} ms", held, *(gaps[v] for v in _NAMES), moved))
    return rows


def _longest_gaps(holders: Holders, lab: Lab, since_ns: int) -> dict[int, str]:
    """Return the longest time between two advertisements that node-2 heard of node-1, by VRID."""
    source, listener = lab.lan.hosts[0].address, lab.nodes[1].name
    moments: dict[int, list[int]] = {vrid: [] for vrid in _NAMES}
    for heard in holders.advertisements_since(since_ns):
        if heard.source == source and heard.host == listener and heard.vrid in moments:
            moments[heard.vrid].append(heard.at_ns)
    return {vrid: _longest_ms(sorted(found)) for vrid, found in moments.items()}


def _longest_ms(moments_ns: Sequence[int]) -> str:
    gaps = [after - before for before, after in pairwise(moments_ns)]
    return f"{max(gaps, default=0) / 1e6:.0f}"
