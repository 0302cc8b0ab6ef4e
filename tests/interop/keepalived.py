"""keepalived as a peer."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.interop.config import Checksum, Mode, RouterConfig
from tests.interop.routers import BEFORE_OTHERS, Router, kill, terminate

from vrrp_lab.lan import INTERFACE, Host, Lan

_ENTERED = re.compile(r"\(vrid-(\d+)\) Entering (\w+) STATE")
_QUIET = ("vrrp_garp_master_repeat 1", "vrrp_garp_lower_prio_repeat 0")
"""By default each advertisement of a lower priority makes it announce its addresses five times.
Where two stay Active on a busy machine, no time is left for its own advertisements."""
_PID_FILES = ("pid", "vrrp.pid")
_WORDS = {"MASTER": "Active", "BACKUP": "Backup", "FAULT": "Fault"}


class Keepalived(Router):
    """One keepalived; its log tells its states."""

    implementation = "keepalived"

    def __init__(self, host: Host, lan: Lan, configs: Sequence[RouterConfig], folder: Path) -> None:
        super().__init__(host, lan, configs, folder)
        self._process: subprocess.Popen[bytes] | None = None
        blocks = [_instance(host, config) for config in configs]
        head = _block("global_defs", [f"router_id {host.name}", *_QUIET])
        (folder / "keepalived.conf").write_text("\n".join([*head, *blocks]))

    @classmethod
    def version(cls) -> str | None:
        if shutil.which("keepalived") is None:
            return None
        command = ["keepalived", "--version"]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
        return said.split()[1].removeprefix("v")

    @classmethod
    def lacks(cls, config: RouterConfig) -> str | None:
        if config.key is not None:
            return "HMAC came with 2.4.0"
        if config.checksum is Checksum.MESSAGE_ONLY:
            return "v3_checksum_as_v2 came with 2.2.8"
        return None

    @property
    def log(self) -> Path:
        return self._folder / "log"

    def start(self) -> None:
        self.log.write_bytes(b"")  # states are those of this life
        for name in _PID_FILES:  # a killed one leaves them, and its pids may be taken or zombies
            (self._folder / name).unlink(missing_ok=True)
        pid, vrrp_pid = (str(self._folder / name) for name in _PID_FILES)
        command = [
            *(*BEFORE_OTHERS, "keepalived", "--dont-fork", "--vrrp", "--log-console"),
            *("--use-file", str(self._folder / "keepalived.conf")),
            *("--pid", pid, "--vrrp_pid", vrrp_pid),
        ]
        self._process = self.host.namespace.start(command, log=self.log)

    def stop(self) -> None:
        assert self._process is not None
        terminate(self._process)

    def kill(self) -> None:
        assert self._process is not None
        kill(self._process)

    def states(self) -> Mapping[int, str]:
        entered = _ENTERED.findall(self.log.read_text(errors="replace"))
        return {int(vrid): _WORDS.get(word, word) for vrid, word in entered}


def _instance(host: Host, config: RouterConfig) -> str:
    length = 128 if config.family == 6 else 32
    addresses = [f"{address}/{length}" for address in config.addresses]
    lines = [
        f"interface {INTERFACE}",
        "state BACKUP",
        f"version {config.version}",
        f"virtual_router_id {config.vrid}",
        f"priority {config.priority}",
        f"advert_int {config.interval_s:g}",
        f"down_timer_adverts {config.down_advertisements}",
        *_block("virtual_ipaddress", addresses),
    ]
    if config.mode is Mode.UNICAST:
        lines.append(f"unicast_src_ip {host.address6 if config.family == 6 else host.address}")
        lines += _block("unicast_peer", config.peers)
        if config.ttl is not None:
            lines.append(f"unicast_ttl {config.ttl}")
    if config.password is not None:
        secret = ["auth_type PASS", f"auth_pass {config.password}"]
        lines += _block("authentication", secret)
    if not config.preempt:
        lines.append("nopreempt")
    elif config.preempt_delay_s:
        lines.append(f"preempt_delay {config.preempt_delay_s}")
    return "\n".join(_block(f"vrrp_instance {config.name}", lines)) + "\n"


def _block(name: str, lines: Sequence[str]) -> list[str]:
    return [f"{name} {{", *(f"  {line}" for line in lines), "}"]
