"""One run of a check: an HTTP request or a TCP connection."""

from __future__ import annotations

import socket
import urllib.parse

import urllib3

from vrrp_api.check_kinds import HttpCheck, TcpCheck
from vrrp_api.health_check import HealthCheck

_MAX_BODY = 64 * 1024


def run_probe(check: HealthCheck) -> tuple[bool, str]:
    """Run once; return whether it passed, and a message for people (empty when passed).

    Blocks for about the timeout at most; the runner counts a miss at the deadline, not here.
    """
    timeout_s = check.timeout_ns / 1e9
    if isinstance(check.kind, TcpCheck):
        return _tcp(check.kind, timeout_s)
    assert isinstance(check.kind, HttpCheck)
    return _http(check.kind, timeout_s)


def _tcp(kind: TcpCheck, timeout_s: float) -> tuple[bool, str]:
    parts = urllib.parse.urlsplit(f"//{kind.address}")
    try:
        assert parts.hostname is not None
        with socket.create_connection((parts.hostname, parts.port or 0), timeout=timeout_s):
            return True, ""
    except OSError as error:
        return False, _reason(error)


def _http(kind: HttpCheck, timeout_s: float) -> tuple[bool, str]:
    # A new connection for each run: a kept one would hide that nobody accepts any more.
    verify = "CERT_NONE" if kind.insecure_skip_verify else "CERT_REQUIRED"
    with urllib3.PoolManager(retries=False, cert_reqs=verify) as pool:
        try:
            response = pool.request(
                kind.method,
                kind.url,
                headers=dict(kind.headers),
                timeout=urllib3.Timeout(total=timeout_s),
                redirect=False,
                preload_content=False,
            )
            body = response.read(_MAX_BODY) if kind.body_contains is not None else b""
            response.close()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            return False, _reason(error)
    if not any(low <= response.status <= high for low, high in kind.expected_statuses):
        return False, f"status {response.status}"
    if kind.body_contains is not None and kind.body_contains.encode() not in body:
        return False, f"body does not contain {kind.body_contains!r}"
    return True, ""


def _reason(error: Exception) -> str:
    # To urllib3 a refused connection is one more kind of timeout.
    refused = isinstance(error, urllib3.exceptions.NewConnectionError)
    if not refused and isinstance(error, TimeoutError | urllib3.exceptions.TimeoutError):
        return "timed out"
    cause = error
    while cause.__cause__ is not None and isinstance(cause.__cause__, Exception):
        cause = cause.__cause__
    return (getattr(cause, "strerror", None) or str(cause))[:200]
