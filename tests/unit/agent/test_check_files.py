"""File checks: what is read, what is refused, and that a change is seen at once."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

import pytest
from tests.unit.agent.checks import Heard, a_check, a_run, settings

from vrrp_api.check_kinds import FileCheck
from vrrp_speaker.agent.checks.file_watch import Files
from vrrp_speaker.agent.checks.probes import Probes
from vrrp_speaker.agent.checks.verdict import Result

Read = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "files"
    made.mkdir()
    return made


@pytest.fixture
def read(tmp_path: Path) -> Read:
    probes = Probes(SimpleQueue(), settings(tmp_path))

    def once(path: Path | str, previous: int = 0, **fields: object) -> Result:
        check = a_check(FileCheck(str(path)), **{"weight": 1, **fields})  # type: ignore[arg-type] # any field of a check
        return probes.probe(a_run(check, previous))

    return once


@pytest.mark.parametrize(
    ("content", "value"), [(b"5", 5), (b"-7\n", -7), (b"0x10 and more", 16), (b" 010", 8)]
)
def test_its_leading_number_counts(folder: Path, read: Read, content: bytes, value: int) -> None:
    (folder / "f").write_bytes(content)
    assert read(folder / "f") == Result(True, "", value)


def test_a_missing_file_is_a_0(folder: Path, read: Read) -> None:
    missing = Result(True, "missing: counts as 0", 0)
    assert read(folder / "f", previous=5) == missing
    assert read(folder / "no" / "folder", previous=5) == missing
    folder.rmdir()
    assert read(folder / "f", previous=5) == missing


@pytest.mark.parametrize("content", [b"", b"text", b"- 5", b"\0\0"])
def test_without_a_number_it_is_a_0_and_says_so(folder: Path, read: Read, content: bytes) -> None:
    (folder / "f").write_bytes(content)
    assert read(folder / "f", previous=5) == Result(True, "no number in it: counts as 0", 0)


def test_the_message_tells_nothing_of_the_content(folder: Path, read: Read) -> None:
    (folder / "f").write_text("hunter2")
    assert "hunter2" not in read(folder / "f", weight=0).message


def test_a_number_that_does_not_fit_leaves_the_previous_one(folder: Path, read: Read) -> None:
    (folder / "f").write_bytes(b"9" * 10_000_000)
    assert read(folder / "f", 5) == Result(True, "the number does not fit 32 bits: 5 stays", 5)


@pytest.mark.parametrize(
    ("content", "fields", "passes"),
    [
        ("1", {"weight": 0}, False),
        ("0", {"weight": 0}, True),
        ("0", {"weight": 0, "reverse": True}, False),
        ("-253", {"weight": 1}, True),
        ("-254", {"weight": 1}, False),
        ("127", {"weight": 2, "reverse": True}, False),
        ("127", {"weight": 2}, True),
    ],
)
def test_it_fails_where_its_own_weight_makes_a_fault(
    folder: Path, read: Read, content: str, fields: dict[str, object], passes: bool
) -> None:
    (folder / "f").write_text(content)
    result = read(folder / "f", **fields)
    assert (result.passed, result.value) == (passes, int(content))


# What is refused ---------------------------------------------------------------------


def test_a_fifo_is_refused_and_neither_waits_nor_wakes_its_writer(folder: Path, read: Read) -> None:
    os.mkfifo(folder / "f")
    assert read(folder / "f", 5) == Result(False, "a FIFO, not a file", unreadable=True)
    with pytest.raises(OSError, match="No such device"):  # as without any reader
        os.open(folder / "f", os.O_WRONLY | os.O_NONBLOCK)


def test_what_is_no_file_is_refused(folder: Path, read: Read) -> None:
    (folder / "d").mkdir()
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(folder / "s"))
        assert read(folder / "s") == Result(False, "a socket, not a file", unreadable=True)
    assert read(folder / "d") == Result(False, "a folder, not a file", unreadable=True)


def test_links_may_not_lead_out_of_the_folder(folder: Path, read: Read, tmp_path: Path) -> None:
    outside = tmp_path / "secret"
    outside.write_text("42")
    (folder / "relative").symlink_to("../secret")
    (folder / "absolute").symlink_to(outside)
    (folder / "way").symlink_to(tmp_path)
    (folder / "round").symlink_to("round")
    refused = Result(False, f"a symbolic link leads out of {folder}", unreadable=True)
    for name in ("relative", "absolute", "way/secret", "round"):
        assert read(folder / name, 5) == refused, name


def test_links_within_the_folder_are_followed(folder: Path, read: Read) -> None:
    """As a kubelet lays a ConfigMap: name -> ..data/name, ..data -> ..version."""
    (folder / "..version").mkdir()
    (folder / "..version" / "f").write_text("7")
    (folder / "..data").symlink_to("..version")
    (folder / "f").symlink_to("..data/f")
    assert read(folder / "f") == Result(True, "", 7)


def test_other_folders_are_refused(folder: Path, read: Read, tmp_path: Path) -> None:
    beside = tmp_path / "files2"
    beside.mkdir()
    (beside / "f").write_text("7")
    for path in (beside / "f", "/etc/hostname", folder):
        result = read(path, 5)
        assert (result.passed, result.value) == (False, 0)
        assert result.message == f"outside the speaker's --file-folders ({folder})"


def test_an_unreadable_file_fails_with_its_reason(
    folder: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "f").write_text("7")

    def refuse(folder: str, name: str) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("vrrp_speaker.agent.checks.probe_file.find_beneath", refuse)
    assert read(folder / "f", 5) == Result(False, "Permission denied", unreadable=True)


# Changes -----------------------------------------------------------------------------


def test_a_change_is_told_without_waiting_for_an_interval(folder: Path) -> None:
    heard = Heard()
    files = Files(heard.inbox, (str(folder),))
    path = folder / "f"
    try:
        files.watch({"a": FileCheck(str(path)), "outside": FileCheck("/etc/hostname")})
        heard.until(lambda: heard.touched == ["a"])
        steps: list[Callable[[], object]] = [
            lambda: path.write_text("5"),
            lambda: (folder / "new").write_text("6") and (folder / "new").replace(path),
            path.unlink,
        ]
        for step in steps:
            heard.touched.clear()
            step()
            heard.until(lambda: "a" in heard.touched)
        assert "outside" not in heard.touched
    finally:
        files.stop()


def test_the_watching_thread_lives_while_there_is_a_check(folder: Path) -> None:
    def threads() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name == "files"]

    heard = Heard()
    files = Files(heard.inbox, (str(folder),))
    heard.until(lambda: threads() == [])  # that of the test before
    files.watch({"a": FileCheck(str(folder / "f"))})
    heard.until(lambda: heard.touched == ["a"])
    assert threads() == ["files"]
    files.watch({})
    heard.until(lambda: threads() == [])
    files.watch({"a": FileCheck(str(folder / "f"))})
    heard.until(lambda: heard.touched == ["a", "a"])
    files.stop()
