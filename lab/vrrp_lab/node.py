"""A node of the cluster: a host that runs a speaker."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from vrrp_lab.lan import Host
from vrrp_lab.namespaces import LabError
from vrrp_lab.processes import kill_session, process_name, session_members, signal_session

METRICS_PORT = 9105
_ENDS_S = 60.0
"""Generous: a speaker ends within a second or two where it gets a processor."""


class Node:
    """One node; its speaker keeps its files below the lab's work directory."""

    def __init__(self, host: Host, work_dir: Path, source: list[str]) -> None:
        self.host = host
        self.name = host.name
        self._source = source
        self._dir = work_dir / host.name
        for folder in (self.state_dir, self.run_dir, self.keys_dir):
            folder.mkdir(mode=0o700, parents=True)
        self._speaker: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """The speaker's log."""
        return self._dir / "speaker.log"

    @property
    def state_dir(self) -> Path:
        """What survives a reboot."""
        return self._dir / "state"

    @property
    def run_dir(self) -> Path:
        """What a reboot empties."""
        return self._dir / "run"

    @property
    def keys_dir(self) -> Path:
        """The keys of elections, as a mounted Secret would hold them."""
        return self._dir / "keys"

    def write_key(self, name: str, content: str) -> None:
        """Write a file of the key folder, as ``cluster.1``; readers see the old or the new one."""
        unfinished = self._dir / name
        unfinished.touch(mode=0o600)
        unfinished.write_text(content)
        unfinished.replace(self.keys_dir / name)

    def remove_key(self, name: str) -> None:
        """Remove a file of the key folder."""
        (self.keys_dir / name).unlink()

    # The speaker -----------------------------------------------------------------------

    def start_speaker(self, *extra: str, under: Sequence[str] = ()) -> None:
        """Start the speaker; ``extra`` are further flags, ``under`` a command that executes it."""
        command = [
            *under,
            sys.executable,
            *("-m", "vrrp_speaker", "--node", self.name, *self._source),
            *("--state-dir", str(self.state_dir), "--run-dir", str(self.run_dir)),
            *("--keys-dir", str(self.keys_dir)),
            *("--metrics-bind-address", f"0.0.0.0:{METRICS_PORT}", "--log-format", "text", *extra),
        ]
        self._speaker = self.host.namespace.start(command, log=self.log)

    def stop_speaker(self) -> None:
        """Stop the speaker as Kubernetes does: SIGTERM to process 1."""
        speaker = self._running()
        os.kill(speaker.pid, signal.SIGTERM)
        speaker.wait(_ENDS_S)
        self._speaker = None

    def kill_speaker(self) -> None:
        """Kill every process of the speaker at once."""
        speaker = self._running()
        kill_session(speaker.pid)
        _wait_gone(speaker)
        self._speaker = None

    def freeze(self) -> None:
        """Stop the clock of every process of the speaker."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen speaker go on."""
        self._signal(signal.SIGCONT)

    def processes(self) -> dict[str, int]:
        """Return the speaker's pids by name: supervisor, engine, agent."""
        found = {}
        speaker = self._running()
        for pid in session_members(speaker.pid):
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue  # it ended just now
            if pid == speaker.pid:
                found["supervisor"] = pid
            elif b"vrrp_speaker.agent" in command:
                found["agent"] = pid
            elif process_name(pid) == "vrrp-engine":
                found["engine"] = pid
        return found

    def compilers(self) -> list[int]:
        """Return the pids of the speaker's compilers, which run for a moment only."""
        found = []
        for pid in session_members(self._running().pid):
            with contextlib.suppress(OSError):  # it ended just now
                command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                found += [pid] * (b"vrrp_speaker.compiler" in command)
        return found

    @property
    def heir(self) -> int:
        """The pid of the process that waits for the engine's end, 0 without one."""
        members = session_members(self._running().pid)
        return next((pid for pid in members if process_name(pid) == "vrrp-heir"), 0)

    @property
    def running(self) -> bool:
        """Whether the speaker runs."""
        return self._speaker is not None and self._speaker.poll() is None

    def get(self, path: str) -> str:
        """Return what the speaker serves at a path, such as ``/metrics``; empty on failure."""
        url = f"http://127.0.0.1:{METRICS_PORT}{path}"
        return self.host.exec("curl", "-s", "-m", "10", url).stdout

    def _running(self) -> subprocess.Popen[bytes]:
        if self._speaker is None:
            raise LabError(f"{self.name}: no speaker runs")
        return self._speaker

    def _signal(self, number: int) -> None:
        signal_session(self._running().pid, number)

    # The machine -----------------------------------------------------------------------

    def power_off(self) -> None:
        """The machine is gone: network first, then every process; the run directory is lost."""
        self.host.power_off()
        if self._speaker is not None:
            self._signal(signal.SIGKILL)
            _wait_gone(self._speaker)
            self._speaker = None
        for path in self.run_dir.iterdir():
            path.unlink()

    def power_on(self) -> None:
        """The machine boots and starts its speaker."""
        self.host.power_on()
        self.start_speaker()

    def holds(self, address: str) -> bool:
        """Return whether the node has the address on an interface."""
        return self.host.holds(address)


def _wait_gone(speaker: subprocess.Popen[bytes]) -> None:
    """Wait until killed processes have ended: until then they have files, sockets and ports."""
    speaker.wait(_ENDS_S)
    deadline_s = time.monotonic() + _ENDS_S
    while session_members(speaker.pid):
        if time.monotonic() > deadline_s:
            raise LabError(f"processes of session {speaker.pid} do not end")
        time.sleep(0.005)
