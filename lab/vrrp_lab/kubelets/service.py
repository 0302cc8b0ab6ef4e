"""A service of a machine: containerd, kubelet or kube-proxy."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from vrrp_lab.kubelets.machine import child_of
from vrrp_lab.namespaces import LabError, Namespace
from vrrp_lab.processes import Processes


class Service:
    """One service; what it started itself (shims, containers) lives on without it."""

    def __init__(self, name: str, command: Sequence[str], log: Path, processes: Processes) -> None:
        self.name = name
        self.log = log
        self._command = command
        self._processes = processes
        self._outside: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id as seen from outside the machine.

        Raises:
            LabError: it does not run.
        """
        pid = child_of(self._outside.pid) if self._outside is not None else 0
        if not pid:
            raise LabError(f"{self.name} does not run; see {self.log}")
        return pid

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._outside is not None and self._outside.poll() is None

    def start(self, machine: Namespace, *flags: str) -> None:
        """Start it on a machine, with further flags."""
        self._outside = machine.start([*self._command, *flags], log=self.log)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Signal it, and nothing that it started, and wait until it has ended.

        Raises:
            LabError: it does not run.
        """
        os.kill(self.pid, number)
        self.gone()

    def gone(self) -> None:
        """Its machine is gone, and it with it; wait for that."""
        if self._outside is not None:
            self._processes.forget(self._outside)
            self._outside = None
