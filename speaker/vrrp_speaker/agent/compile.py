"""Runs the compiler: a child that imports what must not stay resident, and exits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vrrp_api.node_config import NodeConfig
from vrrp_speaker.agent.keys import KeyMaterial
from vrrp_speaker.agent.messages import Compiled, Inbox
from vrrp_speaker.program_file import GOOD, PROVED, copy_program, decode, encode

_DEADLINE_S = 30.0


class Compiler:
    """One compilation at a time; what is asked meanwhile is compiled after it."""

    def __init__(self, program_path: Path, inbox: Inbox) -> None:
        self._program_path = program_path
        self._inbox = inbox
        self._busy = False
        self._waiting: tuple[NodeConfig, Mapping[str, KeyMaterial]] | None = None

    def request(self, config: NodeConfig, keys: Mapping[str, KeyMaterial]) -> None:
        """Compile this configuration with these keys; a ``Compiled`` message tells the end."""
        if self._busy:
            self._waiting = config, keys
            return
        self._busy = True
        thread = threading.Thread(
            target=self._run, args=(config, keys), name="compiler", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # a thread more than the machine allows
            self._inbox.put(Compiled(None, str(error)))

    def ended(self) -> None:
        """Note that ``Compiled`` was received; starts what was asked meanwhile."""
        self._busy = False
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            self.request(*waiting)

    def stored(self) -> Mapping[str, Any] | None:
        """Return the document on disk, or None; its fields are the engine's to check, not ours."""
        try:
            with self._program_path.open("rb") as file:
                return decode(file)
        except (OSError, ValueError):
            return None

    def ensure_stored(self, document: Mapping[str, Any]) -> None:
        """Write the program again when the file does not hold it: damaged, or lost.

        Raises:
            OSError: the disk refuses; the engine will say that it cannot read the program.
        """
        if self.stored() != document:
            self._store(document)

    def keep_proved(self) -> None:
        """Keep a copy of the program that was loaded last: engines have run it for a while.

        Raises:
            OSError: the disk refuses; the copy is as it was.
        """
        path = str(self._program_path)
        copy_program(path + GOOD, path + PROVED)

    def _run(self, config: NodeConfig, keys: Mapping[str, KeyMaterial]) -> None:
        try:
            stored = self.stored() or {}
            slots = {router["name"]: router["slot"] for router in stored.get("routers", ())}
            document = run_compiler(config, keys, slots)
            self._store(document)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            self._inbox.put(Compiled(None, str(error)))
            return
        self._inbox.put(Compiled(document, ""))

    def _store(self, document: Mapping[str, Any]) -> None:
        temporary = self._program_path.with_suffix(".tmp")
        # The program holds keys: nobody else may read it.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(encode(document))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._program_path)


def run_compiler(
    config: NodeConfig, keys: Mapping[str, KeyMaterial], slots: Mapping[str, int]
) -> Mapping[str, Any]:
    """Return the program document of a configuration on this machine.

    Args:
        config: what the node is to run.
        keys: by ref, what the key folder holds.
        slots: router name to slot of the program that runs.

    Raises:
        OSError, ValueError, subprocess.SubprocessError: the compiler cannot run, or failed.
    """
    obj = config.to_object()
    obj["metadata"]["generation"] = config.generation
    ended = subprocess.run(
        [sys.executable, "-m", "vrrp_speaker.compiler"],
        input=json.dumps({"nodeConfig": obj, "slots": dict(slots), "keys": dict(keys)}),
        capture_output=True,
        text=True,
        timeout=_DEADLINE_S,
        check=False,
    )
    if ended.returncode not in (0, 1) or not ended.stdout:
        raise ValueError(f"compiler ended with {ended.returncode}: {ended.stderr[-300:]}")
    document: Mapping[str, Any] = json.loads(ended.stdout)
    if "error" in document:
        raise ValueError(document["error"])
    return document
