"""Proportional set sizes at rest."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

from tests.bench.report import Report
from tests.eventually import eventually

from vrrp_lab.demo import ADDRESS, EXAMPLE
from vrrp_lab.lab import Lab
from vrrp_lab.processes import session_members
from vrrp_lab.web import WebServer


def measure_memory(report: Report, lab: Lab) -> None:
    """Print what a node and the operator cost with the example VirtualIP running."""
    for node in lab.nodes:
        WebServer(node, lab.lan.processes).start()
    lab.kubectl("apply", "-f", str(EXAMPLE), check=True)
    eventually(lambda: len(lab.holders(ADDRESS)) == 1, within_s=30)
    eventually(lambda: all(node.get("/readyz") == "ok\n" for node in lab.nodes), within_s=30)
    report.section(
        "Memory",
        "MB at rest, median of the three nodes. PSS (proportional set size) is what the kernel"
        " says here, where three speakers share the pages of one Python; *alone* counts every"
        " file-backed page once for its node, as on a machine with one speaker.",
    )
    rows: list[tuple[str, str, str]] = []
    for name in ("supervisor", "engine", "agent"):
        pids = [node.processes()[name] for node in lab.nodes]
        rows.append((name, _median([pss_mb(pid) for pid in pids]), ""))
    pair = [[n.processes()["supervisor"], n.processes()["engine"]] for n in lab.nodes]
    rows.append(("supervisor and engine", *_both(pair)))
    everything = [[*node.processes().values()] for node in lab.nodes]
    rows.append(("**a node in Backup, all processes**", *_both(everything)))
    (holder,) = lab.holders(ADDRESS)
    heir = eventually(lambda: holder.heir, within_s=30)
    rows.append(
        ("**the Active node, with its heir**", *_both([[*holder.processes().values(), heir]]))
    )
    rows.append(("operator", *_both([session_members(lab.operator.pid)])))
    report.table(("process", "PSS", "alone"), rows)


def _both(groups: list[list[int]]) -> tuple[str, str]:
    pss = [sum(map(pss_mb, group)) for group in groups]
    return _median(pss), _median([alone_mb(group) for group in groups])


def _median(values: list[float]) -> str:
    return f"{statistics.median(values):.1f}"


def pss_mb(pid: int) -> float:
    """Return a process's proportional set size (proc(5), smaps_rollup)."""
    return _rollup(pid, "Pss") / 1024


def rss_mb(pid: int) -> float:
    """Return a process's resident set size, shared pages whole (proc(5), smaps_rollup)."""
    return _rollup(pid, "Rss") / 1024


def alone_mb(pids: list[int]) -> float:
    """Return what these processes would take on a machine of their own.

    Anonymous memory by its proportional share (the supervisor and the engine it forked share
    some), each file-backed mapping once, as large as the largest of the processes has it.
    """
    files: dict[tuple[str, str], int] = {}
    for pid in pids:
        for mapping, resident_kb in _file_mappings(pid):
            files[mapping] = max(files.get(mapping, 0), resident_kb)
    return (sum(_rollup(pid, "Pss_Anon") for pid in pids) + sum(files.values())) / 1024


def _rollup(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise ValueError(f"no {field} of {pid}")


def _file_mappings(pid: int) -> Iterator[tuple[tuple[str, str], int]]:
    """Yield ((path, offset), file-backed kB) of each mapping."""
    mapping, resident_kb = ("", ""), 0
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        words = line.split()
        if not words[0].endswith(":"):
            mapping = (words[5] if len(words) > 5 else "", words[2])
        elif words[0] == "Rss:":
            resident_kb = int(words[1])
        elif words[0] == "Anonymous:" and mapping[0].startswith("/"):
            yield mapping, resident_kb - int(words[1])
