"""What the operator knows of nodes and Services, in each node's checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.unit.operator.cluster import applied, nodes, snapshot, virtual_ip

from vrrp_api.check_kinds import NodeConditionCheck, ServiceCheck
from vrrp_api.conditions import Reason
from vrrp_operator.model.nodes import node_value
from vrrp_operator.model.snapshot import ClusterSnapshot, NodeReport
from vrrp_operator.plan.planner import Plan, plan

Services = Mapping[str, Mapping[str, int] | None] | None


def check(name: str, **kind: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kube-vrrp.io/v1alpha1",
        "kind": "HealthCheck",
        "metadata": {"name": name, "generation": 1},
        "spec": kind,
    }


def cluster(
    services: Services = None, reports: Mapping[str, NodeReport] | None = None, **kind: Any
) -> ClusterSnapshot:
    kind = kind or {"service": {"namespace": "web", "name": "nginx"}}
    objects = [virtual_ip("a", vrid=1, healthChecks=[{"name": "c"}])]
    found = snapshot(objects, nodes(2), [check("c", **kind)], reports)
    return replace(found, services=services)


def ready(planned: Plan) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for node, config in planned.configs.items():
        (only,) = config.health_checks
        assert isinstance(only.kind, ServiceCheck)
        found[node] = only.kind.ready_endpoints
    return found


def test_each_node_is_told_whether_it_has_ready_endpoints() -> None:
    planned = plan(cluster({"web/nginx": {"node-2": 3}}))
    assert ready(planned) == {"node-1": 0, "node-2": 1}
    assert "readyEndpoints" in str(planned.configs["node-1"].to_object())


def test_how_many_endpoints_are_ready_changes_nothing_but_whether_any_are_does() -> None:
    four, five = (plan(cluster({"web/nginx": {"node-2": n}})).configs for n in (4, 5))
    assert four == five
    none = plan(cluster({"web/nginx": {}})).configs
    assert none["node-2"] != four["node-2"]
    assert none["node-1"] == four["node-1"]


def test_a_service_that_does_not_exist_has_no_number() -> None:
    planned = plan(cluster({"web/nginx": None}))
    assert ready(planned) == {"node-1": None, "node-2": None}
    assert planned.problems == {}
    assert "readyEndpoints" not in str(planned.configs["node-1"].to_object())


def test_a_service_that_nothing_is_known_of_holds_back_what_is_new() -> None:
    planned = plan(cluster({}))
    assert planned.problems["a"].reason is Reason.ENDPOINTS_UNKNOWN
    assert "HealthCheck c, web/nginx, the endpoints are not known" in planned.problems["a"].message
    assert all(not config.virtual_routers for config in planned.configs.values())


def test_an_operator_that_knows_nothing_yet_keeps_what_was_observed() -> None:
    reports = applied(plan(cluster({"web/nginx": {"node-2": 3}})))
    again = plan(cluster({}, reports))
    assert ready(again) == {"node-1": 0, "node-2": 1}
    assert again.configs == plan(cluster({"web/nginx": {"node-2": 3}})).configs


def test_what_was_observed_of_another_service_is_not_kept() -> None:
    reports = applied(plan(cluster({"web/nginx": {"node-2": 3}})))
    other = cluster({}, reports, service={"namespace": "web", "name": "other"})
    assert ready(plan(other)) == {"node-1": None, "node-2": None}


def test_where_nobody_can_be_asked_nothing_is_refused() -> None:
    assert plan(cluster(None)).problems == {}


def observed(planned: Plan) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for node, config in planned.configs.items():
        (only,) = config.health_checks
        assert isinstance(only.kind, NodeConditionCheck)
        found[node] = only.kind.observed
    return found


def test_each_node_is_told_its_condition() -> None:
    conditions = [{"type": "Ready", "status": "Unknown"}, {"type": "Broken"}]
    told = node_value(
        {
            "metadata": {"name": "node-1"},
            "status": {
                "conditions": conditions,
                "addresses": [{"type": "InternalIP", "address": "192.0.2.11"}],
            },
        }
    )
    found = cluster(nodeCondition={"type": "Ready", "status": "True"})
    found = replace(found, nodes=(told, found.nodes[1]))
    assert observed(plan(found)) == {"node-1": "Unknown", "node-2": None}
