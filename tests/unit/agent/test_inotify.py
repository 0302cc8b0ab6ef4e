"""Following paths by inotify, the way files are really replaced."""

from __future__ import annotations

import ctypes
import os
import select
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from vrrp_speaker.agent import inotify
from vrrp_speaker.agent.inotify import Watcher


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    made = Watcher()
    yield made
    made.close()


def touched(watcher: Watcher) -> set[Path]:
    """Return what was touched so far; events are queued before the call that makes them returns."""
    found: set[Path] = set()
    while select.select([watcher], [], [], 0)[0]:
        found |= watcher.read()
    return found


@pytest.fixture
def path(tmp_path: Path, watcher: Watcher) -> Path:
    """A file that is there and watched."""
    path = tmp_path / "folder" / "file"
    path.parent.mkdir()
    path.write_text("old")
    watcher.watch(path)
    assert touched(watcher) == set()
    return path


def test_written_in_place(path: Path, watcher: Watcher) -> None:
    path.write_text("new")
    assert touched(watcher) == {path}


def test_not_told_before_its_writer_has_closed_it(path: Path, watcher: Watcher) -> None:
    path.unlink()
    assert touched(watcher) == {path}
    with path.open("w") as file:
        file.write("half")
        file.flush()
        assert touched(watcher) == set()
    assert touched(watcher) == {path}


def test_replaced_by_rename(path: Path, watcher: Watcher) -> None:
    for _ in range(2):
        other = path.with_suffix(".tmp")
        other.write_text("new")
        assert touched(watcher) == set()
        other.replace(path)
        assert touched(watcher) == {path}


def test_removed_moved_away_and_back(path: Path, watcher: Watcher) -> None:
    path.rename(path.with_suffix(".old"))
    assert touched(watcher) == {path}
    path.with_suffix(".old").rename(path)
    assert touched(watcher) == {path}
    path.unlink()
    assert touched(watcher) == {path}


def test_folder_is_followed_with_all_that_is_and_comes_in_it(
    tmp_path: Path, watcher: Watcher
) -> None:
    folder = tmp_path / "keys"
    watcher.watch_folder(folder)
    assert touched(watcher) == set()
    folder.mkdir()
    assert touched(watcher) == {folder}
    (folder / "cluster.1").write_text("one")
    assert touched(watcher) == {folder}
    (folder / "cluster.1").write_text("two")
    assert touched(watcher) == {folder}
    (folder / "new").symlink_to("cluster.1")
    (folder / "new").rename(folder / "..data")
    assert touched(watcher) == {folder}
    (tmp_path / "beside").write_text("other")
    assert touched(watcher) == set()
    (folder / "cluster.1").unlink()
    assert touched(watcher) == {folder}
    folder.rename(tmp_path / "elsewhere")
    assert touched(watcher) == {folder}
    (tmp_path / "elsewhere" / "cluster.2").write_text("one")
    assert touched(watcher) == set()


def test_folder_that_a_link_leads_to_is_followed(tmp_path: Path, watcher: Watcher) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    link = tmp_path / "keys"
    link.symlink_to("a")
    watcher.watch_folder(link)
    (tmp_path / "a" / "cluster.1").write_text("one")
    assert touched(watcher) == {link}
    link.unlink()
    link.symlink_to("b")
    assert touched(watcher) == {link}
    (tmp_path / "b" / "cluster.1").write_text("one")
    assert touched(watcher) == {link}
    (tmp_path / "a" / "cluster.1").write_text("two")
    assert touched(watcher) == set()
    watcher.unwatch(link)
    (tmp_path / "b" / "cluster.1").write_text("two")
    assert touched(watcher) == set()


def test_hard_link_and_permissions(path: Path, watcher: Watcher) -> None:
    other = path.with_name("other")
    path.rename(other)
    touched(watcher)
    os.link(other, path)
    assert touched(watcher) == {path}
    path.chmod(0o600)
    assert touched(watcher) == {path}


def test_mounted_config_map(tmp_path: Path, watcher: Watcher) -> None:
    """As the kubelet's atomic writer does it: only the link ``..data`` is renamed."""
    path = tmp_path / "node.yaml"
    for number in (1, 2, 3):
        folder = tmp_path / f"..2026_{number}"
        folder.mkdir()
        (folder / "node.yaml").write_text(str(number))
        link = tmp_path / "..data_tmp"
        link.symlink_to(folder.name)
        link.replace(tmp_path / "..data")
        if number == 1:
            path.symlink_to("..data/node.yaml")
            watcher.watch(path)
            assert touched(watcher) == set()
        else:
            assert touched(watcher) == {path}
            assert path.read_text() == str(number)
            shutil.rmtree(tmp_path / f"..2026_{number - 1}")
            touched(watcher)
    # Also the file that the links lead to now.
    (tmp_path / "..2026_3" / "node.yaml").write_text("in place")
    assert touched(watcher) == {path}


def test_absolute_link_and_dots(tmp_path: Path, watcher: Watcher) -> None:
    target = tmp_path / "a" / "b" / "target"
    target.parent.mkdir(parents=True)
    target.write_text("")
    (tmp_path / "link").symlink_to(target.parent)
    path = tmp_path / "link" / ".." / "b" / "." / "target"
    watcher.watch(path)
    target.write_text("new")
    assert touched(watcher) == {path}


def test_relative_path(tmp_path: Path, watcher: Watcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    watcher.watch(Path("file"))
    Path("file").write_text("new")
    assert touched(watcher) == {Path("file")}


def test_folder_deleted_and_made_again(path: Path, watcher: Watcher) -> None:
    for _ in range(2):
        shutil.rmtree(path.parent)
        assert touched(watcher) == {path}
        path.parent.mkdir()
        assert touched(watcher) == {path}
        path.write_text("again")
        assert touched(watcher) == {path}


def test_folder_swapped_for_another(path: Path, watcher: Watcher) -> None:
    other, before = path.parent.with_name("other"), watches(watcher)
    other.mkdir()
    path.parent.rename(path.parent.with_name("away"))
    other.rename(path.parent)
    assert touched(watcher) == {path}
    path.write_text("new")
    assert touched(watcher) == {path}
    (path.parent.with_name("away") / "file").write_text("no more ours")
    assert touched(watcher) == set()
    assert watches(watcher) == before


def test_folders_that_do_not_exist_yet(tmp_path: Path, watcher: Watcher) -> None:
    path = tmp_path / "a" / "b" / "file"
    watcher.watch(path)
    (tmp_path / "a").mkdir()
    assert touched(watcher) == {path}
    (tmp_path / "a" / "b").mkdir()
    assert touched(watcher) == {path}
    path.write_text("")
    assert touched(watcher) == {path}


def test_neighbours_are_not_told(path: Path, watcher: Watcher) -> None:
    (path.parent / "other").write_text("")
    assert touched(watcher) == set()


def test_link_that_leads_to_itself(tmp_path: Path, watcher: Watcher) -> None:
    path = tmp_path / "loop"
    path.symlink_to("loop")
    watcher.watch(path)
    path.unlink()
    assert touched(watcher) == {path}


def test_each_of_several_paths(path: Path, watcher: Watcher) -> None:
    second = path.with_name("second")
    watcher.watch(second)
    watcher.watch(second)
    path.write_text("")
    second.write_text("")
    assert touched(watcher) == {path, second}
    watcher.unwatch(path)
    watcher.unwatch(path)
    path.write_text("")
    second.write_text("")
    assert touched(watcher) == {second}


def watches(watcher: Watcher) -> int:
    """Return how many directories the kernel watches."""
    info = Path(f"/proc/self/fdinfo/{watcher.fileno()}").read_text()
    return info.count("inotify wd:")


def test_nothing_is_watched_for_nothing(path: Path, watcher: Watcher) -> None:
    before = watches(watcher)
    second = path.parent.with_name("other") / "file"
    watcher.watch(second)
    for _ in range(10):
        second.parent.mkdir()
        second.write_text("")
        assert touched(watcher) == {second}
        assert watches(watcher) == before + 1
        shutil.rmtree(second.parent)
        assert touched(watcher) == {second}
        assert watches(watcher) == before
    watcher.unwatch(second)
    watcher.unwatch(path)
    assert watches(watcher) == 0


def test_after_too_many_events_every_path_counts_as_touched(path: Path, watcher: Watcher) -> None:
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    names = [path.parent / name for name in ("x", "y")]  # equal events in a row are merged
    for number in range(most + 10):
        descriptor = os.open(names[number % 2], os.O_WRONLY | os.O_CREAT)
        os.close(descriptor)
    path.unlink()
    assert path in touched(watcher)


def test_folder_that_may_not_be_read_is_left_out(
    path: Path, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = Watcher._add

    def refuse(self: Watcher, directory: str) -> int | None:
        return None if directory == "/" else add(self, directory)

    monkeypatch.setattr(Watcher, "_add", refuse)
    other = path.with_name("other")
    watcher.watch(other)
    other.write_text("")
    assert touched(watcher) == {other}


class NoMoreWatches:
    """A kernel whose limits are reached."""

    def inotify_init1(self, _flags: int) -> int:
        ctypes.set_errno(24)
        return -1

    def inotify_add_watch(self, *_arguments: object) -> int:
        ctypes.set_errno(28)
        return -1

    def inotify_rm_watch(self, *_arguments: object) -> int:
        return 0


def test_limits_are_said(tmp_path: Path, watcher: Watcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inotify, "_libc", NoMoreWatches())
    with pytest.raises(OSError, match="inotify instance: Too many open files"):
        Watcher()
    with pytest.raises(OSError, match="inotify watch of /: No space left"):
        watcher.watch(tmp_path)
