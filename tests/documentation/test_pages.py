"""What the pages say of the chart's values, and that nobody forgot to tag a block."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.documentation.blocks import PAGES, ROOT, VALUES, Block, yaml_blocks

BLOCKS = list(yaml_blocks())
_OURS = re.compile(r"^ *apiVersion: kube-vrrp\.io", re.MULTILINE)
_UNTAGGED = re.compile(r"^( *)```\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_DOTTED = re.compile(r"[a-zA-Z]+(?:\.[a-zA-Z]+)+")
_CODE = re.compile(r"`([^`\n]+)`")
_SET = re.compile(r"--set(?:-string|-json|-file)?[ =]'?([a-zA-Z.]+)=")
_OF_A_STATUS = {"speaker.features"}
"""Fields of objects that look like values; of a NodeConfig's status."""


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def is_value(path: str) -> bool:
    """Return whether values.yaml has this key; below an empty mapping anything goes."""
    here: Any = VALUES
    for step in path.split("."):
        if not isinstance(here, Mapping):
            return False
        if not here and here is not VALUES:
            return True
        if step not in here:
            return False
        here = here[step]
    return True


def mentioned_values(text: str) -> Iterator[str]:
    """Yield what a page calls a value: in a command, or in code with a section's name in front."""
    yield from _SET.findall(text)
    for code in _CODE.findall(text):
        path = code.partition("=")[0].partition(":")[0].strip()
        if _DOTTED.fullmatch(path) and path.partition(".")[0] in VALUES:
            yield path


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_values_that_a_page_mentions_exist(page: Path) -> None:
    for path in mentioned_values(page.read_text(encoding="utf-8")):
        assert path in _OF_A_STATUS or is_value(path), path


def test_a_value_that_is_none_would_be_noticed() -> None:
    text = "`speaker.nodeSelecter`, `helm … --set clusterKey.actve=2`, `speaker.metrics.bind: Node`"
    assert [path for path in mentioned_values(text) if not is_value(path)] == [
        "clusterKey.actve",
        "speaker.nodeSelecter",
    ]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_every_block_is_something_that_is_tested(block: Block) -> None:
    assert block.to_object() or block.is_values or block.is_another_program_s, block.content


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.is_values], ids=lambda block: block.name
)
def test_values_of_a_block_exist(block: Block) -> None:
    def paths(part: Any, above: str) -> Iterator[str]:
        for key, below in part.items() if isinstance(part, Mapping) else ():
            yield f"{above}{key}"
            yield from paths(below, f"{above}{key}.")

    for path in paths(block.content, ""):
        assert is_value(path), path


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_block_with_an_object_of_ours_says_that_it_is_yaml(page: Path) -> None:
    for _, text in _UNTAGGED.findall(page.read_text(encoding="utf-8")):
        assert not _OURS.search(text), text


# Links ----------------------------------------------------------------------------------

_LINK = re.compile(r"\]\(([^)#\s]*)#([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.*?)$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return what a page's headings are called in links, as GitHub makes it of them."""
    found: set[str] = set()
    for heading in _HEADING.findall(page.read_text(encoding="utf-8")):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        number = sum(1 for known in found if re.fullmatch(rf"{re.escape(slug)}(-\d+)?", known))
        found.add(f"{slug}-{number}" if number else slug)
    return found


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_into_pages_lead_to_a_heading(page: Path) -> None:
    for target, anchor in _LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target:
            there = page.parent / target if target else page
            assert anchor in anchors(there), f"{target}#{anchor}"
