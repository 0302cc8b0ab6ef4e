"""Connections of runs: opened within the deadline, given up with the run."""

from __future__ import annotations

import socket
import urllib.parse

from vrrp_speaker.agent.checks.run import Run

_MOST_TEXT = 200


def connect(run: Run, host: str, port: int) -> socket.socket:
    """Return a connection whose every wait ends at the run's deadline at the latest.

    Raises:
        OSError: it cannot be had in time; TimeoutError is one.
    """
    connection = socket.create_connection((host, port), timeout=run.remaining_s())
    try:
        run.connected(connection)
        connection.settimeout(run.remaining_s())
    except OSError:
        connection.close()
        raise
    return connection


def host_and_port(address: str) -> tuple[str, int]:
    """Split ``host:port``, IPv6 in brackets."""
    parts = urllib.parse.urlsplit(f"//{address}")
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def reason(error: Exception) -> str:
    """Return an error in few words."""
    if isinstance(error, TimeoutError):
        return "timed out"
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(said)[:_MOST_TEXT]
