"""When checks run, and what late, stuck and removed ones count for.

Checks that ask somebody run at their interval, each apart from all others. A run that misses its
timeout fails at its deadline, not when it returns; what it says later is ignored. While a run is
still stuck the next one is skipped, and skipped runs fail like missed ones. Checks of what the node
or the operator knows by itself have no runs: news of them counts at once, and what was last known
counts again at each interval, for ``rise`` and ``fall``.
"""

from __future__ import annotations

import itertools
import logging
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from vrrp_api.check_kinds import POLLED, CheckKind, FileCheck
from vrrp_api.conditions import Reason
from vrrp_api.duration import format_duration
from vrrp_api.health_check import HealthCheck
from vrrp_speaker.agent.checks.budget import slowed
from vrrp_speaker.agent.checks.facts import asked, known_result
from vrrp_speaker.agent.checks.run import Run
from vrrp_speaker.agent.checks.state import CheckState, initial_state
from vrrp_speaker.agent.checks.verdict import Result, Verdict
from vrrp_speaker.agent.messages import CheckEnded, CheckMessage, CheckNews, CheckTouched

_log = logging.getLogger(__name__)
_APART_S = 0.001
"""Between the first runs of checks that arrive together."""
_SILENCE_S = 5.0
"""For so long a source may say nothing of a check; an undecided check may hold a router back."""
_TIMED_OUT = "timed out"
_MILLISECOND_NS = 1_000_000
_HAS_RUNS = (*POLLED, FileCheck)

Begin = Callable[[Run], None]


class Source(Protocol):
    """Watches what checks of some kinds look at, and puts news of it into the agent's inbox."""

    def watch(self, wanted: Mapping[str, CheckKind]) -> None:
        """Watch for these checks, by name, and no others."""

    def stop(self) -> None:
        """Watch nothing any more."""


@dataclass(slots=True)
class RunningCheck:
    """One check of this node; times are CLOCK_MONOTONIC seconds, ``since_s`` is wall time."""

    check: HealthCheck
    state: CheckState
    begun_s: float
    due_s: float
    interval_ns: int
    """What it runs at: its own interval, or a longer one where a node's checks are too many."""
    run: Run | None = None
    first: bool = True
    stuck: bool = False
    touched: bool = False
    fact: Result | None = None
    message: str = ""
    value: int = 0
    unreadable: bool = False
    since_s: float = 0.0
    durations: list[float] = field(default_factory=lambda: [0.0, 0.0])
    """Sum of seconds and number of runs, for the metric."""

    @property
    def verdict(self) -> Verdict:
        """What the check comes to now."""
        return Verdict(self.state.decided, self.state.passing, self.value, self.unreadable)

    @property
    def said(self) -> str:
        """What its latest result, and its pace, have to tell people."""
        if self.interval_ns == self.check.interval_ns:
            return self.message
        pace, own = format_duration(self.interval_ns), format_duration(self.check.interval_ns)
        slow = f"{Reason.CHECK_SLOWED}: runs every {pace} instead of {own}: too many on this node"
        return f"{self.message}; {slow}" if self.message else slow

    @property
    def next_s(self) -> float:
        """When there is something to do: a deadline, or a run that is due."""
        waiting = self.run is not None and not self.stuck
        return self.run.deadline_s if waiting and self.run is not None else self.due_s


class CheckRunner:
    """Runs the checks of the configuration; driven by ``step`` from the agent's loop."""

    def __init__(self, begin: Begin, sources: Mapping[type, Source], most_per_s: int) -> None:
        """``begin`` starts a run that ends in a ``CheckEnded``; ``sources`` are by kind.

        ``most_per_s``: what all runs of a second together may cost.
        """
        self._begin_run = begin
        self._sources = sources
        self._most_per_s = most_per_s
        self._slowed: frozenset[str] = frozenset()
        self._numbers = itertools.count(1)
        self.checks: dict[str, RunningCheck] = {}

    def configure(self, checks: Iterable[HealthCheck], now_s: float) -> bool:
        """Make the running checks equal the wanted ones; return whether a verdict changed.

        Results of those that stay are kept. Another target decides anew: what its first run finds.
        """
        wanted = {check.name: check for check in checks}
        for name in list(self.checks):
            if name not in wanted:
                _give_up(self.checks.pop(name))
        paces = self._paces(wanted.values())
        first_s, changed = now_s, False
        for name, check in wanted.items():
            running = self.checks.get(name)
            if running is None or asked(running.check.kind) != asked(check.kind):
                self.checks[name] = running = _started(check, first_s, running)
                changed |= running.state.decided
                first_s += _APART_S
            else:
                running.state = running.state.reconfigured(check.rise, check.fall)
                running.due_s = min(running.due_s, now_s + paces[name] / 1e9)
                running.check = check
            running.interval_ns = paces[name]
            changed |= self._take_known(running)
        self._watch()
        return changed

    def _paces(self, checks: Iterable[HealthCheck]) -> Mapping[str, int]:
        """Return the interval (ns) that each check runs at."""
        paces = {check.name: check.interval_ns for check in checks}
        asking = [check for check in checks if isinstance(check.kind, _HAS_RUNS)]
        # In whole milliseconds, up, so that the bound holds and people can read it.
        longer = {
            name: -(-pace // _MILLISECOND_NS) * _MILLISECOND_NS
            for name, pace in slowed(asking, self._most_per_s).items()
        }
        if longer.keys() - self._slowed:
            said = {"checks": len(longer), "accepted_per_second": self._most_per_s}
            _log.warning("checks are too many for this node and run less often", extra=said)
        self._slowed = frozenset(longer)
        return {**paces, **longer}

    def next_s(self) -> float | None:
        """Return when ``step`` has something to do."""
        return min((running.next_s for running in self.checks.values()), default=None)

    def step(self, now_s: float) -> bool:
        """Start what is due and fail what is late; return whether any verdict changed."""
        changed = False
        for running in self.checks.values():
            run = running.run
            if run is not None and not running.stuck and now_s >= run.deadline_s:
                running.stuck = True
                run.give_up()
                changed |= _count(running, Result(False, _TIMED_OUT, running.value))
            if now_s >= running.due_s and (running.run is None or running.stuck):
                changed |= self._due(running, now_s)
        return changed

    def hear(self, message: CheckMessage, now_s: float) -> bool:
        """Take in news of a check; return whether its verdict changed."""
        running = self.checks.get(message.name)
        if running is None:
            return False
        match message:
            case CheckEnded():
                return self._ended(running, message, now_s)
            case CheckNews(kind=kind, result=result):
                return running.check.kind == kind and _learn(running, result)
            case CheckTouched():
                running.touched = running.run is not None
                if not running.touched:
                    self._begin(running, now_s)
                return False

    def stop(self) -> None:
        """Let every run and every source end."""
        self.configure((), 0.0)
        for source in set(self._sources.values()):
            source.stop()

    def _watch(self) -> None:
        for kind, source in self._sources.items():
            source.watch(
                {
                    name: running.check.kind
                    for name, running in self.checks.items()
                    if isinstance(running.check.kind, kind)
                }
            )

    def _take_known(self, running: RunningCheck) -> bool:
        result = known_result(running.check.kind)
        return result is not None and result != running.fact and _learn(running, result)

    def _due(self, running: RunningCheck, now_s: float) -> bool:
        interval_s = running.interval_ns / 1e9
        if running.first:
            # The first run is at once; from then on checks are spread over their interval.
            running.first = False
            running.due_s = now_s + interval_s * (0.5 + _phase(running.check.name) / 2)
        else:
            running.due_s = max(running.due_s + interval_s, now_s)
        if isinstance(running.check.kind, _HAS_RUNS):
            if running.run is None:
                self._begin(running, now_s)
                return False
            return _count(running, Result(False, "still running after its timeout", running.value))
        if running.fact is not None:
            return _count(running, running.fact)
        if now_s - running.begun_s < _SILENCE_S:
            return False
        return _count(running, Result(False, "nothing is known of it"))

    def _begin(self, running: RunningCheck, now_s: float) -> None:
        deadline_s = now_s + running.check.timeout_ns / 1e9
        number = next(self._numbers)
        running.run = Run(number, running.check, running.value, now_s, deadline_s)
        self._begin_run(running.run)

    def _ended(self, running: RunningCheck, message: CheckEnded, now_s: float) -> bool:
        if running.run is None or message.run != running.run.number:
            return False
        running.durations[0] += message.duration_s
        running.durations[1] += 1
        late, running.run, running.stuck = running.stuck, None, False
        changed = not late and _count(running, message.result)
        if late and message.result.message.startswith(_TIMED_OUT):
            running.message = message.result.message  # counted at its deadline; this says more
        if running.touched:
            running.touched = False
            self._begin(running, now_s)
        return changed


def _started(check: HealthCheck, at_s: float, before: RunningCheck | None) -> RunningCheck:
    """Return a check that runs first at a time; ``before`` has its name and another target."""
    failing = check.initially_failing and before is None
    state = initial_state(check.rise, check.fall, failing=failing)
    running = RunningCheck(check, state, at_s, at_s, check.interval_ns)
    if failing:
        running.message, running.since_s = "no success yet", time.time()
    if before is not None:
        _give_up(before)
        running.durations = before.durations
    return running


def _learn(running: RunningCheck, result: Result) -> bool:
    running.fact = result
    return _count(running, result)


def _count(running: RunningCheck, result: Result) -> bool:
    before, number = running.state, (running.value, running.unreadable)
    running.state = before.after(result.passed)
    running.message = result.message
    running.value, running.unreadable = result.value, result.unreadable
    turned = (before.decided, before.passing) != (True, running.state.passing)
    if turned:
        running.since_s = time.time()
    return turned or (running.value, running.unreadable) != number


def _give_up(running: RunningCheck) -> None:
    if running.run is not None:
        running.run.give_up()


def _phase(name: str) -> float:
    """Return a number from 0 to 1 that differs between checks and not between runs."""
    return zlib.crc32(name.encode()) / 2**32
