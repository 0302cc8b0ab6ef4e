"""House rules that no linter knows (CONTRIBUTING.md)."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from vrrp_api.conditions import ConditionType, Reason
from vrrp_operator.report.events import EventReason

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("operator", "speaker", "cli", "crds", "lab", "scripts")
LONGEST_MODULE, LONGEST_FUNCTION = 400, 60
"""Functions are mostly under 40 lines; a flat table or match may take a few more."""


def tracked(*patterns: str) -> list[Path]:
    """Return the files of the repository, without what git ignores."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / line for line in listed.splitlines() if (ROOT / line).exists()]


def modules() -> list[Path]:
    return [p for p in tracked("*.py") if p.relative_to(ROOT).parts[0] in PRODUCT]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def definitions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node


@pytest.mark.parametrize("path", modules(), ids=name)
def test_module_is_short_and_says_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_MODULE
    assert ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("path", modules(), ids=name)
def test_functions_are_short_and_public_ones_explain_themselves(path: Path) -> None:
    for node in definitions(path):
        length = (node.end_lineno or 0) - node.lineno + 1
        if not isinstance(node, ast.ClassDef):
            assert length <= LONGEST_FUNCTION, f"{node.name}: {length} lines"
    public = [n for n in ast.parse(path.read_text()).body if getattr(n, "name", "_")[0] != "_"]
    for top in public:
        if isinstance(top, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            assert ast.get_docstring(top), f"{top.name} has no docstring"


def test_most_functions_are_under_forty_lines() -> None:
    lengths = [
        (node.end_lineno or 0) - node.lineno + 1
        for path in modules()
        for node in definitions(path)
        if not isinstance(node, ast.ClassDef)
    ]
    assert sum(length > 40 for length in lengths) <= len(lengths) // 100


_UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
_ADDRESS = re.compile(r"(index-url|GOPROXY|registry)\s*[=:]\s*[\"']?https?://", re.IGNORECASE)
_MACHINE_PATH = re.compile(r"/(work|root|home)/\w")


@pytest.mark.parametrize("path", tracked(), ids=name)
def test_nothing_unfinished_and_no_machine_in_the_tree(path: Path) -> None:
    if path == Path(__file__) or path.suffix == ".sum":
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    for pattern in (_UNFINISHED, _ADDRESS, _MACHINE_PATH):
        found = pattern.search(text)
        assert found is None, found


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").glob("*.txt")), ids=name)
def test_every_locked_package_has_hashes_and_no_address(path: Path) -> None:
    text = path.read_text()
    assert "://" not in text
    blocks = re.split(r"\n(?=[a-z0-9])", text)
    pinned = [block for block in blocks if re.match(r"[a-z0-9._-]+==", block)]
    assert pinned
    assert len(pinned) == text.count("==")
    assert all("--hash=sha256:" in block for block in pinned)


_LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")


@pytest.mark.parametrize("path", tracked("*.md"), ids=name)
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    for target, _ in _LINK.findall(path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_every_reason_is_explained() -> None:
    headings = re.findall(r"^### (\w+)$", (ROOT / "docs" / "troubleshooting.md").read_text(), re.M)
    assert sorted(headings) == sorted(map(str, Reason))


def test_every_condition_of_virtual_ips_is_explained() -> None:
    rows = re.findall(r"^\| (\w+) \|", (ROOT / "docs" / "first-vip.md").read_text(), re.M)
    assert set(map(str, ConditionType)) <= set(rows)


def test_every_event_is_explained() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "events.md").read_text(), re.M)
    assert sorted(rows) == sorted(map(str, EventReason))


def test_every_metric_is_documented_and_no_other() -> None:
    families = re.compile(r"kube_vrrp_[a-z_]+")
    documented = set(families.findall((ROOT / "docs" / "metrics.md").read_text()))
    source = "".join(
        (ROOT / part).read_text()
        for part in (
            "operator/vrrp_operator/metrics.py",
            "speaker/vrrp_speaker/agent/serving/metrics.py",
        )
    )
    for metric in documented:
        base = metric.removeprefix("kube_vrrp_").removesuffix("_total").removesuffix("_info")
        assert f'"{base}"' in source or f'"kube_vrrp_{base}"' in source, metric
    exported = set(re.findall(r'"kube_vrrp_([a-z_]+)"', source))
    exported |= set(re.findall(r'_PREFIX \+ "([a-z_]+)"', source))
    exported |= set(re.findall(r'(?:gauge|counter|by)\(\s*"([a-z_]+)"', source))
    for base in exported:
        assert any(f"kube_vrrp_{base}{end}" in documented for end in ("", "_total", "_info")), base


def test_files_that_users_look_for_are_there() -> None:
    for wanted in ("README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"):
        assert (ROOT / wanted).stat().st_size > 500
