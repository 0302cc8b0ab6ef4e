"""The failover part of the page: for each event a plot and a table."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench.events import EVENTS, Event
from tests.bench.plot import Row, dot_plot
from tests.bench.report import Report
from tests.bench.samples import Cell, Sample, Samples, percentile, spread

_COLORS = {"kube-vrrp": "#1a56a8", "keepalived": "#b4510a"}
_TEXT = """A client on the LAN probes the address with an ICMP echo every millisecond. *Gap*: the
longest time from one answered probe to the next, 0 when all were answered. *Two*, *none*: for how
long more than one host, or none, had the address, as their kernels reported it. *Left behind*: runs
at whose end the harmed host still had the address although another one had it too. Three figures
are p50 / p95 / max; of ten runs p95 is the largest. *Loaded*: two processes that only compute for
every core, at normal priority. The prober runs at real-time priority, and so does kube-vrrp's
engine by its default; keepalived runs at normal priority, its own default.

kube-vrrp (signed, its default) and keepalived run on the same hosts at the same time with the same
priorities, each event on one and then on the other, idle and loaded in turn; a cut link and a power
cut hit both at once. The runs of an event are spread evenly over the time between two
advertisements. Where the harm hits both, a gap is the protocol's wait less the age that the last
advertisement had by chance; *after the last advertisement* is the wait without that chance, until
the successor's first answer."""
_HEADER = (
    "interval",
    "",
    "",
    "gap ms",
    "of keepalived's",
    "lost",
    "two s",
    "none s",
    "left behind",
)
_WAITED = "after the last advertisement, ms"


def write_failovers(report: Report, samples: Samples) -> None:
    """Add the section with everything that was measured."""
    if not samples.taken and not samples.failed:
        return
    report.section("Failover", _TEXT)
    if samples.taken:
        worst = max(samples.taken, key=lambda sample: sample.stall_ns)
        report.text(
            f"The prober itself was never silent for longer than {worst.stall_ns / 1e6:.0f} ms"
            f" ({_where(worst.cell)})."
        )
    for event in EVENTS.values():
        cells = samples.cells(event.key)
        if cells:
            _write_event(report, samples, event, cells)
    for cell, reasons in samples.failed.items():
        report.text(f"- {_where(cell)}: {len(reasons)} runs came to no end ({reasons[0]}).")


def _write_event(report: Report, samples: Samples, event: Event, cells: Sequence[Cell]) -> None:
    report.heading(event.title[0].upper() + event.title[1:])
    rows = [
        Row(
            f"{_interval(cell)} {_load(cell)}{_family(cell)} {cell.contender}",
            _COLORS[cell.contender],
            [sample.gap_ns / 1e6 for sample in samples.of(cell)],
            _interval(cell),
        )
        for cell in cells
    ]
    count = max(len(row.values) for row in rows)
    subtitle = f"{report.machine_line}; runs: {count}; tick: median, bar: to p95, dot: one run"
    title = f"What a client misses: {event.title}"
    name = f"failover-{event.key}.svg"
    report.figure(name, title, dot_plot(title, subtitle, rows))
    header = (*_HEADER, _WAITED) if event.shared else _HEADER
    report.table(header, [_row(samples, cell, event) for cell in cells])


def _row(samples: Samples, cell: Cell, event: Event) -> tuple[object, ...]:
    runs = samples.of(cell)
    left = sum(run.left_behind for run in runs)
    return (
        _interval(cell),
        _load(cell),
        cell.contender + _family(cell),
        spread(run.gap_ns for run in runs),
        _ratio(samples, cell, runs),
        spread((run.lost for run in runs), scale=1),
        spread((run.several_ns for run in runs), scale=1e9, digits=2),
        spread((run.none_ns for run in runs), scale=1e9, digits=2),
        f"{left} of {len(runs)}",
        *([_waited(runs)] if event.shared else []),
    )


def _waited(runs: Sequence[Sample]) -> str:
    return spread(run.waited_ns for run in runs if run.waited_ns is not None)


def _ratio(samples: Samples, cell: Cell, runs: Sequence[Sample]) -> str:
    """Return the median gap as a multiple of keepalived's."""
    theirs = Cell(cell.event, cell.interval_ms, cell.loaded, "keepalived", cell.family)
    reference = [sample.gap_ns for sample in samples.of(theirs)]
    if not reference:
        return "–"
    median, other = percentile([run.gap_ns for run in runs], 50), percentile(reference, 50)
    if other:
        return f"{median / other:.2f}"
    return "–" if median else "both 0"


def _where(cell: Cell) -> str:
    return f"{cell.event}, {_interval(cell)}, {_load(cell)}, {cell.contender}{_family(cell)}"


def _interval(cell: Cell) -> str:
    seconds, rest = divmod(cell.interval_ms, 1000)
    return f"{cell.interval_ms} ms" if rest else f"{seconds} s"


def _load(cell: Cell) -> str:
    return "loaded" if cell.loaded else "idle"


def _family(cell: Cell) -> str:
    return " IPv6" if cell.family == 6 else ""
