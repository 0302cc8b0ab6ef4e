"""What an operator may ask of a running speaker: another log level, and its whole state.

SIGUSR1 and SIGUSR2 come from the supervisor, who was sent them. The state is also served on a local
socket that only root can open, as HTTP so that any tool can ask.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from queue import SimpleQueue
from socketserver import ThreadingMixIn, UnixStreamServer

from vrrp_speaker.agent.serving.dump import Dump

_log = logging.getLogger(__name__)
_DAY_S = 86_400.0
_TOGGLE_LEVEL, _WRITE_DUMP = signal.SIGUSR1, signal.SIGUSR2


class LogLevel:
    """The level of the log: the one that was asked for at start, or debug (info if that was it)."""

    def __init__(self, level: str) -> None:
        self._levels = level, "info" if level == "debug" else "debug"

    def toggle(self) -> None:
        """Switch to the other level."""
        self._levels = self._levels[::-1]
        logging.getLogger().setLevel(self.name.upper())

    @property
    def name(self) -> str:
        """The level now, in lower case."""
        return self._levels[0]


class Signals:
    """Does what signals ask for, in a thread of its own: a handler may not log or wait."""

    def __init__(self, level: LogLevel) -> None:
        self._level = level
        self._asked: SimpleQueue[int] = SimpleQueue()

    def catch(self) -> None:
        """Take the signals from now on; they wait until ``start``. For the main thread."""
        for number in (_TOGGLE_LEVEL, _WRITE_DUMP):
            signal.signal(number, lambda asked, _frame: self._asked.put(asked))

    def start(self, current: Callable[[], Dump], dump_path: Path) -> None:
        """Serve them, with what returns the state now and where it is written."""
        threading.Thread(
            target=self._run, args=(current, dump_path), name="signals", daemon=True
        ).start()

    def _run(self, current: Callable[[], Dump], dump_path: Path) -> None:
        while True:
            if self._asked.get() == _TOGGLE_LEVEL:
                self._level.toggle()
                _log.info("log level changed", extra={"to": self._level.name})
                continue
            try:
                _write(dump_path, current())
            except OSError as error:
                _log.error("state not written", extra={"error": str(error)})
                continue
            _log.info("state written", extra={"file": str(dump_path)})


def serve_dump(path: Path, current: Callable[[], Dump]) -> None:
    """Answer ``GET /dump`` on a socket of this name, in threads; what had the name before is gone.

    Raises:
        OSError: the socket cannot be made.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/dump"
            body = _text(current()) if found else b"not found (accepted: /dump)\n"
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json" if found else "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Questions are not news."""

    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    server = _Server(str(unfinished), Handler)
    unfinished.chmod(0o600)
    unfinished.replace(path)
    # Who waits for connections has nothing to look for in between.
    threading.Thread(
        target=server.serve_forever, args=(_DAY_S,), name="control", daemon=True
    ).start()


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


def _text(dump: Dump) -> bytes:
    return json.dumps(dump, indent=1).encode() + b"\n"


def _write(path: Path, dump: Dump) -> None:
    """Write the whole file or leave the old one."""
    unfinished = path.with_suffix(".tmp")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(_text(dump))
    unfinished.replace(path)
