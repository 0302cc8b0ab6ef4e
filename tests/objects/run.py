"""One run: ten ordinary VirtualIPs, what is done beside them, and what came of it."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.holders import Holders
from tests.eventually import eventually
from tests.objects.disks import start_on_disks
from tests.objects.judge import MS, kernel_latencies, percentiles, silent
from tests.objects.machines import ON_THE_LINK, add_link
from tests.objects.odd import TEN
from tests.objects.plan import Step, address_of, second_address_of
from tests.objects.play import FINE, OPTIONS, Player, ordinary
from tests.objects.told import Told

from vrrp_lab.lab import Lab
from vrrp_lab.probe import Probe

_PROBE_S = 0.02
_SETTLES_S = 120.0
_EARLY = 6
"""VirtualIPs that are there first and go: the ten do not have the lowest virtual router IDs."""


@dataclass(frozen=True)
class Outcome:
    """What a run came to; ``wrong`` is empty where every rule held."""

    wrong: list[str]
    figures: str


def run(
    steps: Sequence[Step], pace_s: float, say: Callable[[str], None], keep: Path | None = None
) -> Outcome:
    """Carry steps out on a cluster of its own; ``keep``: where its logs go.

    Raises:
        LabError: this machine cannot run the cluster.
    """
    with Lab(OPTIONS) as lab:
        try:
            return run_in(lab, steps, pace_s, say)
        finally:
            if keep is not None:
                hidden = shutil.ignore_patterns("etcd", "*.shm", "*.sock")
                shutil.copytree(lab.work_dir, keep, ignore=hidden)


def run_in(lab: Lab, steps: Sequence[Step], pace_s: float, say: Callable[[str], None]) -> Outcome:
    """Carry steps out, one each ``pace_s`` seconds, on a cluster that has nothing yet."""
    for node in lab.nodes:
        add_link(node)
        start_on_disks(node)
    _begin(lab)
    holders = Holders(lab.lan.hosts)
    before = _processes(lab)
    player, told = Player(lab), Told(lab, TEN)
    with contextlib.ExitStack() as stack:
        stack.callback(told.close)
        stack.callback(player.killer.end)
        probes = {name: stack.enter_context(_probe(lab, name)) for name in TEN}
        since_ns = time.monotonic_ns()
        sent: list[tuple[int, Step]] = []
        for number, step in enumerate(steps):
            time.sleep(max(0.0, since_ns / 1e9 + number * pace_s - time.monotonic()))
            sent.append((time.monotonic_ns(), step))
            player.take(step)
            say(f"{(sent[-1][0] - since_ns) / 1e9:6.1f} s {step}")
        player.end()
        settled_s, wrong = _settle(lab, told, player)
        until_ns = time.monotonic_ns()
        wrong += list(_lost(probes, since_ns, until_ns))
    after = _processes(lab)
    wrong += [
        f"{who}: {pid} is {after.get(who)} now"
        for who, pid in before.items()
        if pid != after.get(who)
    ]
    wrong += list(_unexpected(lab))
    seconds = {name: holders.timeline(second_address_of(name)) for name in TEN}
    kernel_ns, never = kernel_latencies(sent, seconds, until_ns)
    told_ns = [
        change.told_ns - change.seen_ns
        for changes in told.changes().values()
        for generation, change in changes.items()
        if generation > 1 and change.told_ns is not None
    ]
    counted = ", ".join(f"{number} {what}" for what, number in sorted(player.answers.items()))
    figures = (
        f"{len(steps)} steps ({counted};"
        f" {player.killer.killed} compilers killed);"
        f" on the nodes {percentiles(kernel_ns)}; in statuses {percentiles(told_ns)};"
        f" all said {settled_s:.0f} s after the last step; {len(wrong) + len(never)} faults"
    )
    return Outcome([*wrong, *never], figures)


def _begin(lab: Lab) -> None:
    """Let the ten come up."""
    lab.kubectl("create", "-f", "-", stdin=json.dumps(FINE))
    for name in (f"early-{n}" for n in range(_EARLY)):
        obj = ordinary(TEN[0])
        obj["metadata"] = {"name": name}
        obj["spec"]["addresses"] = [{"address": f"192.0.2.{180 + int(name[-1])}/24"}]
        lab.kubectl("create", "-f", "-", stdin=json.dumps(obj))
    eventually(
        lambda: all("virtualRouterID" in v.get("status", {}) for v in _vips(lab)), within_s=60
    )
    items = [*(ordinary(name) for name in TEN), ON_THE_LINK]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    lab.kubectl("apply", "--server-side", "-f", "-", stdin=text)
    eventually(lambda: len(_ready(lab)) == _EARLY + len(items), within_s=120, every_s=0.5)
    lab.kubectl("delete", "vip", *(f"early-{n}" for n in range(_EARLY)))
    eventually(lambda: all(len(lab.holders(address_of(n))) == 1 for n in TEN), within_s=60)


def _probe(lab: Lab, name: str) -> Probe:
    probe = lab.client.probe(address_of(name), _PROBE_S)
    probe.wait_answered(60)
    return probe


def _processes(lab: Lab) -> dict[str, int]:
    """Return the pids of what may not be started again."""
    found = {"operator": lab.operator.pid}
    for node in lab.nodes:
        found |= {f"{node.name} {name}": pid for name, pid in node.processes().items()}
    return found


def _vips(lab: Lab) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = lab.kubectl_json("get", "vip")["items"]
    return items


def _ready(lab: Lab) -> set[str]:
    return {vip["metadata"]["name"] for vip in _vips(lab) if not silent(vip) and _is_ready(vip)}


def _is_ready(vip: dict[str, Any]) -> bool:
    conditions = {c["type"]: c["status"] for c in vip["status"]["conditions"]}
    return conditions.get("Ready") == conditions.get("Programmed") == "True"


def _settle(lab: Lab, told: Told, player: Player) -> tuple[float, list[str]]:
    """Wait until all is said; return how long that took, and what never came to be."""
    begun_s = time.monotonic()

    def unfinished() -> list[str]:
        checks = lab.kubectl_json("get", "healthcheck")["items"]
        found = [text for obj in (*_vips(lab), *checks) if (text := silent(obj))]
        found += [f"{name} is not ready" for name in set(TEN) - _ready(lab)]
        found += player.killer.missed()
        found += [
            f"{name}: generation {number} was never told of"
            for name, changes in told.changes().items()
            for number, change in changes.items()
            if change.told_ns is None
        ]
        configs = lab.kubectl_json("get", "nodeconfig")["items"]
        return found + [
            f"NodeConfig {config['metadata']['name']} has a stray router"
            for config in configs
            if any(r["name"] == "stray" for r in config["spec"].get("virtualRouters", ()))
        ]

    try:
        eventually(lambda: not unfinished(), within_s=_SETTLES_S, every_s=1)
    except AssertionError:
        return time.monotonic() - begun_s, unfinished()
    return time.monotonic() - begun_s, []


def _lost(probes: dict[str, Probe], since_ns: int, until_ns: int) -> Iterator[str]:
    for name, probe in probes.items():
        report = probe.report(since_ns, until_ns)
        if report.lost:
            gaps = ", ".join(
                f"{length / MS:.0f} ms at {(at - since_ns) / 1e9:.1f} s"
                for at, length in report.gaps
            )
            yield f"{name}: {report.lost} of {report.sent} probes lost: {gaps}"


def _unexpected(lab: Lab) -> Iterator[str]:
    """Yield what was survived and should not have been there."""
    for line in lab.operator.get("/metrics").splitlines():
        name, _, value = line.rpartition(" ")
        if name.startswith("kube_vrrp_exceptions_total") and float(value):
            yield f"the operator survived exceptions: {line}"
    for log in (lab.operator.log, *(node.log for node in lab.nodes)):
        if "Traceback" in log.read_text(errors="replace"):
            yield f"{log.parent.name}/{log.name} has a traceback"
