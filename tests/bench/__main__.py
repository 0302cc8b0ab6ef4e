"""``make bench``: what a client sees, beside keepalived; memory; latencies. Writes a page.

Nothing here is asserted: machines are shared and noisy. Figures are medians and maxima, and ratios
against keepalived, measured in the same session, run by run in turn.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.bench.failover import measure_failovers
from tests.bench.latency import measure_latencies
from tests.bench.memory import measure_memory
from tests.bench.protocol import measure_protocol
from tests.bench.report import Report

from vrrp_lab.lab import Lab
from vrrp_lab.namespaces import LabError

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"


def main() -> int:
    """Measure everything; return the exit status."""
    parser = argparse.ArgumentParser(prog="tests.bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=10, help="of each event")
    parser.add_argument("--output", type=Path, default=_PAGE)
    options = parser.parse_args()
    report = Report(options.runs)
    try:
        measure_protocol(report)
        measure_failovers(report, options.runs)
        with Lab() as lab:
            measure_memory(report, lab)
            measure_latencies(report, lab, options.runs)
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    options.output.write_text(report.page(), encoding="utf-8")
    print(f"written to {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
