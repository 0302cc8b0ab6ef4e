"""An engine that cannot go on: how soon a successor answers, in units of its skew time."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence

from tests.bench.contenders import PRIORITIES
from tests.bench.homes import INTERVAL_MS, PATIENCE_S, Homes, homes
from tests.bench.report import Report
from tests.bench.samples import spread
from tests.eventually import eventually

from vrrp_lab.node import Node
from vrrp_lab.probe import Probe

_SKEW_NS = (256 - PRIORITIES[1]) / 256 * INTERVAL_MS * 1e6
"""RFC 9568, 6.1: (256 − priority) / 256 intervals, here of the second best node."""
_CRASHES = 3
_WATCHED_S = 2.0
_EXACT_NS = 500_000

Harm = Callable[[Node], int]
"""Does the harm and returns when the engine died for the last time."""


def measure_last_will(report: Report, runs: int) -> None:
    """Take away what an engine needs to resume, then kill it."""
    cases: dict[str, Harm] = {
        "program spoilt": _spoil_program,
        "program spoilt, agent frozen": _spoil_for_good,
        "crash loop": _crash,
    }
    with homes() as place:
        found = {name: [_run(place, harm) for _ in range(runs)] for name, harm in cases.items()}
    report.section(
        "Engine that cannot resume",
        f"From the engine's last death to the successor's first answer, {runs} runs each;"
        f" {INTERVAL_MS} ms advertisements, the successor's skew is {_SKEW_NS / 1e6:.0f} ms."
        " *Program spoilt*: its program file is garbage when the engine is killed; the agent may"
        " write a new one, unless it is frozen. *Crash loop*:"
        f" {_CRASHES} engines in a row are killed as they start. Without a successor the node"
        " itself went on, after the gap given.",
    )
    header = ("", "successor took over", "after ms, p50 / p95 / max", "in skews", "gap ms")
    report.table(header, [_row(name, outcomes) for name, outcomes in found.items()])


def _row(name: str, found: Sequence[tuple[int | None, int]]) -> tuple[str, ...]:
    taken_ns = [after_ns for after_ns, _ in found if after_ns is not None]
    skews = spread(taken_ns, scale=_SKEW_NS, digits=2)
    gaps = spread(gap_ns for _, gap_ns in found)
    return name, f"{len(taken_ns)} of {len(found)}", spread(taken_ns), skews, gaps


def _run(place: Homes, harm: Harm) -> tuple[int | None, int]:
    """Return how long the successor's first answer took, None without one; and the gap."""
    node = place.nodes[0]
    place.settle()
    with place.probed() as probes:
        probe = probes[node.name]
        begun_ns = time.monotonic_ns()
        died_ns = harm(node)
        time.sleep(_WATCHED_S)
        window = probe.report(begun_ns)
        after_ns = _first_answer_ns(probe, node, died_ns)
    # A new supervisor has seen no crash. What is left of its predecessor goes by itself.
    node.kill_speaker()
    address = place.address(node)
    eventually(
        lambda: node.name not in place.holders.timeline(address).latest()[1], within_s=PATIENCE_S
    )
    node.start_speaker()
    return after_ns, window.longest_gap_ns


def _spoil_for_good(node: Node) -> int:
    os.kill(node.processes()["agent"], signal.SIGSTOP)
    return _spoil_program(node)


def _spoil_program(node: Node) -> int:
    (node.run_dir / "program.json").write_text("garbage")
    died_ns = time.monotonic_ns()
    os.kill(node.processes()["engine"], signal.SIGKILL)
    return died_ns


def _crash(node: Node) -> int:
    pid = died_ns = 0
    for _ in range(_CRASHES):
        before = pid

        def another(before: int = before) -> int:
            found = node.processes().get("engine", 0)
            return found if found != before else 0

        pid = eventually(another, within_s=PATIENCE_S, every_s=0)
        died_ns = time.monotonic_ns()
        os.kill(pid, signal.SIGKILL)
    return died_ns


def _first_answer_ns(probe: Probe, node: Node, since_ns: int) -> int | None:
    """Return how long after ``since_ns`` another node answered first, found by halving."""

    def answered(until_ns: int) -> bool:
        macs = probe.report(since_ns, until_ns).macs
        return any(count and mac != node.host.mac for mac, count in macs.items())

    low, high = since_ns, time.monotonic_ns()
    if not answered(high):
        return None
    while high - low > _EXACT_NS:
        middle = (low + high) // 2
        low, high = (low, middle) if answered(middle) else (middle, high)
    return high - since_ns
