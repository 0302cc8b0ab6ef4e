"""``make release``: what it refuses, and what it makes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.conftest import cannot_run
from tests.image.unpacked import unpack

from vrrp_lab.programs import find_or_build

ROOT = Path(__file__).resolve().parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
_WHO_AND_WHEN = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "test"), ("EMAIL", "test@example.org"), ("DATE", "@1700000000 +0"))
}
"""The same for the same files: so the images of one commit are built once."""


class Tree:
    """A work tree like this one, with a history of one commit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        self._git("init", "-q")
        self.change("CHANGELOG.md", "## Unreleased", f"## Unreleased\n\n## {VERSION} – 2026-11-30")

    def change(self, name: str, before: str, after: str) -> None:
        """Replace text in a file."""
        text = (self.folder / name).read_text()
        assert before in text
        (self.folder / name).write_text(text.replace(before, after, 1))

    def commit(self) -> str:
        """Commit everything; return the commit."""
        self._git("add", "--all")
        self._git("commit", "-q", "-m", "A version")
        return self._git("rev-parse", "HEAD")

    def release(self) -> subprocess.CompletedProcess[str]:
        """Run what ``make release`` runs."""
        return subprocess.run(
            [sys.executable, "-m", "scripts.release"],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def _git(self, *arguments: str) -> str:
        command = ["git", "-c", "commit.gpgsign=false", *arguments]
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, **_WHO_AND_WHEN},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A tree that lacks only its commit to be released."""
    folder = tmp_path / "tree"
    folder.mkdir()
    return Tree(folder)


def _without_section(tree: Tree) -> None:
    tree.change("CHANGELOG.md", f"## {VERSION} –", "## 9.9.9 –")


def _another_chart(tree: Tree) -> None:
    tree.change("charts/kube-vrrp/Chart.yaml", f"\nversion: {VERSION}", "\nversion: 9.9.9")


def _another_app_version(tree: Tree) -> None:
    tree.change("charts/kube-vrrp/Chart.yaml", f"\nappVersion: {VERSION}", "\nappVersion: 9.9.9")


def _another_speaker(tree: Tree) -> None:
    tree.change("speaker/vrrp_speaker/__init__.py", f'"{VERSION}"', '"9.9.9"')


def _made_already(tree: Tree) -> None:
    (tree.folder / "dist" / "release" / VERSION).mkdir(parents=True)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_without_section, f"CHANGELOG.md has no section '## {VERSION}'"),
        (_another_chart, "charts/kube-vrrp/Chart.yaml: version is 9.9.9"),
        (_another_app_version, "charts/kube-vrrp/Chart.yaml: appVersion is 9.9.9"),
        (_another_speaker, "speaker/vrrp_speaker/__init__.py: __version__ is 9.9.9"),
        (_made_already, "is there already"),
    ],
    ids=["changelog", "chart", "app", "program", "made"],
)
def test_refuses_in_a_sentence(tree: Tree, spoil: Callable[[Tree], None], sentence: str) -> None:
    spoil(tree)
    tree.commit()
    ended = tree.release()
    assert ended.returncode == 1
    assert sentence in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert list(tree.folder.glob("dist/release/*/*")) == []


def test_refuses_a_tree_with_changes(tree: Tree) -> None:
    tree.commit()
    (tree.folder / "operator" / "new.py").write_text("")
    ended = tree.release()
    assert ended.returncode == 1
    assert (
        ended.stderr
        == "release: the work tree has changes: commit or stash operator/new.py first\n"
    )


def test_makes_every_file_of_a_version(tree: Tree, tmp_path: Path) -> None:
    missing = [tool for tool in ("buildah", "dpkg-deb") if not shutil.which(tool)]
    if missing or os.geteuid():
        cannot_run(f"missing: {', '.join(missing) or 'root'}")
    commit = tree.commit()
    ended = tree.release()
    assert ended.returncode == 0, ended.stderr
    made = tree.folder / "dist" / "release" / VERSION
    components = ("operator", "speaker")
    assert {path.name for path in made.iterdir()} == {
        f"kube_vrrp-{VERSION}-py3-none-any.whl",
        f"kube_vrrp-{VERSION}.tar.gz",
        f"kube-vrrp-{VERSION}.tgz",
        *(f"kube-vrrp-{component}-{VERSION}.oci.tar" for component in components),
        *(f"kube-vrrp-{component}-{VERSION}.cdx.json" for component in components),
        "SHA256SUMS",
    }
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=made, check=True)
    _check_chart(made)
    with zipfile.ZipFile(made / f"kube_vrrp-{VERSION}-py3-none-any.whl") as wheel:
        names = wheel.namelist()
    assert {"vrrp_api/crds/virtualips.yaml", "vrrp_cli/commands.py"} <= set(names)
    assert not [name for name in names if name.startswith(("vrrp_lab", "tests", "scripts"))]
    for component in components:
        image = unpack(made / f"kube-vrrp-{component}-{VERSION}.oci.tar", tmp_path / component)
        assert image.config["Labels"]["org.opencontainers.image.revision"] == commit
        listed = json.loads((made / f"kube-vrrp-{component}-{VERSION}.cdx.json").read_text())
        assert listed["components"] == image.sbom()
    assert f"{VERSION} is there already" in tree.release().stderr


def _check_chart(made: Path) -> None:
    helm = str(find_or_build("helm3"))
    said = subprocess.run(
        [helm, "show", "chart", str(made / f"kube-vrrp-{VERSION}.tgz")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    chart = yaml.safe_load(said)
    assert (chart["version"], chart["appVersion"]) == (VERSION, VERSION)
