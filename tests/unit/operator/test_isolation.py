"""What one object can contain costs that object: the others are planned, written and told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from tests.unit.operator.cluster import virtual_ip
from tests.unit.operator.test_reconcile import FakeServer, cluster, node, speaking

from vrrp_api.bounds import VIRTUAL_IP_STATUS, violations
from vrrp_operator.api.api_server import ApiUnavailableError
from vrrp_operator.api.cache import ObjectCache
from vrrp_operator.api.handlers import Feed, Trigger, end_with
from vrrp_operator.api.list_watch import ListWatch
from vrrp_operator.health import STALE_S
from vrrp_operator.plan import electing, elections, planner, ranking
from vrrp_operator.plan.eligible import eligible_for
from vrrp_operator.plan.routers import routers_of
from vrrp_operator.reconcile import Reconciler
from vrrp_operator.report.chronicle import Chronicle
from vrrp_operator.report.status import virtual_ip_status
from vrrp_operator.write import statuses

OTHER = "192.0.2.51"
T = TypeVar("T")


def two(*others: dict[str, Any]) -> tuple[FakeServer, ObjectCache, Reconciler]:
    """Return a cluster of two nodes with VirtualIPs a and b, and these."""
    server, cache, reconciler = cluster()
    found = [virtual_ip("a"), virtual_ip("b", OTHER), *others]
    server.add(virtualips=found, nodeconfigs=[speaking("node-1"), speaking("node-2")])
    return server, cache, reconciler


def routers(cache: ObjectCache, name: str) -> list[str]:
    config = cache.get("nodeconfigs", name)
    return [router["name"] for router in config["spec"]["virtualRouters"]] if config else []


def condition(cache: ObjectCache, name: str, kind: str) -> tuple[str, str, str]:
    obj = cache.get("virtualips", name)
    assert obj is not None
    conditions = obj.get("status", {}).get("conditions", ())
    found = next((c for c in conditions if c["type"] == kind), None)
    assert found is not None, f"{name} says nothing of {kind}"
    return found["status"], found["reason"], found["message"]


def caught(reconciler: Reconciler, task: str) -> float:
    value: float = reconciler._metrics.exceptions.labels(task)._value.get()
    return value


def raising(name: str, real: Any) -> Any:
    """Return a function that does what another one does, but for one object."""

    def call(record: Any, *rest: Any, **options: Any) -> Any:
        named = getattr(record, "record", record)
        if named.name == name:
            raise KeyError("odd")
        return real(record, *rest, **options)

    return call


def raising_method(name: str) -> Any:
    """Return a method that raises for one object, and does nothing else."""

    def call(_: Any, record: Any) -> None:
        raising(name, lambda _: None)(record)

    return call


# Writes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 403, 413, 422, 500, 503])
def test_status_that_is_refused_keeps_no_other_waiting(status: int) -> None:
    server, cache, reconciler = two()
    server.answers["virtualips/a/status"] = ApiUnavailableError("no", status=status)
    assert not reconciler.run_cycle()
    assert condition(cache, "b", "Accepted")[0] == "True"
    assert routers(cache, "node-1") == ["b"]  # the VRID of the other is not on record
    assert reconciler.run_cycle()  # it waits by itself
    assert reconciler.due_in_s is not None


def test_status_that_is_refused_for_what_it_says_tells_just_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, cache, reconciler = two()
    real, refuse = server._call, True

    def call(method: str, path: str, **options: Any) -> Any:
        long = len((options.get("body") or {}).get("status", {})) > 4
        if refuse and path.endswith("virtualips/a/status") and long:
            raise ApiUnavailableError("PATCH: 422 too long", status=422)
        return real(method, path, **options)

    monkeypatch.setattr(server, "_call", call)
    assert not reconciler.run_cycle()
    assert condition(cache, "a", "Ready") == ("Unknown", "StatusRefused", "PATCH: 422 too long")
    assert condition(cache, "a", "Accepted")[0] == "True"
    assert routers(cache, "node-1") == ["a", "b"]  # its VRID is on record


def test_an_object_that_is_never_answered_for_stops_the_others_once() -> None:
    server, cache, reconciler = two()
    server.answers["virtualips/a/status"] = ApiUnavailableError("timed out")
    assert not reconciler.run_cycle()
    assert not reconciler.run_cycle()
    assert reconciler.run_cycle()
    assert routers(cache, "node-1") == ["b"]


def test_refused_node_config_is_told_by_those_whom_it_concerns() -> None:
    server, cache, reconciler = two()
    server.answers["nodeconfigs/node-1"] = ApiUnavailableError("PATCH: 422 no", status=422)
    assert not reconciler.run_cycle()
    assert routers(cache, "node-2") == ["a", "b"]
    reconciler.run_cycle()
    status, reason, message = condition(cache, "a", "Programmed")
    assert (status, reason) == ("False", "NodeConfigRefused")
    assert message.startswith("node-1: ")
    assert "PATCH: 422 no" in message
    server.answers.clear()


def test_operator_that_may_write_nothing_is_not_well() -> None:
    server, _, reconciler = two()
    for end in ("virtualips/a/status", "virtualips/b/status"):
        server.answers[end] = ApiUnavailableError("PATCH: 403 cannot patch", status=403)
    assert not reconciler.run_cycle()
    assert not reconciler.run_cycle()
    assert reconciler.ready() == (False, "no reconcile yet: PATCH: 403 cannot patch")


def test_write_that_nobody_expected_to_fail_so_costs_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, cache, reconciler = two()
    server.answers["virtualips/a/status"] = KeyError("odd")
    assert not reconciler.run_cycle()
    assert routers(cache, "node-1") == ["b"]
    assert caught(reconciler, "write") >= 1
    assert reconciler.run_cycle()  # it waits by itself


def test_what_speakers_say_is_cut_to_what_a_status_has_room_for() -> None:
    """Its schema has bounds for what it says of one router; that of a VirtualIP is of many."""
    server, cache, reconciler = two()
    long = speaking("node-1")
    router = {"name": "a", "state": "Fault", "faults": [f"CheckFailed: {'ü' * 2000}"] * 200}
    long["status"]["virtualRouters"] = [router]
    server.add(nodeconfigs=[long, speaking("node-2")])
    assert reconciler.run_cycle()
    obj = cache.get("virtualips", "a")
    assert obj is not None
    assert obj["status"]["nodes"][0]["faults"]
    assert list(violations(VIRTUAL_IP_STATUS, obj["status"])) == []


def test_what_happened_that_cannot_be_told_costs_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, cache, reconciler = two()
    monkeypatch.setattr(
        Chronicle, "of_virtual_ip", lambda _, record, *rest: raising("a", real_events)(record)
    )
    assert reconciler.run_cycle()
    assert condition(cache, "a", "Accepted")[0] == condition(cache, "b", "Accepted")[0] == "True"
    assert caught(reconciler, "events") == 1


def real_events(_: Any) -> list[Any]:
    return []


# Preconditions ----------------------------------------------------------------------------


def test_status_is_not_written_over_a_new_object_of_the_name() -> None:
    server, cache, _ = two()
    old = virtual_ip("a")
    cache.put(
        "virtualips", {**old, "metadata": {**old["metadata"], "uid": "new"}}, deleted=False, now_s=0
    )
    with pytest.raises(ApiUnavailableError, match="made anew"):
        server.apply_status("virtualips", "a", {"virtualRouterID": 7}, uid="a")
    assert server.requests == []


def test_status_is_written_over_the_version_that_was_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, cache, _ = two()
    known = virtual_ip("a")
    known["metadata"]["resourceVersion"] = "5"
    newer = {**known, "metadata": {**known["metadata"], "resourceVersion": "7", "uid": "new"}}
    cache.put("virtualips", known, deleted=False, now_s=0)
    bodies = []

    def call(method: str, path: str, **options: Any) -> Any:
        if method == "GET":
            return newer
        bodies.append(options["body"])
        raise ApiUnavailableError("409", status=409)

    monkeypatch.setattr(server, "_call", call)
    with pytest.raises(ApiUnavailableError):
        server.apply_status("virtualips", "a", {"virtualRouterID": 7}, uid="a")
    assert bodies[0]["metadata"] == {"name": "a", "resourceVersion": "5"}
    assert cache.get("virtualips", "a") == newer


def test_node_config_is_deleted_as_it_was_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    server, cache, _ = two()
    known = speaking("gone")
    known["metadata"] |= {"uid": "u", "resourceVersion": "5"}
    cache.put("nodeconfigs", known, deleted=False, now_s=0)
    bodies = []

    def call(*_: Any, **options: Any) -> None:
        bodies.append(options["body"])

    monkeypatch.setattr(server, "_call", call)
    assert server.delete_node_config("gone")
    assert bodies[0]["preconditions"] == {"uid": "u", "resourceVersion": "5"}


# What nobody expected ---------------------------------------------------------------------


def edit(cache: ObjectCache) -> None:
    """Edit VirtualIP b."""
    edited = virtual_ip("b", OTHER, downAdvertisements=7)
    edited["status"] = (cache.get("virtualips", "b") or {})["status"]
    edited["metadata"]["generation"] = 2
    cache.put("virtualips", edited, deleted=False, now_s=0)


def edited_is_there(cache: ObjectCache, node: str) -> bool:
    """Return whether a node is asked for what was edited."""
    config = cache.get("nodeconfigs", node)
    assert config is not None
    told: int = config["spec"]["virtualRouters"][1]["downAdvertisements"]
    return told == 7


def test_what_cannot_be_planned_costs_itself_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    _, cache, reconciler = two()
    assert reconciler.run_cycle()
    before = routers(cache, "node-1")
    monkeypatch.setattr(electing, "routers_of", raising("a", routers_of))
    edit(cache)
    assert reconciler.run_cycle()
    assert routers(cache, "node-1") == before == ["a", "b"]
    assert edited_is_there(cache, "node-1")
    assert condition(cache, "a", "Accepted")[:2] == ("False", "InternalError")
    assert caught(reconciler, "plan") >= 1


def test_what_cannot_even_be_carried_over_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    _, cache, reconciler = two()
    assert reconciler.run_cycle()
    monkeypatch.setattr(electing, "routers_of", raising("a", routers_of))
    monkeypatch.setattr(planner._Board, "carry_over", raising_method("a"))
    edit(cache)
    assert reconciler.run_cycle()
    assert routers(cache, "node-1") == ["a", "b"]
    assert edited_is_there(cache, "node-1")


def test_what_cannot_be_ranked_costs_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    _, cache, reconciler = two()
    monkeypatch.setattr(ranking, "eligible_for", raising("a", eligible_for))
    assert reconciler.run_cycle()
    assert routers(cache, "node-1") == ["b"]
    assert condition(cache, "a", "Accepted")[:2] == ("False", "InternalError")


def test_what_cannot_be_numbered_costs_itself_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    _, cache, reconciler = two()
    assert reconciler.run_cycle()
    before = cache.get("nodeconfigs", "node-1")
    monkeypatch.setattr(elections, "_election", raising("a", elections._election))
    edit(cache)
    assert reconciler.run_cycle()
    assert edited_is_there(cache, "node-1")
    after = cache.get("nodeconfigs", "node-1")
    assert before is not None
    assert after is not None
    first, *_ = before["spec"]["virtualRouters"]
    assert after["spec"]["virtualRouters"][0] == first
    assert first["name"] == "a"
    assert condition(cache, "a", "Accepted")[:2] == ("False", "InternalError")


def test_what_cannot_be_told_costs_itself_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    _, cache, reconciler = two()
    monkeypatch.setattr(statuses, "virtual_ip_status", raising("a", virtual_ip_status))
    assert reconciler.run_cycle()
    assert condition(cache, "b", "Accepted")[0] == "True"
    assert condition(cache, "a", "Ready")[:2] == ("Unknown", "InternalError")
    assert caught(reconciler, "fold") == 1


def test_node_that_cannot_be_planned_keeps_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    server, cache, reconciler = two()
    assert reconciler.run_cycle()
    monkeypatch.setattr(planner, "_config", raising("node-1", planner._config))
    server.requests.clear()
    edit(cache)
    reconciler.run_cycle()
    assert routers(cache, "node-1") == ["a", "b"]
    assert edited_is_there(cache, "node-2")
    assert not edited_is_there(cache, "node-1")
    assert "DELETE nodeconfigs/node-1" not in server.requests


def test_odd_status_of_a_node_is_read_as_far_as_it_goes() -> None:
    """Of before there was a schema for it; what others are given is made from it."""
    server, cache, reconciler = two()
    odd = speaking("node-1")
    odd["status"]["virtualRouters"] = [
        {"name": "a", "effectivePriority": 10**12, "history": [{}], "conflict": {}, "foreign": {}},
        {"state": "Active"},
    ]
    server.add(nodeconfigs=[odd, speaking("node-2")])
    assert reconciler.run_cycle()
    config = cache.get("nodeconfigs", "node-2")
    assert config is not None
    told = [p["priority"] for r in config["spec"]["virtualRouters"] for p in r["peers"]]
    assert all(1 <= priority <= 254 for priority in told)


def test_odd_node_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    server, cache, reconciler = two()
    odd = node("odd", "192.0.2.99")
    odd["status"]["addresses"] = 7
    server.add(nodes=[node("node-1", "192.0.2.11"), node("node-2", "192.0.2.12"), odd])
    assert reconciler.run_cycle()
    assert routers(cache, "node-1") == ["a", "b"]
    assert caught(reconciler, "read") == 1


def survived(action: Callable[[], T]) -> T:
    """Return what an action returns; that it raises is what is not to be."""
    try:
        return action()
    except Exception as error:
        raise AssertionError(f"not survived: {error!r}") from error


def test_a_cycle_survives_whatever_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, reconciler = two()
    now_s = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now_s[0])

    def fail(*_: Any) -> None:
        raise RuntimeError("nobody expected that")

    with monkeypatch.context() as broken:
        broken.setattr(reconciler._planner, "plan", fail)
        assert not survived(reconciler.run_cycle)
        assert reconciler.healthy()[0]
        now_s[0] += STALE_S + 1
        assert not survived(reconciler.run_cycle)
        # Although none ever ended well, and the API server answers.
        assert not reconciler.healthy()[0]
        assert "nobody expected that" in reconciler.healthy()[1]
    assert caught(reconciler, "reconcile") == 2
    assert reconciler.run_cycle()
    assert reconciler.healthy() == (True, "ok")


def test_an_api_server_that_never_answered_is_no_reason_to_be_restarted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, _, reconciler = two()
    now_s = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now_s[0])
    server.available = False
    assert not reconciler.run_cycle()
    now_s[0] += 2 * STALE_S
    assert not reconciler.run_cycle()
    assert reconciler.healthy()[0]


# Loops ------------------------------------------------------------------------------------


def test_a_task_that_ends_ends_the_process() -> None:
    told: list[str] = []

    async def fails() -> None:
        raise RuntimeError("nobody expected that")

    async def main() -> None:
        task = asyncio.create_task(fails(), name="reconcile")
        task.add_done_callback(lambda done: end_with(done, end=told.append))
        stopped = asyncio.create_task(asyncio.sleep(60))
        stopped.add_done_callback(lambda done: end_with(done, end=told.append))
        await asyncio.sleep(0)
        stopped.cancel()
        await asyncio.gather(task, stopped, return_exceptions=True)

    asyncio.run(main())
    assert told == ["the task reconcile ended: RuntimeError('nobody expected that')"]


class Watched:
    """Lists twice: at first something that nobody can take."""

    def __init__(self) -> None:
        self.lists = 0
        self.taken = threading.Event()

    def list_selected(self, path: str, label_selector: str) -> Any:
        self.lists += 1
        return [{"odd": self.lists == 1}], "1"

    def watch_selected(self, path: str, label_selector: str, version: str) -> Any:
        return iter([("ADDED", {"metadata": {"resourceVersion": "2"}, "odd": False})])

    def replace(self, objects: Any) -> None:
        if objects[0]["odd"]:
            raise KeyError("odd")

    def put(self, obj: Any, *, deleted: bool) -> None:
        self.taken.set()
        raise KeyError("odd")

    def broke(self, *, refused: bool) -> None:
        raise AssertionError("nothing broke")


def test_a_watch_goes_on_after_what_nobody_can_take() -> None:
    watched = Watched()
    told: list[tuple[str, Exception]] = []
    watch = ListWatch(
        watched,
        ApiUnavailableError,
        "/odd",
        "",
        watched,
        caught=lambda task, error: told.append((task, error)),
    )
    watch.start()
    assert watched.taken.wait(20)
    watch.stop()
    assert watched.lists >= 2
    assert told[0][0] == "watch"


def test_an_event_of_a_watch_that_cannot_be_taken_in_is_counted_and_looked_for() -> None:
    """The next complete list has the object again; until then a cycle decides without it."""
    _, cache, reconciler = two()
    assert reconciler.run_cycle()
    trigger = Trigger(reconciler, lambda _: None)
    feed = Feed(cache, trigger, reconciler.caught)
    before = cache.get("virtualips", "a")
    odd = {"type": "MODIFIED", "object": {"metadata": {}}}
    survived(lambda: feed.take_in("virtualips", odd))
    assert caught(reconciler, "watch") == 1
    assert trigger._changed.is_set()
    assert cache.get("virtualips", "a") == before
