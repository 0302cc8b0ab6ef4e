"""Two versions at a time: code and kinds of an earlier commit, and who took addresses meanwhile."""

from __future__ import annotations

import contextlib
import io
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

from tests import previous

from vrrp_lab.lab import CRDS, Lab
from vrrp_lab.namespaces import LabError
from vrrp_lab.node import Node

ROOT = Path(__file__).resolve().parents[2]
_CODE = ("crds", "operator", "speaker")


class Previous:
    """The code of that commit, laid out beside ours."""

    def __init__(self, folder: Path) -> None:
        """Lay it out.

        Raises:
            LabError: this is no git work tree, or one without its history.
        """
        command = ["git", "archive", "--format=tar", previous.COMMIT, *_CODE]
        try:
            archive = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", b"").decode(errors="replace").strip()
            text = f"needs a git work tree with commit {previous.COMMIT[:7]}: {said or error}"
            raise LabError(text) from error
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")
        self.crds = folder / "crds"
        path = ":".join(str(folder / name) for name in _CODE)
        self.under = ("env", f"PYTHONPATH={path}")
        """A command that executes programs of this version."""


class Moves:
    """Notes when nodes get and lose addresses; use as a context manager."""

    def __init__(self, lab: Lab, addresses: Sequence[str]) -> None:
        self._lab = lab
        self._addresses = addresses
        self._held: set[tuple[str, str]] = set()
        self.events: list[tuple[float, str, str, str]] = []
        """Each (seconds since it began, node, address, takes or loses), in order."""
        self._begun_s = time.monotonic()
        self._processes = [self._follow(node) for node in lab.nodes]

    def _follow(self, node: Node) -> subprocess.Popen[bytes]:
        process = node.host.namespace.start(
            ["ip", "-o", "monitor", "address"], stdout=subprocess.PIPE
        )
        for address in self._addresses:
            if node.holds(address):
                self._held.add((node.name, address))
        threading.Thread(target=self._read, args=(node.name, process), daemon=True).start()
        return process

    def _read(self, node: str, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            words = line.decode().split()
            at_s = round(time.monotonic() - self._begun_s, 2)
            for address in self._addresses:
                if not any(word.partition("/")[0] == address for word in words):
                    continue
                key = (node, address)
                if words[0] == "Deleted" and key in self._held:
                    self._held.discard(key)
                    self.events.append((at_s, node, address, "loses"))
                elif words[0] != "Deleted" and key not in self._held:
                    self._held.add(key)
                    self.events.append((at_s, node, address, "takes"))

    def takeovers(self, address: str, since: int = 0) -> list[str]:
        """Return who took an address, in order; ``since`` counts events."""
        return [n for _, n, a, what in self.events[since:] if a == address and what == "takes"]

    def __enter__(self) -> Moves:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._processes:
            self._lab.lan.processes.stop(process)


def install_kinds(lab: Lab, folder: Path = CRDS) -> None:
    """Have the kinds of a version: fields that it does not know are gone."""
    for crd in sorted(folder.glob("*.yaml")):
        lab.kubectl("apply", "-f", str(crd))


@contextlib.contextmanager
def probing(lab: Lab, addresses: Sequence[str]) -> Iterator[dict[str, int]]:
    """Probe addresses each millisecond; the dictionary has what was lost of each at the end."""
    lost: dict[str, int] = {}
    with contextlib.ExitStack() as stack:
        probes = {a: stack.enter_context(lab.client.probe(a)) for a in addresses}
        since_ns = time.monotonic_ns()
        yield lost
        lost |= {a: probe.report(since_ns).lost for a, probe in probes.items()}
