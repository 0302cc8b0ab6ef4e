"""``make bench``: what clients see, beside keepalived; memory; latencies. Writes a page.

Nothing here is asserted: machines are shared and noisy. Figures of kube-vrrp and keepalived come
from the same session, run by run in turn. The page is written after a whole run, or to --output.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.agent_kills import measure_agent_kills
from tests.bench.changes import measure_changes
from tests.bench.configuration import measure_configurations
from tests.bench.deleted_address import measure_deleted_address
from tests.bench.engine_kills import measure_engine_kills
from tests.bench.events import EVENTS
from tests.bench.failover import FAILURES, Matrix, measure_failovers
from tests.bench.failover_page import write_failovers
from tests.bench.heals import measure_heals
from tests.bench.held_lock import measure_held_lock
from tests.bench.last_will import measure_last_will
from tests.bench.latency import measure_latencies
from tests.bench.many_checks import measure_many_checks
from tests.bench.memory import measure_memory
from tests.bench.overload import measure_overload
from tests.bench.pods import measure_pods
from tests.bench.process_death import measure_process_deaths
from tests.bench.protocol import measure_protocol
from tests.bench.report import Report
from tests.bench.restarts import measure_restarts
from tests.bench.samples import Samples
from tests.bench.scale import measure_scale
from tests.bench.scrapes import measure_scrapes
from tests.bench.writes import measure_writes

from vrrp_lab.lab import Lab, LabOptions

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
_PARTS = (
    "failover", "heals", "engine", "lock", "overload", "checks", "configuration", "pods",
    "protocol", "memory", "latency", "changes", "writes", "scale",
)  # fmt: skip
_INTERVALS, _ALL_INTERVALS = "1s,200ms", "1s,200ms,100ms,20ms"
_MINUTES, _ALL_MINUTES = 0.5, 10.0
_SCRAPES, _MOVES = 50, 6
_KILLS, _AGENT_KILLS, _WILLS, _ROUNDS = 100, 20, 5, 3
_DEATHS = 20
_PODS_S = 60.0
Step = Callable[[], None]


def main() -> int:
    """Measure what was asked for; return the exit status."""
    options = _parser().parse_args()
    report = Report()
    begun_s = time.monotonic()
    failed = 0
    for name, step in _steps(options, report):
        try:
            step()
        except FAILURES as error:
            failed += 1
            print(f"bench: {name}: {error}", file=sys.stderr, flush=True)
            report.text(f"{name}: not measured, it failed.")
    print(f"\n{(time.monotonic() - begun_s) / 60:.1f} minutes")
    whole = options.only is None and len(options.events) == len(EVENTS)
    page = options.output or (_PAGE if whole else None)
    if page is not None:
        report.write(page)
        print(f"written to {page}")
    return 1 if failed else 0


def _steps(options: argparse.Namespace, report: Report) -> list[tuple[str, Step]]:
    """Return what to do in which order, by name."""
    kills = options.kills
    wills = options.runs if options.full else min(options.runs, _WILLS)
    parts = {
        "failover": [("failover", lambda: _failovers(options, report))],
        "heals": [("cuts that heal", lambda: measure_heals(report, 2 * options.runs))],
        "engine": [
            ("engine killed", lambda: measure_engine_kills(report, kills, 200)),
            ("engine killed at 20 ms", lambda: measure_engine_kills(report, kills // 2, 20)),
            ("engine that cannot resume", lambda: measure_last_will(report, wills)),
            ("agent killed", lambda: measure_agent_kills(report, min(_AGENT_KILLS, kills))),
            ("rolling restart", lambda: measure_restarts(report, _ROUNDS)),
            ("address deleted", lambda: measure_deleted_address(report)),
        ],
        "checks": [
            ("process killed", lambda: measure_process_deaths(report, min(_DEATHS, kills))),
            ("many checks", lambda: measure_many_checks(report)),
        ],
        "lock": [("the kernel's lock held", lambda: measure_held_lock(report))],
        "overload": [("overload", lambda: measure_overload(report, 60 * _minutes(options)))],
        "configuration": [("configuration", lambda: measure_configurations(report))],
        "pods": [("pods", lambda: measure_pods(report, _PODS_S))],
        "protocol": [("protocol", lambda: measure_protocol(report))],
        "scale": [("scale", lambda: measure_scale(report))],
        "memory": [("memory", lambda: _cluster(options, report, ("memory",)))],
        "latency": [("latency", lambda: _cluster(options, report, ("latency",)))],
        "changes": [("changes", lambda: _cluster(options, report, ("changes",)))],
        "writes": [
            ("scrapes", lambda: measure_scrapes(report, _SCRAPES)),
            ("writes", lambda: _cluster(options, report, ("writes",))),
        ],
    }
    if options.only is not None:
        return list(parts[options.only])
    in_cluster = ("memory", "latency", "changes", "writes")
    together = [
        ("scrapes", lambda: measure_scrapes(report, _SCRAPES)),
        (", ".join(in_cluster), lambda: _cluster(options, report, in_cluster)),
    ]
    first = (
        "failover", "heals", "engine", "lock", "overload", "checks", "configuration", "protocol",
        "scale",
    )  # fmt: skip
    return [*(step for name in first for step in parts[name]), *together]


def _minutes(options: argparse.Namespace) -> float:
    whole = _ALL_MINUTES if options.full else _MINUTES
    return whole if options.minutes is None else float(options.minutes)


def _failovers(options: argparse.Namespace, report: Report) -> None:
    samples = Samples(options.samples)
    matrix = Matrix(
        runs=options.runs,
        intervals_ms=options.intervals
        or _intervals(_ALL_INTERVALS if options.full else _INTERVALS),
        events=options.events,
        loads=(False, True) if options.load or options.full else (False,),
    )
    try:
        measure_failovers(matrix, samples)
    finally:
        write_failovers(report, samples)


def _cluster(options: argparse.Namespace, report: Report, parts: tuple[str, ...]) -> None:
    # What it tells beside is when it hears of changes and decides.
    with Lab(LabOptions(operator_flags=("--log-level", "debug"))) as lab:
        if "memory" in parts:
            measure_memory(report, lab)
        if "latency" in parts:
            measure_latencies(report, lab, options.runs)
        if "changes" in parts:
            measure_changes(report, lab, options.runs)
        if "writes" in parts:
            measure_writes(report, lab, min(options.runs, _MOVES))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tests.bench", description=__doc__)
    parser.add_argument("--runs", type=_count, default=10, help="of each event (default: 10)")
    parser.add_argument(
        "--intervals", type=_intervals, help=f"of advertisements (default: {_INTERVALS})"
    )
    parser.add_argument(
        "--events", type=_events, default=tuple(EVENTS), help=f"default: {','.join(EVENTS)}"
    )
    parser.add_argument("--load", action="store_true", help="with every core overloaded as well")
    parser.add_argument(
        "--full",
        action="store_true",
        help=f"--load, --intervals {_ALL_INTERVALS}, --minutes {_ALL_MINUTES:g}",
    )
    parser.add_argument(
        "--minutes", type=_positive, help=f"of each overload (default: {_MINUTES:g})"
    )
    parser.add_argument(
        "--kills", type=_count, default=_KILLS, help=f"of the engine and others (default: {_KILLS})"
    )
    parser.add_argument("--only", choices=_PARTS, help="one part of it")
    parser.add_argument(
        "--samples",
        type=Path,
        help="file that gets each failover as a line of JSON; what it has is not run again",
    )
    parser.add_argument("--output", type=Path, help="page to write; its images go beside it")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text}: accepted are whole numbers from 1")
    return int(text)


def _positive(text: str) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?", text) or not float(text):
        raise argparse.ArgumentTypeError(f"{text}: accepted are numbers above 0")
    return float(text)


def _intervals(text: str) -> list[int]:
    """Read "1s,200ms" as milliseconds, the longest first."""
    found = []
    for word in text.split(","):
        read = re.fullmatch(r"(\d+)(ms|s)", word)
        milliseconds = int(read[1]) * (1000 if read[2] == "s" else 1) if read else 0
        if milliseconds < 10 or milliseconds % 10 or milliseconds > 40_950:
            raise argparse.ArgumentTypeError(f"{word}: accepted are 10ms to 40950ms, 1s to 40s")
        found.append(milliseconds)
    return sorted(found, reverse=True)


def _events(text: str) -> tuple[str, ...]:
    words = text.split(",")
    for word in words:
        if word not in EVENTS:
            raise argparse.ArgumentTypeError(f"{word}: accepted are {', '.join(EVENTS)}")
    return tuple(key for key in EVENTS if key in words)


if __name__ == "__main__":
    sys.exit(main())
