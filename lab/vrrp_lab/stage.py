"""What the demo plays on: a lab whose speakers are started by hand, or one of real kubelets."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Protocol

from vrrp_lab.control_plane import ControlPlane
from vrrp_lab.lan import Client, Host, Lan


class StageNode(Protocol):
    """A node, and what may happen to it."""

    host: Host
    name: str

    @property
    def running(self) -> bool:
        """Whether its speaker runs."""

    def kill_speaker(self) -> None:
        """Kill every process of its speaker at once."""

    def start_speaker(self) -> None:
        """Start its speaker, unless that starts by itself."""

    def power_off(self) -> None:
        """The machine is gone."""

    def power_on(self) -> None:
        """It comes back, and with it its speaker."""

    def holds(self, address: str) -> bool:
        """Return whether it has an address on an interface."""

    def get(self, path: str) -> str:
        """Return what its speaker serves at a path; empty on failure."""


class Stage(Protocol):
    """A running cluster."""

    lan: Lan
    client: Client

    @property
    def nodes(self) -> Sequence[StageNode]:
        """Every node."""

    @property
    def plane(self) -> ControlPlane | None:
        """The API server, None where nodes do without."""

    def kubectl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator."""

    def withdraw(self, virtual_ip: str) -> None:
        """Take a VirtualIP away from all nodes."""
