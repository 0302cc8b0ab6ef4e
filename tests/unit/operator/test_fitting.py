"""What would not fit a NodeConfig is not written, and costs whoever brings it alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.operator.cluster import applied, nodes, snapshot, virtual_ip

from vrrp_api.bounds import NODE_CONFIG_SPEC, violations
from vrrp_operator.plan import electing, fitting
from vrrp_operator.plan.planner import Plan, Planner, plan
from vrrp_operator.plan.routers import routers_of

OLD, NEW = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
OTHER = "192.0.2.51"


def pair(**newer: Any) -> list[dict[str, Any]]:
    """Return VirtualIPs a and, a month younger, b."""
    return [virtual_ip("a", created=OLD), virtual_ip("b", OTHER, created=NEW, **newer)]


def ran(planned: Plan, node: str = "node-1") -> list[str]:
    return [router.name for router in planned.configs[node].virtual_routers]


def fits(planned: Plan) -> bool:
    specs = [config.to_object()["spec"] for config in planned.configs.values()]
    return not any(list(violations(NODE_CONFIG_SPEC, spec)) for spec in specs)


def test_what_its_schema_would_refuse_is_not_written_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def odd(record: Any, *rest: Any) -> Any:
        found = routers_of(record, *rest)
        if record.name != "b":
            return found
        return {node: replace(router, interface="i" * 16) for node, router in found.items()}

    monkeypatch.setattr(electing, "routers_of", odd)
    planned = plan(snapshot(pair(), nodes(2)))
    assert ran(planned) == ["a"]
    assert fits(planned)
    assert planned.problems.keys() == {"b"}
    assert planned.problems["b"].message == (
        "NodeConfig node-1: spec.virtualRouters[1].interface has 16 characters (accepted: 1 to 15)"
    )


def test_where_there_is_no_room_the_newest_waits_and_what_runs_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alone = plan(snapshot(pair()[:1], nodes(2)))
    both = plan(snapshot(pair(), nodes(2)))
    assert ran(both) == ["a", "b"]
    size = len(str(alone.configs["node-1"].to_object()["spec"]))
    monkeypatch.setattr(fitting, "LARGEST_BYTES", size + 40)
    planned = plan(snapshot(pair(), nodes(2), reports=applied(alone)))
    assert ran(planned) == ["a"]
    assert planned.problems.keys() == {"b"}
    assert (
        f"no room for it (accepted: {size + 40} bytes on a node)" in planned.problems["b"].message
    )
    # Whose fault it is follows from what runs, and not from age alone.
    only_new = plan(snapshot(pair()[1:], nodes(2)))
    planned = plan(snapshot(pair(), nodes(2), reports=applied(only_new)))
    assert ran(planned) == ["b"]
    assert planned.problems.keys() == {"a"}


def test_an_entry_that_fitted_is_looked_at_again_once_it_is_another_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    planner = Planner()
    assert planner.plan(snapshot(pair(), nodes(2))).problems == {}
    interfaces = iter(("eth1", "i" * 16, "i" * 16))

    def odd(record: Any, *rest: Any) -> Any:
        found = routers_of(record, *rest)
        if record.name != "b":
            return found
        interface = next(interfaces)
        return {node: replace(router, interface=interface) for node, router in found.items()}

    monkeypatch.setattr(electing, "routers_of", odd)
    good = planner.plan(snapshot(pair(downAdvertisements=4), nodes(2)))
    assert good.problems == {}
    assert ran(good) == ["a", "b"]
    assert planner.plan(snapshot(pair(downAdvertisements=5), nodes(2))).problems.keys() == {"b"}
