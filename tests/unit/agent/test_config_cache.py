"""The cache on disk: whole or refused."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from vrrp_api.election import ElectionSpec
from vrrp_api.node_config import NodeConfig, Peer, VirtualRouterConfig
from vrrp_api.node_config_reading import Reading
from vrrp_api.virtual_ip import VipAddress
from vrrp_speaker.agent.config.cache import CacheError, ConfigCache

CONFIG = NodeConfig(
    "node-1",
    7,
    ("192.0.2.11",),
    (
        VirtualRouterConfig(
            "a", 2, 51, None, (VipAddress("192.0.2.50", 24),), 200, ElectionSpec(),
            (Peer("node-2", "192.0.2.12", 180),), (),
        ),
    ),
    (),
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "node-config.json"


def test_what_was_stored_is_loaded(path: Path) -> None:
    ConfigCache(path, "node-1").store(CONFIG)
    assert ConfigCache(path, "node-1").load() == Reading(CONFIG)


def test_no_file_is_no_configuration(path: Path) -> None:
    assert ConfigCache(path, "node-1").load() is None


def test_damage_is_refused_and_names_the_file(path: Path) -> None:
    ConfigCache(path, "node-1").store(CONFIG)
    good = path.read_text()
    content = json.loads(good)
    for damaged in (
        good[:-20],
        good.replace("192.0.2.50", "192.0.2.51"),
        "[]",
        "null",
        "",
        json.dumps({**content, "version": 99}),
        json.dumps({"version": 1, "checksum": content["checksum"]}),
    ):
        path.write_text(damaged)
        with pytest.raises(CacheError, match=r"node-config\.json"):
            ConfigCache(path, "node-1").load()


def test_bytes_that_are_no_text_are_refused(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CacheError):
        ConfigCache(path, "node-1").load()


def test_no_flipped_bit_is_taken_for_the_truth(path: Path) -> None:
    ConfigCache(path, "node-1").store(CONFIG)
    good = path.read_bytes()
    for place in range(len(good)):
        flipped = bytearray(good)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        with contextlib.suppress(CacheError):
            assert ConfigCache(path, "node-1").load() == Reading(CONFIG)


def test_no_truncated_file_is_taken(path: Path) -> None:
    ConfigCache(path, "node-1").store(CONFIG)
    good = path.read_bytes()
    for length in range(len(good) - 1):
        path.write_bytes(good[:length])
        with pytest.raises(CacheError):
            ConfigCache(path, "node-1").load()


def test_cache_of_another_node_is_refused(path: Path) -> None:
    ConfigCache(path, "node-1").store(CONFIG)
    with pytest.raises(CacheError, match="of node 'node-1', not 'node-2'"):
        ConfigCache(path, "node-2").load()


def test_nobody_else_reads_it(path: Path) -> None:
    ConfigCache(path, "node-1").store(CONFIG)
    assert path.stat().st_mode & 0o777 == 0o600


def test_full_disk_keeps_the_old_content_and_leaves_nothing(path: Path) -> None:
    ConfigCache(path, "node-1").store(CONFIG)
    path.with_suffix(".tmp").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        ConfigCache(path, "node-1").store(NodeConfig("node-1", 8, (), (), ()))
    assert ConfigCache(path, "node-1").load() == Reading(CONFIG)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_folder_that_cannot_be_written_is_an_error() -> None:
    cache = ConfigCache(Path("/proc/node-config.json"), "node-1")
    with pytest.raises(OSError):  # noqa: PT011 - which one is the kernel's business
        cache.store(CONFIG)
    assert cache.load() is None


def test_failed_store_keeps_the_old_content(path: Path) -> None:
    ConfigCache(path, "node-1").store(CONFIG)
    path.with_suffix(".tmp").mkdir()
    with pytest.raises(OSError):  # noqa: PT011 - which one depends on who runs the test
        ConfigCache(path, "node-1").store(NodeConfig("node-1", 8, (), (), ()))
    assert ConfigCache(path, "node-1").load() == Reading(CONFIG)


def test_each_of_several_configurations_is_loaded_as_it_was_stored(path: Path) -> None:
    """What did not change is written as it was encoded before."""
    cache, (one,) = ConfigCache(path, "node-1"), CONFIG.virtual_routers
    two = replace(one, name='b"\\', virtual_router_id=52)
    for routers in ((one,), (one, two), (replace(one, base_priority=7), two), (two,), ()):
        config = replace(
            CONFIG, virtual_routers=routers, lease_namespace="kube-vrrp", ended=("gone",)
        )
        cache.store(config)
        assert ConfigCache(path, "node-1").load() == Reading(config)
