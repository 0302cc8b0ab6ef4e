"""Runs of checks: each in a thread of its own, a script in a process of its own."""

from __future__ import annotations

import time
from dataclasses import dataclass

from vrrp_api.check_kinds import ExecCheck, FileCheck, GrpcCheck, HttpCheck, PingCheck, TcpCheck
from vrrp_speaker.agent.checks.header_values import HeaderValues
from vrrp_speaker.agent.checks.probe_file import probe_file
from vrrp_speaker.agent.checks.probe_http import Authorities, HttpMeans, probe_http
from vrrp_speaker.agent.checks.probe_ping import probe_ping
from vrrp_speaker.agent.checks.probe_tcp import probe_tcp
from vrrp_speaker.agent.checks.run import Run
from vrrp_speaker.agent.checks.scripts import Scripts
from vrrp_speaker.agent.checks.targets import TargetNotAllowed, Targets
from vrrp_speaker.agent.checks.verdict import Result
from vrrp_speaker.agent.checks.workers import Workers
from vrrp_speaker.agent.messages import CheckEnded, Inbox

_MOST_TEXT = 200


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """What the node's administrator allows checks, by the speaker's flags."""

    node: str
    ca_dir: str
    header_values_dir: str
    scripts_dir: str
    script_user: str
    file_folders: tuple[str, ...]
    targets: Targets
    runs_per_second: int


class Probes:
    """Begins runs; each ends in a ``CheckEnded``."""

    def __init__(self, inbox: Inbox, settings: CheckSettings) -> None:
        self._inbox = inbox
        self._settings = settings
        self._workers = Workers("check")
        self._http = HttpMeans(
            Authorities(settings.ca_dir),
            HeaderValues(settings.header_values_dir),
            settings.targets,
        )
        self._scripts = Scripts(
            inbox, settings.node, settings.scripts_dir, settings.script_user, self._workers
        )

    def begin(self, run: Run) -> None:
        """Begin a run, without waiting for anything."""
        if isinstance(run.check.kind, ExecCheck):
            self._scripts.begin(run)
        else:
            self._workers.begin(lambda: self._work(run))

    def probe(self, run: Run) -> Result:
        """Run once, in this thread; it may take longer than the deadline."""
        try:
            return self._probe(run, self._settings.targets)
        except TargetNotAllowed as refused:
            return Result(False, str(refused)[:_MOST_TEXT])

    def _probe(self, run: Run, targets: Targets) -> Result:
        match run.check.kind:
            case HttpCheck() as kind:
                return probe_http(run, kind, self._http)
            case TcpCheck() as kind:
                return probe_tcp(run, kind, targets)
            case GrpcCheck() as kind:
                # Only where somebody wants it: a speaker counts its megabytes.
                from vrrp_speaker.agent.checks.probe_grpc import (  # noqa: PLC0415 - 1.4 MB, gRPC only
                    probe_grpc,
                )

                return probe_grpc(run, kind, targets)
            case PingCheck() as kind:
                return probe_ping(run, kind, targets)
            case FileCheck():
                return probe_file(run.check, run.previous, self._settings.file_folders)
            case other:
                raise AssertionError(f"{type(other).__name__} has no runs")

    def _work(self, run: Run) -> None:
        begun_s = time.monotonic()
        try:
            result = self.probe(run)
        except Exception as error:  # a run must end, or its check hangs for ever
            result = Result(False, f"{type(error).__name__}: {error}"[:_MOST_TEXT])
        finally:
            run.close()
        duration_s = time.monotonic() - begun_s
        self._inbox.put(CheckEnded(run.check.name, run.number, result, duration_s))
