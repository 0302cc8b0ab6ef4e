"""Collects figures, prints them as they come, and makes the page."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

_HEAD = """# Benchmarks

Made by `make bench`; run it yourself (`make bench ARGS=--full` for the complete matrix). Nothing
here is asserted: machines are shared and noisy. Compare columns, not days.

"""


class Report:
    """Sections of a page, in the order they were measured, and its figures."""

    def __init__(self) -> None:
        keepalived = _keepalived_version()
        ours = version("kube-vrrp")
        cores = os.cpu_count() or 1
        self.machine_line = f"{cores} cores, Linux {platform.release()}, {keepalived}"
        self._figures: dict[str, str] = {}
        self._parts = [
            _HEAD,
            f"- {datetime.now(UTC):%Y-%m-%d}, {_processor()}, {cores} cores,"
            f" Linux {platform.release()}\n",
            f"- kube-vrrp {ours}, Python {platform.python_version()}\n",
            f"- {keepalived}\n",
        ]

    def section(self, title: str, text: str = "") -> None:
        """Begin a section."""
        print(f"\n{title}", flush=True)
        self._parts.append(f"\n## {title}\n\n{text}" + ("\n\n" if text else ""))

    def heading(self, title: str) -> None:
        """Begin a part of a section."""
        print(f"\n{title}", flush=True)
        self._parts.append(f"\n### {title}\n\n")

    def text(self, text: str) -> None:
        """Add a paragraph, or an item of a list."""
        print(text, flush=True)
        self._parts.append(text + ("\n" if text.startswith("- ") else "\n\n"))

    def table(self, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Add a table."""
        lines = [header, ["---"] * len(header), *rows]
        text = "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
        print(text, flush=True)
        self._parts.append(text + "\n\n")

    def figure(self, name: str, alternative: str, svg: str) -> None:
        """Add an image."""
        self._figures[name] = svg
        self._parts.append(f"![{alternative}](images/{name})\n\n")

    def write(self, path: Path) -> None:
        """Write the page, and its images into the folder beside it."""
        images = path.parent / "images"
        images.mkdir(parents=True, exist_ok=True)
        for name, svg in self._figures.items():
            (images / name).write_text(svg, encoding="utf-8")
        page = "".join(self._parts).replace("\n\n\n", "\n\n").rstrip("\n")
        path.write_text(page + "\n", encoding="utf-8")


def milliseconds(values_ns: Sequence[int]) -> str:
    """Return "median / maximum" in milliseconds."""
    return f"{statistics.median(values_ns) / 1e6:.0f} / {max(values_ns) / 1e6:.0f}"


def _keepalived_version() -> str:
    said = subprocess.run(
        ["keepalived", "--version"], capture_output=True, text=True, check=False
    ).stderr
    return said.partition("\n")[0].partition("(")[0].strip() or "keepalived of unknown version"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
