"""Network namespaces, each held by a sleeping process of ours."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from vrrp_lab.processes import Processes, process_name

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000  # linux/sched.h


class LabError(Exception):
    """The lab cannot do what it was asked; the message says what is missing or went wrong."""


class Namespace:
    """One network namespace; it ends with its holder."""

    def __init__(self, name: str, processes: Processes) -> None:
        self.name = name
        self._processes = processes
        self._holder = processes.start(self._holding())
        self._wait_until_held()
        self.run("ip", "link", "set", "lo", "up")

    def _holding(self) -> list[str]:
        """Return the command that makes the namespace and keeps it."""
        return ["unshare", "--net", "sleep", "infinity"]

    def _is_held(self) -> bool:
        own = os.stat("/proc/self/ns/net").st_ino
        return os.stat(self.path).st_ino != own and process_name(self.holder) == "sleep"

    def _wait_until_held(self) -> None:
        while True:
            if self._holder.poll() is not None:
                raise LabError("cannot make a network namespace (needs CAP_SYS_ADMIN)")
            with contextlib.suppress(FileNotFoundError):
                if self._is_held():
                    return
            time.sleep(0.001)

    @property
    def path(self) -> str:
        """The namespace as a file."""
        return f"/proc/{self.holder}/ns/net"

    @property
    def holder(self) -> int:
        """The pid that ``ip link … netns`` takes."""
        return self._holder.pid

    def command(self, *command: str) -> list[str]:
        """Return the command line that runs a command in here."""
        return self._on_network(command)

    def _on_network(self, command: Sequence[str]) -> list[str]:
        return ["nsenter", f"--net={self.path}", "--", *command]

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in here to its end.

        Raises:
            LabError: it failed and ``check`` is set; the message holds what it said.
        """
        return self._run(command, self.command(*command), check)

    def run_on_network(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command here that sees all else, pids for one, as this computer has it.

        Raises:
            LabError: it failed; the message holds what it said.
        """
        return self._run(command, self._on_network(command), check=True)

    def _run(
        self, command: Sequence[str], line: list[str], check: bool
    ) -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
        if check and ended.returncode:
            raise LabError(f"{self.name}: {' '.join(command)}: {ended.stderr.strip()}")
        return ended

    def start(
        self,
        command: Sequence[str],
        *,
        log: Path | None = None,
        stdin: int = subprocess.DEVNULL,
        stdout: int | None = None,
        pass_fds: Sequence[int] = (),
        cwd: Path | None = None,
        environment: dict[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a process in here."""
        return self._processes.start(
            self.command(*command),
            log=log,
            stdin=stdin,
            stdout=stdout,
            pass_fds=pass_fds,
            cwd=cwd,
            environment=environment,
        )

    def end(self) -> None:
        """End the holder; the namespace goes when its last process has."""
        self._processes.stop(self._holder)


def enter_user_namespace() -> None:
    """Without root, become root of a user namespace of our own, where the kernel allows it.

    Where it does not, nothing changes, and ``missing_tools`` names what is missing.
    """
    user, group = os.geteuid(), os.getegid()
    if user == 0 or ctypes.CDLL(None).unshare(_CLONE_NEWUSER | _CLONE_NEWNET):
        return
    own = Path("/proc/self")
    own.joinpath("setgroups").write_text("deny")
    own.joinpath("uid_map").write_text(f"0 {user} 1")
    own.joinpath("gid_map").write_text(f"0 {group} 1")


def missing_tools() -> list[str]:
    """Return what this machine lacks for a lab: programs, or the right to make namespaces."""
    missing = [
        tool for tool in ("ip", "nft", "unshare", "nsenter", "openssl") if not shutil.which(tool)
    ]
    if not missing:
        allowed = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
        if allowed.returncode:
            missing.append("the right to make network namespaces (root or a user namespace)")
    return missing
