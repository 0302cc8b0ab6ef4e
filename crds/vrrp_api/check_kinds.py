"""The kinds of a HealthCheck: what each looks at, read from and written to its field of a spec."""

from __future__ import annotations

import ipaddress
import re
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vrrp_api.fields import Fields

_STATUS_RANGE = re.compile(r"([1-5]\d\d)(?:-([1-5]\d\d))?")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DNS_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_GRPC_SERVICE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")
_METHODS = ("GET", "HEAD", "POST", "PUT", "OPTIONS")
PROCESSES_MAXIMUM = 65535


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """An HTTP or HTTPS request; ``expected_statuses`` are inclusive ranges.

    ``ca_ref`` names a file of the speaker's folder of authorities; None: those of the system.
    """

    url: str
    method: str
    headers: tuple[tuple[str, str], ...]
    expected_statuses: tuple[tuple[int, int], ...]
    body_contains: str | None
    insecure_skip_verify: bool
    ca_ref: str | None = None

    @property
    def target(self) -> str:
        """What the check looks at, for people."""
        return self.url

    def to_object(self) -> dict[str, Any]:
        """Return the API form."""
        ranges = [
            str(low) if low == high else f"{low}-{high}" for low, high in self.expected_statuses
        ]
        return _present(
            url=self.url,
            method=self.method,
            headers=[{"name": name, "value": value} for name, value in self.headers],
            expectedStatuses=ranges,
            bodyContains=self.body_contains,
            tls=_present(insecureSkipVerify=self.insecure_skip_verify, caRef=self.ca_ref),
        )


@dataclass(frozen=True, slots=True)
class TcpCheck:
    """A TCP connection that must be accepted; ``address`` is host:port, IPv6 in brackets."""

    address: str

    @property
    def target(self) -> str:
        """What the check looks at, for people."""
        return self.address

    def to_object(self) -> dict[str, Any]:
        """Return the API form."""
        return {"address": self.address}


@dataclass(frozen=True, slots=True)
class GrpcCheck:
    """A call of grpc.health.v1.Health/Check without TLS; service "" asks for the server whole."""

    address: str
    service: str

    @property
    def target(self) -> str:
        """What the check looks at, for people."""
        return f"{self.address}/{self.service}" if self.service else self.address

    def to_object(self) -> dict[str, Any]:
        """Return the API form."""
        return _present(address=self.address, service=self.service or None)


@dataclass(frozen=True, slots=True)
class ExecCheck:
    """A script of the speaker's own script folder that must exit with 0."""

    script: str
    args: tuple[str, ...]

    @property
    def target(self) -> str:
        """What the check looks at, for people."""
        return self.script

    def to_object(self) -> dict[str, Any]:
        """Return the API form."""
        return {"script": self.script, "args": list(self.args)}


@dataclass(frozen=True, slots=True)
class ProcessCheck:
    """Between ``minimum`` and ``maximum`` (None: any number) processes of this name must run.

    ``full_command``: the name is the whole command line, words joined by single spaces.
    """

    name: str
    full_command: bool
    minimum: int
    maximum: int | None

    @property
    def target(self) -> str:
        """What the check looks at, for people."""
        return self.name

    def to_object(self) -> dict[str, Any]:
        """Return the API form."""
        return _present(
            name=self.name,
            fullCommand=self.full_command,
            minimum=self.minimum,
            maximum=self.maximum,
        )


@dataclass(frozen=True, slots=True)
class FileCheck:
    """A file holding a number, below one of the speaker's allowed folders."""

    path: str

    @property
    def target(self) -> str:
        """What the check looks at, for people."""
        return self.path

    def to_object(self) -> dict[str, Any]:
        """Return the API form."""
        return {"path": self.path}


@dataclass(frozen=True, slots=True)
class InterfaceCheck:
    """An interface that must be up and have carrier."""

    name: str

    @property
    def target(self) -> str:
        """What the check looks at, for people."""
        return self.name

    def to_object(self) -> dict[str, Any]:
        """Return the API form."""
        return {"name": self.name}


@dataclass(frozen=True, slots=True)
class PingCheck:
    """An address that must answer an ICMP echo request."""

    address: str

    @property
    def target(self) -> str:
        """What the check looks at, for people."""
        return self.address

    def to_object(self) -> dict[str, Any]:
        """Return the API form."""
        return {"address": self.address}


@dataclass(frozen=True, slots=True)
class NodeConditionCheck:
    """A condition of the Node object that must have a status.

    ``observed``: the status it has, filled in by the operator; None: unknown (or a user's object).
    """

    type: str
    status: str
    observed: str | None = None

    @property
    def target(self) -> str:
        """What the check looks at, for people."""
        return f"{self.type}={self.status}"

    def to_object(self) -> dict[str, Any]:
        """Return the API form."""
        return _present(type=self.type, status=self.status, observed=self.observed)


@dataclass(frozen=True, slots=True)
class ServiceCheck:
    """A Service that must have a ready endpoint on the node.

    ``ready_endpoints``: how many it has here, filled in by the operator; None: the Service does not
    exist (or a user's object).
    """

    namespace: str
    name: str
    ready_endpoints: int | None = None

    @property
    def target(self) -> str:
        """What the check looks at, for people."""
        return f"{self.namespace}/{self.name}"

    def to_object(self) -> dict[str, Any]:
        """Return the API form."""
        return _present(
            namespace=self.namespace, name=self.name, readyEndpoints=self.ready_endpoints
        )


CheckKind = (
    HttpCheck
    | TcpCheck
    | GrpcCheck
    | ExecCheck
    | ProcessCheck
    | FileCheck
    | InterfaceCheck
    | PingCheck
    | NodeConditionCheck
    | ServiceCheck
)

POLLED = (HttpCheck, TcpCheck, GrpcCheck, ExecCheck, PingCheck)
"""Kinds whose single run may be wrong; of the others every result is a fact and counts at once."""


def parse_kind(spec: Fields) -> CheckKind:
    """Return the one kind that a spec names.

    Raises:
        FieldError: none, two, or a wrong field in it.
    """
    given = [name for name in _PARSERS if spec.has(name)]
    if len(given) != 1:
        found = f"found {' and '.join(given)}" if given else "found none"
        raise spec.error(
            given[0] if given else "http",
            f"exactly one of {', '.join(_PARSERS)} must be given; {found}",
        )
    fields = spec.required_child(given[0])
    kind = _PARSERS[given[0]](fields)
    fields.done()
    return kind


def kind_name(kind: CheckKind) -> str:
    """Return the field of the spec that a kind is written in."""
    return _FIELDS[type(kind)]


def kind_object(kind: CheckKind) -> dict[str, Any]:
    """Return the API form of a kind: its field and what is in it."""
    return {kind_name(kind): kind.to_object()}


def _present(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _http(fields: Fields) -> HttpCheck:
    url = fields.text("url")
    try:
        parts = urllib.parse.urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise fields.error("url", "must be http:// or https:// with a host")
    insecure, ca_ref = _tls(fields.child("tls"))
    return HttpCheck(
        url=url,
        method=fields.choice("method", _METHODS, "GET"),
        headers=_headers(fields),
        expected_statuses=_expected_statuses(fields),
        body_contains=fields.optional_text("bodyContains"),
        insecure_skip_verify=insecure,
        ca_ref=ca_ref,
    )


def _headers(fields: Fields) -> tuple[tuple[str, str], ...]:
    headers = []
    for item in fields.children("headers", 0, 16):
        name, value = item.text("name"), item.text("value")
        if not _HEADER_NAME.fullmatch(name):
            raise item.error("name", "must be a header name (accepted: Host, X-Probe)")
        if "\r" in value or "\n" in value:
            raise item.error("value", "must be one line")
        headers.append((name, value))
        item.done()
    return tuple(headers)


def _tls(tls: Fields | None) -> tuple[bool, str | None]:
    if tls is None:
        return False, None
    insecure, ca_ref = tls.boolean("insecureSkipVerify", False), tls.optional_text("caRef")
    if ca_ref is not None and not _FILE_NAME.fullmatch(ca_ref):
        raise tls.error("caRef", "must be a file name without a folder (accepted: internal-ca.crt)")
    if ca_ref is not None and insecure:
        raise tls.error("caRef", "contradicts insecureSkipVerify: true; give one of them")
    tls.done()
    return insecure, ca_ref


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


def _host_and_port(fields: Fields) -> str:
    address = fields.text("address")
    try:
        parts = urllib.parse.urlsplit(f"//{address}")
        valid = bool(parts.hostname) and bool(parts.port) and not parts.path and not parts.username
    except ValueError:
        valid = False
    if not valid:
        raise fields.error("address", "must be host:port (accepted: 127.0.0.1:8080, [::1]:8080)")
    return address


def _tcp(fields: Fields) -> TcpCheck:
    return TcpCheck(_host_and_port(fields))


def _grpc(fields: Fields) -> GrpcCheck:
    service = fields.optional_text("service") or ""
    if service and not _GRPC_SERVICE.fullmatch(service):
        raise fields.error("service", "must be a gRPC service name (accepted: my.package.Service)")
    return GrpcCheck(_host_and_port(fields), service)


def _exec(fields: Fields) -> ExecCheck:
    script = fields.text("script")
    if not _FILE_NAME.fullmatch(script):
        message = (
            "must be the name of a file in the speaker's script folder (accepted: check-db.sh)"
        )
        raise fields.error("script", message)
    args = fields.texts("args", 0, 16)
    if any("\0" in argument for argument in args):
        raise fields.error("args", "must not hold a zero byte")
    return ExecCheck(script, args)


def _process(fields: Fields) -> ProcessCheck:
    minimum = fields.integer("minimum", 0, PROCESSES_MAXIMUM, 1)
    maximum = fields.optional_integer("maximum", 0, PROCESSES_MAXIMUM)
    if maximum is not None and maximum < minimum:
        raise fields.error("maximum", f"must not be less than minimum, which is {minimum}")
    if maximum is None and minimum == 0:
        raise fields.error("minimum", "must be at least 1 without a maximum: it would never fail")
    return ProcessCheck(fields.text("name"), fields.boolean("fullCommand", False), minimum, maximum)


def _file(fields: Fields) -> FileCheck:
    path = fields.text("path")
    parts = path.split("/")
    if (
        not path.startswith("/")
        or "\0" in path
        or any(part in ("", ".", "..") for part in parts[1:])
    ):
        message = "must be an absolute path without . and .. (accepted: /var/lib/app/weight)"
        raise fields.error("path", message)
    return FileCheck(path)


def _interface(fields: Fields) -> InterfaceCheck:
    name = fields.interface("name")
    if name is None:
        raise fields.error("name", "is required (accepted: eth0)")
    return InterfaceCheck(name)


def _ping(fields: Fields) -> PingCheck:
    address = fields.ip_address("address")
    if ipaddress.ip_address(address).is_multicast:
        raise fields.error("address", "must be a unicast address (accepted: 192.0.2.1)")
    return PingCheck(address)


def _node_condition(fields: Fields) -> NodeConditionCheck:
    return NodeConditionCheck(
        fields.text("type"),
        fields.choice("status", ("True", "False", "Unknown")),
        fields.optional_text("observed"),
    )


def _service(fields: Fields) -> ServiceCheck:
    for key in ("namespace", "name"):
        if not _DNS_NAME.fullmatch(fields.text(key)):
            raise fields.error(key, "must be a Kubernetes name (accepted: ingress-nginx)")
    ready = fields.optional_integer("readyEndpoints", 0, 2**31 - 1)
    return ServiceCheck(fields.text("namespace"), fields.text("name"), ready)


_PARSERS: dict[str, Callable[[Fields], CheckKind]] = {
    "http": _http,
    "tcp": _tcp,
    "grpc": _grpc,
    "exec": _exec,
    "process": _process,
    "file": _file,
    "interface": _interface,
    "ping": _ping,
    "nodeCondition": _node_condition,
    "service": _service,
}
_FIELDS: dict[type, str] = {
    HttpCheck: "http",
    TcpCheck: "tcp",
    GrpcCheck: "grpc",
    ExecCheck: "exec",
    ProcessCheck: "process",
    FileCheck: "file",
    InterfaceCheck: "interface",
    PingCheck: "ping",
    NodeConditionCheck: "nodeCondition",
    ServiceCheck: "service",
}
