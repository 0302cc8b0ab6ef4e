"""Speakers restarted one after the other, as a roll-out of a DaemonSet does."""

from __future__ import annotations

import time

from tests.bench.homes import Homes, homes, seen
from tests.bench.report import Report
from tests.bench.samples import spread

from vrrp_lab.node import Node
from vrrp_lab.probe import Probe, ProbeReport


def measure_restarts(report: Report, rounds: int) -> None:
    """SIGTERM and start, on each node in turn; print what clients of all addresses saw."""
    with homes() as place, place.probed() as probes:
        begun_ns = time.monotonic_ns()
        stops_ns: list[int] = []
        windows: dict[str, list[list[ProbeReport]]] = {node.name: [] for node in place.nodes}
        for _ in range(rounds):
            for node in place.nodes:
                windows[node.name].append(_restart(place, node, probes, stops_ns))
        moves = place.moves(begun_ns)
    report.section(
        "Rolling restart",
        "SIGTERM, wait, start, wait until the node's address is back at home; on each node in turn,"
        f" {rounds} rounds. Three addresses, each Active on one of the nodes; lost are probes of"
        " all three.",
    )
    rows = []
    for name, found in windows.items():
        lost = [sum(window.lost for window in one) for one in found]
        gaps = [max(window.longest_gap_ns for window in one) for one in found]
        rows.append((name, spread(lost, scale=1), spread(gaps), sum(w.sent for w in found[0])))
    report.table(("restarted", "lost p50 / p95 / max", "longest gap ms", "probes sent"), rows)
    report.text(
        f"A stop took {spread(stops_ns)} ms (p50 / p95 / max); {moves} times an address went to"
        f" another node, in {rounds * len(windows)} restarts."
    )


def _restart(
    place: Homes, node: Node, probes: dict[str, Probe], stops_ns: list[int]
) -> list[ProbeReport]:
    place.settle()
    begun_ns = time.monotonic_ns()
    node.stop_speaker()
    stops_ns.append(time.monotonic_ns() - begun_ns)
    node.start_speaker()
    place.settle()
    return seen(probes, begun_ns)
