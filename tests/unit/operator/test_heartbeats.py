"""Leases as heartbeats: whose they are, what they make fresh, and when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from queue import SimpleQueue
from typing import Any

import pytest
from tests.eventually import eventually
from tests.unit.operator.cluster import nodes, snapshot
from tests.unit.operator.test_cache import active, fresh, node_config, put

from vrrp_api.features import LEASES
from vrrp_api.lease import LABEL, heartbeat_of, lease_name, new_lease
from vrrp_api.node_status import NodeConfigStatus
from vrrp_operator.api.api_server import ApiUnavailableError
from vrrp_operator.api.cache import FRESH_S, ObjectCache
from vrrp_operator.api.heartbeats import LeaseWatch
from vrrp_operator.model.snapshot import NodeReport
from vrrp_operator.plan.planner import plan


def lease(node: str, time: str) -> dict[str, Any]:
    made = new_lease(node, time, "uid")
    return {**made, "metadata": {**made["metadata"], "resourceVersion": time.rpartition(":")[2]}}


def known(*names: str) -> ObjectCache:
    """Return a cache in which these nodes reported once, at second 0."""
    cache = ObjectCache()
    for version, name in enumerate(names, 1):
        put(cache, node_config(name, "0", version), 0)
    return cache


# Whose they are ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"spec": None},
        {"spec": {"holderIdentity": "b", "renewTime": "2026-01-01T00:00:00.000000Z"}},
        {"spec": {"holderIdentity": "a"}},
        {"spec": {"holderIdentity": "a", "renewTime": None}},
        {"spec": {"holderIdentity": "", "renewTime": "2026-01-01T00:00:00.000000Z"}},
        {"spec": {"holderIdentity": 7, "renewTime": 8}},
    ],
)
def test_lease_that_says_no_node_and_time_is_nobodys(wrong: dict[str, Any]) -> None:
    metadata = {"name": lease_name("a"), "labels": {LABEL: "node"}}
    assert heartbeat_of({"metadata": metadata, **wrong}) is None


def test_lease_of_a_node_that_is_not_known_is_nobodys() -> None:
    cache = known("a")
    assert not cache.put_lease(lease("b", "t:1"), 10)
    assert fresh(cache, 10) == {"a"}


def test_lease_that_is_listed_before_its_node_config_counts_from_the_next_one_on() -> None:
    """As in an operator that begins: its lists come in any order."""
    cache = ObjectCache()
    cache.put_lease(lease("a", "t:1"), 0)
    put(cache, node_config("a", "0", 1), 1)
    cache.put_lease(lease("a", "t:2"), 12)
    assert fresh(cache, 12 + FRESH_S - 1) == {"a"}


def test_name_that_is_too_long_for_a_lease_has_none() -> None:
    assert lease_name("n" * 248) == "node." + "n" * 248
    assert lease_name("n" * 249) is None


# What they make fresh ---------------------------------------------------------------------


def test_lease_that_moves_keeps_a_node_fresh_and_is_no_news() -> None:
    cache = known("a")
    for now_s in range(0, 300, 10):
        assert not cache.put_lease(lease("a", f"t:{now_s}"), now_s)
    assert fresh(cache, 290 + FRESH_S - 1) == {"a"}
    assert fresh(cache, 290 + FRESH_S + 1) == set()


def test_first_sight_of_a_lease_may_be_years_old() -> None:
    """As an operator finds it that starts anew: nobody is alive for that."""
    cache = known("a")
    cache.put_lease(lease("a", "t:1"), 20)
    assert not cache.snapshot(21).reports["a"].alive
    assert fresh(cache, FRESH_S + 1) == set()
    cache.put_lease(lease("a", "t:2"), 40)
    assert cache.snapshot(41).reports["a"].alive
    assert fresh(cache, 41) == {"a"}


def test_status_and_lease_both_count_whichever_moved_last() -> None:
    """As with a speaker of the version before, or one that is asked for no Lease any more."""
    cache = known("a")
    cache.put_lease(lease("a", "t:1"), 1)
    cache.put_lease(lease("a", "t:2"), 10)
    put(cache, node_config("a", "later", 2), 30)
    assert fresh(cache, 30 + FRESH_S - 1) == {"a"}
    assert cache.snapshot(31).reports["a"].beat == "later"
    # What is listed again says nothing new.
    cache.put_lease(lease("a", "t:2"), 50)
    put(cache, node_config("a", "later", 3), 50)
    assert fresh(cache, 30 + FRESH_S + 1) == set()


def test_lease_of_a_node_that_was_taken_for_dead_is_news() -> None:
    cache = known("a")
    cache.put_lease(lease("a", "t:1"), 1)
    assert cache.put_lease(lease("a", "t:2"), 2 * FRESH_S)


def test_lease_is_news_while_two_nodes_say_they_are_active() -> None:
    cache = ObjectCache()
    for version, name in enumerate(("a", "b"), 1):
        put(cache, active(name, "1", version), 10)
    cache.put_lease(lease("a", "t:1"), 11)
    assert cache.put_lease(lease("a", "t:2"), 21)
    assert not cache.put_lease(lease("a", "t:2"), 22)


# When they are asked for ------------------------------------------------------------------


class Reader:
    """Answers with what a test puts; an exception is raised."""

    def __init__(self) -> None:
        self.lists: SimpleQueue[Any] = SimpleQueue()
        self.events: SimpleQueue[Any] = SimpleQueue()

    def list_selected(self, path: str, label_selector: str) -> tuple[Sequence[Any], str]:
        assert path == "/apis/coordination.k8s.io/v1/namespaces/ours/leases"
        assert label_selector == f"{LABEL}=node"
        answer = self.lists.get()
        if isinstance(answer, Exception):
            raise answer
        return answer, "5"

    def watch_selected(
        self, path: str, label_selector: str, version: str
    ) -> Iterator[tuple[str, Any]]:
        while (event := self.events.get()) is not None:
            if isinstance(event, Exception):
                raise event
            yield event


class Clock:
    """A clock that a test sets."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


FORBIDDEN, AWAY = ApiUnavailableError("no", 403), ApiUnavailableError("away")


def watching(cache: ObjectCache) -> tuple[LeaseWatch, Reader, Clock]:
    reader, clock = Reader(), Clock()
    watch = LeaseWatch(reader, ApiUnavailableError, cache, "ours", clock)
    watch.start(lambda: None)
    return watch, reader, clock


def test_leases_are_asked_for_once_they_were_read() -> None:
    cache = known("a")
    watch, reader, clock = watching(cache)
    assert watch.asked_in() == "", "what was asked before stays"
    reader.lists.put([lease("a", "t:1")])
    eventually(lambda: watch.asked_in() == "ours", within_s=5)
    clock.now_s = 25.0
    reader.events.put(("MODIFIED", lease("a", "t:2")))
    eventually(lambda: cache.snapshot(25).reports["a"].alive, within_s=5)
    # One that is deleted says nothing; its speaker makes it anew.
    reader.events.put(("DELETED", lease("a", "t:3")))
    reader.events.put(("MODIFIED", lease("a", "t:4")))
    eventually(lambda: cache.snapshot(25).reports["a"].beat == "t:4", within_s=5)
    watch.stop()


def reading(cache: ObjectCache) -> tuple[LeaseWatch, Reader, Clock]:
    """Return a watch that has read the Leases once."""
    watch, reader, clock = watching(cache)
    reader.lists.put([lease("a", "t:1")])
    eventually(lambda: watch.asked_in() == "ours", within_s=5)
    return watch, reader, clock


def test_refused_leases_make_nobody_stale_and_are_asked_for_no_more() -> None:
    cache = known("a")
    watch, reader, clock = reading(cache)
    reader.events.put(FORBIDDEN)
    reader.lists.put(FORBIDDEN)
    eventually(reader.lists.empty, within_s=5)
    clock.now_s = 20.0
    assert watch.asked_in() == "ours", "it may pass"
    clock.now_s = 31.0
    assert watch.asked_in() is None
    assert fresh(cache, 80) == {"a"}, "statuses are not heartbeats yet"
    clock.now_s = 100.0
    assert watch.asked_in() is None
    assert fresh(cache, 100 + FRESH_S + 1) == set(), "they are by now"
    reader.lists.put([lease("a", "t:2")])
    eventually(lambda: watch.asked_in() == "ours", within_s=10)
    watch.stop()


def test_api_server_that_is_away_changes_nothing_that_was_asked() -> None:
    cache = known("a")
    watch, reader, clock = reading(cache)
    reader.events.put(AWAY)
    reader.lists.put(AWAY)
    eventually(reader.lists.empty, within_s=5)
    clock.now_s = 4000.0
    assert watch.asked_in() == "ours"
    assert fresh(cache, 4000) == {"a"}
    watch.stop()


@pytest.mark.parametrize("status", [0, 429, 500, 503])
def test_what_is_no_refusal_begins_the_time_of_refusals_anew(status: int) -> None:
    """One refusal, and an API server that is away or overloaded for long."""
    watch, reader, clock = reading(known("a"))
    reader.events.put(FORBIDDEN)
    reader.lists.put(ApiUnavailableError("busy", status))
    eventually(reader.lists.empty, within_s=5)
    reader.lists.put(ApiUnavailableError("busy", status))
    eventually(reader.lists.empty, within_s=5)
    clock.now_s = 4000.0
    assert watch.asked_in() == "ours"
    watch.stop()


def status(*features: str) -> NodeConfigStatus:
    return NodeConfigStatus(1, "2026-01-01T00:00:00Z", "0", 0, "API", (), (), features)


@pytest.mark.parametrize(
    ("namespace", "features", "before", "asked"),
    [
        ("ours", (LEASES,), None, "ours"),
        ("ours", (), None, None),  # a speaker of the version before would refuse the field
        (None, (LEASES,), "ours", None),
        ("", (LEASES,), "ours", "ours"),
        ("", (LEASES,), None, None),
        ("", (), "ours", None),
    ],
)
def test_nodes_are_asked_for_leases_that_know_them_and_can_be_read(
    namespace: str | None, features: tuple[str, ...], before: str | None, asked: str | None
) -> None:
    (config,) = plan(snapshot((), nodes(1))).configs.values()
    report = NodeReport(replace(config, lease_namespace=before), status(*features), fresh=True)
    seen = replace(snapshot((), nodes(1), reports={config.node: report}), lease_namespace=namespace)
    (planned,) = plan(seen).configs.values()
    assert planned.lease_namespace == asked
