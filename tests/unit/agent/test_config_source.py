"""Where NodeConfigs come from, and what does not become one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import pytest
from tests.eventually import eventually

from vrrp_speaker.agent import node_config
from vrrp_speaker.agent.api_client import ApiClient, ApiError
from vrrp_speaker.agent.messages import ConfigArrived, ConfigRefused, ConfigSource, Message
from vrrp_speaker.agent.node_config import (
    ApiConfigSource,
    ConfigFileError,
    FileConfigSource,
    read_config_file,
)

TEXT = """
apiVersion: kube-vrrp.io/v1alpha1
kind: NodeConfig
metadata: {name: node-1}
spec: {node: node-1, addresses: [192.0.2.11], virtualRouters: [], healthChecks: []}
"""


def take(inbox: SimpleQueue[Message]) -> Message:
    def get() -> Message | None:
        try:
            return inbox.get_nowait()
        except Empty:
            return None

    found = eventually(get, within_s=10)
    assert found is not None
    return found


# Files --------------------------------------------------------------------------------


def test_file_is_read_at_start_and_after_a_change(tmp_path: Path) -> None:
    path, inbox = tmp_path / "config.yaml", SimpleQueue[Message]()
    path.write_text(TEXT)
    FileConfigSource(path, "node-1", inbox).start()
    first = take(inbox)
    assert isinstance(first, ConfigArrived)
    assert (first.source, first.config.generation) == (ConfigSource.FILE, 1)
    path.write_text(TEXT.replace("192.0.2.11", "192.0.2.111"))
    second = take(inbox)
    assert isinstance(second, ConfigArrived)
    assert (second.config.addresses, second.config.generation) == (("192.0.2.111",), 2)


def test_broken_change_is_refused_by_name_and_a_good_one_taken(tmp_path: Path) -> None:
    path, inbox = tmp_path / "config.yaml", SimpleQueue[Message]()
    path.write_text(TEXT)
    FileConfigSource(path, "node-1", inbox).start()
    take(inbox)
    path.write_text("{ torn")
    refused = take(inbox)
    assert isinstance(refused, ConfigRefused)
    assert "config.yaml" in refused.error
    path.write_text(TEXT.replace("192.0.2.11", "192.0.2.112"))
    assert isinstance(take(inbox), ConfigArrived)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "config.yaml"),
        ("7", "not a NodeConfig object"),
        (TEXT.replace("node: node-1", "node: other"), "spec.node: 'other'"),
        (TEXT.replace("[192.0.2.11]", "none"), "spec.addresses"),
    ],
)
def test_unusable_file_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigFileError, match=r"config\.yaml") as refused:
        read_config_file(path, "node-1", 1)
    assert complaint in str(refused.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigFileError, match="absent"):
        read_config_file(tmp_path / "absent", "node-1", 1)


# API ----------------------------------------------------------------------------------


def node_config_object(generation: int, **spec: Any) -> dict[str, Any]:
    """Return an object as a list holds it: without apiVersion and kind."""
    fields = {"node": "node-1", "addresses": [], "virtualRouters": [], "healthChecks": [], **spec}
    return {"metadata": {"name": "node-1", "generation": generation}, "spec": fields}


class FakeClient(ApiClient):
    """Gives what the test put in; then behaves like a server that went away."""

    def __init__(self, own: list[dict[str, Any]], others: int, events: list[Any]) -> None:
        self._own = own
        self._others = others
        self._events = events

    def list_node_configs(self, node: str | None) -> Mapping[str, Any]:
        items = self._own if node else [*self._own, *[{}] * self._others]
        return {"items": items, "metadata": {"resourceVersion": "1"}}

    def watch_node_config(self, node: str, resource_version: str) -> Iterator[Mapping[str, Any]]:
        yield from self._events
        self._events = []
        raise ApiError("gone")


def test_listed_and_watched_objects_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    inbox = SimpleQueue[Message]()
    events = [
        {"type": "BOOKMARK", "object": {}},
        {"type": "MODIFIED", "object": node_config_object(2)},
    ]
    ApiConfigSource(FakeClient([node_config_object(1)], 0, events), "node-1", inbox).start()
    arrived = [take(inbox), take(inbox)]
    assert [m.config.generation for m in arrived if isinstance(m, ConfigArrived)] == [1, 2]


def test_object_that_cannot_be_used_is_refused_with_its_path() -> None:
    inbox = SimpleQueue[Message]()
    wrong = node_config_object(1, virtualRouters=7)
    ApiConfigSource(FakeClient([wrong], 0, []), "node-1", inbox).start()
    refused = take(inbox)
    assert isinstance(refused, ConfigRefused)
    assert "spec.virtualRouters" in refused.error


@pytest.mark.parametrize("others", [0, 1])
def test_absence_counts_only_while_other_nodes_have_theirs(
    monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    monkeypatch.setattr(node_config, "_ABSENCE_S", 0.0)
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    inbox = SimpleQueue[Message]()
    source = ApiConfigSource(FakeClient([], others, []), "node-1", inbox)
    source._follow()
    if others:
        arrived = take(inbox)
        assert isinstance(arrived, ConfigArrived)
        assert arrived.config.virtual_routers == ()
    else:
        assert inbox.empty()


def test_short_absence_is_no_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    inbox = SimpleQueue[Message]()
    source = ApiConfigSource(FakeClient([], 1, []), "node-1", inbox)
    source._follow()
    assert inbox.empty()
