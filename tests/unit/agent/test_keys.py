"""The key folder: what is accepted, what is kept when it is damaged, and who hears of a change."""

from __future__ import annotations

import errno
from pathlib import Path
from queue import SimpleQueue

import pytest
from tests.eventually import eventually

from vrrp_speaker.agent.config import keys as keys_module
from vrrp_speaker.agent.config.keys import KeyFolder, material_of_program
from vrrp_speaker.agent.messages import Inbox, KeysChanged

HEX = "ab" * 32
TEXT = "a passphrase of thirty-two bytes"


def folder(path: Path, **known: dict[str, object]) -> KeyFolder:
    return KeyFolder(path, SimpleQueue(), known)


def test_files_of_a_ref_become_its_keys(tmp_path: Path) -> None:
    (tmp_path / "cluster.1").write_text(f"hex:{HEX}\n")
    (tmp_path / "cluster.7").write_text(TEXT)
    (tmp_path / "cluster.active").write_text("7\n")
    (tmp_path / "old.pass").write_text("secret12")
    material = folder(tmp_path).material()
    assert material["cluster"]["keys"] == {"1": HEX, "7": TEXT.encode().hex()}
    assert material["cluster"]["active"] == 7
    assert material["old"]["password"] == b"secret12".hex()


def test_single_key_is_the_active_one(tmp_path: Path) -> None:
    (tmp_path / "cluster.3").write_text(f"hex:{HEX}")
    assert folder(tmp_path).material()["cluster"]["active"] == 3


def test_mounted_secret_has_folders_and_links_of_its_own(tmp_path: Path) -> None:
    """A kubelet writes into a folder, and lets links lead there, so that all changes at once."""
    content = tmp_path / "..2026_01_01_00_00_00.1234567890"
    content.mkdir()
    (content / "cluster.1").write_text(f"hex:{HEX}")
    (tmp_path / "..data").symlink_to(content.name)
    (tmp_path / "cluster.1").symlink_to("..data/cluster.1")
    mounted = folder(tmp_path)
    assert (set(mounted.material()), mounted.problem) == ({"cluster"}, "")


def test_absent_folder_holds_nothing(tmp_path: Path) -> None:
    absent = folder(tmp_path / "absent")
    assert (absent.material(), absent.problem) == ({}, "")


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"c.1": "hex:" + "ab" * 31}, "c.1: 31 bytes (accepted: 32 to 64)"),
        ({"c.1": "hex:" + "ab" * 65}, "c.1: 65 bytes (accepted: 32 to 64)"),
        ({"c.1": "hex:xyz"}, "c.1: what follows hex: is not hexadecimal"),
        ({"c.0": "hex:" + HEX}, "c.0: '0' is no key id (accepted: 1 to 255)"),
        ({"c.256": "hex:" + HEX}, "c.256: '256' is no key id (accepted: 1 to 255)"),
        ({"c.key": "hex:" + HEX}, "c.key: 'key' is no key id (accepted: 1 to 255)"),
        (
            {"c.1": "hex:" + HEX, "c.active": "2"},
            "c.active: names key 2 (accepted: one of 1)",
        ),
        (
            {"c.1": "hex:" + HEX, "c.2": "hex:" + HEX},
            "c.active: is absent (accepted: one of 1, 2)",
        ),
        ({"c.active": "1"}, "c.active: names key 1 (accepted: the id of a key beside it)"),
        ({"c.pass": "ninechars"}, "c.pass: 9 bytes (accepted: 1 to 8)"),
        ({"c.pass": ""}, "c.pass: 0 bytes (accepted: 1 to 8)"),
    ],
)
def test_wrong_file_is_named_and_its_secret_is_not(
    files: dict[str, str], problem: str, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    wrong = folder(tmp_path)
    assert wrong.problem == problem
    assert wrong.material()["c"] == {"error": problem}


def test_key_that_was_good_outlives_a_typing_error(tmp_path: Path) -> None:
    key = tmp_path / "cluster.1"
    key.write_text(f"hex:{HEX}")
    good = folder(tmp_path).material()
    key.write_text("hex:")
    damaged = folder(tmp_path, **good)
    assert damaged.material() == good
    assert damaged.problem == "cluster.1: 0 bytes (accepted: 32 to 64)"
    key.unlink()
    assert folder(tmp_path, **good).material() == good
    assert folder(tmp_path, **good).problem == "cluster: its files are gone"


@pytest.mark.parametrize(
    ("lost", "problem"),
    [
        (("c.1",), "c.active: names key 1 (accepted: the id of a key beside it)"),
        (("c.1", "c.active"), "c: its keys are gone"),
        (("c.pass",), "c: its password is gone"),
    ],
)
def test_key_that_was_good_outlives_its_file(
    lost: tuple[str, ...], problem: str, tmp_path: Path
) -> None:
    for name, text in (("c.1", f"hex:{HEX}"), ("c.active", "1"), ("c.pass", "secret")):
        (tmp_path / name).write_text(text)
    good = folder(tmp_path).material()
    for name in lost:
        (tmp_path / name).unlink()
    damaged = folder(tmp_path, **good)
    assert damaged.material() == good
    assert damaged.problem == problem


@pytest.mark.parametrize("told", ["by the kernel", "by nobody"])
def test_change_is_told_once_it_means_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    monkeypatch.setattr(keys_module, "_LOOK_ALL_THE_SAME_S", 600.0)
    if told == "by nobody":
        monkeypatch.setattr(keys_module, "Watcher", _no_watcher)
    key, inbox = tmp_path / "cluster.1", SimpleQueue[object]()
    key.write_text(f"hex:{HEX}")
    followed = KeyFolder(tmp_path, _inbox(inbox), {})
    followed.start()
    replacement = tmp_path / "new"
    replacement.write_text("hex:" + "cd" * 32)
    replacement.rename(key)
    eventually(lambda: not inbox.empty(), within_s=10)
    assert isinstance(inbox.get(), KeysChanged)
    assert followed.material()["cluster"]["keys"] == {"1": "cd" * 32}


def test_key_that_is_being_written_is_not_read(tmp_path: Path) -> None:
    """Half of 64 bytes are a key, too: whoever signs with it is heard by nobody."""
    key, inbox = tmp_path / "cluster.1", SimpleQueue[object]()
    key.write_text(f"hex:{HEX}")
    followed = KeyFolder(tmp_path, _inbox(inbox), {})
    key.write_text("hex:")
    for _ in range(8):
        followed.look()
        with key.open("a") as file:
            file.write("cd" * 8)
    followed.look()
    assert followed.material()["cluster"]["keys"] == {"1": HEX}
    assert (inbox.empty(), followed.problem) == (True, "")
    followed.look()
    assert followed.material()["cluster"]["keys"] == {"1": "cd" * 64}
    assert isinstance(inbox.get_nowait(), KeysChanged)


def _no_watcher() -> None:
    raise OSError(errno.EMFILE, "inotify instance: Too many open files")


def _inbox(queue: SimpleQueue[object]) -> Inbox:
    return queue  # type: ignore[return-value]  # a wider queue, so that the test sees everything


def test_stored_program_gives_its_keys_back() -> None:
    program = {
        "routers": [
            {"authentication": {"type": "None"}},
            {
                "authentication": {
                    "type": "HMAC",
                    "keyRef": "cluster",
                    "active": 2,
                    "keys": [{"id": 2, "secret": HEX}],
                }
            },
            {"authentication": {"type": "Simple", "keyRef": "old", "password": "61"}},
        ]
    }
    assert material_of_program(program) == {
        "cluster": {"keys": {"2": HEX}, "active": 2, "password": None},
        "old": {"keys": {}, "active": None, "password": "61"},
    }
    assert material_of_program(None) == {}
