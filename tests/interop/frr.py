"""FRR as a peer: zebra and vrrpd, a pair for each host.

FRR makes no interface and adds no address: each Virtual Router has a macvlan with the RFC's virtual
hardware address, which holds the virtual addresses all the time and is held down in Backup.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.eventually import eventually
from tests.interop.config import Checksum, Mode, RouterConfig
from tests.interop.routers import BEFORE_OTHERS, Router, kill, terminate

from vrrp_lab.lan import INTERFACE, Host, Lan
from vrrp_lab.namespaces import LabError

_PROGRAMS = Path("/usr/lib/frr")
_USER = "frr"
_WORDS = {"Master": "Active"}


class Frr(Router):
    """zebra, which holds interfaces down, and vrrpd."""

    implementation = "FRR"

    def __init__(self, host: Host, lan: Lan, configs: Sequence[RouterConfig], folder: Path) -> None:
        super().__init__(host, lan, configs, folder)
        self._zebra: subprocess.Popen[bytes] | None = None
        self._vrrpd: subprocess.Popen[bytes] | None = None
        try:
            shutil.chown(folder, _USER, _USER)
        except OSError as error:
            raise LabError("FRR changes its user, and only root can") from error
        (folder / "zebra.conf").write_text("log stdout\n")
        lines = [line for config in configs for line in _lines(config)]
        text = "\n".join(["log stdout", f"interface {INTERFACE}", *lines, ""])
        (folder / "vrrpd.conf").write_text(text)
        # Else Linux answers ARP for the virtual addresses on eth0 as well, and in Backup too.
        host.namespace.run("sysctl", "-qw", f"net.ipv4.conf.{INTERFACE}.arp_ignore=1")
        self._ip(line for config in configs for line in _macvlan(host, config))

    @classmethod
    def version(cls) -> str | None:
        program = _PROGRAMS / "vrrpd"
        if not program.exists() or shutil.which("vtysh") is None:
            return None
        command = [str(program), "--version"]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        found = re.search(r"version (\S+)", said)
        return found[1] if found else "unknown"

    @classmethod
    def lacks(cls, config: RouterConfig) -> str | None:
        if config.mode is Mode.UNICAST:
            return "no unicast"
        if config.password is not None or config.key is not None:
            return "no authentication"
        if config.preempt_delay_s:
            return "no preemption delay"
        if config.checksum is Checksum.MESSAGE_ONLY:
            return "the switch for it came after 8.4"
        return None

    @property
    def log(self) -> Path:
        return self._folder / "vrrpd.log"

    def start(self) -> None:
        # Until FRR holds them down they answer for the addresses: not before it is there.
        self._ip(f"link set {_interface(config)} up" for config in self.configs)
        socket = self._folder / "zserv.api"
        socket.unlink(missing_ok=True)
        self._zebra = self._start("zebra")
        eventually(socket.exists, within_s=10)
        self._vrrpd = self._start("vrrpd")

    def _ip(self, commands: Iterable[str]) -> None:
        batch = self._folder / "links"
        batch.write_text("\n".join([*commands, ""]))
        self.host.namespace.run("ip", "-batch", str(batch))

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        command = [
            *(
                *BEFORE_OTHERS,
                str(_PROGRAMS / name),
                "--vty_port",
                "0",
                "--vty_socket",
                str(self._folder),
            ),
            *("--socket", str(self._folder / "zserv.api")),
            *("--pid_file", str(self._folder / f"{name}.pid")),
            *("--config_file", str(self._folder / f"{name}.conf")),
        ]
        return self.host.namespace.start(command, log=self._folder / f"{name}.log")

    def stop(self) -> None:
        assert self._vrrpd is not None
        assert self._zebra is not None
        terminate(self._vrrpd)  # on its way out it asks zebra to hold the interfaces down
        terminate(self._zebra)

    def kill(self) -> None:
        assert self._vrrpd is not None
        assert self._zebra is not None
        kill(self._vrrpd)
        kill(self._zebra)

    def states(self) -> Mapping[int, str]:
        show = ("vtysh", "--vty_socket", str(self._folder), "-d", "vrrpd", "-c", "show vrrp json")
        said = self.host.exec(*show).stdout
        routers = json.loads(said) if said.lstrip().startswith("[") else []
        families = {config.vrid: f"v{config.family}" for config in self.configs}
        found = {r["vrid"]: r[families[r["vrid"]]]["status"] for r in routers}
        return {vrid: _WORDS.get(word, word) for vrid, word in found.items()}


def _lines(config: RouterConfig) -> list[str]:
    keyword = "ipv6" if config.family == 6 else "ip"
    options = [
        f"version {config.version}",
        f"priority {config.priority}",
        f"advertisement-interval {config.interval_cs * 10}",
        *(f"{keyword} {address}" for address in config.addresses),
    ]
    lines = [f" vrrp {config.vrid} {option}" for option in options]
    if not config.preempt:
        lines.insert(1, f" no vrrp {config.vrid} preempt")
    return lines


def _interface(config: RouterConfig) -> str:
    return f"vrrp{config.family}-{config.vrid}"


def _macvlan(host: Host, config: RouterConfig) -> list[str]:
    """Return the commands of ip that make what a Virtual Router stands on."""
    name = _interface(config)
    mac = f"00:00:5e:00:0{1 if config.family == 4 else 2}:{config.vrid:02x}"
    add = f"addr add dev {name}"
    return [
        f"link add {name} link {INTERFACE} type macvlan mode bridge",
        # Its link-local address is the source over IPv6: not one made from the hardware address,
        # which both routers share, and before any virtual one.
        f"link set {name} address {mac} addrgenmode none",
        f"{add} fe80::{host.number}:{config.vrid}/64 nodad",
        *(f"{add} {a}/{'128 nodad' if config.family == 6 else '32'}" for a in config.addresses),
    ]
