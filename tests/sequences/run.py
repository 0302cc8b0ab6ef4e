"""One run: a cluster, its elections, what the plan has happen, and what came of it."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.holders import Holders
from tests.eventually import eventually
from tests.sequences.judge import MS, Verdict, faults, judge
from tests.sequences.plan import Deed, Election, Plan
from tests.sequences.play import OPTIONS, Player

from vrrp_lab.lab import Lab

_SETTLES_S = 240.0


@dataclass(frozen=True)
class Outcome:
    """What a run came to; ``wrong`` is empty where every rule held."""

    plan: Plan
    verdicts: dict[str, Verdict]
    wrong: list[str]
    settled_s: float

    def figures(self) -> str:
        """Return what was counted and measured, in one paragraph."""
        still = {e.name for e in self.plan.elections if e.holder}
        counted = Counter(str(deed.kind) for deed in self.plan.deeds)
        said = ", ".join(f"{number} {kind}" for kind, number in sorted(counted.items()))
        two = sorted(ns for verdict in self.verdicts.values() for ns in verdict.handovers_ns)
        moves = sum(v.moves for name, v in self.verdicts.items() if name not in still)
        unmoved = sum(self.verdicts[name].moves for name in still)
        nobody_ns = max(verdict.nobody_ns for verdict in self.verdicts.values())
        return (
            f"{len(self.plan.elections) * self.plan.rounds} sequences ({said});"
            f" {len(still)} still elections moved {unmoved} times, the others {moves} times;"
            f" two holders {len(two)} times, median {_ms(two[len(two) // 2] if two else 0)},"
            f" longest {_ms(two[-1] if two else 0)}; nobody for {_ms(nobody_ns)} at most;"
            f" all as wanted {self.settled_s:.0f} s after the last cut ended;"
            f" {len(self.wrong)} faults"
        )


def run(plan: Plan, say: Callable[[str], None], keep: Path | None = None) -> Outcome:
    """Carry a plan out on a cluster of its own; ``keep``: where its logs go.

    Raises:
        LabError: this machine cannot run the cluster.
    """
    with Lab(OPTIONS) as lab:
        try:
            return run_in(lab, plan, say)
        finally:
            if keep is not None:
                shutil.copytree(
                    lab.work_dir, keep, ignore=shutil.ignore_patterns("etcd", "*.shm", "*.sock")
                )


def run_in(lab: Lab, plan: Plan, say: Callable[[str], None]) -> Outcome:
    """Carry a plan out on a cluster that has nothing of it yet."""
    done: list[tuple[int, Deed]] = []
    holders = Holders(lab.lan.hosts)
    player = Player(lab, plan, lambda deed: done.append((time.monotonic_ns(), deed)))
    player.begin()
    since_ns = time.monotonic_ns()
    player.play()
    player.heal()
    healed_s = time.monotonic()
    wrong = []
    try:
        eventually(lambda: not player.unfinished(), within_s=_SETTLES_S, every_s=1)
    except AssertionError:
        wrong += [f"never as wanted: {text}" for text in player.unfinished()]
    until_ns = time.monotonic_ns()
    verdicts = {}
    for election in plan.elections:
        timeline = holders.timeline(election.address)
        verdict = judge(timeline, since_ns, until_ns)
        verdicts[election.name] = verdict
        found = faults(verdict, plan.interval_ms(election.name), still=bool(election.holder))
        wrong += [f"{election.name}: {text}" for text in found]
        if found:
            for line in _story(election, since_ns, done, list(timeline.spans())):
                say(line)
    return Outcome(plan, verdicts, wrong, time.monotonic() - healed_s)


def _story(
    election: Election,
    since_ns: int,
    done: list[tuple[int, Deed]],
    spans: list[tuple[int, frozenset[str]]],
) -> list[str]:
    """Return what happened to an election and what concerns everybody, in order of time."""
    deeds = [(at, str(deed)) for at, deed in done if deed.election in ("", election.name)]
    held = [(at, f"held by {', '.join(sorted(who)) or 'nobody'}") for at, who in spans]
    lines = [(at, text) for at, text in sorted(deeds + held) if at >= since_ns]
    return [
        f"{election.name}: {election}",
        *(f"  {(at - since_ns) / 1e9:8.3f} {text}" for at, text in lines),
    ]


def _ms(ns: int) -> str:
    return f"{ns / MS:.0f} ms"
