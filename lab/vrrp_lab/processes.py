"""Every process the lab starts, written down so that a crashed lab can be cleaned up.

Namespaces and their mounts live as long as their holder. What outlives processes are folders: the
state file lists both, each process with its start time, and ``clean`` ends and removes exactly
those.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

_STOP_S = 3.0
CGROUPS = Path("/sys/fs/cgroup")
_KILLED_S = 30.0
"""A killed process is gone at once, unless the machine stands still."""


def state_directory() -> Path:
    """Return where state files lie: the user's runtime folder, else the temporary one."""
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return Path(base) / f"kube-vrrp-lab-{os.getuid()}"


class Processes:
    """Starts processes and remembers them; one state file for each lab."""

    def __init__(self) -> None:
        directory = state_directory()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = directory / f"{os.getpid()}-{time.monotonic_ns()}.json"
        self._started: dict[int, int] = {}
        self._popens: list[subprocess.Popen[bytes]] = []
        self._folders: list[Path] = []

    def own_folder(self, path: Path) -> None:
        """Write down a folder that goes with the lab; a control group is one, too."""
        self._folders.append(path)
        self._write()

    def start(
        self,
        command: Sequence[str],
        *,
        log: Path | None = None,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | None = None,
        pass_fds: Sequence[int] = (),
        environment: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a process in a session of its own; output goes to ``log`` or nowhere."""
        with contextlib.ExitStack() as stack:
            output: int | IO[bytes] = subprocess.DEVNULL
            if log is not None:
                output = stack.enter_context(log.open("ab"))
            stack.enter_context(_interrupted_later())
            process = subprocess.Popen(
                command,
                stdin=stdin,
                stdout=output if stdout is None else stdout,
                stderr=output,
                start_new_session=True,
                pass_fds=pass_fds,
                env=environment,
                cwd=cwd,
            )
            self._popens.append(process)
            self._started[process.pid] = start_time(process.pid) or 0
            self._write()
        return process

    def stop(
        self,
        process: subprocess.Popen[bytes],
        number: int = signal.SIGTERM,
        patience_s: float = _STOP_S,
    ) -> None:
        """Signal a process's whole session and wait; what does not end is killed."""
        signal_session(process.pid, number)
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            signal_session(process.pid, signal.SIGKILL)
            process.wait(_KILLED_S)
        # A leader that ended may leave members of its session behind.
        signal_session(process.pid, signal.SIGKILL)
        self._started.pop(process.pid, None)
        self._write()

    def forget(self, process: subprocess.Popen[bytes]) -> None:
        """A process has ended by itself, or others of its session are to live on."""
        process.wait(_KILLED_S)
        self._started.pop(process.pid, None)
        self._write()

    def stop_all(self) -> None:
        """End everything that was started, newest first, and forget the state file."""
        for process in reversed(self._popens):
            if process.pid in self._started:
                signal_session(process.pid, signal.SIGCONT)
                signal_session(process.pid, signal.SIGKILL)
                process.wait()
        self._started.clear()
        for folder in self._folders:
            remove_folder(folder)
        self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        owner = os.getpid()
        content = {
            "owner": [owner, start_time(owner)],
            "processes": list(self._started.items()),
            "folders": [str(folder) for folder in self._folders],
        }
        self._path.write_text(json.dumps(content))


@contextlib.contextmanager
def _interrupted_later() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM take effect when the block has ended.

    A process that was started, but not yet written down, would stay for ever. Handlers do what a
    blocked signal cannot: a program that is started does not inherit them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals interrupt the main thread only
        return
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {n: signal.signal(n, lambda number, _frame: came.append(number)) for n in numbers}
    try:
        yield
    finally:
        for caught, handler in before.items():
            signal.signal(caught, handler)
        for number in came:
            signal.raise_signal(number)


def clean_crashed_labs() -> int:
    """End what labs left behind whose own process is gone; return how many processes that were."""
    ended = 0
    for path in state_directory().glob("*.json"):
        try:
            content = json.loads(path.read_text())
            owner, owner_start = content["owner"]
            processes = [(int(pid), int(start)) for pid, start in content["processes"]]
            folders = [Path(folder) for folder in content.get("folders", ())]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # another lab is writing it just now
        if start_time(owner) == owner_start:
            continue
        for pid, started in processes:
            if start_time(pid) == started:
                signal_session(pid, signal.SIGCONT)
                signal_session(pid, signal.SIGKILL)
                ended += 1
        for folder in folders:
            remove_folder(folder)
        path.unlink(missing_ok=True)
    return ended


def remove_folder(folder: Path) -> None:
    """Remove a folder with all in it; a control group once the last killed process has left it."""
    deadline_s = time.monotonic() + _KILLED_S
    while folder.exists() and time.monotonic() < deadline_s:
        if not folder.is_relative_to(CGROUPS):
            shutil.rmtree(folder, ignore_errors=True)
        else:
            _remove_control_group(folder)
        if folder.exists():
            time.sleep(0.05)


def _remove_control_group(group: Path) -> None:
    """Remove a group and those below it; their files go by themselves."""
    for path, _folders, _files in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(path)


def start_time(pid: int) -> int | None:
    """Return when a process began, in clock ticks since boot; None when it is gone (proc(5))."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def process_name(pid: int) -> str:
    """Return what a process calls itself (proc(5), comm); empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
    except OSError:
        return ""


def session_members(leader: int) -> list[int]:
    """Return the pids of a session that are not zombies, leader first."""
    members = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            members.append(int(pid))
    return sorted(members)


def signal_session(leader: int, number: int) -> None:
    """Send a signal to every process of a session."""
    for pid in session_members(leader):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def kill_session(leader: int) -> None:
    """Kill every process of a session as if at one moment: none sees another one's death."""
    signal_session(leader, signal.SIGSTOP)
    signal_session(leader, signal.SIGKILL)
