"""gRPC checks: ``grpc.health.v1.Health/Check`` over HTTP/2 without TLS.

The two messages are a string and an enumeration, so they are written and read here; HTTP/2 is the
h2 package's, which costs 1.4 MB where grpcio would cost more than the agent.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from vrrp_api.check_kinds import GrpcCheck
from vrrp_speaker.agent.checks.connection import connect, host_and_port, reason
from vrrp_speaker.agent.checks.run import Run
from vrrp_speaker.agent.checks.targets import Targets
from vrrp_speaker.agent.checks.verdict import Result

_PATH = "/grpc.health.v1.Health/Check"
_MESSAGE = struct.Struct("!BI")  # compressed, length
_STATUSES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
_SERVING = 1
_MOST_ANSWER = 4096
_NOT_FOUND, _UNIMPLEMENTED = "5", "12"
_CODES = {
    str(number): f"{number} {name}"
    for number, name in enumerate(
        (
            *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND"),
            *("ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION"),
            *("ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"),
            "UNAUTHENTICATED",
        )
    )
}
_BUFFER = 1 << 16


@dataclass(slots=True)
class _Answer:
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False


def probe_grpc(run: Run, kind: GrpcCheck, targets: Targets) -> Result:
    """Ask once; SERVING passes."""
    try:
        with connect(run, *host_and_port(kind.address), targets) as connection:
            answer = _ask(run, connection, kind)
    except OSError as error:
        return Result(False, reason(error))
    except h2.exceptions.H2Error as error:
        return Result(False, f"no HTTP/2: {reason(error)}")
    return _judge(kind, answer)


def _ask(run: Run, connection: socket.socket, kind: GrpcCheck) -> _Answer:
    client = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    client.initiate_connection()
    stream = client.get_next_available_stream_id()
    client.send_headers(
        stream,
        [
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", kind.address),
            (":path", _PATH),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", "kube-vrrp"),
        ],
    )
    client.send_data(stream, _request(kind.service), end_stream=True)
    answer = _Answer()
    while not answer.ended:
        connection.settimeout(run.remaining_s())
        connection.sendall(client.data_to_send())
        data = connection.recv(_BUFFER)
        if not data:
            raise ConnectionResetError("closed without an answer")
        if data.startswith(b"HTTP/1."):
            raise ConnectionResetError("no HTTP/2: the server speaks HTTP/1")
        for event in client.receive_data(data):
            _take(event, answer)
    return answer


def _take(event: h2.events.Event, answer: _Answer) -> None:
    match event:
        case h2.events.ResponseReceived() | h2.events.TrailersReceived():
            answer.headers |= {str(name): str(value) for name, value in event.headers or ()}
        case h2.events.DataReceived():
            answer.body += event.data or b""
            if len(answer.body) > _MOST_ANSWER:
                raise ConnectionAbortedError("the answer is too long")
        case h2.events.StreamEnded():
            answer.ended = True
        case h2.events.StreamReset():
            raise ConnectionResetError(f"the call was reset ({event.error_code})")
        case h2.events.ConnectionTerminated():
            raise ConnectionResetError(f"the server said good-bye ({event.error_code})")


def _request(service: str) -> bytes:
    name = service.encode()
    body = b"\x0a" + _varint(len(name)) + name if name else b""
    return _MESSAGE.pack(0, len(body)) + body


def _judge(kind: GrpcCheck, answer: _Answer) -> Result:
    status = answer.headers.get(":status", "")
    if status != "200":
        shown = status if len(status) == 3 and status.isdecimal() else "missing or unknown"
        return Result(False, f"HTTP status {shown}")
    code = answer.headers.get("grpc-status", "")
    if code == _NOT_FOUND:
        return Result(False, f"the server knows no service {kind.service!r}")
    if code == _UNIMPLEMENTED:
        return Result(False, "the server has no grpc.health.v1.Health")
    if code != "0":
        # Not its message: what servers say is not for authors of checks to read.
        return Result(False, f"gRPC status {_CODES.get(code, 'missing or unknown')}")
    found = _serving_status(answer.body)
    if found == _SERVING:
        return Result(True)
    return Result(False, _STATUSES.get(found, f"serving status {found}"))


def _serving_status(body: bytes) -> int:
    """Return field 1 of a HealthCheckResponse; 0 (UNKNOWN) when it is left out or damaged."""
    if len(body) < _MESSAGE.size or body[0] != 0:
        return 0
    message = body[_MESSAGE.size :]
    return message[1] if len(message) >= 2 and message[0] == 0x08 else 0


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])
