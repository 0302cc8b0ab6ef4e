"""kube-vrrp and keepalived side by side on the same hosts, and what can be done to each."""

from __future__ import annotations

import os
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from tests.bench.holders import Holders
from tests.bench.keepalived import Keepalived
from tests.eventually import eventually

from vrrp_lab.lab import Lab, LabOptions
from vrrp_lab.processes import start_time

PRIORITIES = (200, 180, 160)
_PATIENCE_S = 40.0
_PROVEN_S = 5.5
_THEIR_VRIDS = (99, 98)
"""keepalived's, IPv4 and IPv6; ours are allocated."""
"""A speaker replaces an engine that lived 5 s at once; before that it suspects a crash loop."""
_MANIFEST = """
apiVersion: kube-vrrp.io/v1alpha1
kind: VirtualIP
metadata: {{name: {name}}}
spec:
  addresses: [{{address: {address}}}]
  virtualRouterID: {vrid}
  advertisementInterval: {interval_ms}ms
  nodePriorities:
{priorities}
"""


def manifest(
    name: str, address: str, vrid: int, interval_ms: int, priorities: Sequence[int] = PRIORITIES
) -> str:
    """Return a VirtualIP with everything but priorities and interval by default."""
    length = 64 if ":" in address else 24
    lines = [
        f"  - {{node: node-{number}, priority: {priority}}}"
        for number, priority in enumerate(priorities, 1)
    ]
    return _MANIFEST.format(
        name=name,
        address=f'"{address}/{length}"',
        vrid=vrid,
        interval_ms=interval_ms,
        priorities="\n".join(lines),
    )


class Contender(ABC):
    """One implementation on the hosts of the lab; host 1 is the best, and what is harmed."""

    name: str
    addresses: dict[int, str]
    """By IP version."""

    @abstractmethod
    def start(self) -> None:
        """Start it on host 1."""

    @abstractmethod
    def stop(self) -> None:
        """Stop it on host 1 as Kubernetes or an init system would, and wait for its end."""

    @abstractmethod
    def kill(self) -> None:
        """Kill -9 every process on host 1."""

    @abstractmethod
    def kill_engine(self) -> None:
        """Kill -9 the one process on host 1 that speaks VRRP."""

    @abstractmethod
    def freeze(self) -> None:
        """SIGSTOP every process on host 1."""

    @abstractmethod
    def thaw(self) -> None:
        """SIGCONT every process on host 1."""

    def prove(self) -> None:
        """Wait until the death of the VRRP process on host 1 would not count as a crash loop."""
        return

    def renew(self) -> None:
        """Let its supervision on host 1 forget that the VRRP process died."""
        return


class KubeVrrp(Contender):
    """Ours, with its default configuration: signed."""

    name = "kube-vrrp"
    addresses = {4: "192.0.2.50", 6: "2001:db8:0:1::50"}  # noqa: RUF012 - a constant that nobody changes

    def __init__(self, lab: Lab) -> None:
        self._node = lab.nodes[0]

    def start(self) -> None:
        self._node.start_speaker()

    def stop(self) -> None:
        self._node.stop_speaker()

    def kill(self) -> None:
        self._node.kill_speaker()

    def kill_engine(self) -> None:
        os.kill(self._node.processes()["engine"], signal.SIGKILL)

    def freeze(self) -> None:
        self._node.freeze()

    def thaw(self) -> None:
        self._node.thaw()

    def prove(self) -> None:
        eventually(
            lambda: age_s(self._node.processes()["engine"]) > _PROVEN_S, within_s=_PATIENCE_S
        )


class KeepalivedContender(Contender):
    """The peer, with its default scheduling; its VRIDs are not ours."""

    name = "keepalived"
    addresses = {4: "192.0.2.70", 6: "2001:db8:0:1::70"}  # noqa: RUF012 - a constant that nobody changes

    def __init__(self, lab: Lab, interval_s: float) -> None:
        instances = dict(zip(_THEIR_VRIDS, self.addresses.values(), strict=True))
        self.daemons = [
            Keepalived(
                host,
                lab.lan,
                priority,
                instances,
                lab.work_dir / "keepalived",
                advert_int_s=interval_s,
            )
            for host, priority in zip(lab.lan.hosts, PRIORITIES, strict=True)
        ]
        for daemon in self.daemons:
            daemon.start()

    def start(self) -> None:
        self.daemons[0].start()

    def stop(self) -> None:
        self.daemons[0].stop()

    def kill(self) -> None:
        self.daemons[0].kill()

    def kill_engine(self) -> None:
        self.daemons[0].kill_child()

    def freeze(self) -> None:
        self.daemons[0].freeze()

    def thaw(self) -> None:
        self.daemons[0].thaw()

    def renew(self) -> None:
        # A child that its parent replaced within the last minute would be replaced with a delay.
        self.stop()
        self.start()


def age_s(pid: int) -> float:
    """Return how long a process has lived; 0 when it is gone."""
    begun = start_time(pid)
    if begun is None:
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - begun / os.sysconf("SC_CLK_TCK")


class Stage:
    """A lab with both contenders at one interval, and watchers on every host."""

    def __init__(self, interval_ms: int, folder: Path) -> None:
        self.interval_s = interval_ms / 1000
        path = folder / "failover.yaml"
        path.write_text(
            manifest("bench", KubeVrrp.addresses[4], 1, interval_ms)
            + "---"
            + manifest("bench6", KubeVrrp.addresses[6], 2, interval_ms)
        )
        self.lab = Lab(LabOptions(standalone=(path,)))
        try:
            self.holders = Holders(self.lab.lan.hosts, advertisements=True)
            self.ours = KubeVrrp(self.lab)
            self.theirs = KeepalivedContender(self.lab, self.interval_s)
        except BaseException:
            self.lab.close()
            raise

    @property
    def contenders(self) -> tuple[Contender, ...]:
        """Both, in the order of their turns."""
        return self.ours, self.theirs

    def close(self) -> None:
        """End everything on it."""
        self.lab.close()

    def settle(self, steady_s: float) -> None:
        """Wait until host 1 alone has had all addresses of both for a while."""
        first = frozenset([self.lab.lan.hosts[0].name])
        steady_ns = int((0.25 * self.interval_s + steady_s) * 1e9)
        addresses = [a for contender in self.contenders for a in contender.addresses.values()]

        def settled() -> bool:
            now_ns = time.monotonic_ns()
            for address in addresses:
                since_ns, holders = self.holders.timeline(address).latest()
                assert holders == first, f"{address} is on {sorted(holders) or 'no host'}"
                if now_ns - since_ns < steady_ns:
                    return False
            return True

        eventually(settled, within_s=_PATIENCE_S)

    def last_heard_ns(self, contender: Contender, until_ns: int) -> int | None:
        """Return when others heard host 1's last advertisement over IPv4, since it was cleared."""
        first = self.lab.lan.hosts[0]
        heard = (
            h.at_ns
            for h in self.holders.advertisements_since(0)
            if h.source == first.address and h.host != first.name and h.at_ns < until_ns
            if (h.vrid in _THEIR_VRIDS) is (contender is self.theirs)
        )
        return max(heard, default=None)

    def power_off(self) -> None:
        """Host 1 is gone, with everything on it."""
        self.lab.nodes[0].power_off()
        self.theirs.kill()
        self.holders.powered_off(self.lab.lan.hosts[0])

    def power_on(self) -> None:
        """Host 1 boots; both implementations start."""
        self.lab.nodes[0].power_on()
        self.holders.powered_on(self.lab.lan.hosts[0])
        self.theirs.start()
