"""When cycles run."""

from __future__ import annotations

import asyncio
import threading

import pytest

from vrrp_operator.api.handlers import Trigger, pause_s
from vrrp_operator.reconcile import Reconciler


class Impatient(Reconciler):
    """Has something to decide a moment after each cycle, and does nothing else."""

    def __init__(self) -> None:
        self.cycles = 0
        self.came_later = False
        self.second = threading.Event()

    @property
    def due_in_s(self) -> float | None:
        """Soon."""
        return 0.01

    def run_cycle(self) -> bool:
        """Count."""
        self.cycles += 1
        if self.cycles == 2:
            self.second.set()
        return True


def test_a_cycle_runs_when_one_is_due_although_nothing_changes() -> None:
    reconciler = Impatient()

    async def run() -> bool:
        running = asyncio.create_task(Trigger(reconciler, lambda _: None).run())
        try:
            # Shorter than the tick that runs one anyhow.
            return await asyncio.to_thread(reconciler.second.wait, 5)
        finally:
            running.cancel()

    assert asyncio.run(run())


def test_what_came_later_is_watched_by_an_operator_that_begins_anew() -> None:
    """kopf looks for kinds once: of one that was missing then it would tell nothing."""
    reconciler, told = Impatient(), threading.Event()
    reconciler.came_later = True

    async def run() -> bool:
        running = asyncio.create_task(Trigger(reconciler, lambda _: told.set()).run())
        try:
            return await asyncio.to_thread(told.wait, 5)
        finally:
            running.cancel()

    assert asyncio.run(run())


@pytest.mark.parametrize(
    ("quiet_s", "pause"), [(0.0, 0.05), (0.04, 0.01), (0.049, 0.003), (0.06, 0.003), (60.0, 0.003)]
)
def test_a_change_after_a_quiet_time_is_decided_at_once(quiet_s: float, pause: float) -> None:
    assert pause_s(quiet_s) == pytest.approx(pause)
