"""What a test asks of an implementation of VRRP, whichever it is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from tests.interop.config import RouterConfig

from vrrp_lab.lan import Host, Lan
from vrrp_lab.processes import kill_session

BEFORE_OTHERS = ("nice", "-n", "-10")
"""Prefix of a command: a router that this machine keeps waiting for three intervals is no router.
Our own engine sees to that itself."""
_END_S = 60.0


class Router(ABC):
    """One implementation on one host, running some Virtual Routers on eth0.

    Args:
        host: where it runs.
        lan: whose processes its own are counted among.
        configs: what it runs, peers filled in.
        folder: an empty folder for its files.
    """

    implementation: ClassVar[str]
    """Its name in the matrix."""
    leaves_addresses_behind: ClassVar[bool] = True
    """Whether its addresses stay when it is killed."""
    asks_first: ClassVar[bool] = False
    """Whether it looks for somebody who has an address already before it takes it."""

    def __init__(self, host: Host, lan: Lan, configs: Sequence[RouterConfig], folder: Path) -> None:
        self.host = host
        self.configs = configs
        self._lan = lan
        self._folder = folder

    # What it is ------------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def version(cls) -> str | None:
        """Return its version, or None where it is not installed."""

    @classmethod
    @abstractmethod
    def lacks(cls, config: RouterConfig) -> str | None:
        """Return what a configuration needs that it does not have, or None."""

    # Life ------------------------------------------------------------------------------

    @abstractmethod
    def start(self) -> None:
        """Start it; it need not be ready when this returns."""

    @abstractmethod
    def stop(self) -> None:
        """Stop it as its init system would, and wait for its end."""

    @abstractmethod
    def kill(self) -> None:
        """Kill every process of it at one moment."""

    # What is seen of it ----------------------------------------------------------------

    @abstractmethod
    def states(self) -> Mapping[int, str]:
        """Return the state of each Virtual Router by its ID, in the words of RFC 9568."""

    @property
    @abstractmethod
    def log(self) -> Path:
        """Where it writes what it does."""

    def holds(self, address: str) -> bool:
        """Return whether its host answers for an address."""
        return address in self.held()

    def held(self) -> frozenset[str]:
        """Return the addresses that its host answers for.

        One on an interface that is held down, as FRR does in Backup, is not among them.
        """
        links = json.loads(self.host.exec("ip", "-j", "addr", "show").stdout)
        return frozenset(
            address["local"]
            for link in links
            if "LOWER_UP" in link["flags"]
            for address in link["addr_info"]
            if "local" in address and not address.get("tentative")
        )


def terminate(process: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM to a process, not to its children, and wait for its end."""
    os.kill(process.pid, signal.SIGTERM)
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f"it runs {_END_S} s after SIGTERM") from error


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its children as if at one moment."""
    kill_session(process.pid)
    process.wait(_END_S)
