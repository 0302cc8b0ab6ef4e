"""A speaker as a service: what its manager is told, what it answers to signals and questions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.eventually import eventually
from tests.unit.agent.config_files import GOOD

from vrrp_lab.lan import Host, Lan
from vrrp_lab.processes import process_name, session_members

pytestmark = pytest.mark.netns
WATCHDOG_S = 1.0
KEY = "unit-test-key-of-thirty-two-bytes"


class Service:
    """A speaker that a service manager started, and what that manager was told."""

    def __init__(self, host: Host, folder: Path, address: str) -> None:
        self._host = host
        self.folder = folder
        self._told = folder / "told"
        host.namespace.start(
            [sys.executable, "-u", "-m", "tests.netns.notified", address], log=self._told
        )
        eventually(lambda: self._told.read_text() == "listening\n", within_s=10)
        (folder / "keys").mkdir()
        (folder / "keys" / "cluster.1").write_text(KEY)
        (folder / "config.yaml").write_text(GOOD)
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": address,
            "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6)),
        }
        command = [
            *(sys.executable, "-m", "vrrp_speaker", "--node", "node-1"),
            *("--config", str(folder / "config.yaml"), "--keys-dir", str(folder / "keys")),
            *("--state-dir", str(folder / "state"), "--run-dir", str(folder / "run")),
        ]
        self.process = host.namespace.start(command, log=folder / "log", environment=environment)

    def told(self) -> list[str]:
        return self._told.read_text().splitlines()[1:]

    def log(self) -> list[dict[str, Any]]:
        # The last piece is a line that is just being written, or nothing.
        lines = (self.folder / "log").read_text().split("\n")[:-1]
        return [json.loads(line) for line in lines]

    def said(self, message: str) -> int:
        return sum(line["message"] == message for line in self.log())

    def wait_said(self, message: str, count: int) -> None:
        eventually(lambda: self.said(message) == count, within_s=10)

    def wait_level(self, name: str) -> None:
        def found() -> bool:
            changes = [line for line in self.log() if line["message"] == "log level changed"]
            return bool(changes) and changes[-1]["to"] == name

        eventually(found, within_s=5)

    def pid(self, name: str) -> int:
        """Return the process id of agent or engine, 0 without one."""
        for pid in session_members(self.process.pid):
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue  # it ended just now
            found = b"vrrp_speaker.agent" in command
            if name == "engine":
                found = process_name(pid) == "vrrp-engine"
            if found and pid != self.process.pid:
                return pid
        return 0

    def dump(self) -> dict[str, Any]:
        command = (sys.executable, "-m", "vrrp_speaker", "dump", "--run-dir")
        ended = self._host.exec(*command, str(self.folder / "run"))
        assert ended.returncode == 0, ended.stderr
        found: dict[str, Any] = json.loads(ended.stdout)
        return found


@pytest.fixture(params=["path", "abstract"])
def service(request: pytest.FixtureRequest, lan: Lan, tmp_path: Path) -> Service:
    """A speaker that has said it is ready."""
    address = str(tmp_path / "notify")
    made = Service(lan.hosts[0], tmp_path, address if request.param == "path" else "@" + address)
    eventually(lambda: "READY=1" in made.told(), within_s=15)
    return made


def test_manager_is_told_ready_alive_and_stopping(service: Service) -> None:
    # It was ready when it said so: the engine runs the configuration.
    service.wait_said("configuration applied", 1)
    fed = service.told().count("WATCHDOG=1")
    eventually(lambda: service.told().count("WATCHDOG=1") > fed + 4, within_s=10)
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(60) == 0
    eventually(lambda: service.told()[-1] == "STOPPING=1", within_s=5)
    assert service.told().count("READY=1") == 1


def killed_in_a_row(service: Service) -> int:
    """Kill the engine if there is one; return how many died too soon after each other so far.

    One that lived for half a second before we came is no failure, and the count starts anew.
    """
    engine = service.pid("engine")
    if engine:
        os.kill(engine, signal.SIGKILL)
    deaths = [line for line in service.log() if line["message"] == "engine ended"]
    return int(deaths[-1]["failures"]) if deaths else 0


@pytest.mark.parametrize("service", ["path"], indirect=True)
def test_watchdog_starves_without_an_engine(service: Service) -> None:
    """Four deaths in a row: the supervisor waits two seconds before it tries again."""
    eventually(lambda: killed_in_a_row(service) >= 4, within_s=60)
    fed = starved_at = service.told().count("WATCHDOG=1")

    def comes_back() -> bool:
        """Whether there is an engine; what was told while there was surely none is counted."""
        nonlocal starved_at
        told = service.told().count("WATCHDOG=1")
        if service.pid("engine"):
            return True
        starved_at = told
        return False

    eventually(comes_back, within_s=10)
    starved = starved_at - fed
    print(f"fed {starved} times while no engine ran (two of eight may be from before and after)")
    assert starved <= 2
    eventually(lambda: service.told().count("WATCHDOG=1") > fed + 4, within_s=10)


@pytest.mark.parametrize("service", ["path"], indirect=True)
def test_signals_to_process_1_reach_the_agent(service: Service) -> None:
    supervisor, agent = service.process, service.pid("agent")
    for to in ("debug", "info"):
        supervisor.send_signal(signal.SIGUSR1)
        service.wait_level(to)
    supervisor.send_signal(signal.SIGUSR2)
    path = service.folder / "run" / "dump.json"
    eventually(lambda: service.said("state written") == 1, within_s=5)
    written = json.loads(path.read_text())
    assert written["processes"]["supervisor"] == supervisor.pid
    assert written["configuration"]["source"] == "File"
    assert service.pid("agent") == agent


def pester(service: Service, number: int) -> bool:
    """Send both signals; return whether so many agents have come up, all the while."""
    service.process.send_signal(signal.SIGUSR1)
    service.process.send_signal(signal.SIGUSR2)
    return service.said("configuration received") >= number


@pytest.mark.parametrize("service", ["path"], indirect=True)
def test_signals_while_an_agent_starts_or_is_missing_kill_nobody(service: Service) -> None:
    for number in range(2, 5):
        os.kill(eventually(lambda: service.pid("agent"), within_s=10), signal.SIGKILL)
        eventually(partial(pester, service, number), within_s=60, every_s=0.05)
    ended = service.said("agent ended")
    eventually(lambda: service.dump()["configuration"]["ready"], within_s=20)
    assert ended == service.said("agent ended") == 3
    assert service.process.poll() is None
    assert service.pid("engine") == service.dump()["processes"]["engine"]


@pytest.mark.parametrize("service", ["path"], indirect=True)
def test_dump_tells_what_runs_and_no_key(service: Service) -> None:
    """The router has a check that fails here, as there is no API server."""

    def pending() -> dict[str, Any] | None:
        found = service.dump()
        web = found["virtualRouters"][1]
        return found if web["state"] == "Active" and web["addressPresent"] else None

    found = eventually(pending, within_s=15)
    assert found is not None
    api, web = found["virtualRouters"]
    assert (web["addressPresent"], web["peers"][0]["heardAgeMs"]) == (True, None)
    assert api["authentication"]["activeKeyId"] == 1
    assert found["processes"]["engine"] == service.pid("engine")
    (check,) = found["checks"]
    assert (check["name"], check["passing"]) == ("readyz", False)
    text = json.dumps(found)
    assert KEY not in text
    assert KEY.encode().hex() not in text


def test_children_do_not_speak_for_the_service(lan: Lan, tmp_path: Path) -> None:
    service = Service(lan.hosts[0], tmp_path, str(tmp_path / "notify"))
    agent = eventually(lambda: service.pid("agent"), within_s=10)
    environment = Path(f"/proc/{agent}/environ").read_bytes()
    assert b"NOTIFY_SOCKET" not in environment
    assert b"WATCHDOG" not in environment


def test_no_program_is_not_ready(lan: Lan, tmp_path: Path) -> None:
    """It lives, and has nothing to do yet."""
    (tmp_path / "kubeconfig").write_text(
        '{"current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c",'
        ' "user": "u"}}], "users": [{"name": "u", "user": {"token": "t"}}], "clusters":'
        ' [{"name": "c", "cluster": {"server": "https://192.0.2.250:6443"}}]}'
    )
    path, told = str(tmp_path / "notify"), tmp_path / "told"
    host = lan.hosts[0]
    host.namespace.start([sys.executable, "-u", "-m", "tests.netns.notified", path], log=told)
    eventually(lambda: told.read_text() == "listening\n", within_s=10)
    process: subprocess.Popen[bytes] = host.namespace.start(
        [
            *(sys.executable, "-m", "vrrp_speaker", "--node", "node-1"),
            *("--kubeconfig", str(tmp_path / "kubeconfig")),
            *("--state-dir", str(tmp_path / "state"), "--run-dir", str(tmp_path / "run")),
        ],
        environment={**os.environ, "NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"},
        log=tmp_path / "log",
    )
    eventually(lambda: told.read_text().count("WATCHDOG=1") > 20, within_s=10)
    assert process.poll() is None
    assert "READY=1" not in told.read_text()
