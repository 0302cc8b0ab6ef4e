"""What a node's pods cost a speaker: CPU at rest and while one pod changes every second."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from tests.bench.report import Report
from tests.netns.inside import all_at, engine, manifest, transitions

from vrrp_lab.lab import Lab, LabOptions
from vrrp_lab.node import Node

PODS, ADDRESSES, ROUTES = 250, 3000, 20_000
_REST_S = 15.0
_MANIFEST = manifest("pods", 51, "192.0.2.50/24", ranks=(1, 2))


def measure_pods(report: Report, seconds: float) -> None:
    """Measure a bare node at rest, and one with pods at rest and in change for so long."""
    rows: list[tuple[str, ...]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "manifest.yaml"
        path.write_text(_MANIFEST)
        with Lab(LabOptions(nodes=2, standalone=(path,), start_speakers=False)) as lab:
            node = lab.nodes[0]
            _start(lab)  # the first one of all: nothing is stored yet
            for each in lab.nodes:
                each.stop_speaker()
            begun = [_start(lab)]
            rows.append(("bare, at rest", *_measured(lab, node, _REST_S, change=False)))
            for each in lab.nodes:
                each.stop_speaker()
            _furnish(node)
            begun.append(_start(lab))
            rows.append(("with pods, at rest", *_measured(lab, node, _REST_S, change=False)))
            rows.append(("one changes each second", *_measured(lab, node, seconds, change=True)))
    report.section(
        "Pods",
        f"A node with one VirtualIP at 200 ms, then with {PODS} veth pairs, {ADDRESSES} foreign "
        f"addresses and {ROUTES} routes. CPU of all processes of its speaker, of one core. From "
        f"start to Active {begun[0]:.1f} s, with pods {begun[1]:.1f} s.",
    )
    head = ("", "CPU %", "changes that mattered", "transitions", "engine RSS MB", "agent RSS MB")
    report.table(head, rows)


def veth_pairs(count: int) -> str:
    """Return what makes so many pods' pairs of interfaces, for ``ip -batch``."""
    return "\n".join(
        f"link add pod{i} type veth peer name end{i}\nlink set pod{i} up\nlink set end{i} up"
        for i in range(count)
    )


def add_links(node: Node, lines: str) -> None:
    """Give a node what lines for ``ip -batch`` say."""
    with tempfile.NamedTemporaryFile("w") as batch:
        batch.write(lines)
        batch.flush()
        node.host.namespace.run("ip", "-batch", batch.name)


def _start(lab: Lab) -> float:
    begun_s = time.monotonic()
    for node in lab.nodes:
        node.start_speaker()
    all_at(lab, lab.nodes[0], within_s=120)
    took_s = time.monotonic() - begun_s
    time.sleep(5)  # what a start leaves to be done
    return took_s


def _furnish(node: Node) -> None:
    """Give a node links, addresses and routes that no VirtualIP is about."""
    services = ["link add services type bridge", "link set services up"]
    services += [
        f"addr add 10.{96 + i // 65536}.{i // 256 % 256}.{i % 256}/32 dev services"
        for i in range(1, ADDRESSES + 1)
    ]
    routes = [
        f"route add 10.{128 + i // 65536}.{i // 256 % 256}.{i % 256}/32 dev services"
        for i in range(ROUTES)
    ]
    add_links(node, "\n".join((veth_pairs(PODS), *services, *routes)))


def _measured(lab: Lab, node: Node, seconds: float, *, change: bool) -> tuple[str, ...]:
    before, used_ns, moved = engine(node), _cpu_ns(node), transitions(lab.nodes)
    begun_s = time.monotonic()
    turn = 0
    while (now_s := time.monotonic()) < begun_s + seconds:
        if change:
            name, end = f"pod{turn % PODS}", f"end{turn % PODS}"
            lines = f"link del {name}\nlink add {name} type veth peer name {end}\n"
            lines += f"link set {name} up\nlink set {end} up\n"
            node.host.namespace.run("sh", "-ec", f"printf '{lines}' | ip -batch -")
        turn += 1
        time.sleep(max(0.0, begun_s + turn - now_s))
    took_s = time.monotonic() - begun_s
    share = (_cpu_ns(node) - used_ns) / took_s / 1e7
    sizes = node.processes()
    return (
        f"{share:.2f}",
        str(engine(node).link_changes - before.link_changes),
        str(transitions(lab.nodes) - moved),
        *(f"{_resident_kb(sizes[name]) / 1000:.1f}" for name in ("engine", "agent")),
    )


def _cpu_ns(node: Node) -> int:
    """Return what the processes of a speaker have used, those that ended left out."""
    folders = (Path(f"/proc/{pid}/task") for pid in node.processes().values())
    tasks = (task for folder in folders for task in folder.iterdir())
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def _resident_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
