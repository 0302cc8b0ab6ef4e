"""HealthCheck: what must work on a node for it to hold a VirtualIP."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vrrp_api.duration import format_duration
from vrrp_api.fields import Fields, object_fields

_STATUS_RANGE = re.compile(r"([1-5]\d\d)(?:-([1-5]\d\d))?")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_METHODS = ("GET", "HEAD", "POST", "PUT", "OPTIONS")


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """An HTTP or HTTPS request; ``expected_statuses`` are inclusive ranges."""

    url: str
    method: str
    headers: tuple[tuple[str, str], ...]
    expected_statuses: tuple[tuple[int, int], ...]
    body_contains: str | None
    insecure_skip_verify: bool


@dataclass(frozen=True, slots=True)
class TcpCheck:
    """A TCP connection that must be accepted; ``address`` is host:port, IPv6 in brackets."""

    address: str


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One check, defaults filled in; weight 0 means failing is a Fault."""

    name: str
    generation: int
    kind: HttpCheck | TcpCheck
    interval_ns: int
    timeout_ns: int
    rise: int
    fall: int
    weight: int


def parse_health_check(obj: Mapping[str, Any]) -> HealthCheck:
    """Parse an API object; the rules are those of the CRD's schema.

    Raises:
        FieldError: the first wrong field.
    """
    spec, metadata = object_fields(obj, "HealthCheck")
    weight = spec.integer("weight", -254, 254, 0)
    check = parse_check_spec(spec, metadata["name"], metadata.get("generation", 0), weight)
    spec.done()
    return check


def parse_check_spec(spec: Fields, name: str, generation: int, weight: int) -> HealthCheck:
    """Parse what a HealthCheck and a NodeConfig's resolved check have in common.

    Raises:
        FieldError: the first wrong field.
    """
    interval_ns = spec.duration("interval", "50ms", "1h", "1s")
    # Absent, the timeout is the schema's default or the interval, whichever is shorter.
    default_ns = min(interval_ns, 1_000_000_000)
    timeout_ns = spec.duration("timeout", "10ms", "1h", format_duration(default_ns))
    if timeout_ns > interval_ns:
        raise spec.error("timeout", "must not be longer than interval")
    http, tcp = spec.child("http"), spec.child("tcp")
    if (http is None) == (tcp is None):
        raise spec.error("http", "exactly one of http and tcp must be given")
    kind: HttpCheck | TcpCheck
    if http is not None:
        kind = _http(http)
    else:
        assert tcp is not None
        kind = _tcp(tcp)
    return HealthCheck(
        name=name,
        generation=generation,
        kind=kind,
        interval_ns=interval_ns,
        timeout_ns=timeout_ns,
        rise=spec.integer("rise", 1, 100, 2),
        fall=spec.integer("fall", 1, 100, 3),
        weight=weight,
    )


def check_spec(check: HealthCheck) -> dict[str, Any]:
    """Return the fields of a check that a node needs, as in ``NodeConfig.spec.healthChecks``."""
    spec: dict[str, Any] = {
        "name": check.name,
        "interval": format_duration(check.interval_ns),
        "timeout": format_duration(check.timeout_ns),
        "rise": check.rise,
        "fall": check.fall,
    }
    if isinstance(check.kind, TcpCheck):
        spec["tcp"] = {"address": check.kind.address}
        return spec
    http = check.kind
    spec["http"] = {
        "url": http.url,
        "method": http.method,
        "headers": [{"name": name, "value": value} for name, value in http.headers],
        "expectedStatuses": [
            str(low) if low == high else f"{low}-{high}" for low, high in http.expected_statuses
        ],
        "tls": {"insecureSkipVerify": http.insecure_skip_verify},
    }
    if http.body_contains is not None:
        spec["http"]["bodyContains"] = http.body_contains
    return spec


def kind_name(kind: HttpCheck | TcpCheck) -> str:
    """Return the field of the spec that a check was written in."""
    return "http" if isinstance(kind, HttpCheck) else "tcp"


def target(kind: HttpCheck | TcpCheck) -> str:
    """Return what a check looks at, for people."""
    return kind.url if isinstance(kind, HttpCheck) else kind.address


def _http(fields: Fields) -> HttpCheck:
    url = fields.text("url")
    try:
        parts = urllib.parse.urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise fields.error("url", "must be http:// or https:// with a host")
    tls = fields.child("tls")
    insecure = False
    if tls is not None:
        insecure = tls.boolean("insecureSkipVerify", False)
        tls.done()
    headers = []
    for item in fields.children("headers", 0, 16):
        name, value = item.text("name"), item.text("value")
        if not _HEADER_NAME.fullmatch(name):
            raise item.error("name", "must be a header name (accepted: Host, X-Probe)")
        if "\r" in value or "\n" in value:
            raise item.error("value", "must be one line")
        headers.append((name, value))
        item.done()
    check = HttpCheck(
        url=url,
        method=fields.choice("method", _METHODS, "GET"),
        headers=tuple(headers),
        expected_statuses=_expected_statuses(fields),
        body_contains=fields.optional_text("bodyContains"),
        insecure_skip_verify=insecure,
    )
    fields.done()
    return check


def _expected_statuses(fields: Fields) -> tuple[tuple[int, int], ...]:
    ranges = []
    for text in fields.texts("expectedStatuses", 0, 16) or ("200-399",):
        match = _STATUS_RANGE.fullmatch(text)
        low = int(match[1]) if match else 1
        high = int(match[2] or match[1]) if match else 0
        if low > high:
            message = "must be statuses or ranges (accepted: 200, 200-399)"
            raise fields.error("expectedStatuses", message)
        ranges.append((low, high))
    return tuple(ranges)


def _tcp(fields: Fields) -> TcpCheck:
    address = fields.text("address")
    try:
        parts = urllib.parse.urlsplit(f"//{address}")
        valid = bool(parts.hostname) and bool(parts.port) and not parts.path and not parts.username
    except ValueError:
        valid = False
    if not valid:
        raise fields.error("address", "must be host:port (accepted: 127.0.0.1:8080, [::1]:8080)")
    fields.done()
    return TcpCheck(address)
