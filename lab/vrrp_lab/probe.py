"""The parent's end of the prober."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from types import TracebackType

from vrrp_lab.namespaces import LabError, Namespace

_GRACE_S = 0.05


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What a client saw in a window; times in nanoseconds.

    ``gaps`` are (begin, length); ``stall_ns`` is the longest time the prober itself did not send;
    ``macs`` counts replies by hardware address; ``duplicates`` counts second replies to one probe.
    """

    sent: int
    lost: int
    gaps: tuple[tuple[int, int], ...]
    stall_ns: int
    macs: dict[str, int]
    duplicates: int
    last_answered_ns: int | None

    @property
    def longest_gap_ns(self) -> int:
        """The longest stretch without an answer, 0 when every probe was answered."""
        return max((length for _, length in self.gaps), default=0)


class Probe:
    """A running prober; use as a context manager."""

    def __init__(
        self, namespace: Namespace, interface: str, address: str, interval_s: float
    ) -> None:
        command = [sys.executable, "-m", "vrrp_lab.prober", interface, address, str(interval_s)]
        self._process = namespace.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            raise LabError("the prober does not start")
        self.started_ns = time.monotonic_ns()

    def __enter__(self) -> Probe:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the prober."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def report(self, since_ns: int, until_ns: int | None = None) -> ProbeReport:
        """Return what happened to the probes sent from ``since_ns`` on, until now by default."""
        if until_ns is None:
            until_ns = time.monotonic_ns()
            time.sleep(_GRACE_S)  # the answers to the last probes are still on their way
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"report {since_ns} {until_ns}\n".encode())
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        answer["gaps"] = tuple((begin, length) for begin, length in answer["gaps"])
        return ProbeReport(**answer)

    def wait_answered(self, within_s: float) -> int:
        """Wait until a probe sent from now on is answered; return its time of sending.

        Raises:
            LabError: none was answered in time.
        """
        since_ns = time.monotonic_ns()
        deadline_s = time.monotonic() + within_s
        while time.monotonic() < deadline_s:
            answered_ns = self.report(since_ns, time.monotonic_ns()).last_answered_ns
            if answered_ns is not None:
                return answered_ns
            time.sleep(0.005)
        raise LabError(f"no answered probe within {within_s} s")
