"""``make cut-offs``: nodes lose the API server for ten minutes, the LAN whole, then are to leave.

Three elections in one cluster: of the first the holder is cut off, of the second a Backup, of the
third a rack of two with the holder. Then each changes its authentication, which waits, and those
that are cut off are taken out: by maintenance, and by taking their label away.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.holders import Holders
from tests.eventually import eventually
from tests.sequences.judge import MS, Verdict, judge

from vrrp_lab.lab import Lab, LabOptions
from vrrp_lab.node import Node
from vrrp_lab.probe import Probe

OPTIONS = LabOptions(nodes=10)
_PROBE_S = 0.02
_DOWN_NS = 800 * MS
_WAITS_S = 15.0
"""For so long a change that waits is watched."""


@dataclass
class Group:
    """One election, its nodes, and those of them that are cut off."""

    name: str
    address: str
    nodes: list[Node]
    probe: Probe
    cut_off: list[Node]


def cut_off_for(lab: Lab, length_s: float) -> tuple[list[str], list[str]]:
    """Play it on a cluster that has nothing yet; return what was seen, and what may not be."""
    holders = Holders(lab.lan.hosts)
    seen: list[str] = []
    wrong: list[str] = []
    with contextlib.ExitStack() as stack:
        groups = list(_groups(lab, stack))
        eventually(lambda: all(_is(lab, g, "Programmed") for g in groups), within_s=120, every_s=1)
        eventually(lambda: all(len(lab.holders(g.address)) == 1 for g in groups), within_s=30)
        time.sleep(3)  # probes before the cut are not judged
        cut_ns = time.monotonic_ns()
        _cut(lab, groups)
        _let_pass(length_s, groups)
        for group in groups:
            text, verdict = _since(group, holders, cut_ns)
            seen.append(f"{group.name}, cut off {length_s:.0f} s: {text}; {_told(lab, group)}")
            wrong += [f"{group.name}: {text}"] * bool(
                verdict.moves or verdict.two_ns or _lost(text)
            )
        for step in (_change_authentication, _take_out):
            begun_ns = time.monotonic_ns()
            step(lab, groups, seen)
            for group in groups:
                text, verdict = _since(group, holders, begun_ns)
                seen.append(f"{group.name}, {step.__doc__}: {text}; {_told(lab, group)}")
                expected = step is _take_out and group.name != "backup"
                too_long = max(verdict.two_ns, verdict.nobody_ns) > _DOWN_NS
                if verdict.moves != expected or too_long:
                    wrong.append(f"{group.name}, {step.__doc__}: {text}")
        healed_ns = time.monotonic_ns()
        lab.lan.heal()
        eventually(lambda: all(_is(lab, g, "Programmed") for g in groups), within_s=120, every_s=1)
        for group in groups:
            text, verdict = _since(group, holders, healed_ns)
            seen.append(f"{group.name}, after the cut: {text}; {_told(lab, group)}")
            wrong += [f"{group.name}, after the cut: {text}"] * bool(
                verdict.two_ns or verdict.moves
            )
    return seen, wrong


def _groups(lab: Lab, stack: contextlib.ExitStack) -> Iterator[Group]:
    for number, (name, size) in enumerate((("holder", 3), ("backup", 3), ("rack", 4))):
        nodes = lab.nodes[3 * number : 3 * number + size]
        lab.kubectl("label", "node", *(node.name for node in nodes), f"group={name}")
        address = f"192.0.2.{150 + number}"
        _apply(lab, name, address)
        probe = stack.enter_context(lab.client.probe(address, _PROBE_S))
        yield Group(name, address, nodes, probe, [])


def _apply(lab: Lab, name: str, address: str, **spec: object) -> None:
    selected = {"matchLabels": {"group": name}}
    obj = {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "VirtualIP",
        "metadata": {"name": name},
        "spec": {"addresses": [{"address": f"{address}/24"}], "nodeSelector": selected, **spec},
    }
    lab.kubectl("apply", "-f", "-", stdin=json.dumps(obj))


def _cut(lab: Lab, groups: list[Group]) -> None:
    for group in groups:
        (holder,) = lab.holders(group.address)
        backups = [node for node in group.nodes if node is not holder]
        chosen = {"holder": [holder], "backup": backups[:1], "rack": [holder, backups[0]]}
        group.cut_off = chosen[group.name]
        for node in group.cut_off:
            lab.lan.partition(node.host, lab.control_plane.host)


def _let_pass(length_s: float, groups: list[Group]) -> None:
    end_s = time.monotonic() + length_s
    while time.monotonic() < end_s:
        time.sleep(min(60.0, max(0.0, end_s - time.monotonic())))
        for group in groups:
            group.probe.report(time.monotonic_ns() - 1_000_000_000)  # it runs


def _change_authentication(lab: Lab, groups: list[Group], _: list[str]) -> None:
    """authentication changed"""
    for group in groups:
        _apply(lab, group.name, group.address, authentication={"type": "None"})
    eventually(lambda: not any(_is(lab, g, "Programmed") for g in groups), within_s=30, every_s=1)
    time.sleep(_WAITS_S)


def _take_out(lab: Lab, groups: list[Group], seen: list[str]) -> None:
    """those cut off taken out"""
    for group in groups:
        if group.name == "rack":  # at once: in between the holder would yield to the other one
            lab.kubectl("label", "node", *(node.name for node in group.cut_off), "group-")
            continue
        for node in group.cut_off:
            ended = lab.kubectl_vrrp("maintenance", node.name, "on", "--timeout", "60s")
            seen.append(f"maintenance: {(ended.stdout or ended.stderr).strip()}")

    def moved() -> bool:
        return all(
            len(now) == 1 and now[0] not in group.cut_off
            for group in groups
            for now in [lab.holders(group.address)]
        )

    eventually(moved, within_s=60, every_s=0.2)
    time.sleep(_WAITS_S)


def _since(group: Group, holders: Holders, since_ns: int) -> tuple[str, Verdict]:
    """Return what became of an address since then, in words too."""
    until_ns = time.monotonic_ns()
    probes = group.probe.report(since_ns)
    verdict = judge(holders.timeline(group.address), since_ns, until_ns)
    return (
        f"{probes.sent} probes, {probes.lost} lost, {verdict.moves} moves,"
        f" two holders for {verdict.two_ns / MS:.0f} ms"
    ), verdict


def _lost(text: str) -> bool:
    return ", 0 lost" not in text


def _conditions(lab: Lab, group: Group) -> dict[str, dict[str, str]]:
    status = lab.kubectl_json("get", "vip", group.name).get("status", {})
    return {item["type"]: item for item in status.get("conditions", ())}


def _is(lab: Lab, group: Group, kind: str) -> bool:
    return _conditions(lab, group).get(kind, {}).get("status") == "True"


def _told(lab: Lab, group: Group) -> str:
    """Return what the VirtualIP says."""
    status = lab.kubectl_json("get", "vip", group.name)["status"]
    states = ", ".join(f"{n['node']} {n['state']}" for n in status.get("nodes", ()))
    said = [
        f"{kind} {item['status']} ({item['reason']}: {item['message']})"
        for kind, item in _conditions(lab, group).items()
        if kind in ("Ready", "Programmed", "NoStandby", "SplitBrain")
    ]
    cut_off = ", ".join(node.name for node in group.cut_off)
    return f"cut off: {cut_off}; {states}; {'; '.join(said)}"


def main() -> int:
    """Play it; return the exit status."""
    parser = argparse.ArgumentParser(prog="tests.sequences.cut_offs", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args()
    with Lab(OPTIONS) as lab:
        seen, wrong = cut_off_for(lab, options.minutes * 60)
    print(*seen, *(f"WRONG: {text}" for text in wrong), sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
