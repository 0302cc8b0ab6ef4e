"""Following a standalone file, the way people and programs replace files."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest
from tests.eventually import eventually
from tests.unit.agent.config_files import GOOD, changed
from tests.unit.agent.inbox import Inbox, arrived, refused

from vrrp_speaker.agent.config import file_source
from vrrp_speaker.agent.config.config_file import ConfigFileError
from vrrp_speaker.agent.config.file_source import FileConfigSource
from vrrp_speaker.agent.inotify import Watcher
from vrrp_speaker.agent.messages import ConfigSource


def other(number: int) -> str:
    return changed(("192.0.2.50/24", f"192.0.2.{number}/24"))


def address(inbox: Inbox) -> str:
    return arrived(inbox).config.virtual_routers[0].addresses[0].address


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "folder" / "config.yaml"
    path.parent.mkdir()
    path.write_text(GOOD)
    return path


@pytest.fixture
def inbox(path: Path, monkeypatch: pytest.MonkeyPatch) -> Inbox:
    """What arrives after the first configuration; the file is not looked at without reason."""
    monkeypatch.setattr(file_source, "_LOOK_S", 600.0)
    made = Inbox()
    FileConfigSource(path, "node-1", made).start()
    first = arrived(made)
    assert (first.source, first.config.generation) == (ConfigSource.FILE, 1)
    return made


def test_written_in_place(path: Path, inbox: Inbox) -> None:
    path.write_text(other(60))
    found = arrived(inbox).config
    assert found.virtual_routers[0].addresses[0].address == "192.0.2.60"
    assert found.generation == 2


def test_replaced_by_rename_again_and_again(path: Path, inbox: Inbox) -> None:
    for number in range(60, 70):
        unfinished = path.with_suffix(".tmp")
        unfinished.write_text(other(number))
        unfinished.replace(path)
        assert address(inbox) == f"192.0.2.{number}"


def test_mounted_config_map(tmp_path: Path) -> None:
    inbox = Inbox()
    path = tmp_path / "config.yaml"
    for number in (60, 61, 62):
        folder = tmp_path / f"..{number}"
        folder.mkdir()
        (folder / "config.yaml").write_text(other(number))
        link = tmp_path / "..data_tmp"
        link.symlink_to(folder.name)
        link.replace(tmp_path / "..data")
        if number == 60:
            path.symlink_to("..data/config.yaml")
            FileConfigSource(path, "node-1", inbox).start()
        assert address(inbox) == f"192.0.2.{number}"
        shutil.rmtree(tmp_path / f"..{number - 1}", ignore_errors=True)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{ torn", "not YAML"),
        ("", "not a NodeConfig object"),
        (GOOD[:700], "26:13: not YAML"),
        (changed(("basePriority: 200", "basePriority: 255")), "12:5: NodeConfig node-1: spec."),
    ],
)
def test_wrong_content_keeps_the_last_one_and_is_said_once(
    path: Path, inbox: Inbox, text: str, complaint: str
) -> None:
    path.write_text(text)
    error = refused(inbox)
    assert complaint in error
    assert error.endswith("; what ran before runs on")
    path.write_text(text)
    path.write_text(GOOD)
    again = arrived(inbox)  # the same as before: the refusal is over, nothing is compiled anew
    assert again.config.generation == 1
    path.write_text(other(60))
    assert arrived(inbox).config.generation == 2


def test_file_that_goes_away_keeps_the_last_one(path: Path, inbox: Inbox) -> None:
    path.unlink()
    assert "No such file" in refused(inbox)
    shutil.rmtree(path.parent)
    path.parent.mkdir()
    path.write_text(other(60))
    assert address(inbox) == "192.0.2.60"


def test_file_that_is_away_for_a_moment_is_no_news(path: Path, inbox: Inbox) -> None:
    path.unlink()
    path.write_text(other(60))
    assert address(inbox) == "192.0.2.60"


def test_half_written_file_is_not_looked_at(path: Path, inbox: Inbox) -> None:
    """The first half of it would be a good configuration without its second router."""
    text = other(60)
    half = text.index("  - name: web")
    path.unlink()
    assert "No such file" in refused(inbox)
    with path.open("w") as file:
        file.write(text[:half])
        file.flush()
        other_file = path.with_name("other")
        other_file.write_text("")
        file.write(text[half:])
    assert len(arrived(inbox).config.virtual_routers) == 2


def test_file_that_means_the_same_is_no_change(path: Path) -> None:
    inbox = Inbox()
    source = FileConfigSource(path, "node-1", inbox)
    source._reload()
    assert arrived(inbox).config.generation == 1
    path.write_text(GOOD + "# a remark\n")
    source._reload()
    assert inbox.empty()
    path.write_text(other(60))
    source._reload()
    assert arrived(inbox).config.generation == 2


def test_warnings_are_told_with_their_place_and_once(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    inbox = Inbox()
    doubtful = changed(("weight: -100", "weight: -1"))
    path.write_text(doubtful)
    FileConfigSource(path, "node-1", inbox).start()
    arrived(inbox)
    path.write_text(doubtful.replace("192.0.2.50", "192.0.2.60"))
    arrived(inbox)
    (record,) = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert vars(record)["warning"].startswith(
        f"{path}:17:22: spec.virtualRouters[0].healthChecks[0].weight: -1 never"
    )


def test_first_reading_must_succeed(path: Path) -> None:
    path.write_text("")
    with pytest.raises(ConfigFileError, match="not a NodeConfig object"):
        FileConfigSource(path, "node-1", Inbox()).start()


def test_change_that_inotify_does_not_tell_is_seen_at_the_next_look(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_source, "_LOOK_S", 0.05)
    monkeypatch.setattr(Watcher, "read", lambda _self: set())
    inbox = Inbox()
    source = FileConfigSource(path, "node-1", inbox)
    source.start()
    arrived(inbox)
    path.write_text(other(60))
    assert address(inbox) == "192.0.2.60"


def test_without_inotify_the_file_is_polled(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none_left() -> None:
        raise OSError(24, "inotify instance: Too many open files")

    monkeypatch.setattr(file_source, "Watcher", none_left)
    monkeypatch.setattr(file_source, "_LOOK_S", 600.0)
    monkeypatch.setattr(file_source, "_LOOK_ALONE_S", 0.05)
    inbox = Inbox()
    FileConfigSource(path, "node-1", inbox).start()
    arrived(inbox)
    assert "file is polled" in caplog.text
    path.write_text(other(60))
    assert address(inbox) == "192.0.2.60"
    path.unlink()
    eventually(lambda: "No such file" in refused(inbox), within_s=5)
