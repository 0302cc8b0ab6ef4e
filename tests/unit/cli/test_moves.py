"""kubectl-vrrp handover and maintenance, against a server that answers as the API server does."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

HANDOVER_TO, MAINTENANCE = "kube-vrrp.io/handover-to", "kube-vrrp.io/maintenance"
CANDIDATES = ("node-1", "node-2")


class FakeCluster:
    """VirtualIP main and its nodes; an operator and speakers that do at once what is asked."""

    def __init__(self) -> None:
        self.annotations: dict[str, str] = {}
        self.preemption = "Always"
        self.active = "node-1"
        self.stuck = False
        self.programmed = ("True", "applied by node-1, node-2")
        self.mute: set[str] = set()
        """Nodes that do not report."""
        self.patched: list[tuple[str, Any]] = []

    def virtual_ip(self) -> dict[str, Any]:
        asked = self.annotations.get(HANDOVER_TO)
        ignored = asked is not None and asked not in CANDIDATES
        told = f'annotation {HANDOVER_TO}: "{asked}" is not a candidate (accepted: node-1, node-2)'
        conditions = [
            {"type": "Accepted", "status": "True", "message": "valid; virtual router ID 1"},
            {"type": "HandoverIgnored", "status": str(ignored), "message": told},
            {"type": "Programmed", "status": self.programmed[0], "message": self.programmed[1]},
        ]
        nodes = [{"node": n, "state": "Unknown" if n in self.mute else
                  "Active" if n == self.active else "Fault",
                  "faults": [] if n == self.active else ["CheckFailed: web"]}
                 for n in CANDIDATES]  # fmt: skip
        return {
            "metadata": {"name": "main", "annotations": self.annotations},
            "spec": {"preemption": {"mode": self.preemption}},
            "status": {
                "activeNode": self.active,
                "nodes": nodes,
                "conditions": conditions,
            },
        }

    def patch(self, path: str, annotations: dict[str, str | None]) -> None:
        self.patched.append((path, annotations))
        asked = annotations.get(HANDOVER_TO)
        if HANDOVER_TO in annotations:
            self.annotations = {} if asked is None else {HANDOVER_TO: asked}
        if asked in CANDIDATES and not self.stuck:
            self.active = str(asked)
        leaving = path.rpartition("/")[2]
        if annotations.get(MAINTENANCE) and leaving == self.active and not self.stuck:
            self.active = next(n for n in CANDIDATES if n != leaving)

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        ours = "/apis/kube-vrrp.io/v1alpha1/virtualips"
        if path == ours:
            return 200, {"items": [self.virtual_ip()]}
        if path == "/api/v1/nodes/forbidden":
            return 403, {"message": 'nodes "forbidden" is forbidden: User "u" cannot patch'}
        if path != f"{ours}/main" and not path.startswith("/api/v1/nodes/"):
            return 404, {"message": f'virtualips "{path.rpartition("/")[2]}" not found'}
        if method == "PATCH":
            self.patch(path, body["metadata"]["annotations"])
        return 200, self.virtual_ip()


@pytest.fixture
def fake() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def kubeconfig(fake: FakeCluster, tmp_path: Path) -> Iterator[Path]:
    """A kubeconfig of the fake cluster."""

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            if self.command == "PATCH":
                assert self.headers["Content-Type"] == "application/merge-patch+json"
            status, answer = fake.answer(self.command, self.path, body)
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PATCH = _serve

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [
            {"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
        ],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    yield path
    server.shutdown()
    server.server_close()


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vrrp_cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_handover_asks_waits_and_tells(fake: FakeCluster, kubeconfig: Path) -> None:
    ended = run("handover", "main", "--kubeconfig", kubeconfig, "node-2")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("main: node-1 → node-2 in ")
    ((path, annotations),) = fake.patched
    assert path == "/apis/kube-vrrp.io/v1alpha1/virtualips/main"
    assert annotations == {HANDOVER_TO: "node-2"}


def test_who_cannot_be_told_is_named_and_how_it_moved(fake: FakeCluster, kubeconfig: Path) -> None:
    fake.mute = {"node-1"}
    ended = run("maintenance", "node-1", "on", "--kubeconfig", kubeconfig)
    assert ended.returncode == 0
    assert ended.stdout.startswith("node-1: in maintenance; main moved away in ")
    assert (
        "; node-1 does not report and cannot be told: it gives way to a higher priority by the"
        " protocol, and stays a member of main until it reaches the API server" in ended.stdout
    )
    fake.active = "node-1"
    ended = run("handover", "main", "node-2", "--kubeconfig", kubeconfig)
    assert "main: node-1 → node-2 in " in ended.stdout
    assert "node-1 does not report and cannot be told" in ended.stdout


def test_handover_to_the_holder_keeps_it_there(fake: FakeCluster, kubeconfig: Path) -> None:
    ended = run("handover", "main", "node-1", "--kubeconfig", kubeconfig)
    assert ended.returncode == 0
    assert ended.stdout == "main: node-1 holds it already, and keeps it until --undo\n"
    assert fake.annotations == {HANDOVER_TO: "node-1"}


def test_handover_that_does_not_come_about_says_what_is_there_instead(
    fake: FakeCluster, kubeconfig: Path
) -> None:
    fake.stuck = True
    flags = ("--timeout", "300ms", "--kubeconfig", kubeconfig)
    ended = run("handover", "main", "node-2", *flags)
    assert ended.returncode == 1
    assert ended.stderr == (
        "kubectl-vrrp: main: not on node-2 after 0.3 s but on node-1; node-2 is Fault"
        " (CheckFailed: web); Accepted says: valid; virtual router ID 1\n"
    )
    assert "--undo first" in run("handover", "main", "node-2", *flags).stderr
    other = run("handover", "main", "node-9", *flags)
    assert other.returncode == 1
    assert "node-9 is no candidate; Accepted says:" in other.stderr
    assert 'handover-to: "node-9" is not a candidate (accepted: node-1, node-2)' in other.stderr


@pytest.mark.parametrize(
    ("preemption", "then"),
    [("Always", "its best node takes it"), ("Never", "it stays where it is (preemption Never)")],
)
def test_undo_removes_what_asks_and_says_what_follows(
    fake: FakeCluster, kubeconfig: Path, preemption: str, then: str
) -> None:
    fake.annotations, fake.preemption = {HANDOVER_TO: "node-2"}, preemption
    ended = run("handover", "main", "--undo", "--kubeconfig", kubeconfig)
    assert (ended.returncode, ended.stdout) == (0, f"main: no longer handed to node-2; {then}\n")
    assert fake.annotations == {}
    again = run("handover", "main", "--undo", "--kubeconfig", kubeconfig)
    assert (again.returncode, again.stdout) == (0, "main: no hand-over was asked for\n")
    assert len(fake.patched) == 1


def test_maintenance_on_and_off(fake: FakeCluster, kubeconfig: Path) -> None:
    ended = run("maintenance", "node-1", "on", "--kubeconfig", kubeconfig)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("node-1: in maintenance; main moved away in ")
    again = run("maintenance", "node-1", "on", "--kubeconfig", kubeconfig)
    assert again.stdout == "node-1: in maintenance; it held nothing\n"
    ended = run("maintenance", "node-1", "off", "--kubeconfig", kubeconfig)
    assert ended.stdout == "node-1: takes part in elections again\n"
    values = [annotations[MAINTENANCE] for _, annotations in fake.patched]
    assert values == ["true", "true", None]
    assert {path for path, _ in fake.patched} == {"/api/v1/nodes/node-1"}


def test_node_that_keeps_something_is_an_error(fake: FakeCluster, kubeconfig: Path) -> None:
    fake.stuck = True
    ended = run("maintenance", "node-1", "on", "--timeout", "200ms", "--kubeconfig", kubeconfig)
    assert ended.returncode == 1
    assert ended.stderr == "kubectl-vrrp: node-1: still holds main after 0.2 s\n"
    fake.programmed = ("False", "node-2 joins once every member knows it; no report from node-1")
    ended = run("maintenance", "node-1", "on", "--timeout", "200ms", "--kubeconfig", kubeconfig)
    assert ended.stderr == (
        "kubectl-vrrp: node-1: still holds main after 0.2 s; main: node-2 joins once every member"
        " knows it; no report from node-1\n"
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("handover", "absent", "node-1"), '404 virtualips "absent" not found'),
        (("handover", "a/b", "node-1"), '404 virtualips "a%2Fb" not found'),
        (("maintenance", "forbidden", "on"), '403 nodes "forbidden" is forbidden: User "u"'),
    ],
)
def test_what_the_server_refuses_is_told_in_its_words(
    kubeconfig: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    ended = run(*arguments, "--kubeconfig", kubeconfig)
    assert ended.returncode == 4
    assert complaint in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("handover", "main"), "give either the node or --undo"),
        (("handover", "main", "node-1", "--undo"), "give either the node or --undo"),
        (("handover", "main", "node-1", "node-2"), "unrecognized arguments: node-2"),
        (("handover", "main", "--undone"), "give either the node or --undo"),
        (("handover", "main", "node-1", "--undone"), "unrecognized arguments: --undone"),
        (("handover", "main", "node-1", "--timeout", "5"), "'5' is not a duration (accepted: "),
        (("maintenance", "node-1", "perhaps"), "invalid choice: 'perhaps'"),
    ],
)
def test_wrong_usage_is_told(arguments: tuple[str, ...], complaint: str) -> None:
    ended = run(*arguments)
    assert ended.returncode == 2
    assert complaint in ended.stderr
