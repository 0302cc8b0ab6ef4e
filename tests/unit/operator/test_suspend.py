"""Suspended VirtualIPs: no node runs them, at once; number and addresses stay theirs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.operator.cluster import nodes, report, router_status, snapshot, virtual_ip

from vrrp_api.conditions import Reason
from vrrp_api.features import ENDINGS
from vrrp_operator.model.snapshot import NodeReport
from vrrp_operator.plan.planner import Plan, plan
from vrrp_operator.report.status import condition_truths, virtual_ip_status

NOW = "2026-01-01T00:00:00Z"


def running(planned: Plan) -> dict[str, NodeReport]:
    """Return the reports of nodes that run a plan, and know of ends; the first is Active."""
    found = {}
    for number, (node, config) in enumerate(sorted(planned.configs.items())):
        routers = [
            router_status(r.name, "Backup" if number else "Active") for r in config.virtual_routers
        ]
        told = report(config, *routers)
        assert told.status is not None
        found[node] = replace(told, status=replace(told.status, features=(ENDINGS,)))
    return found


def suspended(name: str = "a", *addresses: str, **spec: Any) -> dict[str, Any]:
    return virtual_ip(name, *addresses, vrid=7, suspend=True, **spec)


FIRST = plan(snapshot([virtual_ip("a", vrid=7)], nodes(2)))


def condition(obj: dict[str, Any], reports: dict[str, NodeReport], kind: str) -> tuple[str, ...]:
    cluster = snapshot([obj], nodes(2), reports=reports)
    status = virtual_ip_status(cluster.virtual_ips[0], cluster, plan(cluster), NOW)
    found = next(c for c in status["conditions"] if c["type"] == kind)
    return found["status"], found["reason"], found["message"]


@pytest.mark.parametrize("spec", [{}, {"healthChecks": [{"name": "nothing"}]}])
def test_every_node_is_told_to_let_go_at_once_accepted_or_not(spec: dict[str, Any]) -> None:
    found = plan(snapshot([suspended(**spec)], nodes(2), reports=running(FIRST)))
    assert [config.virtual_routers for config in found.configs.values()] == [(), ()]
    assert [config.ended for config in found.configs.values()] == [("a",), ("a",)]
    assert found.members["a"] == ("node-1", "node-2")


def test_number_and_addresses_stay_its_own() -> None:
    others = virtual_ip("b", "192.0.2.51", virtualRouterID=7), virtual_ip("c")
    found = plan(snapshot([suspended(), *others], nodes(2)))
    assert found.vrids["a"] == 7
    assert found.problems["b"].reason is Reason.VIRTUAL_ROUTER_ID_CONFLICT
    assert found.problems["c"].reason is Reason.ADDRESS_CONFLICT


def test_it_begins_again_with_what_it_had() -> None:
    left = {name: NodeReport(None, None, True) for name in ("node-1", "node-2")}
    again = plan(snapshot([virtual_ip("a", vrid=7)], nodes(2), reports=left))
    assert again.configs == FIRST.configs


def test_conditions_name_who_has_not_let_go_and_then_nobody() -> None:
    reports = running(FIRST)
    assert condition(suspended(), reports, "Ready") == (
        "False",
        "Suspended",
        "suspended; node-1 has not let go of the addresses yet",
    )
    assert condition(suspended(), reports, "Programmed")[:2] == ("False", "Pending")
    gone = plan(snapshot([suspended()], nodes(2), reports=reports))
    left = {name: report(config) for name, config in gone.configs.items()}
    assert condition(suspended(), left, "Ready") == (
        "False",
        "Suspended",
        "suspended: no node holds the addresses",
    )
    assert condition(suspended(), left, "Programmed") == (
        "True",
        "Programmed",
        "suspended: no node takes part",
    )
    assert condition(suspended(), left, "NoStandby")[:2] == ("False", "AsExpected")
    assert condition(suspended(), left, "Accepted")[:2] == ("True", "Accepted")


def test_no_metric_says_that_it_is_not_ready() -> None:
    ready = {"type": "Ready", "status": "False", "reason": "Suspended"}
    accepted = {"type": "Accepted", "status": "True", "reason": "Accepted"}
    found = condition_truths({"a": {"conditions": [ready, accepted]}})
    assert found == {"a": {"Accepted": True}}
