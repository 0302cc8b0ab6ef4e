"""A newcomer's first minutes: what can play at once plays while the control plane is built."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import cannot_run
from tests.eventually import eventually

from vrrp_lab import first_demo
from vrrp_lab.background import BackgroundBuild
from vrrp_lab.namespaces import LabError
from vrrp_lab.processes import start_time
from vrrp_lab.programs import CONTROL_PLANE, control_plane_is_there, find_or_build

pytestmark = pytest.mark.cluster
DEMO = [sys.executable, "-m", "vrrp_lab", "demo"]


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make this a machine on which nothing was built yet; return where to put a Go compiler."""
    for variable, folder in (("XDG_CACHE_HOME", "cache"), ("XDG_RUNTIME_DIR", "run")):
        (tmp_path / folder).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / folder))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    compiler = tmp_path / "go"
    monkeypatch.setenv("GO", str(compiler))
    assert not control_plane_is_there()
    return compiler


def write_compiler(path: Path, script: str) -> None:
    """Write what stands for Go: called as ``go build … -o FILE.new PACKAGE``."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the control plane's programs as a compiler would write them."""
    folder = tmp_path_factory.mktemp("built")
    for name in CONTROL_PLANE:
        try:
            (folder / f"{name}.new").symlink_to(find_or_build(name))
        except LabError as error:
            cannot_run(error)
    return folder


def test_first_demo_plays_without_a_control_plane_until_that_is_built_and_then_with_it(
    built: Path, fresh: Path, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    write_compiler(
        fresh,
        f"""while [ ! -e {seen} ]; do sleep 0.1; done
        while [ "$1" != -o ]; do shift; done
        cp {built}/"$(basename "$2")" "$2" """,
    )
    demo = subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert demo.stdout is not None
    shown = []
    for line in demo.stdout:
        shown.append(line)
        if line.startswith("• delete the VirtualIP"):
            seen.touch()  # only now can the compiler end: nothing before it was waited for
    text = "".join(shown)
    assert demo.wait(120) == 0, text
    first, built_line, whole = text.partition("The control plane is built. Now the whole cluster.")
    assert built_line
    for part, event in ((first, "power off"), (whole, "API server down")):
        assert part.count("cluster up in") == 1
        assert "FAILED" not in part
        assert event in part
    assert "API server down" not in first
    # The builder's own lines are kept out; that the demo still waits for it may be told.
    assert not any(line.startswith("building") for line in first.splitlines())


def record_plays(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, bool]]:
    """Have the demo only write down how it would play."""
    played = []

    def play(**options: bool) -> int:
        played.append(options)
        return 0

    monkeypatch.setattr(first_demo, "run_demo", play)
    return played


def test_demo_builds_nothing_and_plays_once_where_everything_is_there(
    fresh: Path, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in CONTROL_PLANE:
        (tmp_path / name).symlink_to((built / f"{name}.new").readlink())
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    played = record_plays(monkeypatch)
    assert first_demo.show_demo(standalone=False, keep=True) == 0
    assert played == [{"standalone": False, "keep": True}]


def test_standalone_demo_builds_nothing(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played = record_plays(monkeypatch)
    assert first_demo.show_demo(standalone=True, keep=False) == 0
    assert played == [{"standalone": True, "keep": False}]


def test_build_that_fails_says_why(fresh: Path) -> None:
    write_compiler(fresh, "echo 'no space left on device' >&2; exit 1")
    with (
        BackgroundBuild() as build,
        pytest.raises(LabError, match="building etcd failed:\nno space left on device"),
    ):
        build.wait(lambda _news: None)


@pytest.mark.parametrize("way", ["Ctrl-C", "closed terminal"])
def test_demo_that_is_left_ends_the_build_too(fresh: Path, tmp_path: Path, way: str) -> None:
    pid_file = tmp_path / "pid"
    write_compiler(fresh, f"echo $$ >{pid_file}; exec sleep 600")
    demo, terminal = pty.fork()
    if demo == 0:
        os.execv(DEMO[0], DEMO)
    shown = b""

    def picture_tells_of_the_build() -> bool:
        nonlocal shown
        shown += drain(terminal)
        # In the caption below the table, which is drawn as a whole: nothing is written across it.
        return b"building etcd from Go modules" in shown and b"node-3" in shown

    try:
        eventually(picture_tells_of_the_build, within_s=120)
        compiler = int(eventually(lambda: pid_file.read_text().strip(), within_s=30))
        assert start_time(compiler)
    finally:
        if way == "Ctrl-C":
            os.write(terminal, b"\x03")
        else:
            os.close(terminal)
        eventually(lambda: has_ended(demo, terminal), within_s=30)
    assert not start_time(compiler)
    assert list((tmp_path / "run").rglob("*.json")) == []


def has_ended(pid: int, terminal: int) -> bool:
    """Return whether a process has ended; reads what it still shows, so that it can."""
    drain(terminal)
    return os.waitpid(pid, os.WNOHANG)[0] == pid


def drain(terminal: int) -> bytes:
    """Return what a terminal shows now; nothing once it is closed, on either end."""
    shown = b""
    with contextlib.suppress(OSError):
        while select.select([terminal], [], [], 0)[0]:
            shown += os.read(terminal, 65536)
    return shown
