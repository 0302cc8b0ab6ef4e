"""When checks run: each in a thread of its own, so that none delays another.

A run that misses its timeout fails at its deadline, not when it returns; what it says later is
ignored. While a run is still stuck the next one is skipped, and skipped runs fail like missed ones.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from queue import SimpleQueue

from vrrp_api.health_check import HealthCheck
from vrrp_speaker.agent.checks.state import CheckState, initial_state
from vrrp_speaker.agent.checks.verdict import Verdict
from vrrp_speaker.agent.messages import CheckEnded, Inbox

Probe = Callable[[HealthCheck], tuple[bool, str]]


@dataclass(slots=True)
class RunningCheck:
    """One check of this node; times are CLOCK_MONOTONIC seconds, ``since_s`` is wall time."""

    check: HealthCheck
    state: CheckState
    due_s: float
    requests: SimpleQueue[tuple[int, HealthCheck] | None]
    run: int = 0
    deadline_s: float | None = None
    stuck: bool = False
    message: str = ""
    since_s: float = 0.0
    durations: list[float] = field(default_factory=lambda: [0.0, 0.0])
    """Sum of seconds and number of runs, for the metric."""

    @property
    def verdict(self) -> Verdict:
        """What the check comes to now."""
        return Verdict(self.state.decided, self.state.passing)


class CheckRunner:
    """Runs the checks of the configuration; driven by ``step`` from the agent's loop."""

    def __init__(self, inbox: Inbox, probe: Probe) -> None:
        self._inbox = inbox
        self._probe = probe
        self.checks: dict[str, RunningCheck] = {}

    def configure(self, checks: Iterable[HealthCheck], now_s: float) -> None:
        """Make the running checks equal the wanted ones; results of those that stay are kept."""
        wanted = {check.name: check for check in checks}
        for name in list(self.checks):
            if name not in wanted:
                self.checks.pop(name).requests.put(None)
        for name, check in wanted.items():
            running = self.checks.get(name)
            if running is None:
                self.checks[name] = self._start(check, now_s)
                continue
            if running.check.kind != check.kind:
                # Another target: the old results say nothing about it, but they hold until the
                # first new one decides.
                running.state = initial_state(check.rise, check.fall)
            running.state = running.state.reconfigured(check.rise, check.fall)
            running.check = check

    def next_s(self) -> float | None:
        """Return when ``step`` has something to do."""
        times = [c.due_s if c.deadline_s is None else c.deadline_s for c in self.checks.values()]
        return min(times, default=None)

    def step(self, now_s: float) -> bool:
        """Start what is due and fail what is late; return whether any verdict changed."""
        changed = False
        for running in self.checks.values():
            if running.deadline_s is not None and now_s >= running.deadline_s:
                running.deadline_s = None
                running.stuck = True
                changed |= self._count(running, False, "timed out", now_s)
            if running.deadline_s is None and now_s >= running.due_s:
                changed |= self._begin(running, now_s)
        return changed

    def ended(self, message: CheckEnded, now_s: float) -> bool:
        """Take in the end of a run; return whether the check's verdict changed."""
        running = self.checks.get(message.name)
        if running is None or message.run != running.run:
            return False
        running.durations[0] += message.duration_s
        running.durations[1] += 1
        if running.stuck:
            running.stuck = False  # it came back after its deadline: counted already
            return False
        running.deadline_s = None
        return self._count(running, message.passed, message.message, now_s)

    def stop(self) -> None:
        """Let every worker end."""
        self.configure((), 0.0)

    def _start(self, check: HealthCheck, now_s: float) -> RunningCheck:
        requests: SimpleQueue[tuple[int, HealthCheck] | None] = SimpleQueue()
        worker = threading.Thread(
            target=self._work, args=(requests,), name=f"check-{check.name}", daemon=True
        )
        worker.start()
        return RunningCheck(check, initial_state(check.rise, check.fall), now_s, requests)

    def _begin(self, running: RunningCheck, now_s: float) -> bool:
        interval_s = running.check.interval_ns / 1e9
        if running.run == 0:
            # The first run is at once; from then on checks are spread over their interval.
            running.due_s = now_s + interval_s * (0.5 + _phase(running.check.name) / 2)
        else:
            running.due_s = max(running.due_s + interval_s, now_s)
        if running.stuck:
            return self._count(running, False, "still running after its timeout", now_s)
        running.run += 1
        running.deadline_s = now_s + running.check.timeout_ns / 1e9
        running.requests.put((running.run, running.check))
        return False

    def _count(self, running: RunningCheck, passed: bool, message: str, now_s: float) -> bool:
        before = running.state
        running.state = before.after(passed)
        running.message = message
        changed = (before.decided, before.passing) != (True, running.state.passing)
        if changed:
            running.since_s = time.time()
        return changed

    def _work(self, requests: SimpleQueue[tuple[int, HealthCheck] | None]) -> None:
        while (request := requests.get()) is not None:
            run, check = request
            begun_s = time.monotonic()
            passed, message = self._probe(check)
            duration_s = time.monotonic() - begun_s
            self._inbox.put(CheckEnded(check.name, run, passed, message, duration_s))


def _phase(name: str) -> float:
    """Return a number from 0 to 1 that differs between checks and not between runs."""
    return zlib.crc32(name.encode()) / 2**32
