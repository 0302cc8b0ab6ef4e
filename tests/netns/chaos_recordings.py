"""The simulator's oracle beside each router, held over what real engines recorded.

A recording has every event that reached a router, with its time, and replays through the protocol;
``tests.simulation.watch`` judges each step as it does in virtual time: nobody acts before its timer
ended, late wakes listen first (a Backup to what came meanwhile, too), losers are answered once an
interval, addresses go when they must.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.simulation.settings import NodeConfig
from tests.simulation.watch import Watch

from vrrp.constants import VERSION_3
from vrrp.events import FaultChanged
from vrrp.recording import Step, recorded_router, replay
from vrrp.states import NAMES


@dataclass
class Verdict:
    """What all recordings together say."""

    events: Counter[str] = field(default_factory=Counter)
    """How many events were judged, by kind."""
    lost: int = 0
    """Events that recordings miss: the channel to the agent was full."""
    wrong: list[str] = field(default_factory=list)


def judge_recordings(files: Iterable[Path], lateness_ns: int) -> Verdict:
    """Judge every recording; ``lateness_ns`` is how late a turning loop may be.

    Raises:
        vrrp.recording.RecordingError: a file is no recording.
    """
    verdict = Verdict()
    for path in files:
        _judge(path, lateness_ns, verdict)
    return verdict


def _judge(path: Path, lateness_ns: int, verdict: Verdict) -> None:
    watches: dict[str, Watch] = {}

    def noted() -> Iterator[Mapping[str, Any]]:
        for line in _lines(path):
            if "begins" in line:
                router = recorded_router(line["begins"])
                mine = router.parameters
                config = NodeConfig(
                    mine.priority,
                    mine.adver_interval_ns,
                    mine.down_advertisements,
                    mine.preempt_mode,
                    mine.preempt_delay_ns,
                    frozenset(),
                    None,
                )
                watch = Watch(VERSION_3, lateness_ns, config, mine.source, router.faulty)
                watch.take_up(router.detail)
                watches[line["router"]] = watch
            yield line

    last_ns = woke_ns = None
    for step in replay(noted()):
        if last_ns is not None and step.at_ns - last_ns > lateness_ns:
            woke_ns = step.at_ns
        last_ns = step.at_ns
        verdict.lost += step.missing_before
        if step.missing_before:
            watches.clear()  # from here on nobody knows what they should have done
        watch = watches.get(step.router)
        if watch is None:
            continue
        verdict.events[type(step.event).__name__] += 1
        after = NAMES[type(step.state)]
        wrong = watch.judge(step.event, step.at_ns, step.actions, after, woke_ns=woke_ns)
        if wrong:
            verdict.wrong.append(_words(path, step, wrong))
            watch.take_up(step.state)


def _words(path: Path, step: Step, wrong: str) -> str:
    event = type(step.event).__name__
    if isinstance(step.event, FaultChanged):
        event += f"({step.event.faulty})"
    return f"{path.name} {step.router} at {step.at_ns} {event}: {wrong}"


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the whole lines of a recording; whoever wrote it may have been killed in one."""
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n"):
            yield json.loads(line)
