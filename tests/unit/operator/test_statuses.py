"""Statuses are written side by side, and after NodeConfigs unless a node would be ahead of them."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tests.unit.operator.cluster import virtual_ip
from tests.unit.operator.test_reconcile import FakeServer, cluster, speaking

from vrrp_operator.api.api_server import ApiUnavailableError
from vrrp_operator.api.cache import ObjectCache
from vrrp_operator.reconcile import Reconciler
from vrrp_operator.write.writes import SIDE_BY_SIDE

PATIENCE_S = 60.0


def with_virtual_ips(count: int) -> tuple[FakeServer, ObjectCache, Reconciler]:
    """Return a cluster of two nodes with so many VirtualIPs, and nothing written yet."""
    server, cache, reconciler = cluster()
    found = [virtual_ip(f"v{n:02}", f"192.0.2.{50 + n}") for n in range(count)]
    server.add(virtualips=found, nodeconfigs=[speaking("node-1"), speaking("node-2")])
    return server, cache, reconciler


def patches(server: FakeServer) -> list[str]:
    return [request.removeprefix("PATCH ") for request in server.requests]


def test_nodes_hear_of_a_change_before_its_status_is_told() -> None:
    server, cache, reconciler = with_virtual_ips(2)
    assert reconciler.run_cycle()
    server.requests.clear()
    changed = cache.get("virtualips", "v00")
    assert changed is not None
    addresses = [*changed["spec"]["addresses"], {"address": "192.0.2.200/24"}]
    changed = {
        **changed,
        "metadata": {**changed["metadata"], "generation": 2},
        "spec": {**changed["spec"], "addresses": addresses},
    }
    cache.put("virtualips", changed, deleted=False, now_s=0.0)
    server.add(virtualips=[changed])
    assert reconciler.run_cycle()
    *configs, last = patches(server)
    assert sorted(configs) == ["nodeconfigs/node-1", "nodeconfigs/node-2"]
    assert last == "virtualips/v00/status"


def test_nodes_hear_of_a_new_vrid_when_it_is_on_record() -> None:
    server, cache, reconciler = with_virtual_ips(1)
    assert reconciler.run_cycle()
    server.requests.clear()
    cache.put("virtualips", virtual_ip("new", "192.0.2.90"), deleted=False, now_s=0.0)
    assert reconciler.run_cycle()
    written = patches(server)
    assert written.index("virtualips/new/status") < written.index("nodeconfigs/node-1")


def test_statuses_are_written_side_by_side_and_no_more_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, _, reconciler = with_virtual_ips(SIDE_BY_SIDE * 3)
    real = server._call
    all_at_once, lock = threading.Barrier(SIDE_BY_SIDE), threading.Lock()
    under_way, most = 0, 0

    def call(method: str, path: str, **options: Any) -> Any:
        nonlocal under_way, most
        if not path.endswith("/status"):
            return real(method, path, **options)
        with lock:
            under_way += 1
            most = max(most, under_way)
        all_at_once.wait(PATIENCE_S)  # a broken barrier is an exception, and nothing is written
        answer = real(method, path, **options)
        with lock:
            under_way -= 1
        return answer

    monkeypatch.setattr(server, "_call", call)
    assert reconciler.run_cycle()
    assert most == SIDE_BY_SIDE


def test_where_nobody_answers_for_one_those_under_way_are_told_and_no_further_one_is_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, cache, reconciler = with_virtual_ips(SIDE_BY_SIDE * 2)
    real = server._call
    all_at_once = threading.Barrier(SIDE_BY_SIDE)
    tried = []

    def call(method: str, path: str, **options: Any) -> Any:
        if not path.endswith("/status"):
            return real(method, path, **options)
        tried.append(path.split("/")[-2])
        if len(tried) <= SIDE_BY_SIDE:
            all_at_once.wait(PATIENCE_S)
        if path.endswith("v00/status"):
            raise ApiUnavailableError(f"{method} {path}: no answer")
        return real(method, path, **options)

    monkeypatch.setattr(server, "_call", call)
    assert not reconciler.run_cycle()
    on_record = {
        name
        for name in cache.names("virtualips")
        if "virtualRouterID" in (cache.get("virtualips", name) or {}).get("status", {})
    }
    assert on_record == set(tried) - {"v00"}  # none is under way
    monkeypatch.setattr(server, "_call", real)
    assert reconciler.run_cycle()
    assert len(cache.names("virtualips")) == SIDE_BY_SIDE * 2
    config = cache.get("nodeconfigs", "node-1")
    assert config is not None
    assert len(config["spec"]["virtualRouters"]) == SIDE_BY_SIDE * 2
