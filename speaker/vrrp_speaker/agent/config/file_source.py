"""Standalone mode: the NodeConfig from a file, and again whenever the file is replaced."""

from __future__ import annotations

import logging
import select
import threading
import time
from dataclasses import replace
from pathlib import Path

from vrrp_api.node_config import NodeConfig
from vrrp_speaker.agent.config.config_file import (
    ConfigFile,
    ConfigFileError,
    Finding,
    read_config_file,
)
from vrrp_speaker.agent.inotify import Watcher
from vrrp_speaker.agent.messages import ConfigArrived, ConfigRefused, ConfigSource, Inbox

_log = logging.getLogger(__name__)
_LOOK_S = 2.0
"""How often the file is looked at all the same: inotify does not see what another host writes."""
_LOOK_ALONE_S = 0.5
"""The same where the kernel has no inotify instance left."""
_SETTLE_S = 0.25
_LONGEST_SETTLING_S = 1.0

Stamp = tuple[int, int, int]


class FileConfigSource:
    """Follows one file. One that is gone, half written or wrong keeps the last configuration."""

    def __init__(self, path: Path, node: str, inbox: Inbox) -> None:
        self._path = path
        self._node = node
        self._inbox = inbox
        self._config: NodeConfig | None = None
        self._generation = 0
        self._refused = ""
        self._warned: tuple[Finding, ...] = ()
        self._watcher: Watcher | None = None
        self._read_stamp = self._looked_stamp = self._stamp()

    def start(self) -> None:
        """Read now, then follow in a thread of its own.

        Raises:
            ConfigFileError: the first reading fails; nothing was started.
        """
        self._watch()
        self._take(self._read())
        threading.Thread(target=self._run, name="node-config", daemon=True).start()

    def _watch(self) -> None:
        try:
            watcher = Watcher()
            watcher.watch(self._path)
        except OSError as error:
            _log.warning("file is polled", extra={"file": str(self._path), "error": str(error)})
            return
        self._watcher = watcher

    def _run(self) -> None:
        while True:
            touched = self._touched(_LOOK_S if self._watcher else _LOOK_ALONE_S)
            if touched or self._looks_different():
                self._reload()

    def _reload(self) -> None:
        """Read until it is good, or has been bad for as long as a writer may take."""
        give_up_s = time.monotonic() + _LONGEST_SETTLING_S
        while True:
            try:
                found = self._read()
            except ConfigFileError as error:
                if time.monotonic() < give_up_s and self._touched(_SETTLE_S):
                    continue
                self._refuse(str(error))
                return
            self._take(found)
            return

    def _read(self) -> ConfigFile:
        self._read_stamp = self._stamp()
        return read_config_file(self._path, self._node, self._generation + 1)

    def _take(self, found: ConfigFile) -> None:
        config = found.config
        if self._config == replace(config, generation=self._generation):
            config = self._config  # the same as before; a refusal in between is over
            if not self._refused:
                return
        self._config, self._generation, self._refused = config, config.generation, ""
        for warning in found.warnings:
            if warning not in self._warned:
                _log.warning("configuration is doubtful", extra={"warning": warning.at(self._path)})
        self._warned = found.warnings
        self._inbox.put(ConfigArrived(config, ConfigSource.FILE))

    def _refuse(self, error: str) -> None:
        if error != self._refused:
            self._refused = error
            self._inbox.put(ConfigRefused(f"{error}; what ran before runs on"))

    def _touched(self, seconds: float) -> bool:
        """Wait until the file is touched, at most so long; return whether it was."""
        if self._watcher is None:
            time.sleep(seconds)
            return False
        poll = select.poll()
        poll.register(self._watcher, select.POLLIN)
        until_s = time.monotonic() + seconds
        try:
            # Much of what wakes us up concerns the file's neighbours.
            while (left_s := until_s - time.monotonic()) > 0 and poll.poll(left_s * 1000):
                if self._watcher.read():
                    return True
        except OSError as error:
            _log.warning("file is polled", extra={"file": str(self._path), "error": str(error)})
            return True
        return False

    def _looks_different(self) -> bool:
        """Return whether the file differs from what was read, and is not just being written."""
        before, self._looked_stamp = self._looked_stamp, self._stamp()
        return self._read_stamp != self._looked_stamp == before

    def _stamp(self) -> Stamp:
        try:
            status = self._path.stat()
        except OSError:
            return 0, 0, 0
        return status.st_mtime_ns, status.st_size, status.st_ino
