"""What the operator's series say of VirtualIPs and nodes, and that they go with them."""

from __future__ import annotations

import time
from typing import Any

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.unit.operator.cluster import nodes, report, snapshot, virtual_ip
from tests.unit.operator.test_reconcile import FakeServer, cluster

from vrrp_operator.api.api_server import ApiUnavailableError
from vrrp_operator.api.cache import ObjectCache
from vrrp_operator.api.endpoints import EndpointWatch
from vrrp_operator.metrics import Metrics
from vrrp_operator.model.snapshot import ClusterSnapshot, Node, NodeReport
from vrrp_operator.reconcile import Reconciler
from vrrp_operator.report.status import condition_truths, speakers_reporting


def samples(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """Return the values of one metric by its labels' values, in the order of their names."""
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(generate_latest(metrics.registry).decode())
        for sample in family.samples
        if sample.name == name
    }


def measured() -> tuple[FakeServer, ObjectCache, Metrics, Reconciler]:
    """Return an operator of two nodes and one VirtualIP, and its metrics."""
    server, cache, _ = cluster()
    metrics, endpoints = Metrics(), EndpointWatch(server, ApiUnavailableError)
    return server, cache, metrics, Reconciler(cache, server, metrics, endpoints)


def test_conditions_are_1_or_0_and_absent_while_unknown() -> None:
    def condition(kind: str, status: str) -> dict[str, Any]:
        return {"type": kind, "status": status}

    conditions = [condition("Ready", "False"), condition("Accepted", "True")]
    status = {"conditions": [*conditions, condition("NoStandby", "Unknown")]}
    metrics = Metrics()
    metrics.cluster.found(condition_truths({"web": status}), {})
    found = samples(metrics, "kube_vrrp_virtual_ip_condition")
    assert found == {("Accepted", "web"): 1.0, ("Ready", "web"): 0.0}
    metrics.cluster.found(condition_truths({}), {})
    assert samples(metrics, "kube_vrrp_virtual_ip_condition") == {}


def test_a_speaker_reports_while_its_heartbeat_moves() -> None:
    reports = {
        "node-1": report(None, fresh=True),
        "node-2": report(None, fresh=False),
        "node-3": NodeReport(None, None, fresh=False),
        "removed": report(None, fresh=False),
    }
    listed = [*nodes(2), Node("node-3", {}, ("192.0.2.13",), has_speaker=False)]
    assert speakers_reporting(snapshot([], listed, reports=reports)) == {
        "node-1": True,
        "node-2": False,
    }
    assert speakers_reporting(ClusterSnapshot()) == {}
    metrics = Metrics()
    metrics.cluster.found({}, {"node-1": True, "node-2": False})
    found = samples(metrics, "kube_vrrp_speaker_reporting")
    assert found == {("node-1",): 1.0, ("node-2",): 0.0}


def test_a_cycle_tells_what_it_found_also_when_a_write_is_refused() -> None:
    server, _, metrics, reconciler = measured()
    server.refused = "nodeconfigs/node-1"
    assert not reconciler.run_cycle()
    assert samples(metrics, "kube_vrrp_virtual_ip_condition")[("Accepted", "a")] == 1.0
    assert samples(metrics, "kube_vrrp_speaker_reporting") == {("node-1",): 1.0, ("node-2",): 1.0}
    assert samples(metrics, "kube_vrrp_last_reconcile_timestamp_seconds") == {(): 0.0}
    server.refused = ""
    before_s = time.time()
    assert reconciler.run_cycle()
    reconciled_s = samples(metrics, "kube_vrrp_last_reconcile_timestamp_seconds")[()]
    assert before_s <= reconciled_s <= time.time()


def test_a_virtual_ip_that_is_gone_has_no_series() -> None:
    server, cache, metrics, reconciler = measured()
    assert reconciler.run_cycle()
    cache.put("virtualips", virtual_ip("a"), deleted=True, now_s=0.0)
    server.deleted.add("a")
    assert reconciler.run_cycle()
    assert samples(metrics, "kube_vrrp_virtual_ip_condition") == {}
