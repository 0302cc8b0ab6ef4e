"""``vrrp-speaker check``: what it prints and how it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.agent.config_files import GOOD, changed

from vrrp_speaker import __main__


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["vrrp-speaker", "check", *map(str, arguments)])
    return __main__.main()


def test_good_file(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text(GOOD)
    assert run(monkeypatch, path) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"{path}: node node-1, 2 virtual routers\n")


def test_every_error_on_a_line(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text(changed(("basePriority: 200", "basePriority: 0"), ("52", "256")))
    assert run(monkeypatch, path) == 4
    assert capsys.readouterr().out.splitlines() == [
        f"error: {path}:12:5: NodeConfig node-1: spec.virtualRouters[0].basePriority: 0 must be an"
        " integer from 1 to 254",
        f"error: {path}:20:5: NodeConfig node-1: spec.virtualRouters[1].virtualRouterID: 256 must"
        " be an integer from 1 to 255",
    ]


def test_warnings(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text(changed(("weight: -100", "weight: -1")))
    assert run(monkeypatch, path) == 5
    assert capsys.readouterr().out == (
        f"warning: {path}:17:22: spec.virtualRouters[0].healthChecks[0].weight: -1 never changes"
        " which node is best, whatever the checks say\n"
    )


def test_other_node(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text(GOOD)
    assert run(monkeypatch, path, "--node", "node-1") == 0
    assert run(monkeypatch, path, "--node", "node-9") == 4
    assert "5:3: spec.node: 'node-1' (this node is 'node-9')" in capsys.readouterr().out


def test_as_a_program(path: Path) -> None:
    command = [sys.executable, "-m", "vrrp_speaker", "check"]
    ended = subprocess.run([*command, str(path)], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (4, f"error: {path}: No such file or directory\n")
    assert subprocess.run(command, capture_output=True, check=False).returncode == 2
