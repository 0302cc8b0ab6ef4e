"""Collects figures, prints them as they come, and makes the page."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime

_HEAD = """# Benchmarks

Made by `make bench`; run it yourself. A client on the LAN probes the virtual address with an ICMP
echo every millisecond; a gap is the time from the last answered probe to the next answered one.
kube-vrrp and keepalived run on the same hosts with the same priorities and {interval}
advertisements, each event on one and then on the other, {runs} runs each. Machines are shared and
noisy: compare columns, not days.

"""


class Report:
    """Sections of a page, in the order they were measured."""

    def __init__(self, runs: int) -> None:
        self._parts = [_HEAD.format(interval="200 ms", runs=runs), _machine()]

    def section(self, title: str, text: str = "") -> None:
        """Begin a section."""
        print(f"\n{title}", flush=True)
        self._parts.append(f"\n## {title}\n\n{text}" + ("\n\n" if text else ""))

    def table(self, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Add a table."""
        lines = [header, ["---"] * len(header), *rows]
        text = "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
        print(text, flush=True)
        self._parts.append(text + "\n")

    def page(self) -> str:
        """Return the whole page."""
        return "".join(self._parts)


def milliseconds(values_ns: Sequence[int]) -> str:
    """Return "median / maximum" in milliseconds."""
    return f"{statistics.median(values_ns) / 1e6:.0f} / {max(values_ns) / 1e6:.0f}"


def _machine() -> str:
    keepalived = subprocess.run(
        ["keepalived", "--version"], capture_output=True, text=True, check=False
    ).stderr.split("\n")[0]
    rows = [
        f"- {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Linux {platform.release()},"
        f" Python {platform.python_version()}",
        f"- {keepalived.partition('(')[0].strip()}",
    ]
    return "\n".join(rows) + "\n"
