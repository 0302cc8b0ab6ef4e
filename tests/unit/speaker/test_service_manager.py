"""sd_notify(3), against real datagram sockets."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from vrrp_speaker.supervisor.service_manager import ServiceManager


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    """A service manager's socket, bound in each of the two ways."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as made:
        path = str(tmp_path / "notify")
        made.bind(path if request.param == "path" else "\0" + path)
        yield made


def address(manager: socket.socket) -> str:
    name = manager.getsockname()
    return name if isinstance(name, str) else "@" + name[1:].decode()


def said(manager: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(manager.recv(100).decode())
        except BlockingIOError:
            return found


def test_ready_is_said_once_and_only_when_it_is_true(manager: socket.socket) -> None:
    service = ServiceManager({"NOTIFY_SOCKET": address(manager)}, 1)
    service.turn(1.0, ready=False, alive=True)
    assert said(manager) == []
    service.turn(2.0, ready=True, alive=True)
    service.turn(3.0, ready=True, alive=True)
    assert said(manager) == ["READY=1"]
    service.stopping()
    assert said(manager) == ["STOPPING=1"]


@pytest.mark.parametrize("pid", ["", "7"])
def test_watchdog_is_fed_four_times_in_its_limit_and_only_while_alive(
    manager: socket.socket, pid: str
) -> None:
    environment = {
        "NOTIFY_SOCKET": address(manager),
        "WATCHDOG_USEC": "2000000",
        "WATCHDOG_PID": pid,
    }
    service = ServiceManager(environment, 7)
    for now_s in (10.0, 10.1, 10.4, 10.5, 10.9, 11.1):
        service.turn(now_s, ready=False, alive=True)
    assert said(manager) == ["WATCHDOG=1"] * 3
    service.turn(20.0, ready=False, alive=False)
    assert said(manager) == []
    service.turn(20.1, ready=False, alive=True)
    assert said(manager) == ["WATCHDOG=1"]


@pytest.mark.parametrize(
    "watchdog",
    [{}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "8"}],
)
def test_watchdog_that_is_not_ours_is_not_fed(
    manager: socket.socket, watchdog: dict[str, str]
) -> None:
    service = ServiceManager({"NOTIFY_SOCKET": address(manager), **watchdog}, 7)
    service.turn(1.0, ready=False, alive=True)
    assert said(manager) == []


def test_children_are_told_nothing_of_the_manager() -> None:
    environment = dict.fromkeys(("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"), "7")
    ServiceManager({**environment}, 7)
    kept = {**environment, "PATH": "/bin"}
    ServiceManager(kept, 7)
    assert kept == {"PATH": "/bin"}


def test_no_manager_one_that_is_gone_and_one_that_does_not_read_hold_nobody_up(
    tmp_path: Path,
) -> None:
    path = tmp_path / "notify"
    for environment in ({}, {"NOTIFY_SOCKET": str(path)}, {"NOTIFY_SOCKET": "x" * 200}):
        ServiceManager(dict(environment), 7).turn(1.0, ready=True, alive=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(path))
        service = ServiceManager({"NOTIFY_SOCKET": str(path)}, os.getpid())
        for _ in range(2000):
            service.stopping()
