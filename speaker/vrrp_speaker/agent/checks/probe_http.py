"""HTTP and HTTPS checks, over the standard library's client: one request, no redirects."""

from __future__ import annotations

import http.client
import os
import ssl
import threading
import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vrrp_api.check_kinds import HttpCheck
from vrrp_speaker.agent.checks.connection import connect, reason
from vrrp_speaker.agent.checks.header_values import HeaderValue, HeaderValues
from vrrp_speaker.agent.checks.run import Run
from vrrp_speaker.agent.checks.targets import Targets
from vrrp_speaker.agent.checks.verdict import Result

_MAX_BODY = 64 * 1024
_PIECE = 4096


class Authorities:
    """TLS settings by what they trust; reading the system's authorities anew each time is dear."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._made: dict[object, ssl.SSLContext] = {}

    def context(self, kind: HttpCheck) -> ssl.SSLContext:
        """Return the settings for a check; a changed file is read again.

        Raises:
            OSError: the file of authorities is missing or holds none.
        """
        path = None if kind.ca_ref is None else os.path.join(self._folder, kind.ca_ref)
        key: object = (kind.insecure_skip_verify, None)
        if path is not None:
            status = os.stat(path)
            key = (path, status.st_ino, status.st_mtime_ns, status.st_size)
        with self._lock:
            if key not in self._made:
                if path is not None:
                    self._forget(path)
                self._made[key] = _context(kind.insecure_skip_verify, path)
            return self._made[key]

    def _forget(self, path: str) -> None:
        for key in [key for key in self._made if isinstance(key, tuple) and key[0] == path]:
            del self._made[key]


def _context(insecure: bool, path: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=path)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


@dataclass(frozen=True, slots=True)
class HttpMeans:
    """What the node has for HTTP checks, and whom they may ask."""

    authorities: Authorities
    header_values: HeaderValues
    targets: Targets


def probe_http(run: Run, kind: HttpCheck, means: HttpMeans) -> Result:
    """Ask once, on a connection of its own: a kept one would hide that nobody accepts any more."""
    try:
        values = {
            header.name: means.header_values.read(header.value_name)
            for header in kind.headers
            if header.value_name is not None
        }
        targets = (means.targets, *(value.targets for value in values.values()))
        client = _open(run, kind, means.authorities, targets)
        return _judge(run, kind, client, _headers(kind, values))
    except ssl.SSLCertVerificationError as error:
        return Result(False, f"certificate: {error.verify_message}")
    except (http.client.HTTPException, OSError, ValueError) as error:
        return Result(False, _reason(error))


def _reason(error: Exception) -> str:
    """Return an error in few words, and none of whoever answered: no author may read them."""
    no_http = isinstance(error, http.client.BadStatusLine | http.client.UnknownProtocol)
    if no_http and not isinstance(error, http.client.RemoteDisconnected):
        return "no HTTP/1: the answer does not begin with a status line"
    return reason(error)


def _open(
    run: Run, kind: HttpCheck, authorities: Authorities, targets: Iterable[Targets]
) -> http.client.HTTPConnection:
    parts = urllib.parse.urlsplit(kind.url)
    assert parts.hostname is not None
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    context = _named_context(kind, authorities) if secure else None
    client = http.client.HTTPConnection(parts.hostname, port)
    client.default_port = 443 if secure else 80  # left out of the Host header
    client.sock = connect(run, parts.hostname, port, *targets)
    if context is not None:
        try:
            # Wrapping makes the handshake.
            client.sock = context.wrap_socket(client.sock, server_hostname=parts.hostname)
        except BaseException:
            client.close()
            raise
    return client


def _named_context(kind: HttpCheck, authorities: Authorities) -> ssl.SSLContext:
    try:
        return authorities.context(kind)
    except OSError as error:
        said = reason(error)
        raise OSError(f"authority {kind.ca_ref} of --ca-dir: {said}") from error


def _judge(
    run: Run, kind: HttpCheck, client: http.client.HTTPConnection, headers: Mapping[str, str]
) -> Result:
    try:
        parts = urllib.parse.urlsplit(kind.url)
        target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        client.request(kind.method, target, headers=headers)
        response = client.getresponse()
        if not any(low <= response.status <= high for low, high in kind.expected_statuses):
            return Result(False, f"status {response.status}")
        if kind.body_contains is not None and not _contains(run, response, kind.body_contains):
            return Result(False, f"body does not contain {kind.body_contains!r}")
        return Result(True)
    finally:
        client.close()


def _headers(kind: HttpCheck, values: Mapping[str, HeaderValue]) -> dict[str, str]:
    """Return what is sent: ours, unless the check says otherwise in whatever case."""
    theirs = {header.name: header.value or "" for header in kind.headers}
    theirs |= {name: value.text for name, value in values.items()}
    said = {name.lower() for name in theirs}
    ours = {"User-Agent": "kube-vrrp", "Connection": "close"}
    return {name: ours[name] for name in ours if name.lower() not in said} | theirs


def _contains(run: Run, response: http.client.HTTPResponse, text: str) -> bool:
    body = b""
    while len(body) < _MAX_BODY:
        run.remaining_s()
        piece = response.read1(_PIECE)
        if not piece:
            break
        body += piece
        if text.encode() in body:
            return True
    return False
