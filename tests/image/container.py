"""A container of an image, run by runc as a kubelet's runtime would: read-only root, few rights."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.eventually import eventually
from tests.image.unpacked import Image


class Container:
    """One container; it is gone when the ``with`` block ends."""

    def __init__(
        self,
        image: Image,
        folder: Path,
        *arguments: str,
        uid: int | None = None,
        capabilities: Sequence[str] = (),
        mounts: Mapping[Path, str] | None = None,
        network: str | None = None,
        process_1: bool = True,
        entrypoint: Sequence[str] | None = None,
    ) -> None:
        folder.mkdir()
        self._name = f"kube-vrrp-test-{os.getpid()}-{time.monotonic_ns()}"
        self._folder, self._log = folder, folder / "log"
        self._pid: int | None = None
        user = int(image.config["User"].split(":")[0]) if uid is None else uid
        command = [*(image.config["Entrypoint"] if entrypoint is None else entrypoint), *arguments]
        config = _config(image, command, user, capabilities)
        config["mounts"] += [_bind(source, target) for source, target in (mounts or {}).items()]
        namespaces = config["linux"]["namespaces"]
        if network is not None:
            namespaces.append({"type": "network", "path": network})
        if process_1:
            namespaces.append({"type": "pid"})
        (folder / "config.json").write_text(json.dumps(config))

    def __enter__(self) -> Self:
        with self._log.open("w") as log:
            _runc("create", "--bundle", str(self._folder), self._name, stdout=log)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _runc("delete", "--force", self._name)
        if error is not None:
            print(self.log)  # pytest shows it beside the failure

    def start(self) -> None:
        """Let the image's first process begin."""
        _runc("start", self._name)

    def kill(self, signal_name: str) -> None:
        """Send a signal to the first process, as a kubelet does."""
        _runc("kill", self._name, signal_name)

    def exec(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the container."""
        return subprocess.run(
            ["runc", "exec", self._name, *command], capture_output=True, text=True, check=False
        )

    @property
    def status(self) -> str:
        """``created``, ``running`` or ``stopped``."""
        return str(self._state()["status"])

    @property
    def process_1_name(self) -> str:
        """What the first process runs now."""
        if self._pid is None:
            self._pid = int(self._state()["pid"])
        return Path(f"/proc/{self._pid}/comm").read_text().strip()

    @property
    def process_1_has_begun(self) -> bool:
        """Whether the first process has begun its program, and so takes in signals."""
        assert self._pid is not None
        return bool(Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text().strip())

    def _state(self) -> Any:
        said = subprocess.run(
            ["runc", "state", self._name], capture_output=True, text=True, check=True
        ).stdout
        return json.loads(said)

    @property
    def log(self) -> str:
        """What the container printed."""
        return self._log.read_text()

    def run_to_end(self) -> str:
        """Start, wait for the end, return what was printed."""
        self.start()
        eventually(lambda: self.status == "stopped", within_s=60)
        return self.log


def _runc(*arguments: str, stdout: Any = subprocess.DEVNULL) -> None:
    subprocess.run(
        ["runc", *arguments], stdin=subprocess.DEVNULL, stdout=stdout, stderr=stdout, check=True
    )


def _bind(source: Path, target: str) -> dict[str, Any]:
    return {"destination": target, "source": str(source), "options": ["bind", "rw"]}


def _config(
    image: Image, command: Sequence[str], uid: int, capabilities: Sequence[str]
) -> dict[str, Any]:
    rights = {kind: list(capabilities) for kind in ("bounding", "effective", "permitted")}
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": uid, "gid": uid},
            "args": list(command),
            "env": list(image.config["Env"]),
            "cwd": "/",
            "capabilities": rights,
            "noNewPrivileges": True,
        },
        "root": {"path": str(image.root), "readonly": True},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {
                "destination": "/dev",
                "type": "tmpfs",
                "source": "tmpfs",
                "options": ["nosuid", "mode=755"],
            },
        ],
        "linux": {"namespaces": [{"type": kind} for kind in ("mount", "ipc", "uts")]},
    }
