"""The client's gap when the Active node's software, link or power goes.

Every event is done to kube-vrrp and to keepalived in turn, run by run, idle and (if wanted)
overloaded in turn as well; what hits the whole host is watched for both at once.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.contenders import Contender, Stage
from tests.bench.events import EVENTS, Event
from tests.bench.load import overload
from tests.bench.realtime import real_time
from tests.bench.samples import Cell, Sample, Samples
from tests.eventually import eventually

from vrrp_lab.namespaces import LabError
from vrrp_lab.probe import Probe, ProbeReport

FAILURES = (AssertionError, LabError, LookupError, OSError, subprocess.SubprocessError)
"""What a product that does not do its job makes of a run."""
_PATIENCE_S = 30.0
_BEFORE_NS = 5_000_000
_MOST_FAILED = 3


@dataclass(frozen=True)
class Matrix:
    """What to measure."""

    runs: int
    intervals_ms: Sequence[int]
    events: Sequence[str]
    loads: Sequence[bool]


@dataclass(frozen=True)
class _Watched:
    """One address that a client probes."""

    contender: Contender
    family: int
    probe: Probe

    @property
    def address(self) -> str:
        return self.contender.addresses[self.family]


def measure_failovers(matrix: Matrix, samples: Samples) -> None:
    """Run the whole matrix."""
    with tempfile.TemporaryDirectory(prefix="kube-vrrp-bench-") as folder:
        for interval_ms in matrix.intervals_ms:
            _measure_interval(matrix, interval_ms, samples, Path(folder))


def _measure_interval(matrix: Matrix, interval_ms: int, samples: Samples, folder: Path) -> None:
    stage = Stage(interval_ms, folder)
    try:
        for event in (EVENTS[key] for key in matrix.events):
            print(f"failover: {event.title}, {interval_ms} ms", flush=True)
            failed = 0
            for run, loaded, turn in _turns(matrix, event, stage):
                phase = run / matrix.runs
                if failed >= _MOST_FAILED:
                    break
                if _taken(stage, event, turn, run, samples, loaded=loaded):
                    continue
                try:
                    for sample in _run(stage, event, turn, run, phase, loaded=loaded):
                        samples.add(sample)
                except FAILURES as error:
                    failed += 1
                    print(f"failover: run {run} came to no end: {error}", flush=True)
                    for contender in _of(stage, turn):
                        samples.fail(_cell(stage, event, contender, 4, loaded), str(error))
                    stage.close()
                    stage = Stage(interval_ms, folder)
    finally:
        stage.close()


def _turns(matrix: Matrix, event: Event, stage: Stage) -> Iterator[tuple[int, bool, list[int]]]:
    """Yield run, load, and which contenders' turn it is (a stage may be replaced meanwhile)."""
    everyone = list(range(len(stage.contenders)))
    for run in range(matrix.runs):
        for loaded in matrix.loads:
            for turn in [everyone] if event.shared else [[number] for number in everyone]:
                yield run, loaded, turn


def _of(stage: Stage, turn: list[int]) -> list[Contender]:
    return [stage.contenders[number] for number in turn]


def _cell(stage: Stage, event: Event, contender: Contender, family: int, loaded: bool) -> Cell:
    return Cell(event.key, round(stage.interval_s * 1000), loaded, contender.name, family)


def _taken(
    stage: Stage, event: Event, turn: list[int], run: int, samples: Samples, *, loaded: bool
) -> bool:
    return all(
        samples.has(_cell(stage, event, contender, family, loaded), run)
        for contender in _of(stage, turn)
        for family in event.families
    )


def _run(
    stage: Stage, event: Event, turn: list[int], run: int, phase: float, *, loaded: bool
) -> list[Sample]:
    contenders = _of(stage, turn)
    for contender in contenders:
        if event.proven:
            contender.prove()
    stage.holders.heard.clear()
    stage.settle(event.steady_s)
    with contextlib.ExitStack() as stack:
        watched = [
            _Watched(contender, family, stack.enter_context(_probe(stage, contender, family)))
            for contender in contenders
            for family in event.families
        ]
        stack.enter_context(overload(stage.lab.lan.processes, wanted=loaded))
        for one in watched:
            one.probe.wait_answered(_PATIENCE_S)
        # Waiting for an address to settle ends at the same point between two advertisements each
        # time; spread over the runs, trouble comes at any.
        time.sleep(phase * stage.interval_s)
        found = _watch(stage, event, watched, run, loaded=loaded)
    event.mend(stage, contenders[0])
    return found


def _watch(
    stage: Stage, event: Event, watched: list[_Watched], run: int, *, loaded: bool
) -> list[Sample]:
    """Let the event happen and return what was seen of it."""
    begun_ns = time.monotonic_ns()
    event.harm(stage, watched[0].contender)
    _until_quiet(stage, watched, begun_ns, event.harm_least_s(stage.interval_s))
    left = [_left_behind(stage, one) for one in watched]
    if event.undo is not None:
        undone_ns = time.monotonic_ns()
        event.undo(stage, watched[0].contender)
        _until_quiet(stage, watched, undone_ns, event.undo_least_s(stage.interval_s))
    found = []
    for one, left_behind in zip(watched, left, strict=True):
        ended_ns = time.monotonic_ns()
        window = one.probe.report(begun_ns - _BEFORE_NS)
        timeline = stage.holders.timeline(one.address)
        sample = Sample(
            _cell(stage, event, one.contender, one.family, loaded),
            run,
            gap_ns=window.longest_gap_ns,
            sent=window.sent,
            lost=window.lost,
            stall_ns=window.stall_ns,
            several_ns=timeline.time_ns(begun_ns, ended_ns, lambda count: count > 1),
            none_ns=timeline.time_ns(begun_ns, ended_ns, lambda count: count == 0),
            gained=timeline.gained(begun_ns, ended_ns),
            left_behind=left_behind,
            waited_ns=_waited_ns(stage, one, window) if event.shared else None,
        )
        found.append(sample)
    return found


def _waited_ns(stage: Stage, one: _Watched, window: ProbeReport) -> int | None:
    """Return how long after the last advertisement the successor's first answer came.

    What the moment of the harm has no part in: a gap is this less the age of that advertisement.
    """
    begun_ns, length_ns = max(window.gaps, key=lambda gap: gap[1], default=(0, 0))
    answered_ns = begun_ns + length_ns
    last_ns = stage.last_heard_ns(one.contender, begun_ns) if length_ns else None
    return None if last_ns is None else answered_ns - last_ns


def _probe(stage: Stage, contender: Contender, family: int) -> Probe:
    with real_time():
        return stage.lab.client.probe(contender.addresses[family])


def _until_quiet(stage: Stage, watched: list[_Watched], begun_ns: int, least_s: float) -> None:
    """Wait for the end of an event: somebody holds every address, for a while, and answers."""
    steady_ns = int(max(0.3, 0.5 * stage.interval_s) * 1e9)

    def quiet() -> bool:
        now_ns = time.monotonic_ns()
        if now_ns - begun_ns < least_s * 1e9:
            return False
        for one in watched:
            since_ns, holders = stage.holders.timeline(one.address).latest()
            if not holders or now_ns - since_ns < steady_ns:
                return False
            recent = one.probe.report(now_ns - 250_000_000, now_ns - 50_000_000)
            if recent.last_answered_ns is None:
                return False
        return True

    eventually(quiet, within_s=least_s + _PATIENCE_S)


def _left_behind(stage: Stage, one: _Watched) -> bool:
    _, holders = stage.holders.timeline(one.address).latest()
    return len(holders) > 1 and stage.lab.lan.hosts[0].name in holders
