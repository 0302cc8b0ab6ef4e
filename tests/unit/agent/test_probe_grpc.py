"""gRPC checks against a small HTTP/2 server, and the bytes of the protocol worked out by hand."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest
from tests.unit.agent.checks import probe, settings

from vrrp_api.check_kinds import GrpcCheck
from vrrp_speaker.agent.checks.verdict import Result

SERVING, NOT_SERVING = b"\0\0\0\0\2\x08\x01", b"\0\0\0\0\2\x08\x02"
Answer = tuple[list[tuple[str, str]], bytes, list[tuple[str, str]]]
OK = [(":status", "200"), ("content-type", "application/grpc")]


def answer(body: bytes, status: str = "0", message: str = "") -> Answer:
    return OK, body, [("grpc-status", status), ("grpc-message", message)]


class Server:
    """Gives each call the answer it was told to."""

    def __init__(self) -> None:
        self.answer: Answer = answer(SERVING)
        self.asked: list[tuple[dict[str, str], bytes]] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.listener.getsockname()[1]}"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        server = h2.connection.H2Connection(config)
        server.initiate_connection()
        headers, body = {}, b""
        while True:
            connection.sendall(server.data_to_send())
            data = connection.recv(65536)
            if not data:
                return
            for event in server.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    headers = {str(name): str(value) for name, value in event.headers}
                elif isinstance(event, h2.events.DataReceived):
                    body += event.data
                elif isinstance(event, h2.events.StreamEnded):
                    self.asked.append((headers, body))
                    self._reply(server, event.stream_id)

    def _reply(self, server: h2.connection.H2Connection, stream: int) -> None:
        first, body, last = self.answer
        server.send_headers(stream, first, end_stream=not body and not last)
        if body:
            server.send_data(stream, body, end_stream=not last)
        if last:
            server.send_headers(stream, last, end_stream=True)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.listener.close()


@pytest.fixture
def ask(tmp_path: Path, server: Server) -> Callable[..., Result]:
    def once(service: str = "", address: str | None = None, timeout_ms: int = 2000) -> Result:
        kind = GrpcCheck(address or server.address, service)
        return probe(settings(tmp_path), kind, timeout_ms=timeout_ms)

    return once


Ask = Callable[..., Result]


def test_serving_passes(server: Server, ask: Ask) -> None:
    assert ask() == Result(True)
    headers, body = server.asked[0]
    assert (headers[":method"], headers[":path"]) == ("POST", "/grpc.health.v1.Health/Check")
    assert (headers["te"], headers["content-type"]) == ("trailers", "application/grpc")
    assert body == b"\0\0\0\0\0"


def test_the_service_is_field_1_of_the_request(server: Server, ask: Ask) -> None:
    ask("my.Service")
    assert server.asked[0][1] == b"\0\0\0\0\x0c\x0a\x0amy.Service"
    ask("x" * 200)
    assert server.asked[1][1] == b"\0\0\0\0\xcb\x0a\xc8\x01" + b"x" * 200


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (answer(NOT_SERVING), "NOT_SERVING"),
        (answer(b"\0\0\0\0\2\x08\x03"), "SERVICE_UNKNOWN"),
        (answer(b"\0\0\0\0\0"), "UNKNOWN"),
        (answer(b"\0\0\0\0\2\x08\x09"), "serving status 9"),
        (answer(b"\1\0\0\0\2\x08\x01"), "UNKNOWN"),  # compressed, which nobody asked for
        (answer(b""), "UNKNOWN"),
        (([*OK, ("grpc-status", "5")], b"", []), "the server knows no service 'web'"),
        (([*OK, ("grpc-status", "12")], b"", []), "the server has no grpc.health.v1.Health"),
        (answer(b"", "14", "going%20away"), "gRPC status 14 UNAVAILABLE"),
        (answer(b"", "99", "secret"), "gRPC status missing or unknown"),
        ((OK, SERVING, []), "gRPC status missing or unknown"),
        (([(":status", "404")], b"", []), "HTTP status 404"),
        (([(":status", "secret")], b"", []), "HTTP status missing or unknown"),
        (answer(b"." * 5000), "the answer is too long"),
    ],
)
def test_anything_else_fails(server: Server, ask: Ask, given: Answer, message: str) -> None:
    server.answer = given
    assert ask("web") == Result(False, message)


def test_a_server_that_does_not_speak_http2_fails(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def talk() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=talk, daemon=True).start()
        result = ask(address=f"127.0.0.1:{listener.getsockname()[1]}")
    assert result == Result(False, "no HTTP/2: the server speaks HTTP/1")


def test_a_silent_server_times_out(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        silent = f"127.0.0.1:{listener.getsockname()[1]}"
        assert ask(address=silent, timeout_ms=100) == Result(False, "timed out")
