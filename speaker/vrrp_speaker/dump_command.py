"""``vrrp-speaker dump``: print the state of the speaker that runs here."""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import sys
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException

from vrrp_speaker.options import CANNOT_RUN, CONTROL_SOCKET, DEFAULT_RUN_DIR

_PATIENCE_S = 10.0


class _LocalConnection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_PATIENCE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_PATIENCE_S)
        self.sock.connect(self._path)


def dump(arguments: Sequence[str]) -> int:
    """Ask the agent and print what it says; return 0, or 4 when nobody answers.

    A wrong command line ends with status 2.
    """
    parser = argparse.ArgumentParser(
        prog="vrrp-speaker dump", description="Print the state of the speaker here, as JSON."
    )
    parser.add_argument("--run-dir", default=DEFAULT_RUN_DIR, help="the speaker's")
    path = os.path.join(parser.parse_args(arguments).run_dir, CONTROL_SOCKET)
    connection = _LocalConnection(path)
    try:
        connection.request("GET", "/dump")
        shutil.copyfileobj(connection.getresponse(), sys.stdout.buffer)
        sys.stdout.flush()
    except (OSError, HTTPException) as error:
        print(f"vrrp-speaker: {path}: no agent answers: {error}", file=sys.stderr)
        return CANNOT_RUN
    return 0
