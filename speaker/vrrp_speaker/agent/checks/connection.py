"""Connections of runs: opened within the deadline, given up with the run."""

from __future__ import annotations

import socket
import urllib.parse

from vrrp_speaker.agent.checks.run import Run
from vrrp_speaker.agent.checks.targets import TargetNotAllowed, Targets

_MOST_TEXT = 200


def connect(run: Run, host: str, port: int, *targets: Targets) -> socket.socket:
    """Return a connection whose every wait ends at the run's deadline at the latest.

    Of a name's addresses those are tried, in their order, that all ``targets`` allow.

    Raises:
        OSError: it cannot be had in time; TimeoutError is one.
        TargetNotAllowed: no address may be asked.
    """
    failed: OSError | TargetNotAllowed | None = None
    for family, kind, protocol, _, address in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        try:
            for allowed in targets:
                allowed.require(str(address[0]))
            return _connected(run, socket.socket(family, kind, protocol), address)
        except TargetNotAllowed as refused:
            failed = failed or refused
        except OSError as error:
            failed = error
    raise failed or OSError(f"{host} has no address")


def _connected(
    run: Run, connection: socket.socket, address: tuple[str | int | bytes, ...]
) -> socket.socket:
    try:
        connection.settimeout(run.remaining_s())
        connection.connect(address)
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
