"""Fields of a HealthCheck that nothing would honour: whoever writes one expects something of it."""

from __future__ import annotations

import re
import urllib.parse

from vrrp_api.check_kinds import (
    CheckKind,
    GrpcCheck,
    HttpCheck,
    InterfaceCheck,
    NodeConditionCheck,
    PingCheck,
    ProcessCheck,
    ServiceCheck,
    TcpCheck,
    kind_name,
)
from vrrp_api.errors import FieldError
from vrrp_api.fields import Fields

_KNOWN = (ProcessCheck, InterfaceCheck, NodeConditionCheck, ServiceCheck)
"""Kinds that ask nobody: nothing of them can be late."""


_LINK_LOCAL = re.compile(r"\[?(169\.254\.|fe[89ab][0-9a-f]:)", re.IGNORECASE)
_NEVER_ASKED = "is link-local, which nodes never ask (accepted: 127.0.0.1, a routable address)"


def refuse_unused(spec: Fields, kind: CheckKind) -> None:
    """Refuse what has no effect beside the rest of a valid spec; the rules are the schema's.

    NodeConfigs have every default written out, so these rules are not for them.

    Raises:
        FieldError: the first such field.
    """
    if isinstance(kind, _KNOWN) and spec.has("timeout"):
        message = f"must be absent with {kind_name(kind)}: nothing is asked that could be late"
        raise spec.error("timeout", message)
    if isinstance(kind, TcpCheck | GrpcCheck | PingCheck) and _LINK_LOCAL.match(kind.address):
        raise spec.required_child(kind_name(kind)).error("address", _NEVER_ASKED)
    if isinstance(kind, HttpCheck):
        _refuse_unused_of_http(spec.required_child("http"), kind)


def _refuse_unused_of_http(http: Fields, kind: HttpCheck) -> None:
    _refuse_parts_of_url(http, kind.url)
    if http.has("tls") and urllib.parse.urlsplit(kind.url).scheme == "http":
        raise http.error("tls", "must be absent with http://, which knows no certificates")
    if kind.method == "HEAD" and kind.body_contains is not None:
        raise http.error("bodyContains", "must be absent with method HEAD: its answer has no body")
    if http.has("expectedStatuses") and not http.texts("expectedStatuses", 0, 16):
        raise http.error("expectedStatuses", "must have an entry, or be absent for 200-399")
    seen: set[str] = set()
    for header in http.children("headers", 0, 16):
        name = header.text("name").lower()
        if name in seen:
            raise header.error("name", "is listed twice; one header of a name is sent")
        seen.add(name)


def _refuse_parts_of_url(http: Fields, url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if "@" in parts.netloc:
        # What follows "@" is no secret; the error stands in a status and in logs.
        shown = parts._replace(netloc=f"…@{parts.netloc.rpartition('@')[2]}").geturl()
        at = http.error("url", "")
        message = "must be without user and password, which are not sent (accepted: headers)"
        raise FieldError(at.subject, at.path, shown, message)
    if _LINK_LOCAL.match(parts.netloc):
        raise http.error("url", _NEVER_ASKED)
    if "#" in url:
        raise http.error("url", "must be without a fragment (#…), which is not sent")
