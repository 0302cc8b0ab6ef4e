"""Following a NodeConfig through an API server: watches that end, expire and break; outages."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from tests.eventually import eventually
from tests.unit.agent.api_server import BROKEN, EMPTY_LIST, SILENT, ApiServer
from tests.unit.agent.inbox import Inbox, arrived, refused

from vrrp_speaker.agent.api_client import ApiClient, Credentials
from vrrp_speaker.agent.config import api_source
from vrrp_speaker.agent.config.api_source import ApiConfigSource
from vrrp_speaker.agent.messages import ConfigSource

over: set[ApiServer] = set()
"""Servers whose test is over: who follows them waits for ever, in silence."""


@pytest.fixture
def server() -> Iterator[ApiServer]:
    made = ApiServer()
    yield made
    over.add(made)
    made.stop()


class Client(ApiClient):
    """Asks nobody any more when the test is over."""

    def __init__(self, server: ApiServer, **credentials: Any) -> None:
        super().__init__(Credentials(server.url, **credentials))
        self._server = server
        self.asked = 0

    def _request(self, *arguments: Any, **keywords: Any) -> urllib3.BaseHTTPResponse:
        if self._server in over:
            threading.Event().wait()
        self.asked += 1
        return super()._request(*arguments, **keywords)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits as short as tests can take them; what they are for is not their length."""
    monkeypatch.setattr(api_source, "_MAX_BACKOFF_S", 0.1)
    monkeypatch.setattr(api_source, "_SHORTEST_WATCH_S", 0.05)
    monkeypatch.setattr(api_source, "_ABSENT_PAUSE_S", 0.05)


def obj(generation: int, version: str = "9", **spec: Any) -> dict[str, Any]:
    """Return an object as a list holds it: without apiVersion and kind."""
    fields = {"node": "node-1", "addresses": [], "virtualRouters": [], "healthChecks": [], **spec}
    metadata = {"name": "node-1", "generation": generation, "resourceVersion": version}
    return {"metadata": metadata, "spec": fields}


def listed(*items: dict[str, Any], version: str = "7") -> bytes:
    return json.dumps({"items": items, "metadata": {"resourceVersion": version}}).encode()


def event(kind: str, content: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": content}).encode() + b"\n"


def error(code: int) -> bytes:
    return event("ERROR", {"kind": "Status", "code": code, "message": "too old resource version"})


def follow(server: ApiServer, **credentials: Any) -> Inbox:
    inbox = Inbox()
    ApiConfigSource(Client(server, **credentials), "node-1", inbox, lambda _: None).start()
    return inbox


def versions(server: ApiServer) -> list[str]:
    """Return where each watch began."""
    return [path.partition("resourceVersion=")[2].partition("&")[0]
            for path in server.paths("watch=1")]  # fmt: skip


def lists(server: ApiServer) -> int:
    return len(server.paths("nodeconfigs?fieldSelector"))


# Watching -----------------------------------------------------------------------------


def test_listed_and_watched_objects_arrive(server: ApiServer) -> None:
    server.answer = listed(obj(1))
    server.watch(event("MODIFIED", obj(2)), SILENT)
    inbox = follow(server)
    found = [arrived(inbox), arrived(inbox)]
    assert [message.config.generation for message in found] == [1, 2]
    assert {message.source for message in found} == {ConfigSource.API}


def test_ended_watch_is_followed_by_a_list(server: ApiServer) -> None:
    """What a watch from before the kind was changed brings lacks its new fields."""
    server.answer = listed(obj(1), version="7")
    inbox = follow(server)
    assert arrived(inbox).config.generation == 1
    server.answer = listed(obj(2, leaseNamespace="kube-vrrp"), version="20")
    server.watch(event("MODIFIED", obj(2, version="20")))
    assert arrived(inbox).config.generation == 2
    server.watch(SILENT)
    eventually(lambda: arrived(inbox).config.lease_namespace == "kube-vrrp", within_s=5)
    eventually(lambda: versions(server) == ["7", "20"], within_s=5)


def test_expired_watch_lists_again(server: ApiServer) -> None:
    server.answer = listed(obj(1))
    inbox = follow(server)
    arrived(inbox)
    server.answer = listed(obj(2), version="50")
    server.watch(error(410))
    server.watch(SILENT)
    assert arrived(inbox).config.generation == 2
    eventually(lambda: versions(server) == ["7", "50"], within_s=5)


def test_watch_refused_as_expired_lists_again(server: ApiServer) -> None:
    server.answer = listed(obj(1))
    server.watch_status = 410
    inbox = follow(server)
    arrived(inbox)
    eventually(lambda: versions(server), within_s=5)
    server.answer, server.watch_status = listed(obj(2)), 200
    eventually(lambda: arrived(inbox).config.generation == 2, within_s=5)


def test_broken_watch_lists_again(server: ApiServer) -> None:
    server.answer = listed(obj(1))
    inbox = follow(server)
    arrived(inbox)
    server.answer = listed(obj(2))
    server.watch(BROKEN)
    assert arrived(inbox).config.generation == 2
    server.watch(SILENT)


def test_object_that_cannot_be_used_is_refused_with_its_path(server: ApiServer) -> None:
    server.answer = listed(obj(1, virtualRouters=7))
    assert "spec.virtualRouters" in refused(follow(server))
    server.watch(SILENT)


@pytest.mark.parametrize("answer", [b"<html>welcome</html>", b"[]"])
def test_answer_of_something_else_is_lived_through(server: ApiServer, answer: bytes) -> None:
    server.answer = answer
    inbox = follow(server)
    eventually(lambda: lists(server) > 1, within_s=5)
    server.answer = listed(obj(1))
    assert arrived(inbox).config.generation == 1
    server.watch(SILENT)


# Outages ------------------------------------------------------------------------------


def test_server_that_went_away_and_came_back(
    server: ApiServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_source, "_OUTAGE_S", 0.1)
    caplog.set_level(logging.INFO)
    server.answer = listed(obj(1))
    server.watch(SILENT)
    inbox, client = Inbox(), Client(server)
    ApiConfigSource(client, "node-1", inbox, lambda _: None).start()
    arrived(inbox)
    server.stop()
    eventually(lambda: "API server not reached" in caplog.text, within_s=5)
    asked = client.asked
    eventually(lambda: client.asked > asked + 3, within_s=5)
    again = ApiServer(server.port)
    again.answer = listed(obj(2))
    assert arrived(inbox).config.generation == 2
    eventually(lambda: "API server reached again" in caplog.text, within_s=5)
    assert caplog.text.count("API server not reached") == 1
    again.stop()


def test_token_that_is_rotated_after_it_expired(server: ApiServer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    server.token, server.answer = "old", listed(obj(1))
    inbox = follow(server, token_path=token)
    arrived(inbox)
    eventually(lambda: server.paths("watch=1"), within_s=5)
    server.token, server.answer = "new", listed(obj(2))
    server.watch(BROKEN)
    eventually(lambda: lists(server) > 2, within_s=5)
    assert inbox.empty() or arrived(inbox).config.generation == 1
    token.write_text("new")
    eventually(lambda: arrived(inbox).config.generation == 2, within_s=5)
    server.watch(SILENT)


# Rule 18 ------------------------------------------------------------------------------


def test_deleted_kind_keeps_what_runs_and_says_so_once(server: ApiServer) -> None:
    server.answer = listed(obj(1))
    inbox = follow(server)
    arrived(inbox)
    server.status = 404
    server.watch(event("DELETED", obj(1)))
    assert refused(inbox) == (
        "the API server has no nodeconfigs of kube-vrrp.io/v1alpha1; install the CRDs; what ran"
        " before runs on"
    )
    asked = lists(server)
    eventually(lambda: lists(server) > asked + 2, within_s=5)
    assert inbox.empty()
    server.status = 200
    assert arrived(inbox).config.generation == 1
    server.watch(SILENT)


@pytest.mark.parametrize("others", [0, 1])
def test_absence_counts_only_while_other_nodes_have_theirs(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    monkeypatch.setattr(api_source, "_ABSENCE_S", 0.0)
    server.answer = lambda path: listed(*[{}] * others) if "limit" in path else EMPTY_LIST
    inbox = follow(server)
    if others:
        assert arrived(inbox).config.virtual_routers == ()
    else:
        assert refused(inbox) == "all NodeConfigs are gone; what ran before runs on"
        asked = lists(server)
        eventually(lambda: lists(server) > asked + 2, within_s=5)
        assert inbox.empty()
    server.answer = listed(obj(1))
    eventually(lambda: arrived(inbox).config.generation == 1, within_s=5)
    server.watch(SILENT)


def test_short_absence_is_no_decision(server: ApiServer) -> None:
    server.answer = lambda path: listed({}) if "limit" in path else EMPTY_LIST
    inbox = follow(server)
    eventually(lambda: lists(server) > 3, within_s=5)
    assert inbox.empty()
    assert not server.paths("limit")
