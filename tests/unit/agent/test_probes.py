"""Probes against real servers on the loopback interface."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from typing import ClassVar

import pytest
from tests.unit.agent.checks import Heard, a_check, a_run, probe, settings

from vrrp_api.check_kinds import CheckKind, HttpCheck, HttpHeader, TcpCheck
from vrrp_speaker.agent.checks.probes import Probes
from vrrp_speaker.agent.checks.targets import parse_targets
from vrrp_speaker.agent.checks.verdict import Result

PASSED = Result(True)


class _Handler(BaseHTTPRequestHandler):
    seen: ClassVar[dict[str, str]] = {}

    def do_GET(self) -> None:
        _Handler.seen = {"path": self.path, "method": self.command, **dict(self.headers)}
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/200")
        elif self.path == "/slow":
            threading.Event().wait(2)
            self.send_response(200)
        else:
            self.send_response(int(self.path[1:4]))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"." * 5000 + b"status: green")

    do_HEAD = do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_address[1]}"
    made.shutdown()


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Result]:
    made = settings(tmp_path)

    def once(kind: CheckKind, timeout_ms: int = 1000) -> Result:
        return probe(made, kind, timeout_ms=timeout_ms)

    return once


def http(
    url: str,
    statuses: tuple[tuple[int, int], ...] = ((200, 399),),
    body: str | None = None,
    headers: tuple[HttpHeader, ...] = (),
    method: str = "GET",
    insecure: bool = False,
    ca_ref: str | None = None,
) -> HttpCheck:
    return HttpCheck(url, method, headers, statuses, body, insecure, ca_ref)


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


Once = Callable[..., Result]


def test_status_is_compared_with_the_ranges(server: str, run: Once) -> None:
    assert run(http(f"{server}/200")) == PASSED
    assert run(http(f"{server}/503")) == Result(False, "status 503")
    assert run(http(f"{server}/503", statuses=((200, 299), (503, 503)))) == PASSED


def test_redirect_is_an_answer_and_not_followed(server: str, run: Once) -> None:
    assert run(http(f"{server}/moved")) == PASSED
    assert _Handler.seen["path"] == "/moved"
    assert run(http(f"{server}/moved", statuses=((200, 200),))) == Result(False, "status 302")


def test_body_must_hold_the_text(server: str, run: Once) -> None:
    assert run(http(f"{server}/200", body="green")) == PASSED
    red = Result(False, "body does not contain 'red'")
    assert run(http(f"{server}/200", body="red")) == red


def test_headers_method_and_query_are_sent(server: str, run: Once) -> None:
    host = (HttpHeader("X-Probe", "vrrp"), HttpHeader("Host", "example.org"))
    assert run(http(f"{server}/200?deep=1#part", headers=host)) == PASSED
    seen = _Handler.seen
    assert (seen["path"], seen["X-Probe"], seen["Host"]) == ("/200?deep=1", "vrrp", "example.org")
    assert run(http(f"{server}/200", method="HEAD")) == PASSED
    assert _Handler.seen["method"] == "HEAD"
    assert run(http(f"{server}/200", method="POST")) == PASSED
    assert _Handler.seen["Content-Length"] == "0"


def test_a_header_of_the_check_takes_the_place_of_ours_in_whatever_case(
    server: str, run: Once
) -> None:
    assert run(http(f"{server}/200")) == PASSED
    assert _Handler.seen["User-Agent"] == "kube-vrrp"
    assert run(http(f"{server}/200", headers=(HttpHeader("user-agent", "probe"),))) == PASSED
    said = {name: value for name, value in _Handler.seen.items() if name.lower() == "user-agent"}
    assert said == {"user-agent": "probe"}


def test_slow_server_times_out(server: str, run: Once) -> None:
    assert run(http(f"{server}/slow"), timeout_ms=100) == Result(False, "timed out")


def test_nobody_listening_is_refused(run: Once) -> None:
    port = unused_port()
    refused = Result(False, "Connection refused")
    assert run(http(f"http://127.0.0.1:{port}/")) == refused
    assert run(TcpCheck(f"127.0.0.1:{port}")) == refused


def test_tcp_passes_when_accepted(server: str, run: Once) -> None:
    assert run(TcpCheck(server.removeprefix("http://"))) == PASSED


def test_tcp_over_ipv6(run: Once) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        assert run(TcpCheck(f"[::1]:{listener.getsockname()[1]}")) == PASSED


def test_unknown_host_is_a_failure_and_no_crash(run: Once) -> None:
    result = run(TcpCheck("host.invalid:80"))
    assert not result.passed
    assert result.message


@pytest.mark.parametrize("said", [b"garbage\r\n\r\n", b"", b"HTTP/1.1 99999 x\r\n\r\n"])
def test_what_is_no_http_is_a_failure(said: bytes, run: Once) -> None:
    with _Speaking(said) as port:
        result = run(http(f"http://127.0.0.1:{port}/"))
    assert not result.passed
    assert result.message


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-secret\r\n",
        b"-ERR unknown command secret\r\n",
        b"HTTP/1.1 secret\r\n\r\n",
        b"HTTP/secret 200 OK\r\n\r\n",
        b"HTTP/1.1 404 secret\r\nX-Token: secret\r\n\r\nsecret",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nsecret\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: secret\r\n\r\nsecret",
    ],
)
def test_nothing_that_a_server_says_is_shown(said: bytes, run: Once) -> None:
    with _Speaking(said) as port:
        result = run(http(f"http://127.0.0.1:{port}/", body="green"))
    assert not result.passed
    assert result.message
    assert "secret" not in result.message


def test_a_server_that_drips_is_given_up_with_its_run(tmp_path: Path) -> None:
    """One byte now and then resets any timeout of a single read; the run still ends."""
    heard = Heard()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_drip, args=(listener,), daemon=True).start()
        kind = http(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        begun = a_run(a_check(kind, timeout_ms=500))
        Probes(heard.inbox, settings(tmp_path)).begin(begun)
        begun.give_up()
        heard.until(lambda: begun.number in heard.ended)
    assert not heard.ended[begun.number].passed


def test_each_run_has_a_thread_of_its_own_and_threads_are_used_again(
    server: str, tmp_path: Path
) -> None:
    heard = Heard()
    probes = Probes(heard.inbox, settings(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hanging = http(f"http://127.0.0.1:{silent.getsockname()[1]}/")
        stuck = [a_run(a_check(hanging, timeout_ms=60_000)) for _ in range(20)]
        for begun in stuck:
            probes.begin(begun)
        for _ in range(50):
            quick = a_run(a_check(http(f"{server}/200")))
            probes.begin(quick)
            heard.until(lambda number=quick.number: number in heard.ended)  # type: ignore[misc] # mypy has no type for a lambda's default
            assert heard.ended[quick.number] == PASSED
        assert probes._workers.count < 25
        for begun in stuck:
            begun.give_up()
        heard.until(lambda: all(begun.number in heard.ended for begun in stuck))


# TLS ---------------------------------------------------------------------------------


def _certificate(folder: Path, name: str, address: str) -> Path:
    folder.mkdir(exist_ok=True)
    key, certificate = folder / f"{name}.key", folder / f"{name}.crt"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", str(key)]
    command += ["-addext", f"subjectAltName=IP:{address}", "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[str]:
    certificate = _certificate(tmp_path / "ca", "ours", "127.0.0.1")
    _certificate(tmp_path / "ca", "other", "127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    made = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    made.socket = context.wrap_socket(made.socket, server_side=True)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{made.server_address[1]}/200"
    made.shutdown()


def test_a_certificate_must_come_from_the_named_authority(secure: str, run: Once) -> None:
    assert run(http(secure, ca_ref="ours.crt")) == PASSED
    for wrong in (run(http(secure)), run(http(secure, ca_ref="other.crt"))):
        assert not wrong.passed
        assert wrong.message.startswith("certificate: ")
    assert run(http(secure, insecure=True)) == PASSED


def test_a_certificate_must_name_the_host(secure: str, run: Once) -> None:
    result = run(http(secure.replace("127.0.0.1", "localhost"), ca_ref="ours.crt"))
    assert result.message.startswith("certificate: Hostname mismatch")


def test_a_missing_or_empty_authority_is_named(secure: str, tmp_path: Path, run: Once) -> None:
    missing = run(http(secure, ca_ref="missing.crt"))
    assert missing.message == "authority missing.crt of --ca-dir: No such file or directory"
    (tmp_path / "ca" / "empty.crt").write_text("")
    empty = run(http(secure, ca_ref="empty.crt"))
    assert not empty.passed
    assert empty.message.startswith("authority empty.crt of --ca-dir: ")


def test_a_changed_authority_is_read_again(secure: str, tmp_path: Path) -> None:
    probes = Probes(SimpleQueue(), settings(tmp_path))
    used, ours = tmp_path / "ca" / "used.crt", tmp_path / "ca" / "ours.crt"
    used.write_bytes((tmp_path / "ca" / "other.crt").read_bytes())
    assert not probes.probe(a_run(a_check(http(secure, ca_ref="used.crt")))).passed
    fresh = used.with_name("fresh")
    fresh.write_bytes(ours.read_bytes())
    fresh.replace(used)
    assert probes.probe(a_run(a_check(http(secure, ca_ref="used.crt")))) == PASSED


# Servers of few words ------------------------------------------------------------------


class _Speaking:
    """A server that says some bytes to everybody and closes."""

    def __init__(self, said: bytes) -> None:
        self._said = said
        self._listener = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> int:
        threading.Thread(target=self._serve, daemon=True).start()
        port: int = self._listener.getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(self._said)


def _drip(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        try:
            while True:
                connection.sendall(b"H")
                time.sleep(0.02)
        except OSError:
            return


# Header values that the node has -----------------------------------------------------------


@pytest.fixture
def values(tmp_path: Path) -> Path:
    folder = tmp_path / "header-values"
    folder.mkdir()
    return folder


def asking_with(name: str, url: str) -> HttpCheck:
    return http(url, headers=(HttpHeader("Authorization", value_name=name),))


def test_a_value_is_sent_to_the_node_itself_and_read_at_every_run(
    server: str, values: Path, run: Once
) -> None:
    for text in ("Bearer one\n", "Bearer two"):
        (values / "token").write_text(text)
        assert run(asking_with("token", f"{server}/200")) == PASSED
        assert _Handler.seen["Authorization"] == text.strip()


@pytest.mark.parametrize("listed", [None, "Node", "192.0.2.0/24\n"])
def test_a_value_goes_to_nobody_that_it_is_not_for(
    listed: str | None, values: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (values / "token").write_text("secret")
    if listed is not None:
        (values / "token.targets").write_text(listed)
    opened: list[int] = []
    real = socket.socket

    def socket_of(family: int, *rest: int) -> socket.socket:
        if family != socket.AF_NETLINK:  # the kernel is asked where the address is
            opened.append(family)
        return real(family, *rest)

    monkeypatch.setattr(socket, "socket", socket_of)
    anybody = settings(tmp_path, targets=parse_targets(["0.0.0.0/0"]))
    accepted = (listed or "Node").strip()
    refused = probe(anybody, asking_with("token", "http://203.0.113.9/"))
    assert refused.message == (
        "TargetNotAllowed: 203.0.113.9 is not among header value token.targets of"
        f" --header-values-dir (accepted: {accepted})"
    )
    assert opened == []


def test_a_value_that_may_go_elsewhere_does_so_where_checks_may(
    server: str, values: Path, tmp_path: Path
) -> None:
    (values / "token").write_text("secret")
    (values / "token.targets").write_text("10.0.0.0/8, 127.0.0.0/8")
    allowed = settings(tmp_path, targets=parse_targets(["127.0.0.1/32"]))
    assert probe(allowed, asking_with("token", f"{server}/200")) == PASSED
    not_here = settings(tmp_path, targets=parse_targets(["192.0.2.0/24"]))
    assert "is not among --check-targets" in probe(not_here, asking_with("token", server)).message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "header value token of --header-values-dir: No such file or directory"),
        ("", "must be one line of printable ASCII"),
        ("sec\nret", "must be one line of printable ASCII"),
        ("sécret", "must be one line of printable ASCII"),
        ("s" * 4097, "must have at most 4096 bytes"),
    ],
)
def test_a_value_that_cannot_be_sent_fails_and_is_not_shown(
    content: str | None, said: str, server: str, values: Path, run: Once
) -> None:
    if content is not None:
        (values / "token").write_text(content)
    result = run(asking_with("token", f"{server}/200"))
    assert not result.passed
    assert result.message.endswith(said)
    assert not content or content[:3] not in result.message


def test_a_wrong_list_of_targets_sends_nothing(server: str, values: Path, run: Once) -> None:
    (values / "token").write_text("secret")
    (values / "token.targets").write_text("everybody")
    assert run(asking_with("token", f"{server}/200")).message == (
        "header value token.targets of --header-values-dir: 'everybody' is no network"
        " (accepted: Node, Subnets, 10.96.0.0/12, ::/0)"
    )
