"""What tests of checks share: one run of a check, and the messages of a source."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from tests.eventually import eventually

from vrrp_api.check_kinds import CheckKind
from vrrp_api.health_check import HealthCheck
from vrrp_speaker.agent.checks.probes import CheckSettings, Probes
from vrrp_speaker.agent.checks.run import Run
from vrrp_speaker.agent.checks.targets import parse_targets
from vrrp_speaker.agent.checks.verdict import Result
from vrrp_speaker.agent.messages import CheckEnded, CheckNews, CheckTouched, Message
from vrrp_speaker.options import DEFAULT_TARGETS

_numbers = itertools.count(1)


def settings(folder: Path, **fields: Any) -> CheckSettings:
    """Return settings with folders below one of the test's own."""
    values: dict[str, Any] = {
        "node": "node-1",
        "ca_dir": str(folder / "ca"),
        "header_values_dir": str(folder / "header-values"),
        "scripts_dir": str(folder / "scripts"),
        "script_user": "nobody",
        "file_folders": (str(folder / "files"),),
        "runs_per_second": 500,
        "targets": parse_targets(DEFAULT_TARGETS),
    }
    return CheckSettings(**{**values, **fields})


def a_check(
    kind: CheckKind, *, timeout_ms: int = 2000, name: str = "c", **fields: Any
) -> HealthCheck:
    """Return a check of a kind."""
    values: dict[str, Any] = {"rise": 1, "fall": 1, "weight": 0, **fields}
    timeout_ns = timeout_ms * 10**6
    return HealthCheck(name, 1, kind, max(10**9, timeout_ns), timeout_ns, **values)


def a_run(check: HealthCheck, previous: int = 0) -> Run:
    """Return a run that begins now."""
    now_s = time.monotonic()
    return Run(next(_numbers), check, previous, now_s, now_s + check.timeout_ns / 1e9)


def probe(made: CheckSettings, kind: CheckKind, *, timeout_ms: int = 2000) -> Result:
    """Run a check once, in this thread."""
    run = a_run(a_check(kind, timeout_ms=timeout_ms))
    try:
        return Probes(SimpleQueue(), made).probe(run)
    finally:
        run.close()


class Heard:
    """An inbox, and what it held."""

    def __init__(self) -> None:
        self.inbox: SimpleQueue[Message] = SimpleQueue()
        self.news: dict[str, list[Result]] = {}
        self.touched: list[str] = []
        self.ended: dict[int, Result] = {}

    def take(self) -> None:
        """Take in everything that is there."""
        while True:
            try:
                message = self.inbox.get_nowait()
            except Empty:
                return
            match message:
                case CheckNews():
                    self.news.setdefault(message.name, []).append(message.result)
                case CheckTouched():
                    self.touched.append(message.name)
                case CheckEnded():
                    self.ended[message.run] = message.result
                case _:
                    raise AssertionError(message)

    def until(self, happened: Callable[[], bool], within_s: float = 10) -> None:
        """Wait for something to be among it."""

        def seen() -> bool:
            self.take()
            return happened()

        eventually(seen, within_s=within_s, every_s=0.005)

    def until_last(self, name: str, passed: bool, within_s: float = 10) -> Result:
        """Wait until the newest news of a check is of one kind; return it."""
        self.until(
            lambda: name in self.news and self.news[name][-1].passed is passed, within_s=within_s
        )
        return self.news[name][-1]
