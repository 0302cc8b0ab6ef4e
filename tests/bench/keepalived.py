"""keepalived on a host of the lab: the peer that every figure stands beside."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from vrrp_lab.lan import Host, Lan
from vrrp_lab.namespaces import LabError
from vrrp_lab.processes import kill_session, session_members, signal_session

_STOP_S = 10.0
_GLOBAL = """
global_defs {{
  router_id {name}
  {options}
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
    {address}/{length}
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
        options: Sequence[str] = (),
    ) -> None:
        """Write the configuration: one instance for each address, by VRID; global ``options``."""
        program = shutil.which("keepalived")
        if program is None:
            raise LabError("this machine lacks: keepalived (the peer to compare with)")
        self.host = host
        self._program = program
        self._folder = folder / f"keepalived-{host.name}"
        self._folder.mkdir(parents=True)
        instances = [
            _instance(host, lan, address, vrid=vrid, priority=priority, advert_int_s=advert_int_s)
            for vrid, address in addresses.items()
        ]
        (self._folder / "keepalived.conf").write_text(
            _GLOBAL.format(name=host.name, options="\n  ".join(options)) + "".join(instances)
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
        self._process = self.host.namespace.start(command, log=self.log)

    @property
    def log(self) -> Path:
        """What it says, from its first start on."""
        return self._folder / "log"

    @property
    def pid(self) -> int:
        """The process that was started; its session holds the others."""
        assert self._process is not None
        return self._process.pid

    @property
    def real_time(self) -> bool:
        """Whether the process that speaks VRRP has real-time scheduling."""
        children = [pid for pid in session_members(self.pid) if pid != self.pid]
        return any(os.sched_getscheduler(pid) & 3 == os.SCHED_RR for pid in children)

    def stop(self) -> None:
        """Stop it as an init system does: SIGTERM to the parent."""
        assert self._process is not None
        os.kill(self.pid, signal.SIGTERM)
        self._process.wait(_STOP_S)
        self._lan.processes.stop(self._process)
        self._process = None

    def kill(self) -> None:
        """Kill all of its processes at once."""
        if self._process is not None:
            kill_session(self._process.pid)
            self._lan.processes.stop(self._process, 9)
            self._process = None
            # A reboot empties the folder; and a pid counts as alive until init has reaped it.
            for name in ("pid", "vrrp.pid"):
                (self._folder / name).unlink(missing_ok=True)

    def kill_child(self) -> None:
        """Kill the process that speaks VRRP; its parent lives on."""
        for pid in session_members(self.pid):
            if pid != self.pid:
                os.kill(pid, signal.SIGKILL)

    def freeze(self) -> None:
        """Stop the clock of all of its processes."""
        signal_session(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        signal_session(self.pid, signal.SIGCONT)


def _instance(
    host: Host, lan: Lan, address: str, *, vrid: int, priority: int, advert_int_s: float
) -> str:
    ipv6 = ":" in address
    peers = (other for other in lan.hosts if other is not host)
    return _INSTANCE.format(
        vrid=vrid,
        priority=priority,
        advert_int_s=advert_int_s,
        source=host.address6 if ipv6 else host.address,
        peers="\n    ".join(peer.address6 if ipv6 else peer.address for peer in peers),
        address=address,
        length=64 if ipv6 else 24,
    )
