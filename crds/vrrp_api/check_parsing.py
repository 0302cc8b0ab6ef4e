"""The kind of a HealthCheck, read from its field of a spec; the rules are those of the schema."""

from __future__ import annotations

import ipaddress
import re
import urllib.parse
from collections.abc import Callable
from dataclasses import replace

from vrrp_api.check_kinds import (
    CheckKind,
    ExecCheck,
    FileCheck,
    GrpcCheck,
    HttpCheck,
    HttpHeader,
    InterfaceCheck,
    NodeConditionCheck,
    PingCheck,
    ProcessCheck,
    ServiceCheck,
    TcpCheck,
)
from vrrp_api.fields import Fields
from vrrp_api.former import match_of_process, renamed

_STATUS_RANGE = re.compile(r"([1-5]\d\d)(?:-([1-5]\d\d))?")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_VALUE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,127}")
_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_GRPC_SERVICE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")
_METHODS = ("GET", "HEAD", "POST", "PUT", "OPTIONS")
PROCESSES_MAXIMUM = 65535


def parse_kind(spec: Fields, resolved: bool = False) -> CheckKind:
    """Return the one kind that a spec names.

    ``resolved``: the spec is of a NodeConfig and may hold what the operator observed.

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
    kind = _PARSERS[given[0]](fields, resolved)
    if resolved:
        kind = _observed(kind, fields)
    fields.done()
    return kind


def _observed(kind: CheckKind, fields: Fields) -> CheckKind:
    """Return the kind with what the operator observed for it."""
    match kind:
        case NodeConditionCheck():
            return replace(kind, observed=fields.optional_text("observed"))
        case ServiceCheck():
            ready = fields.optional_integer("readyEndpoints", 0, 2**31 - 1)
            return replace(kind, ready_endpoints=ready)
        case _:
            return kind


def _http(fields: Fields, resolved: bool) -> HttpCheck:
    url = fields.text("url")
    try:
        parts = urllib.parse.urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise fields.error("url", "must be http:// or https:// with a host")
    insecure, ca_ref = _tls(fields.child("tls"), resolved)
    return HttpCheck(
        url=url,
        method=fields.choice("method", _METHODS, "GET"),
        headers=_headers(fields),
        expected_statuses=_expected_statuses(fields),
        body_contains=fields.optional_text("bodyContains"),
        insecure_skip_verify=insecure,
        ca_ref=ca_ref,
    )


def _headers(fields: Fields) -> tuple[HttpHeader, ...]:
    return tuple(_header(item) for item in fields.children("headers", 0, 16))


def _header(item: Fields) -> HttpHeader:
    name = item.text("name")
    if not _HEADER_NAME.fullmatch(name):
        raise item.error("name", "must be a header name (accepted: Host, X-Probe)")
    value, value_name = item.optional_text("value"), item.optional_text("valueName")
    if (value is None) == (value_name is None):
        raise item.error("value", "exactly one of value and valueName must be given")
    if value is not None and ("\r" in value or "\n" in value):
        raise item.error("value", "must be one line")
    if value_name is not None and not _VALUE_NAME.fullmatch(value_name):
        message = "must be the name of a value that the node has (accepted: probe-token)"
        raise item.error("valueName", message)
    item.done()
    return HttpHeader(name, value, value_name)


def _tls(tls: Fields | None, resolved: bool) -> tuple[bool, str | None]:
    if tls is None:
        return False, None
    named = "caRef" if resolved else renamed(tls, "caName", "caRef")
    insecure, ca_ref = tls.boolean("insecureSkipVerify", False), tls.optional_text(named)
    if ca_ref is not None and not _FILE_NAME.fullmatch(ca_ref):
        raise tls.error(named, "must be a file name without a folder (accepted: internal-ca.crt)")
    if ca_ref is not None and insecure:
        raise tls.error(named, "contradicts insecureSkipVerify: true; give one of them")
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


def _process(fields: Fields, resolved: bool) -> ProcessCheck:
    minimum = fields.integer("minimum", 0, PROCESSES_MAXIMUM, 1)
    maximum = fields.optional_integer("maximum", 0, PROCESSES_MAXIMUM)
    if maximum is not None and maximum < minimum:
        raise fields.error("maximum", f"must not be less than minimum, which is {minimum}")
    if maximum is None and minimum == 0:
        raise fields.error("minimum", "must be at least 1 without a maximum: it would never fail")
    whole = fields.boolean("fullCommand", False) if resolved else match_of_process(fields)
    return ProcessCheck(fields.text("name"), whole, minimum, maximum)


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
    text = fields.ip_address("address")
    address = ipaddress.ip_address(text)
    if "%" in text:
        raise fields.error("address", "is not an IP address (accepted: 192.0.2.1, 2001:db8::1)")
    if address.is_multicast or address.is_unspecified or text == "255.255.255.255":
        raise fields.error("address", "must be a unicast address (accepted: 192.0.2.1)")
    return PingCheck(text)


def _node_condition(fields: Fields) -> NodeConditionCheck:
    status = fields.choice("status", ("True", "False", "Unknown"))
    return NodeConditionCheck(fields.text("type"), status)


def _service(fields: Fields) -> ServiceCheck:
    for key in ("namespace", "name"):
        if not _DNS_LABEL.fullmatch(fields.text(key)):
            raise fields.error(key, "must be a DNS label (accepted: ingress-nginx)")
    return ServiceCheck(fields.text("namespace"), fields.text("name"))


def _alike(parse: Callable[[Fields], CheckKind]) -> Callable[[Fields, bool], CheckKind]:
    """Return the parser of a kind that NodeConfigs write as users do."""
    return lambda fields, _: parse(fields)


_PARSERS: dict[str, Callable[[Fields, bool], CheckKind]] = {
    "http": _http,
    "tcp": _alike(_tcp),
    "grpc": _alike(_grpc),
    "exec": _alike(_exec),
    "process": _process,
    "file": _alike(_file),
    "interface": _alike(_interface),
    "ping": _alike(_ping),
    "nodeCondition": _alike(_node_condition),
    "service": _alike(_service),
}
