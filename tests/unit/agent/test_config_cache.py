"""The cache on disk: whole or refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vrrp_api.election import ElectionSpec
from vrrp_api.node_config import NodeConfig, Peer, VirtualRouterConfig
from vrrp_api.virtual_ip import VipAddress
from vrrp_speaker.agent.cache import CacheError, ConfigCache

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
    ConfigCache(path).store(CONFIG)
    assert ConfigCache(path).load() == CONFIG


def test_no_file_is_no_configuration(path: Path) -> None:
    assert ConfigCache(path).load() is None


def test_damage_is_refused_and_names_the_file(path: Path) -> None:
    ConfigCache(path).store(CONFIG)
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
            ConfigCache(path).load()


def test_bytes_that_are_no_text_are_refused(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CacheError):
        ConfigCache(path).load()


def test_failed_store_keeps_the_old_content(path: Path) -> None:
    ConfigCache(path).store(CONFIG)
    path.with_suffix(".tmp").mkdir()
    with pytest.raises(OSError):  # noqa: PT011 - which one depends on who runs the test
        ConfigCache(path).store(NodeConfig("node-1", 8, (), (), ()))
    assert ConfigCache(path).load() == CONFIG
