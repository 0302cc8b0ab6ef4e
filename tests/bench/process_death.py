"""Death of what the address fronts: how long until another host answers.

kube-vrrp and keepalived run side by side; in each run the watched process of each is killed in
turn. keepalived watches its process by track_process, which works in the initial network namespace
only, so that one of its daemons runs there on an interface of the lab; and by a script each second.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.homes import PATIENCE_S
from tests.bench.realtime import real_time
from tests.bench.report import Report, milliseconds
from tests.eventually import eventually
from tests.netns.lone import node_config, router

from vrrp_lab.lan import INTERFACE, IPV4_NETWORK, Host, Lan
from vrrp_lab.namespaces import LabError
from vrrp_lab.node import Node
from vrrp_lab.probe import Probe

_INTERVALS_MS = (200, 20)
_PROBE_S = 0.001
_OUTSIDE, _OUTSIDE_PORT = "kvbench0", "p77"
"""keepalived's interface in the initial namespace, and its end at the switch."""
_OUTSIDE_NETWORK = "198.18.7"
"""For benchmarks (RFC 2544). Not the lab's network, which this machine may use itself."""
_QUIET_S = 1.0
_TEXT = """The process is killed (SIGKILL); from then until the first answer of the other host,
and the client's longest gap, in ms: median / maximum. All in the same session, run by run in turn,
at moments spread over a second. kube-vrrp: a `process` check of weight 0. keepalived:
`track_process` of weight 0, in the machine's own network namespace, the only one where it works;
`track_script` of weight 0 with `pgrep -x`, interval 1, fall 1. kube-vrrp hands over
make-before-break, so that both hosts answer for a moment."""
_KEEPALIVED = """
global_defs {{
  router_id {name}
  script_user root
}}
{tracked}
vrrp_instance death {{
  interface {interface}
  state BACKUP
  version 3
  virtual_router_id {vrid}
  priority {priority}
  advert_int {interval_s}
  unicast_src_ip {source}
  unicast_peer {{
    {peer}
  }}
  virtual_ipaddress {{
    {address}/24
  }}
  {track}
}}
"""
_SCRIPT = """
vrrp_script watched {{
  script "/usr/bin/pgrep -x {program}"
  interval 1
  fall 1
  rise 1
}}
"""
_PROCESS = """
vrrp_track_process watched {{
  process {program}
}}
"""


@dataclass
class Contender:
    """An address, the process that its best host depends on, and what was seen."""

    title: str
    program: str
    address: str
    process: subprocess.Popen[bytes] | None = None
    elsewhere_ns: list[int] = field(default_factory=list)
    gaps_ns: list[int] = field(default_factory=list)


def measure_process_deaths(report: Report, runs: int) -> None:
    """Kill the watched processes over and over; print what a client saw."""
    rows = []
    for interval_ms in _INTERVALS_MS:
        with _stage(interval_ms) as stage:
            for run in range(runs):
                stage.run(run / runs)
            rows += [
                (
                    f"{interval_ms} ms",
                    one.title,
                    milliseconds(one.elsewhere_ns),
                    milliseconds(one.gaps_ns),
                )
                for one in stage.contenders
            ]
    report.section(f"Process killed {runs} times", _TEXT)
    report.table(("interval", "", "answered elsewhere after", "gap"), rows)


class _Stage:
    """The LAN with everything on it: hosts 1 (or the initial namespace) and 2."""

    def __init__(self, lan: Lan, folder: Path, interval_ms: int, stack: ExitStack) -> None:
        self._lan = lan
        self._folder = folder
        self._interval_ms = interval_ms
        self._stack = stack
        self.contenders = [
            Contender("kube-vrrp, process", "kvb-ours", f"{IPV4_NETWORK}.50"),
            Contender("keepalived, track_process", "kvb-process", f"{_OUTSIDE_NETWORK}.70"),
            Contender("keepalived, track_script", "kvb-script", f"{IPV4_NETWORK}.71"),
        ]
        for one in self.contenders:
            shutil.copy("/bin/sleep", folder / one.program)
            self._start_watched(one)
        self._start_ours(self.contenders[0])
        self._start_tracking_processes(self.contenders[1])
        self._start_tracking_by_script(self.contenders[2])
        with real_time():
            self._probes = [
                stack.enter_context(lan.client.probe(one.address, _PROBE_S))
                for one in self.contenders
            ]

    def run(self, phase: float) -> None:
        """Kill each contender's process, see the address go, and let it come home."""
        self._settle()
        for one, probe in zip(self.contenders, self._probes, strict=True):
            time.sleep(phase)
            assert one.process is not None
            killed_ns = time.monotonic_ns()
            os.kill(one.process.pid, signal.SIGKILL)
            one.process.wait()  # pgrep finds zombies
            answered_ns = self._first_answer(probe, killed_ns)
            time.sleep(_QUIET_S)
            one.elsewhere_ns.append(answered_ns - killed_ns)
            one.gaps_ns.append(probe.report(killed_ns).longest_gap_ns)
            self._start_watched(one)

    def _first_answer(self, probe: Probe, since_ns: int) -> int:
        """Return when the first probe was sent that host 2 answered."""
        mac = self._lan.hosts[1].mac

        def answered(until_ns: int) -> bool:
            return mac in probe.report(since_ns, until_ns).macs

        eventually(lambda: answered(time.monotonic_ns()), within_s=PATIENCE_S)
        early_ns, late_ns = since_ns, time.monotonic_ns()
        while late_ns - early_ns > 500_000:
            middle_ns = (early_ns + late_ns) // 2
            early_ns, late_ns = (
                (early_ns, middle_ns) if answered(middle_ns) else (middle_ns, late_ns)
            )
        return late_ns

    def _settle(self) -> None:
        """Wait until only the best hosts have answered for a while."""
        mac = self._lan.hosts[1].mac

        def settled() -> bool:
            now_ns = time.monotonic_ns()
            for one, probe in zip(self.contenders, self._probes, strict=True):
                window = probe.report(now_ns - int(_QUIET_S * 1e9), now_ns - 50_000_000)
                at_home = mac not in window.macs and window.sent - window.lost > window.sent // 2
                assert at_home, f"{one.title}: {one.address} is answered by {window.macs}"
            return True

        eventually(settled, within_s=PATIENCE_S, every_s=0.1)

    # What runs where -------------------------------------------------------------------

    def _start_watched(self, one: Contender) -> None:
        command = [str(self._folder / one.program), "infinity"]
        one.process = self._lan.processes.start(command)

    def _start_ours(self, one: Contender) -> None:
        first, second = self._lan.hosts[:2]
        check = {"name": "app", "interval": "1s", "process": {"name": one.program}}
        for host, peer, priority in ((first, second, 200), (second, first, 100)):
            checks = [check] if host is first else []
            fields = {
                "addresses": [{"address": f"{one.address}/24"}],
                "advertisementInterval": f"{self._interval_ms}ms",
            }
            used = [("app", 0, False)] if checks else []
            path = self._folder / f"{host.name}.json"
            path.write_text(node_config(host, [router(1, priority, used, peer, **fields)], checks))
            Node(host, self._folder, ["--config", str(path)]).start_speaker()

    def _start_tracking_by_script(self, one: Contender) -> None:
        first, second = self._lan.hosts[:2]
        self._keepalived(first, one, first.address, second.address, _SCRIPT, "track_script")
        self._keepalived(second, one, second.address, first.address)

    def _start_tracking_processes(self, one: Contender) -> None:
        second = self._lan.hosts[1]
        outside, inside = self._plug_in_outside(), f"{_OUTSIDE_NETWORK}.{second.number}"
        for host in (second, self._lan.client):
            address = f"{_OUTSIDE_NETWORK}.{host.number}/24"
            host.namespace.run("ip", "addr", "add", address, "dev", INTERFACE)
        self._keepalived(None, one, outside, inside, _PROCESS, "track_process")
        self._keepalived(second, one, inside, outside)

    def _plug_in_outside(self) -> str:
        """Put an interface of the LAN into the namespace that this program runs in."""
        address = f"{_OUTSIDE_NETWORK}.1"
        switch = self._lan.switch
        _ip("link", "add", _OUTSIDE, "type", "veth", "peer", "name", _OUTSIDE_PORT,
            "netns", str(switch.holder))  # fmt: skip
        self._stack.callback(
            subprocess.run, ["ip", "link", "del", _OUTSIDE], capture_output=True, check=False
        )
        _ip("link", "set", _OUTSIDE, "up")
        _ip("addr", "add", f"{address}/24", "dev", _OUTSIDE)
        switch.run("ip", "link", "set", _OUTSIDE_PORT, "master", "br0", "up")
        return address

    def _keepalived(
        self,
        host: Host | None,
        one: Contender,
        source: str,
        peer: str,
        tracked: str = "",
        track: str = "",
    ) -> None:
        """Start one daemon; without a host in this program's own namespace."""
        name = f"{one.program}-{host.name if host else 'outside'}"
        folder = self._folder / name
        folder.mkdir()
        config = folder / "keepalived.conf"
        config.write_text(
            _KEEPALIVED.format(
                name=name,
                tracked=tracked.format(program=one.program),
                interface=INTERFACE if host else _OUTSIDE,
                vrid=int(one.address.rpartition(".")[2]),
                priority=200 if track else 100,
                interval_s=self._interval_ms / 1000,
                source=source,
                peer=peer,
                address=one.address,
                track=f"{track} {{\n    watched\n  }}" if track else "",
            )
        )
        command = ["keepalived", "--dont-fork", "--vrrp", "--log-console", "--use-file"]
        command += [str(config), "--pid", str(folder / "pid"), "--vrrp_pid", str(folder / "v.pid")]
        start = host.namespace.start if host else self._lan.processes.start
        start(command, log=folder / "log")


def _ip(*words: str) -> None:
    ended = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if ended.returncode:
        raise LabError(f"ip {' '.join(words)}: {ended.stderr.strip()}")


@contextmanager
def _stage(interval_ms: int) -> Iterator[_Stage]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kube-vrrp-death-")))
        lan = stack.enter_context(Lan(2))
        yield _Stage(lan, folder, interval_ms, stack)
