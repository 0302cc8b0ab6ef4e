"""Building the control plane while something else is on the screen."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from vrrp_lab.namespaces import LabError
from vrrp_lab.processes import Processes

_BOOTSTRAP = Path(__file__).resolve().parents[2] / "scripts" / "bootstrap.sh"
# A session of its own is a group of its own to the scheduler, where it makes such groups: there a
# low priority counts only if the group has it too (sched(7), autogroup).
_BUILD = """
[ ! -w /proc/self/autogroup ] || echo 19 >/proc/self/autogroup
"$1" programs >&2 && exec "$2" -m vrrp_lab build
"""
_POLL_S = 0.2


class BackgroundBuild:
    """A build of the control plane that gives way to everything else; use as a context manager.

    It ends with the block, with all it has started.
    """

    def __init__(self) -> None:
        self._processes = Processes()
        self._log = Path(tempfile.mkdtemp(prefix="kube-vrrp-build-")) / "log"
        self._begun_s = time.monotonic()
        self._process = self._processes.start(
            ["nice", "-n", "19", "sh", "-c", _BUILD, "sh", str(_BOOTSTRAP), sys.executable],
            log=self._log,
            stdout=subprocess.DEVNULL,
        )

    def __enter__(self) -> BackgroundBuild:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._processes.stop(self._process, signal.SIGINT)  # Go removes its temporary files
        self._processes.stop_all()
        self._log.unlink(missing_ok=True)
        self._log.parent.rmdir()

    def progress(self) -> str:
        """Return in a few words what it does now, and for how long it has run."""
        if self._process.poll() is not None:
            return "the control plane is built" if self._process.returncode == 0 else "failed"
        lines = self._log.read_text(errors="replace").split("\n")
        elapsed_s = time.monotonic() - self._begun_s
        return f"{elapsed_s:.0f} s: {next((line.strip() for line in reversed(lines) if line), '…')}"

    def wait(self, show: Callable[[str], None]) -> None:
        """Wait until it has ended; ``show`` gets the progress again and again.

        Raises:
            LabError: it failed; the message holds the end of what it said.
        """
        while self._process.poll() is None:
            show(self.progress())
            time.sleep(_POLL_S)
        if self._process.returncode:
            raise LabError(f"the control plane cannot be built:\n{self._log.read_text()[-800:]}")
