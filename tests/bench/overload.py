"""Both cores overloaded: which intervals hold, with and without real-time rights.

kube-vrrp and keepalived run on the same hosts at the same time, so both meet the same load.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests.bench.contenders import PRIORITIES, KeepalivedContender, KubeVrrp, manifest
from tests.bench.holders import Holders
from tests.bench.keepalived import Keepalived
from tests.bench.load import TIMES, overload
from tests.bench.realtime import real_time
from tests.bench.report import Report
from tests.bench.samples import percentile
from tests.eventually import eventually
from tests.netns.inside import engine

from vrrp_lab.lab import Lab, LabOptions
from vrrp_lab.namespaces import LabError
from vrrp_lab.probe import ProbeReport
from vrrp_speaker.shared_state.values import EngineState

FASTEST_MS = 20
INTERVALS_MS = (20, 50, 100, 200, 500, 1000)
_WITHOUT = ("setpriv", "--bounding-set=-sys_nice", "--inh-caps=-sys_nice")
"""How a container that is not given CAP_SYS_NICE is started; no limit (RLIMIT_RTPRIO) lets it."""
_RT_OPTIONS = ("vrrp_rt_priority 50", "vrrp_rlimit_rttime 100000", "vrrp_no_swap")
_OUR_VRID, _THEIR_VRID = 1, 99
_PATIENCE_S = 60.0
_SHORTEST_S = 15.0
_LEAST_SEARCH_S, _SEARCH_SHARE = 20.0, 0.1
_STATES = ("MASTER STATE", "BACKUP STATE", "FAULT STATE")


@dataclass(frozen=True)
class Setting:
    """One run: how fast, with which rights, for how long."""

    interval_ms: int
    real_time: bool
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """What one contender made of a run."""

    contender: str
    setting: Setting
    transitions: Counter[str]
    """By kind."""
    moves: int
    """How often another host got the address, as the kernels saw it."""
    client: ProbeReport
    pauses_ns: Sequence[int]
    """Times between two advertisements, as a peer received them."""
    lateness: tuple[str, str, str] | None
    """p50, p99 and maximum of the engine's deadlines, as bounds."""

    @property
    def row(self) -> tuple[str, ...]:
        """Its row of the table."""
        pauses = [pause / 1e6 for pause in self.pauses_ns] or [0.0]
        figures = percentile(pauses, 50), percentile(pauses, 99), max(pauses)
        return (
            f"{self.setting.interval_ms} ms",
            "yes" if self.setting.real_time else "no",
            self.contender,
            ", ".join(f"{count} × {kind}" for kind, count in self.transitions.items()) or "0",
            str(self.moves),
            f"{self.client.lost} of {self.client.sent}",
            f"{self.client.longest_gap_ns / 1e6:.0f}",
            " / ".join(f"{figure:.1f}" for figure in figures),
            " / ".join(self.lateness) if self.lateness else "–",
        )


_HEADER = (
    "interval",
    "real time",
    "",
    "transitions",
    "moves",
    "probes lost",
    "longest gap ms",
    "between advertisements ms",
    "late ms",
)


def measure_overload(report: Report, seconds: float) -> None:
    """Run 20 ms with and without real-time rights; then look for what holds without."""
    seconds = max(_SHORTEST_S, seconds)
    search_s = max(_LEAST_SEARCH_S, seconds * _SEARCH_SHARE)
    whole = [*_run(Setting(FASTEST_MS, True, seconds)), *_run(Setting(FASTEST_MS, False, search_s))]
    report.section(
        "Overload",
        f"{TIMES} processes that only compute for every core, at normal priority, for"
        f" {seconds / 60:.1f} minutes ({search_s:.0f} s without real-time rights); three nodes, one"
        " address, kube-vrrp (signed) and keepalived (plain) on the same hosts at the same time."
        " *Real time*: the right to it and the use of"
        " it (kube-vrrp: CAP_SYS_NICE, its default; keepalived: `vrrp_rt_priority`); *no*:"
        " kube-vrrp without the capability, keepalived with its defaults. *Transitions* are those"
        " that the routers of all nodes told, *moves* those of the address. Between"
        " advertisements, as a peer received them, and *late*, how long after its time the engine"
        " handled a deadline (buckets of its histogram), are p50 / p99 / max.",
    )
    report.table(_HEADER, [outcome.row for outcome in whole])
    tried, smallest = _search(whole, search_s)
    if tried:
        report.heading("Without real-time rights: the smallest interval that holds")
        report.text(f"{search_s:.0f} s each; an interval holds when nothing moves in them.")
        report.table(_HEADER, [outcome.row for outcome in tried])
    ours, theirs = smallest["kube-vrrp"], smallest["keepalived"]
    words = [f"{name}: {_words(held)}" for name, held in smallest.items()]
    ratio = f" kube-vrrp needs {ours / theirs:.2f} of keepalived's." if ours and theirs else ""
    report.text("Smallest interval without a transition, without real-time rights: "
                + ", ".join(words) + "." + ratio)  # fmt: skip


def _words(held_ms: int | None) -> str:
    return "none that was tried" if held_ms is None else f"{held_ms} ms"


def _search(
    whole: Iterable[Outcome], seconds: float
) -> tuple[list[Outcome], dict[str, int | None]]:
    """Try longer intervals until each contender has one that holds; return the tries, and these."""
    smallest: dict[str, int | None] = {KubeVrrp.name: None, KeepalivedContender.name: None}
    for outcome in whole:
        if not outcome.setting.real_time and not outcome.transitions:
            smallest[outcome.contender] = outcome.setting.interval_ms
    tried = []
    for interval_ms in INTERVALS_MS[1:]:
        if None not in smallest.values():
            break
        for outcome in _run(Setting(interval_ms, False, seconds)):
            tried.append(outcome)
            if not outcome.transitions and smallest[outcome.contender] is None:
                smallest[outcome.contender] = interval_ms
    return tried, smallest


def _run(setting: Setting) -> list[Outcome]:
    """Overload a lab for a while; return what each contender made of it."""
    rights = "with" if setting.real_time else "without"
    print(f"overload: {setting.interval_ms} ms {rights} real-time rights", flush=True)
    with tempfile.TemporaryDirectory(prefix="kube-vrrp-bench-") as folder:
        path = Path(folder) / "overload.yaml"
        path.write_text(manifest("bench", KubeVrrp.addresses[4], _OUR_VRID, setting.interval_ms))
        options = LabOptions(standalone=(path,), start_speakers=False)
        with Lab(options) as lab:
            return _Overloaded(lab, setting).run()


class _Overloaded:
    """A lab with both contenders on it."""

    def __init__(self, lab: Lab, setting: Setting) -> None:
        self._lab = lab
        self._setting = setting
        self._holders = Holders(lab.lan.hosts, advertisements=True)
        for node in lab.nodes:
            node.start_speaker(under=() if setting.real_time else _WITHOUT)
        self._daemons = [
            Keepalived(
                host,
                lab.lan,
                priority,
                {_THEIR_VRID: KeepalivedContender.addresses[4]},
                lab.work_dir / "keepalived",
                advert_int_s=setting.interval_ms / 1000,
                options=_RT_OPTIONS if setting.real_time else (),
            )
            for host, priority in zip(lab.lan.hosts, PRIORITIES, strict=True)
        ]
        for daemon in self._daemons:
            daemon.start()

    def run(self) -> list[Outcome]:
        """Settle idle, then overload, and look at what happened meanwhile."""
        eventually(self._settled, within_s=_PATIENCE_S)
        self._check_rights()
        client = self._lab.client
        with real_time():
            ours = client.probe(KubeVrrp.addresses[4])
            theirs = client.probe(KeepalivedContender.addresses[4])
        limit_s = self._setting.seconds + _PATIENCE_S
        with ours, theirs, overload(self._lab.lan.processes, limit_s=limit_s):
            engines, told = self._engines(), self._told()
            begun_ns = time.monotonic_ns()
            time.sleep(self._setting.seconds)
            ended_ns = time.monotonic_ns()
            engines_after, told_after = self._engines(), self._told()
            reports = ours.report(begun_ns, ended_ns), theirs.report(begun_ns, ended_ns)
        moved = _transitions(engines_after) - _transitions(engines), told_after - told
        late = _lateness(engines, engines_after)

        def outcome(
            contender: type[KubeVrrp | KeepalivedContender], report: ProbeReport
        ) -> Outcome:
            is_ours = contender.name == KubeVrrp.name
            vrid = _OUR_VRID if is_ours else _THEIR_VRID
            timeline = self._holders.timeline(contender.addresses[4])
            return Outcome(
                contender.name,
                self._setting,
                moved[0] if is_ours else moved[1],
                timeline.gained(begun_ns, ended_ns),
                report,
                self._pauses_ns(vrid, begun_ns, ended_ns),
                late if is_ours else None,
            )

        return [outcome(KubeVrrp, reports[0]), outcome(KeepalivedContender, reports[1])]

    def _settled(self) -> bool:
        """Whether host 1 alone has had both addresses for a second, and everybody takes part."""
        for state in self._engines():
            states = [router.state for router in state.routers.values()]
            assert states in (["Active"], ["Backup"]), f"routers are {states}"
        for contender in (KubeVrrp, KeepalivedContender):
            since_ns, holders = self._holders.timeline(contender.addresses[4]).latest()
            assert holders == {self._lab.lan.hosts[0].name}, f"{contender.name}: {sorted(holders)}"
            if time.monotonic_ns() - since_ns < 1_000_000_000:
                return False
        return True

    def _check_rights(self) -> None:
        """Make sure that the run is what its row says."""
        wanted = self._setting.real_time
        for node, state in zip(self._lab.nodes, self._engines(), strict=True):
            scheduled = os.sched_getscheduler(state.engine_pid) == os.SCHED_RR
            if not wanted == state.real_time == scheduled:
                raise LabError(f"{node.name}: the engine's real time is {scheduled}, not {wanted}")
        for daemon in self._daemons:
            if daemon.real_time is not wanted:
                raise LabError(f"keepalived's real time is {daemon.real_time}, not {wanted}")

    def _engines(self) -> list[EngineState]:
        """Return what each engine shares; an AssertionError while one does not yet."""
        return [engine(node) for node in self._lab.nodes]

    def _told(self) -> Counter[str]:
        """Return which states keepalived said that it entered."""
        return sum((Counter(_entered(daemon)) for daemon in self._daemons), Counter())

    def _pauses_ns(self, vrid: int, since_ns: int, until_ns: int) -> list[int]:
        """Return the times between the best node's advertisements, as its first peer heard them."""
        best, peer = self._lab.lan.hosts[:2]
        times = [
            heard.at_ns
            for heard in self._holders.advertisements_since(since_ns)
            if (heard.host, heard.source, heard.vrid) == (peer.name, best.address, vrid)
            and heard.at_ns <= until_ns
        ]
        return [later - earlier for earlier, later in pairwise(times)]


def _entered(daemon: Keepalived) -> list[str]:
    """Return the states that a keepalived said that it entered, in order."""
    words = (
        line.rpartition("Entering ")[2].strip() for line in daemon.log.read_text().splitlines()
    )
    return [state for state in words if state in _STATES]


def _transitions(engines: Iterable[EngineState]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for state in engines:
        for router in state.routers.values():
            for before, after, reason, count in router.transition_counts:
                counted[f"{before} to {after} ({reason})"] += count
    return counted


def _lateness(before: Sequence[EngineState], after: Sequence[EngineState]) -> tuple[str, str, str]:
    """Return p50, p99 and maximum of how late the engines of all nodes handled deadlines."""
    counts = [0] * len(after[0].lateness_counts)
    for old, new in zip(before, after, strict=True):
        for bucket, (a, b) in enumerate(zip(old.lateness_counts, new.lateness_counts, strict=True)):
            counts[bucket] += b - a
    bounds = [f"≤ {bound / 1e6:g}" for bound in after[0].lateness_bounds_ns] + ["more"]
    low, high, highest = (bucket_of(counts, bounds, percent) for percent in (50, 99, 100))
    return low, high, highest


def bucket_of(counts: Sequence[int], bounds: Sequence[str], percent: float) -> str:
    """Return the bound of the bucket that holds a percentile of what was counted."""
    wanted, found = sum(counts) * percent / 100, 0
    for count, bound in zip(counts, bounds, strict=True):
        found += count
        if count and found >= wanted:
            return bound
    return "–"
