"""Random faults on four nodes with ten VirtualIPs: every invariant of the simulator holds.

``KUBE_VRRP_CHAOS_SECONDS`` makes it longer, ``KUBE_VRRP_CHAOS_SEED`` repeats a run. The same seed
strikes simulated nodes: ``python -m tests.simulation --chaos-seed SEED --seconds SECONDS``.

Three oracles look at one run. ``tests.chaos.judge``: states and addresses of all nodes from
outside, as the simulator's chaos is judged. ``tests.simulation.watch``: every event that reached a
router, as its engine recorded it. And what is counted: nothing falls, no engine begins that was not
killed.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.bench.holders import Holders
from tests.bench.realtime import real_time
from tests.chaos.causes import unplanted_starts
from tests.chaos.judge import Judge
from tests.chaos.observed import Allowance, Election, Held, Run
from tests.chaos.plan import (
    INTERVAL_MS,
    NODES,
    VIRTUAL_IPS,
    by_multicast,
    over_ipv6,
    plan,
    priorities,
    ranks,
)
from tests.conftest import lab_or_skip
from tests.eventually import eventually
from tests.netns.chaos_nodes import ChaosNodes
from tests.netns.chaos_recordings import Verdict, judge_recordings
from tests.netns.chaos_watch import ChaosWatch
from tests.netns.inside import holders, manifest, virtual_addresses

from vrrp_lab.lab import Lab, LabOptions

pytestmark = pytest.mark.netns
SECONDS = int(os.environ.get("KUBE_VRRP_CHAOS_SECONDS", "20"))
_MS = 1_000_000
_ALLOWED = Allowance(
    slack_ns=100 * _MS,
    lease_fuzz_ns=300 * _MS,
    install_ns=300 * _MS,
    # The engine asks once an interval. A kernel that gave up just before the answer came (IPv6)
    # asks with the next advertisement.
    resolve_ns=2 * INTERVAL_MS * _MS,
    fork_ns=100 * _MS,
    start_ns=15_000 * _MS,
)
_REST_S = 4.0
"""How long the cluster is watched once it has come to rest."""
_GROUP = "interface: eth0, transport: {mode: Multicast}"
MANIFEST = "".join(
    manifest(
        f"vip-{n}",
        50 + n,
        *((f"192.0.2.{50 + n}/24",) if not over_ipv6(n) else ()),
        *((f"2001:db8:0:1::{50 + n}/64",) if n % 3 != 1 else ()),
        ranks=[1 + node for node in ranks(n)],
        spec=_GROUP if by_multicast(n) else "",
    )
    for n in range(VIRTUAL_IPS)
)


@pytest.fixture
def seed() -> int:
    """The seed of this run, new each time unless one is given."""
    return int(os.environ.get("KUBE_VRRP_CHAOS_SEED") or time.time_ns() % 1_000_000)


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[Lab]:
    """The nodes, no speaker running yet."""
    path = tmp_path / "manifest.yaml"
    path.write_text(MANIFEST)
    yield from lab_or_skip(LabOptions(nodes=NODES, standalone=(path,), start_speakers=False))


@dataclass
class Chaos:
    """A run that has ended, and everything that was seen of it."""

    lab: Lab
    nodes: ChaosNodes
    watch: ChaosWatch
    addresses: dict[str, list[str]]
    kernels: Holders
    begun_ns: int
    ended_ns: int

    def run_of(self, virtual_ip: int) -> Run:
        """Return what was seen of one election."""
        name = f"vip-{virtual_ip}"
        unicast = not by_multicast(virtual_ip)
        election = Election(name, priorities(virtual_ip), INTERVAL_MS * _MS, unicast)
        numbers = {host.name: number for number, host in enumerate(self.lab.lan.hosts)}
        held = [
            Held(change.at_ns, numbers[change.host], address, change.held)
            for address in self.addresses[name]
            for change in self.kernels.timeline(address).changes
        ]
        return Run(
            election,
            self.watch.turns[name],
            sorted(held, key=lambda change: change.at_ns),
            self.nodes.struck,
            self.begun_ns,
            self.ended_ns,
            self.watch.stalls,
        )


def carry_out(lab: Lab, seed: int, recordings: Path) -> Chaos:
    """Start everything, let it settle, do what the seed plans, let it settle again."""
    at_home = {f"vip-{n}": f"node-{1 + ranks(n)[0]}" for n in range(VIRTUAL_IPS)}
    kernels = Holders(lab.lan.hosts)
    watch = ChaosWatch(lab.nodes, sorted(at_home))
    nodes = ChaosNodes(lab, (watch, KernelsOnlooker(lab, kernels)), recordings)
    nodes.start_all()
    eventually(lambda: holders(lab) == at_home, within_s=40, every_s=0.2)
    addresses = virtual_addresses(lab)
    with real_time(inherited=False), watch:
        eventually(lambda: watch.sees_everything, within_s=5)
        begun_ns = time.monotonic_ns()
        nodes.run(plan(seed, SECONDS))
        try:
            eventually(lambda: holders(lab) == at_home, within_s=60, every_s=0.2)
        finally:
            time.sleep(_REST_S)  # at rest nothing moves: that takes a while to see
            ended_ns = time.monotonic_ns()
            for name, listed in addresses.items():
                print(name, *(sorted(kernels.timeline(a).latest()[1]) for a in listed))
    return Chaos(lab, nodes, watch, addresses, kernels, begun_ns, ended_ns)


@dataclass
class KernelsOnlooker:
    """Follows hosts through the loss of their power."""

    lab: Lab
    kernels: Holders

    def died(self, node: int) -> None:
        """Its kernel lives on."""

    def powered_off(self, node: int) -> None:
        """Its addresses are gone."""
        self.kernels.powered_off(self.lab.lan.hosts[node])

    def powered_on(self, node: int) -> None:
        """Its new kernel is watched."""
        self.kernels.powered_on(self.lab.lan.hosts[node])


def test_invariants_of_the_simulator_hold_on_real_nodes(
    silent: Lab, seed: int, tmp_path: Path
) -> None:
    print(f"KUBE_VRRP_CHAOS_SEED={seed} KUBE_VRRP_CHAOS_SECONDS={SECONDS}")
    print(f"simulated: python -m tests.simulation --chaos-seed {seed} --seconds {SECONDS}")
    chaos = carry_out(silent, seed, tmp_path)
    wrong: list[str] = []
    for virtual_ip in range(VIRTUAL_IPS):
        judge = Judge(chaos.run_of(virtual_ip), _ALLOWED)
        print(f"vip-{virtual_ip}: {judge.figures().words()}")
        found = judge.violations()
        for violation in found:
            print(violation.words(chaos.begun_ns))
        wrong += [v.words(chaos.begun_ns) for v in found if not v.excused]
    wrong += unplanted_starts(chaos.watch.starts, chaos.nodes.struck, _ALLOWED, chaos.begun_ns)
    wrong += chaos.watch.wrong
    verdict = judge_recordings(sorted(tmp_path.glob("*.jsonl")), INTERVAL_MS * _MS)
    wrong += verdict.wrong
    _tell(chaos, verdict)
    assert not wrong, "\n".join((*map(str, plan(seed, SECONDS)), *wrong))


def _tell(chaos: Chaos, verdict: Verdict) -> None:
    """Print what the run was like."""
    kinds = Counter(str(struck.fault.kind) for struck in chaos.nodes.struck)
    watch, events = chaos.watch, verdict.events
    lasted_s = (chaos.ended_ns - chaos.begun_ns) / 1e9
    print(f"{sum(kinds.values())} faults in {lasted_s:.0f} s: {dict(sorted(kinds.items()))},")
    print(f"each begun and ended within {chaos.nodes.behind_ns / 1e6:.0f} ms of its time")
    print(f"{len(watch.starts)} engines began; {watch.looks} looks took {watch.cpu_s:.1f} s of CPU")
    stood_ms = sum(b - a for a, b in watch.stalls) / 1e6
    print(f"the machine stood still {len(watch.stalls)} times, {stood_ms:.0f} ms")
    print(f"{events.total()} recorded events judged, {verdict.lost} lost: {dict(events)}")
