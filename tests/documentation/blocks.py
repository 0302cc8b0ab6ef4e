"""The YAML blocks of the pages: objects of ours, values of the chart, or another program's file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "kube-vrrp"
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *CHART.glob("*.md")],
    key=str,
)
VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
_API_VERSION = "kube-vrrp.io/v1alpha1"
_OTHERS = {"scrape_configs", "inhibit_rules"}
"""Keys by which Prometheus' and Alertmanager's own configuration is known."""
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_ADDRESSES = [{"address": "192.0.2.10/24"}]


@dataclass(frozen=True, slots=True)
class Block:
    """A YAML document of a page; ``content`` is what it parses to."""

    page: Path
    number: int
    content: Any

    @property
    def name(self) -> str:
        """The page and the document's number on it."""
        return f"{self.page.relative_to(ROOT)}-{self.number}"

    @property
    def is_values(self) -> bool:
        """Whether it holds values of the chart."""
        return isinstance(self.content, dict) and self.content.keys() <= VALUES.keys()

    @property
    def is_another_program_s(self) -> bool:
        """Whether it is read by none of ours."""
        return isinstance(self.content, dict) and bool(self.content.keys() & _OTHERS)

    def to_object(self) -> dict[str, Any] | None:
        """Return the object of ours that it holds; a bare ``spec`` is part of a VirtualIP's."""
        if not isinstance(self.content, dict):
            return None
        if self.content.get("apiVersion") == _API_VERSION:
            return self.content
        if self.content.keys() == {"spec"}:
            return {
                "apiVersion": _API_VERSION,
                "kind": "VirtualIP",
                "metadata": {"name": "part"},
                "spec": {"addresses": _ADDRESSES, **self.content["spec"]},
            }
        return None


def yaml_blocks() -> Iterator[Block]:
    """Yield every YAML document of every page: of blocks that say so, or that hold our kinds."""
    for page in PAGES:
        number = 0
        for indent, language, text in _BLOCK.findall(page.read_text(encoding="utf-8")):
            if language not in ("yaml", "yml"):
                continue
            unindented = re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)
            for content in yaml.safe_load_all(unindented):
                number += 1
                yield Block(page, number, content)
