"""What an operator may ask of a running agent, by signal and by socket."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.eventually import eventually

from vrrp_speaker import __main__
from vrrp_speaker.agent.serving.control import LogLevel, Signals, serve_dump


@pytest.fixture(autouse=True)
def undisturbed() -> Iterator[None]:
    """Signals and the log's level are the process's; give them back."""
    level = logging.getLogger().level
    handlers = {n: signal.getsignal(n) for n in (signal.SIGUSR1, signal.SIGUSR2)}
    yield
    logging.getLogger().setLevel(level)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def level() -> str:
    return logging.getLevelName(logging.getLogger().level)


@pytest.mark.parametrize(
    ("asked", "toggled"), [("info", "DEBUG"), ("error", "DEBUG"), ("debug", "INFO")]
)
def test_level_there_and_back(asked: str, toggled: str) -> None:
    logging.getLogger().setLevel(asked.upper())
    found = LogLevel(asked)
    found.toggle()
    assert (level(), found.name) == (toggled, toggled.lower())
    found.toggle()
    assert (level(), found.name) == (asked.upper(), asked)


def test_signal_toggles_the_level(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    logging.getLogger().setLevel(logging.INFO)
    signals = Signals(LogLevel("info"))
    signals.catch()
    signals.start(dict, tmp_path / "dump.json")
    os.kill(os.getpid(), signal.SIGUSR1)
    eventually(lambda: level() == "DEBUG", within_s=5)
    os.kill(os.getpid(), signal.SIGUSR1)
    eventually(lambda: level() == "INFO", within_s=5)
    eventually(lambda: caplog.text.count("log level changed") == 2, within_s=5)


def test_signal_before_there_is_anything_to_dump_waits(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    logging.getLogger().setLevel(logging.INFO)
    path, signals = tmp_path / "dump.json", Signals(LogLevel("info"))
    signals.catch()
    os.kill(os.getpid(), signal.SIGUSR2)
    signals.start(lambda: {"node": "node-1"}, path)
    eventually(lambda: "state written" in caplog.text, within_s=5)
    assert json.loads(path.read_text()) == {"node": "node-1"}
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["dump.json"]


def test_dump_that_cannot_be_written_is_said_and_the_next_one_works(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    path, signals = tmp_path / "folder" / "dump.json", Signals(LogLevel("info"))
    signals.catch()
    signals.start(dict, path)
    os.kill(os.getpid(), signal.SIGUSR2)
    eventually(lambda: "state not written" in caplog.text, within_s=5)
    path.parent.mkdir()
    os.kill(os.getpid(), signal.SIGUSR2)
    eventually(path.exists, within_s=5)


# The socket and its command -----------------------------------------------------------


def run(monkeypatch: pytest.MonkeyPatch, folder: Path) -> int:
    monkeypatch.setattr(sys, "argv", ["vrrp-speaker", "dump", "--run-dir", str(folder)])
    return __main__.main()


def test_command_prints_what_the_agent_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    state: dict[str, Any] = {"node": "nödé", "long": "x" * 300_000}
    serve_dump(tmp_path / "agent.sock", lambda: state)
    assert run(monkeypatch, tmp_path) == 0
    assert json.loads(capfdbinary.readouterr().out) == state


def test_next_agent_takes_the_socket_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    for number in (1, 2):
        serve_dump(tmp_path / "agent.sock", partial(dict, number=number))
    assert run(monkeypatch, tmp_path) == 0
    assert json.loads(capfdbinary.readouterr().out) == {"number": 2}
    assert (tmp_path / "agent.sock").stat().st_mode & 0o777 == 0o600


def test_no_agent_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, tmp_path) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"vrrp-speaker: {tmp_path}/agent.sock: no agent answers: ")


def test_other_questions_are_answered_too(tmp_path: Path) -> None:
    serve_dump(tmp_path / "agent.sock", dict)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(tmp_path / "agent.sock"))
        connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.0 404")
