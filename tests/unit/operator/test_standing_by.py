"""An operator beside one that leads: it looks, writes nothing, and takes over what is there."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tests.unit.operator.cluster import virtual_ip
from tests.unit.operator.test_metrics import samples
from tests.unit.operator.test_reconcile import FakeServer, cluster

from vrrp_operator.api.api_server import ApiUnavailableError, ObjectChangedError, ObjectGoneError
from vrrp_operator.api.cache import ObjectCache
from vrrp_operator.api.endpoints import EndpointWatch
from vrrp_operator.health import STALE_S
from vrrp_operator.metrics import Metrics
from vrrp_operator.reconcile import Reconciler
from vrrp_operator.write.apply import NotLeadingError


class SwitchedLeader:
    """Leads when it is told to."""

    def __init__(self) -> None:
        self.leading = False
        self.term = 0
        self.problem: ApiUnavailableError | None = None
        self.ends_after: int | None = None
        """How often it may be asked yet before it leads no more."""
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Lead in a new term."""
        self.leading, self.term = True, self.term + 1

    def leads(self) -> bool:
        """Return what it was told."""
        with self._lock:
            if self.ends_after is not None:
                self.ends_after -= 1
                self.leading = self.leading and self.ends_after >= 0
            return self.leading


def standing_by() -> tuple[FakeServer, ObjectCache, Metrics, SwitchedLeader, Reconciler]:
    server, cache, _ = cluster()
    metrics, endpoints = Metrics(), EndpointWatch(server, ApiUnavailableError)
    leader = SwitchedLeader()
    server._leader, server._term = leader, leader.term
    return (
        server,
        cache,
        metrics,
        leader,
        Reconciler(cache, server, metrics, endpoints, leader=leader),
    )


def test_it_looks_and_writes_nothing_and_is_well() -> None:
    server, cache, metrics, _, reconciler = standing_by()
    assert reconciler.run_cycle()
    assert (server.requests, server.fenced) == ([], [])
    assert cache.names("virtualips") == ["a"]
    assert reconciler.ready() == (True, "standing by")
    assert reconciler.healthy() == (True, "ok")
    assert reconciler.due_in_s is None
    assert samples(metrics, "kube_vrrp_virtual_ip_condition") == {}


def test_who_begins_to_lead_reads_all_and_fences_all_before_it_writes() -> None:
    server, cache, _, leader, reconciler = standing_by()
    assert reconciler.run_cycle()
    server.add(virtualips=[virtual_ip("a"), virtual_ip("b", "192.0.2.51")])  # no watch told
    leader.begin()
    assert reconciler.run_cycle()
    assert sorted(server.fenced) == ["left", "node-1", "node-2"]
    recorded = sorted(server.requests[:2])
    assert recorded == ["PATCH virtualips/a/status", "PATCH virtualips/b/status"]
    assert reconciler.ready() == (True, "ok")
    assert cache.names("virtualips") == ["a", "b"]


def test_who_leads_again_with_nobody_in_between_fences_nothing() -> None:
    server, _, _, leader, reconciler = standing_by()
    leader.begin()
    assert reconciler.run_cycle()
    leader.leading = False
    assert reconciler.run_cycle()
    server.fenced.clear()
    leader.leading = True
    assert reconciler.run_cycle()
    assert server.fenced == []
    leader.begin()
    assert reconciler.run_cycle()
    assert sorted(server.fenced) == ["left", "node-1", "node-2"]


@pytest.mark.parametrize("asked", range(2, 8))
def test_who_leads_no_more_in_the_middle_of_a_cycle_writes_no_more(asked: int) -> None:
    """Three fences, a status, two NodeConfigs; the deletion is not asked for."""
    server, _, metrics, leader, reconciler = standing_by()
    leader.begin()
    leader.ends_after = asked
    assert reconciler.run_cycle()
    assert len(server.fenced) + len(server.requests) == asked - 1
    assert reconciler.ready() == (True, "standing by")
    assert samples(metrics, "kube_vrrp_virtual_ip_condition") == {}
    assert samples(metrics, "kube_vrrp_reconcile_errors_total") == {(): 0.0}
    assert samples(metrics, "kube_vrrp_write_refusals_total") == {}


def test_what_was_decided_in_a_former_term_is_not_written_in_a_later_one() -> None:
    """Stopped in the middle of a cycle while another one led, and leading again as it goes on."""
    server, _, _, leader, reconciler = standing_by()
    leader.begin()
    assert reconciler.run_cycle()
    leader.begin()
    with pytest.raises(NotLeadingError):
        server.apply_node_config(node_config("node-1", "kube-vrrp"))
    assert reconciler.run_cycle()
    assert server.apply_node_config(node_config("node-1", "kube-vrrp"))


def test_series_of_a_former_leader_go() -> None:
    _, _, metrics, leader, reconciler = standing_by()
    leader.begin()
    assert reconciler.run_cycle()
    assert samples(metrics, "kube_vrrp_virtual_ip_condition")
    leader.leading = False
    assert reconciler.run_cycle()
    for name in ("virtual_ip_condition", "speaker_reporting", "virtual_ips"):
        assert samples(metrics, f"kube_vrrp_{name}") == {}
    assert samples(metrics, "kube_vrrp_vrids_allocated") == {(): 0.0}


@pytest.mark.parametrize(("status", "well"), [(0, True), (403, False)])
def test_who_cannot_take_the_lease_is_not_ready_and_restarted_only_where_that_may_help(
    status: int, well: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now_s[0])
    _, _, _, leader, reconciler = standing_by()
    leader.problem = ApiUnavailableError("the Lease: no", status)
    assert reconciler.run_cycle()
    assert reconciler.ready() == (False, "no reconcile yet: the Lease: no")
    now_s[0] += STALE_S + 1
    assert reconciler.run_cycle()
    assert reconciler.healthy()[0] is well


def test_an_api_server_that_is_away_is_told_by_a_stand_by_too() -> None:
    server, _, _, _, reconciler = standing_by()
    server.available = False
    assert not reconciler.run_cycle()
    assert reconciler.ready()[0] is False


def node_config(name: str, lease_namespace: str = "") -> dict[str, Any]:
    spec = {"node": name, "addresses": [], "virtualRouters": [], "healthChecks": []}
    return {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "NodeConfig",
        "metadata": {"name": name},
        "spec": spec | ({"leaseNamespace": lease_namespace} if lease_namespace else {}),
    }


class Recorder(FakeServer):
    """Keeps what is sent, and answers what it is told to."""

    def __init__(self, cache: ObjectCache) -> None:
        super().__init__(cache, {})
        self.sent: list[dict[str, Any]] = []
        self.there: dict[str, Any] | None = None
        self.answer: ApiUnavailableError | None = None

    def _call(self, method: str, path: str, **arguments: Any) -> Any:
        if method == "GET":
            if self.there is None:
                raise ApiUnavailableError("404", 404)
            return self.there
        self.sent.append(arguments["body"])
        if self.answer is not None:
            raise self.answer
        return {}


def known(version: str = "5", uid: str = "one") -> dict[str, Any]:
    obj = node_config("node-1")
    return {**obj, "metadata": {"name": "node-1", "uid": uid, "resourceVersion": version}}


def test_what_is_not_known_is_made_and_never_written_over() -> None:
    server = Recorder(ObjectCache())
    server.apply_node_config(node_config("node-1"))
    assert server.sent[0]["metadata"] == {"name": "node-1", "resourceVersion": "0"}


def test_what_is_known_is_written_over_and_never_made() -> None:
    cache = ObjectCache()
    cache.put("nodeconfigs", known(), deleted=False, now_s=0.0)
    server = Recorder(cache)
    server.apply_node_config(node_config("node-1", "kube-vrrp"))
    metadata = {"name": "node-1", "uid": "one", "resourceVersion": "5"}
    assert server.sent[0]["metadata"] == metadata


def test_what_another_one_made_meanwhile_is_taken_in() -> None:
    cache = ObjectCache()
    server = Recorder(cache)
    server.there, server.answer = known("9"), ApiUnavailableError("must be specified", 422)
    with pytest.raises(ObjectChangedError):
        server.apply_node_config(node_config("node-1", "kube-vrrp"))
    assert cache.get("nodeconfigs", "node-1") == known("9")


def test_what_was_made_anew_meanwhile_is_taken_in() -> None:
    """The API server calls another uid invalid."""
    cache = ObjectCache()
    cache.put("nodeconfigs", known(), deleted=False, now_s=0.0)
    server = Recorder(cache)
    server.there, server.answer = known("9", "two"), ApiUnavailableError("immutable", 422)
    with pytest.raises(ObjectChangedError):
        server.apply_node_config(node_config("node-1", "kube-vrrp"))
    assert cache.get("nodeconfigs", "node-1") == known("9", "two")


def test_what_was_deleted_meanwhile_is_gone_and_not_made() -> None:
    cache = ObjectCache()
    cache.put("nodeconfigs", known(), deleted=False, now_s=0.0)
    server = Recorder(cache)
    server.answer = ApiUnavailableError("uid mismatch", 409)
    with pytest.raises(ObjectGoneError):
        server.apply_node_config(node_config("node-1", "kube-vrrp"))
    assert cache.get("nodeconfigs", "node-1") is None


@pytest.mark.parametrize("there", [None, known()])
def test_what_is_invalid_for_what_it_says_is_told_so(there: dict[str, Any] | None) -> None:
    cache = ObjectCache()
    if there is not None:
        cache.put("nodeconfigs", there, deleted=False, now_s=0.0)
    server = Recorder(cache)
    server.there, server.answer = there, ApiUnavailableError("too long", 422)
    with pytest.raises(ApiUnavailableError, match="too long") as raised:
        server.apply_node_config(node_config("node-1", "kube-vrrp"))
    assert type(raised.value) is ApiUnavailableError


def test_nothing_is_deleted_that_is_not_known() -> None:
    server = Recorder(ObjectCache())
    assert not server.delete_node_config("node-1")
    assert server.sent == []
