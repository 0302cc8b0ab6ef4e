"""The kinds of a HealthCheck: what each looks at, and how it is written in its field of a spec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class HttpHeader:
    """A header with its value, or with the name of a value that the node has; never both."""

    name: str
    value: str | None = None
    value_name: str | None = None

    def to_object(self) -> dict[str, Any]:
        """Return the API form."""
        return _present(name=self.name, value=self.value, valueName=self.value_name)


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """An HTTP or HTTPS request; ``expected_statuses`` are inclusive ranges.

    ``ca_ref`` names a file of the speaker's folder of authorities; None: those of the system.
    """

    url: str
    method: str
    headers: tuple[HttpHeader, ...]
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
            headers=[header.to_object() for header in self.headers],
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

    ``ready_endpoints``: filled in by the operator, 1 where it has any here and 0 where it has none
    (earlier operators told how many); None: the Service does not exist (or a user's object).
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


def kind_name(kind: CheckKind) -> str:
    """Return the field of the spec that a kind is written in."""
    return _FIELDS[type(kind)]


def kind_object(kind: CheckKind) -> dict[str, Any]:
    """Return the API form of a kind: its field and what is in it."""
    return {kind_name(kind): kind.to_object()}


def _present(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


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
