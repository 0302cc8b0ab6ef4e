"""Exec checks, the agent's side: scripts are run by a process that has one thread.

A process with threads cannot fork and then do anything but exec; and a fork of the agent would be
dear. So a small server (``script_server``) is started with the first script and forks for each run.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import subprocess
import sys
import threading
import time

from vrrp_api.check_kinds import ExecCheck
from vrrp_speaker.agent.checks.run import Run
from vrrp_speaker.agent.checks.verdict import Result
from vrrp_speaker.agent.checks.workers import Workers
from vrrp_speaker.agent.messages import CheckEnded, Inbox

_log = logging.getLogger(__name__)
_BUFFER = 1 << 14
_MODULE = "vrrp_speaker.agent.checks.script_server"


class Scripts:
    """Begins runs of scripts; each ends in a ``CheckEnded``."""

    def __init__(self, inbox: Inbox, node: str, folder: str, user: str, workers: Workers) -> None:
        self._inbox = inbox
        self._arguments = (node, folder, user)
        self._workers = workers
        self._lock = threading.Lock()
        self._server: socket.socket | None = None
        self._runs: dict[int, Run] = {}

    def begin(self, run: Run) -> None:
        """Begin a run, without waiting for it."""
        self._workers.begin(lambda: self._begin(run))

    def _begin(self, run: Run) -> None:
        kind = run.check.kind
        assert isinstance(kind, ExecCheck)
        order = {
            "run": run.number,
            "check": run.check.name,
            "script": kind.script,
            "args": list(kind.args),
            "deadline": run.deadline_s,
        }
        try:
            with self._lock:
                self._server = self._server or self._start()
                self._runs[run.number] = run
                self._server.send(json.dumps(order).encode())
        except OSError as error:
            self._end(run.number, Result(False, f"not started: {error.strerror}"))

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", _MODULE, str(theirs.fileno()), *self._arguments]
            server = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(),)
            )
        threading.Thread(
            target=self._read, args=(ours, server), name="scripts", daemon=True
        ).start()
        return ours

    def _read(self, ours: socket.socket, server: subprocess.Popen[bytes]) -> None:
        """Take in what the server says until it ends."""
        with contextlib.suppress(OSError):
            while data := ours.recv(_BUFFER):
                said = json.loads(data)
                self._end(said["run"], Result(said["passed"], said["message"]))
        with self._lock:
            self._server = None
            runs = list(self._runs)
        ours.close()
        _log.error("the script server ended", extra={"status": server.wait()})
        for number in runs:
            self._end(number, Result(False, "the script server ended"))

    def _end(self, number: int, result: Result) -> None:
        with self._lock:
            run = self._runs.pop(number, None)
        if run is not None:
            duration_s = time.monotonic() - run.begun_s
            self._inbox.put(CheckEnded(run.check.name, number, result, duration_s))
