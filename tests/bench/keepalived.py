"""keepalived on a host of the lab: the peer that every figure stands beside."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from vrrp_lab.lan import Host, Lan
from vrrp_lab.namespaces import LabError
from vrrp_lab.processes import kill_session

_GLOBAL = """
global_defs {{
  router_id {name}
}}
"""
_INSTANCE = """
vrrp_instance bench{vrid} {{
  interface eth0
  state BACKUP
  version 3
  virtual_router_id {vrid}
  priority {priority}
  advert_int {advert_int_s}
  unicast_src_ip {source}
  unicast_peer {{
    {peers}
  }}
  virtual_ipaddress {{
    {address}/24
  }}
}}
"""


class Keepalived:
    """One keepalived with the lab's priorities; files below the lab's work directory."""

    def __init__(
        self,
        host: Host,
        lan: Lan,
        priority: int,
        addresses: Mapping[int, str],
        folder: Path,
        *,
        advert_int_s: float = 0.2,
    ) -> None:
        """Write the configuration: one instance for each address, by VRID."""
        program = shutil.which("keepalived")
        if program is None:
            raise LabError("this machine lacks: keepalived (the peer to compare with)")
        self.host = host
        self._program = program
        self._folder = folder / f"keepalived-{host.name}"
        self._folder.mkdir()
        peers = "\n    ".join(other.address for other in lan.hosts if other is not host)
        instances = [
            _INSTANCE.format(
                vrid=vrid,
                priority=priority,
                advert_int_s=advert_int_s,
                source=host.address,
                peers=peers,
                address=address,
            )
            for vrid, address in addresses.items()
        ]
        (self._folder / "keepalived.conf").write_text(
            _GLOBAL.format(name=host.name) + "".join(instances)
        )
        self._lan = lan
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        command = [
            *(self._program, "--dont-fork", "--vrrp", "--log-console"),
            *("--use-file", str(self._folder / "keepalived.conf")),
            *("--pid", str(self._folder / "pid"), "--vrrp_pid", str(self._folder / "vrrp.pid")),
        ]
        self._process = self.host.namespace.start(command, log=self._folder / "log")

    @property
    def pid(self) -> int:
        """The process that was started; its session holds the others."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """Kill all of its processes at once."""
        if self._process is not None:
            kill_session(self._process.pid)
            self._lan.processes.stop(self._process, 9)
            self._process = None
