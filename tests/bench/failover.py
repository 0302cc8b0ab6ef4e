"""The client's gap when the Active node's software, link or power goes."""

from __future__ import annotations

import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.keepalived import Keepalived
from tests.bench.report import Report, milliseconds
from tests.eventually import eventually

from vrrp_lab.lab import Lab, LabOptions
from vrrp_lab.lan import Host
from vrrp_lab.probe import Probe

_OURS, _THEIRS = "192.0.2.50", "192.0.2.70"
_PRIORITIES = (200, 180, 160)
_VRID = 99
"""keepalived's, which is not ours: both run on the same hosts."""
_SETTLED_S = 1.5
_PATIENCE_S = 30.0
_BOTH_S = 3.0
"""How long after an event is looked for a second holder."""
_MANIFEST = f"""
apiVersion: kube-vrrp.io/v1alpha1
kind: VirtualIP
metadata: {{name: bench}}
spec:
  addresses: [{{address: {_OURS}/24}}]
  nodePriorities:
  - {{node: node-1, priority: 200}}
  - {{node: node-2, priority: 180}}
  - {{node: node-3, priority: 160}}
"""


@dataclass
class Outcome:
    """What the runs of one event showed; gaps in nanoseconds."""

    gaps_ns: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    left_behind: int = 0
    """In how many runs the dead node still had the address seconds later."""


class Contender(ABC):
    """One implementation on the hosts of the lab; host 1 is the best."""

    def __init__(self, name: str, address: str, lab: Lab) -> None:
        self.name = name
        self.address = address
        self._lab = lab

    @abstractmethod
    def kill(self) -> None:
        """Kill -9 every process on host 1."""

    @abstractmethod
    def start(self) -> None:
        """Start it on host 1."""

    def holders(self) -> list[Host]:
        """Return the hosts that have the address."""
        return [host for host in self._lab.lan.hosts if host.holds(self.address)]

    def settle(self) -> None:
        """Wait until host 1 alone has had the address for a while."""
        since_s = time.monotonic()

        def settled() -> bool:
            nonlocal since_s
            if self.holders() != [self._lab.lan.hosts[0]]:
                since_s = time.monotonic()
            return time.monotonic() - since_s >= _SETTLED_S

        eventually(settled, within_s=_PATIENCE_S)


class KubeVrrp(Contender):
    """Ours."""

    def kill(self) -> None:
        self._lab.nodes[0].kill_speaker()

    def start(self) -> None:
        self._lab.nodes[0].start_speaker()


class KeepalivedContender(Contender):
    """The peer."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        super().__init__("keepalived", _THEIRS, lab)
        self.daemons = [
            Keepalived(host, lab.lan, priority, {_VRID: self.address}, folder)
            for host, priority in zip(lab.lan.hosts, _PRIORITIES, strict=True)
        ]
        for daemon in self.daemons:
            daemon.start()

    def kill(self) -> None:
        self.daemons[0].kill()

    def start(self) -> None:
        self.daemons[0].start()


def measure_failovers(report: Report, runs: int) -> None:
    """Measure every event, ours and keepalived's in turn."""
    with tempfile.TemporaryDirectory(prefix="kube-vrrp-bench-") as folder:
        manifest = Path(folder) / "vip.yaml"
        manifest.write_text(_MANIFEST)
        with Lab(LabOptions(standalone=(manifest,))) as lab:
            contenders = [KubeVrrp("kube-vrrp", _OURS, lab), KeepalivedContender(lab, Path(folder))]
            _measure(report, lab, contenders, runs)


def _measure(report: Report, lab: Lab, contenders: list[Contender], runs: int) -> None:
    report.section(
        "Failover",
        "Gap in ms, median / maximum. *Left behind*: runs after which the node whose software was"
        f" killed still had the address {_BOTH_S:.0f} s later.",
    )
    rows = []
    for event, harm, mend in _events(lab, contenders):
        outcomes = {contender.name: Outcome() for contender in contenders}
        for _ in range(runs):
            for contender in contenders:
                _run(lab, contender, outcomes[contender.name], harm, mend)
        rows += _rows(event, contenders, outcomes)
    header = ("event", "", "gap ms", "probes lost (median)", "left behind", "of keepalived's gap")
    report.table(header, rows)


Act = Callable[[Contender], None]


def _events(lab: Lab, contenders: list[Contender]) -> list[tuple[str, Act, Act]]:
    host = lab.lan.hosts[0]

    def power_off(_: Contender) -> None:
        host.power_off()
        for contender in contenders:
            contender.kill()

    def power_on(_: Contender) -> None:
        host.power_on()
        for contender in contenders:
            contender.start()

    return [
        ("kill -9 of every process", lambda c: c.kill(), lambda c: c.start()),
        ("link cut", lambda _: host.cut_link(), lambda _: host.restore_link()),
        ("power off", power_off, power_on),
    ]


def _run(lab: Lab, contender: Contender, outcome: Outcome, harm: Act, mend: Act) -> None:
    contender.settle()
    with lab.client.probe(contender.address) as probe:
        probe.wait_answered(_PATIENCE_S)
        begun_ns = time.monotonic_ns()
        harm(contender)
        successor = _successor(lab, contender, probe)
        window = probe.report(begun_ns - 5_000_000)
        deadline_s = begun_ns / 1e9 + _BOTH_S
        eventually(lambda: time.monotonic() >= deadline_s, within_s=_BOTH_S + 1)
        outcome.left_behind += any(host is not successor for host in contender.holders())
    outcome.gaps_ns.append(window.longest_gap_ns)
    outcome.lost.append(window.lost)
    mend(contender)


def _successor(lab: Lab, contender: Contender, probe: Probe) -> Host:
    """Wait until another host than the first has the address and answers."""

    def found() -> Host | None:
        macs = probe.report(time.monotonic_ns() - 200_000_000, time.monotonic_ns()).macs
        for host in lab.lan.hosts[1:]:
            if macs.get(host.mac) and host.holds(contender.address):
                return host
        return None

    host = eventually(found, within_s=_PATIENCE_S)
    assert host is not None
    return host


def _rows(
    event: str, contenders: list[Contender], outcomes: dict[str, Outcome]
) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    theirs = sorted(outcomes["keepalived"].gaps_ns)
    reference = theirs[len(theirs) // 2]
    for contender in contenders:
        outcome = outcomes[contender.name]
        median = sorted(outcome.gaps_ns)[len(outcome.gaps_ns) // 2]
        ratio = f"{median / reference:.2f}" if reference else "both 0"
        lost = sorted(outcome.lost)[len(outcome.lost) // 2]
        left = f"{outcome.left_behind} of {len(outcome.gaps_ns)}"
        rows.append((event, contender.name, milliseconds(outcome.gaps_ns), lost, left, ratio))
    return rows
