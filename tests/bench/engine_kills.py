"""Kill -9 of the engine, again and again, while clients and peers watch."""

from __future__ import annotations

import os
import signal
import time
from itertools import pairwise

from tests.bench.homes import Homes, homes, seen, told
from tests.bench.pods import add_links, veth_pairs
from tests.bench.report import Report
from tests.bench.samples import spread

_AFTER_S = 1.5
_NODES = 5
"""Each engine has to live for 5 s before it is killed: five nodes make that one a second."""
_PODS = 150
"""On each node, as pairs of veth interfaces."""


def measure_engine_kills(report: Report, kills: int, interval_ms: int) -> None:
    """Kill the engines of the Active nodes in turn; print what anybody noticed."""
    with homes(_NODES, advertisements=True, interval_ms=interval_ms) as place:
        for node in place.nodes:
            add_links(node, veth_pairs(_PODS))
        place.settle()
        _kill(report, place, kills, interval_ms)


def _kill(report: Report, place: Homes, kills: int, interval_ms: int) -> None:
    with place.probed() as probes:
        before = place.transitions()
        begun_ns = time.monotonic_ns()
        for number in range(kills):
            node = place.nodes[number % len(place.nodes)]
            os.kill(place.prove(node, "engine"), signal.SIGKILL)
        time.sleep(_AFTER_S)
        windows = seen(probes, begun_ns)
        transitions, moves = told(before, place.transitions()), place.moves(begun_ns)
        pauses_ns = _pauses_ns(place, begun_ns)
    report.section(
        f"Engine killed {kills} times, advertisements every {interval_ms} ms",
        "kill -9 of the engine of one Active node after the other, each once it has run for 5 s;"
        f" {_NODES} addresses, each probed every millisecond, nodes with {_PODS} pods each."
        " Advertisements as a peer hears them.",
    )
    rows = [
        ("addresses that went to another node", moves),
        ("transitions counted", transitions),
        ("probes lost", f"{sum(w.lost for w in windows)} of {sum(w.sent for w in windows)}"),
        ("longest gap, ms", f"{max(w.longest_gap_ns for w in windows) / 1e6:.0f}"),
        ("between advertisements, ms, p50 / p95 / max", spread(pauses_ns)),
        ("the largest, in intervals", f"{max(pauses_ns) / interval_ms / 1e6:.2f}"),
    ]
    report.table(("", ""), rows)


def _pauses_ns(place: Homes, since_ns: int) -> list[int]:
    """Return the times between two advertisements of an Active node, as one peer heard them."""
    heard = place.holders.advertisements_since(since_ns)
    pauses: list[int] = []
    for number, node in enumerate(place.nodes):
        peer = place.nodes[(number + 1) % len(place.nodes)]
        wanted = (peer.name, node.host.address, place.vrid(node))
        times = [h.at_ns for h in heard if (h.host, h.source, h.vrid) == wanted]
        pauses += [later - earlier for earlier, later in pairwise(times)]
    return pauses
